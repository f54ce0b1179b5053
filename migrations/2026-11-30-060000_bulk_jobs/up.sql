-- Actions on several instances. A job without `ended_at` is in progress, or its manager was killed.
CREATE TABLE bulk_jobs (
    id         TEXT   NOT NULL PRIMARY KEY,
    action     TEXT   NOT NULL,
    title      TEXT   NOT NULL,
    stage      TEXT   NOT NULL,
    message    TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX bulk_jobs_created_at ON bulk_jobs (created_at);

-- The instances of a job in their order. An instance may have been deleted since, also by its job.
CREATE TABLE bulk_steps (
    job_id      TEXT    NOT NULL REFERENCES bulk_jobs (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    instance_id TEXT    NOT NULL,
    name        TEXT,
    state       TEXT    NOT NULL,
    status      TEXT,
    message     TEXT    NOT NULL,
    PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
