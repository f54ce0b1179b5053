-- How each instance stands: one row for each, replaced as things change. Times within are milliseconds since 1970 UTC.
CREATE TABLE health_states (
    instance_id TEXT   NOT NULL PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    -- Up to where its log has been understood, bytes, and how things stand there according to it (JSON).
    log_offset  BIGINT NOT NULL DEFAULT 0,
    standing    TEXT   NOT NULL DEFAULT '{}',
    -- What the last checks found (JSON).
    results     TEXT   NOT NULL DEFAULT '{}',
    -- Which cures a user has switched off (JSON list of words), and what cures were tried lately (JSON).
    cures_off   TEXT   NOT NULL DEFAULT '[]',
    cures       TEXT   NOT NULL DEFAULT '{}'
);
-- For forgetting, and for the state of a check at a moment.
CREATE INDEX health_checks_time ON health_checks (timestamp);
