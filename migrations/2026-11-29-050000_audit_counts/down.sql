ALTER TABLE audit DROP COLUMN first_at;
