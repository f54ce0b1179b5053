-- One row: what the user wants of nightly backups, and how the last ones ended. Both as JSON.
CREATE TABLE backup_state (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    settings TEXT    NOT NULL DEFAULT '{}',
    ended    TEXT    NOT NULL DEFAULT '{}'
);
INSERT INTO backup_state (id) VALUES (1);
