-- Equal refusals within an hour are one row: `times` of them, the first at `first_at`, the last at `at`.
ALTER TABLE audit ADD COLUMN first_at BIGINT NOT NULL DEFAULT 0;
UPDATE audit SET first_at = at;
