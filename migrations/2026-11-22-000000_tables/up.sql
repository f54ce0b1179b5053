-- Times are milliseconds since 1970 UTC, ids are UUIDs as text.

CREATE TABLE configurations (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    description TEXT    NOT NULL DEFAULT '',
    config_json TEXT    NOT NULL,
    is_active   BOOLEAN NOT NULL DEFAULT 0 CHECK (is_active IN (0, 1)),
    revision    INTEGER NOT NULL DEFAULT 1,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);
-- At most one configuration is the active one.
CREATE UNIQUE INDEX configurations_active ON configurations (is_active) WHERE is_active = 1;

-- Every saved state of a configuration; the newest is also in `configurations`.
CREATE TABLE configuration_revisions (
    configuration_id TEXT    NOT NULL REFERENCES configurations (id) ON DELETE CASCADE,
    revision         INTEGER NOT NULL,
    name             TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    config_json      TEXT    NOT NULL,
    created_at       BIGINT  NOT NULL,
    PRIMARY KEY (configuration_id, revision)
);

CREATE TABLE instances (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    config_id      TEXT    NOT NULL REFERENCES configurations (id) ON DELETE RESTRICT,
    -- What the user wants: running or stopped. Kept apart from what is.
    desired        TEXT    NOT NULL DEFAULT 'stopped' CHECK (desired IN ('running', 'stopped')),
    autostart      BOOLEAN NOT NULL DEFAULT 0 CHECK (autostart IN (0, 1)),
    restart_policy TEXT    NOT NULL DEFAULT 'on-failure' CHECK (restart_policy IN ('never', 'on-failure', 'always')),
    -- Give up after so many failures within so many seconds; both or neither.
    restart_limit_failures INTEGER,
    restart_limit_within_s INTEGER,
    -- What the client may use at most: MiB of private memory, open files; and how far it steps back for others.
    memory_limit_mib INTEGER,
    open_files_limit INTEGER,
    nice           INTEGER NOT NULL DEFAULT 0,
    client_version TEXT,
    -- What was last known, from the keeper's journal.
    status         TEXT    NOT NULL DEFAULT 'stopped',
    pid            INTEGER,
    port           INTEGER,
    restarts       INTEGER NOT NULL DEFAULT 0,
    exit_code      INTEGER,
    exit_signal    INTEGER,
    last_error     TEXT,
    started_at     BIGINT,
    stopped_at     BIGINT,
    -- The configuration's revision the client runs with.
    running_revision INTEGER,
    -- Up to here the keeper's journal has been read.
    journal_offset BIGINT  NOT NULL DEFAULT 0,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);
CREATE INDEX instances_config ON instances (config_id);

-- Every change of state of an instance.
CREATE TABLE events (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    at          BIGINT  NOT NULL,
    from_state  TEXT    NOT NULL,
    to_state    TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    actor       TEXT,
    pid         INTEGER,
    exit_code   INTEGER,
    exit_signal INTEGER,
    last_error  TEXT,
    failures    INTEGER NOT NULL DEFAULT 0,
    retry_at    BIGINT
);
CREATE INDEX events_instance ON events (instance_id, id);

CREATE TABLE metrics (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    metric_type TEXT    NOT NULL,
    value       DOUBLE  NOT NULL,
    timestamp   BIGINT  NOT NULL
);
CREATE INDEX metrics_series ON metrics (instance_id, metric_type, timestamp);

CREATE TABLE health_checks (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    check_type  TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('healthy', 'warning', 'unhealthy', 'unknown')),
    message     TEXT    NOT NULL DEFAULT '',
    timestamp   BIGINT  NOT NULL
);
CREATE INDEX health_checks_instance ON health_checks (instance_id, timestamp);

CREATE TABLE updates (
    id           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    version      TEXT    NOT NULL,
    download_url TEXT    NOT NULL,
    changelog    TEXT    NOT NULL DEFAULT '',
    installed    BOOLEAN NOT NULL DEFAULT 0 CHECK (installed IN (0, 1)),
    installed_at BIGINT,
    created_at   BIGINT  NOT NULL
);
