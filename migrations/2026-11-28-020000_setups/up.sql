-- A setup that was begun: what was typed so far, as JSON, no key of the client's own among it. `instance_id`: what became of it.
CREATE TABLE setups (
    id          TEXT   NOT NULL PRIMARY KEY,
    answers     TEXT   NOT NULL,
    instance_id TEXT   REFERENCES instances (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
