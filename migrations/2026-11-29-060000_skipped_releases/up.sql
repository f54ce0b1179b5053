-- Releases that a user does not want to be offered, with who said so and when.
CREATE TABLE skipped_releases (
    tag        TEXT   NOT NULL PRIMARY KEY,
    skipped_at BIGINT NOT NULL,
    skipped_by TEXT   NOT NULL
);
