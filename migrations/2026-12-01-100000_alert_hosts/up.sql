-- A rule about hosts remembers each host. A row is about an instance of this machine or about a host.
CREATE TABLE alert_memories_new (
    id          INTEGER NOT NULL PRIMARY KEY,
    rule_id     TEXT    NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    instance_id TEXT    REFERENCES instances (id) ON DELETE CASCADE,
    host        TEXT    COLLATE NOCASE REFERENCES hosts (name) ON DELETE CASCADE,
    miner       TEXT    NOT NULL DEFAULT '',
    -- Since when it holds; whether it has held for long enough to count; since when it does not hold although it counts.
    since       BIGINT,
    counts      BOOLEAN NOT NULL CHECK (counts IN (0, 1)),
    gone        BIGINT,
    -- When a notification was last sent, if the problem is reported; since when it held; when it ended, if it did; the words.
    told        BIGINT,
    told_since  BIGINT,
    ended       BIGINT,
    words       TEXT    NOT NULL,
    -- For events that do not last: the value up to which they were reported.
    count       DOUBLE,
    CHECK ((instance_id IS NULL) <> (host IS NULL))
);
INSERT INTO alert_memories_new (rule_id, instance_id, miner, since, counts, gone, told, told_since, ended, words, count)
SELECT rule_id, instance_id, miner, since, counts, gone, told, told_since, ended, words, count FROM alert_memories;
DROP TABLE alert_memories;
ALTER TABLE alert_memories_new RENAME TO alert_memories;
-- A rule is about instances or about hosts, never about both.
CREATE UNIQUE INDEX alert_memories_subject ON alert_memories (rule_id, coalesce(instance_id, host), miner);
CREATE INDEX alert_memories_instance ON alert_memories (instance_id);
CREATE INDEX alert_memories_host ON alert_memories (host);

-- One more rule that most people want. The others do not change.
INSERT INTO alert_rules (id, name, condition, for_s, clear_s, tell_cleared, enabled, created_at) VALUES
    ('a1e70000-0000-4000-8000-000000000004', 'Host unreachable', '{"kind":"host-unreachable"}', 60, 60, 1, 1, 1795392000003);
