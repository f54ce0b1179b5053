-- The user's tags of an instance: a JSON array of texts.
ALTER TABLE instances ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
