ALTER TABLE events DROP COLUMN program;
