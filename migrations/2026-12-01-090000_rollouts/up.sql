-- Updates of the clients of several hosts, one host after the other. `state`: JSON.
CREATE TABLE rollouts (
    id         TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    state      TEXT   NOT NULL
);
CREATE INDEX rollouts_created_at ON rollouts (created_at);
