-- Where messages go. `target` is JSON with its secrets.
CREATE TABLE alert_channels (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE COLLATE NOCASE,
    target     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- When somebody is to be told of what.
CREATE TABLE alert_rules (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    -- JSON {kind, …}.
    condition    TEXT    NOT NULL,
    -- None: of every instance.
    instance_id  TEXT    REFERENCES instances (id) ON DELETE CASCADE,
    for_s        INTEGER NOT NULL,
    clear_s      INTEGER NOT NULL,
    repeat_s     INTEGER,
    tell_cleared BOOLEAN NOT NULL CHECK (tell_cleared IN (0, 1)),
    -- Minutes of the local day; both or neither.
    quiet_from   INTEGER CHECK (quiet_from BETWEEN 0 AND 1439),
    quiet_to     INTEGER CHECK (quiet_to BETWEEN 0 AND 1439),
    enabled      BOOLEAN NOT NULL CHECK (enabled IN (0, 1)),
    created_at   BIGINT  NOT NULL
);
CREATE INDEX alert_rules_instance ON alert_rules (instance_id);

-- The channels of a rule; none: all there are.
CREATE TABLE alert_rule_channels (
    rule_id    TEXT NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    channel_id TEXT NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    PRIMARY KEY (rule_id, channel_id)
) WITHOUT ROWID;
CREATE INDEX alert_rule_channels_channel ON alert_rule_channels (channel_id);

-- What a rule remembers of an instance.
CREATE TABLE alert_memories (
    rule_id     TEXT    NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    -- Since when it holds; whether it has held for long enough to count; since when it does not hold although it counts.
    since       BIGINT,
    counts      BOOLEAN NOT NULL CHECK (counts IN (0, 1)),
    gone        BIGINT,
    -- When it was last told that it holds, if people believe so; since when that held; when it ended, if it did; the words.
    told        BIGINT,
    told_since  BIGINT,
    ended       BIGINT,
    words       TEXT    NOT NULL,
    -- Of what happens rather than lasts: the figure up to which it was told.
    count       DOUBLE,
    PRIMARY KEY (rule_id, instance_id)
) WITHOUT ROWID;
CREATE INDEX alert_memories_instance ON alert_memories (instance_id);

-- Nothing is told of an instance before that time.
CREATE TABLE alert_silences (
    instance_id TEXT   NOT NULL PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    until       BIGINT NOT NULL
);

-- One notice on its way to one channel, or arrived there, or given up.
CREATE TABLE alert_deliveries (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel_id TEXT    NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    -- By which a receiver recognises a message that comes twice.
    message_id TEXT    NOT NULL,
    at         BIGINT  NOT NULL,
    title      TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    mood       TEXT    NOT NULL CHECK (mood IN ('bad', 'good', 'plain')),
    -- JSON, for programs.
    data       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    tries      INTEGER NOT NULL DEFAULT 0,
    -- It is tried from then on, and given up a day after `queued_at`.
    queued_at  BIGINT  NOT NULL,
    due_at     BIGINT  NOT NULL,
    -- When it was sent or given up.
    done_at    BIGINT,
    last_error TEXT
);
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (channel_id, id) WHERE state = 'waiting';
CREATE INDEX alert_deliveries_at ON alert_deliveries (at);

-- What most people want to be told. Nothing is sent before there is a channel.
INSERT INTO alert_rules (id, name, condition, for_s, clear_s, tell_cleared, enabled, created_at) VALUES
    ('a1e70000-0000-4000-8000-000000000001', 'Instance is down', '{"kind":"state","is":"not-running"}', 60, 60, 1, 1, 1795392000000),
    ('a1e70000-0000-4000-8000-000000000002', 'Health is bad', '{"kind":"check","at_least":"unhealthy"}', 60, 60, 1, 1, 1795392000001),
    ('a1e70000-0000-4000-8000-000000000003', 'Block found', '{"kind":"block-found"}', 0, 0, 0, 1, 1795392000002);
