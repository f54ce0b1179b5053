-- Why a client ended, as a JSON object {code, what, advice}, where that could be read from its last lines.
ALTER TABLE events ADD COLUMN cause TEXT;
ALTER TABLE instances ADD COLUMN cause TEXT;
