-- A rule about miners remembers each miner of an instance; `miner` is empty for rules about the instance.
CREATE TABLE alert_memories_new (
    rule_id     TEXT    NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
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
    PRIMARY KEY (rule_id, instance_id, miner)
) WITHOUT ROWID;
INSERT INTO alert_memories_new
SELECT rule_id, instance_id, '', since, counts, gone, told, told_since, ended, words, count FROM alert_memories;
DROP TABLE alert_memories;
ALTER TABLE alert_memories_new RENAME TO alert_memories;
CREATE INDEX alert_memories_instance ON alert_memories (instance_id);
