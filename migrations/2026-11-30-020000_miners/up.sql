-- The miners of each instance: one row for each, replaced as its counts change. A miner is known by protocol, address and name, so that
-- its history goes on after it connects again. Times are milliseconds since 1970 UTC.
CREATE TABLE miners (
    instance_id     TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    -- 'v1' or 'v2'.
    protocol        TEXT    NOT NULL,
    -- Its IP address; empty where the client does not know it.
    address         TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    -- 'mining', 'no-channel', 'many-rejected' or 'offline'.
    state           TEXT    NOT NULL,
    -- H/s, and whether that average covers its whole window.
    hashrate        DOUBLE  NOT NULL,
    settled         BOOLEAN NOT NULL,
    -- The day (days since 1970 UTC) that the next two count.
    day             BIGINT  NOT NULL,
    accepted_today  BIGINT  NOT NULL,
    rejected_today  BIGINT  NOT NULL,
    accepted_total  BIGINT  NOT NULL,
    rejected_total  BIGINT  NOT NULL,
    last_share_at   BIGINT,
    connected_since BIGINT,
    offline_since   BIGINT,
    -- When it was last there, as of the last change of this row.
    seen_at         BIGINT  NOT NULL,
    -- What the programs had counted then (JSON), so that counting goes on from there.
    baseline        TEXT    NOT NULL,
    PRIMARY KEY (instance_id, protocol, address, name)
);
