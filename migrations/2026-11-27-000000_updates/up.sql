-- Which client version is being tried on an instance, which was made ready for its next start, and which its client was last started with.
ALTER TABLE instances ADD COLUMN trial_version TEXT;
ALTER TABLE instances ADD COLUMN prepared_version TEXT;
ALTER TABLE instances ADD COLUMN running_version TEXT;

-- A row of `updates` is a release that is known, or a client that is or was installed otherwise. `release`: what else the source says of it, as JSON.
ALTER TABLE updates ADD COLUMN release TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX updates_version ON updates (version);

-- What was done about clients: installed, switched, by whom, with which result. `state`: all of it as JSON.
CREATE TABLE update_jobs (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    stage      TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    ended_at   BIGINT,
    state      TEXT    NOT NULL
);
CREATE INDEX update_jobs_created_at ON update_jobs (created_at);

-- One row: what is remembered between two questions for releases, and what the user wants of updates. Both as JSON.
CREATE TABLE update_state (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    checked  TEXT    NOT NULL DEFAULT '{}',
    settings TEXT    NOT NULL DEFAULT '{}'
);
INSERT INTO update_state (id) VALUES (1);
