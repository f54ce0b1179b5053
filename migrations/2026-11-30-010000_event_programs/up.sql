-- Whose state changed: the client's or that of the translator beside it.
ALTER TABLE events ADD COLUMN program TEXT NOT NULL DEFAULT 'client';
