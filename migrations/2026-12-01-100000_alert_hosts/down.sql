-- An earlier version cannot read rules about hosts.
DELETE FROM alert_rules WHERE condition = '{"kind":"host-unreachable"}';
DELETE FROM alert_memories WHERE instance_id IS NULL;
CREATE TABLE alert_memories_old (
    rule_id     TEXT    NOT NULL REFERENCES alert_rules (id) ON DELETE CASCADE,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    miner       TEXT    NOT NULL DEFAULT '',
    since       BIGINT,
    counts      BOOLEAN NOT NULL CHECK (counts IN (0, 1)),
    gone        BIGINT,
    told        BIGINT,
    told_since  BIGINT,
    ended       BIGINT,
    words       TEXT    NOT NULL,
    count       DOUBLE,
    PRIMARY KEY (rule_id, instance_id, miner)
) WITHOUT ROWID;
INSERT INTO alert_memories_old
SELECT rule_id, instance_id, miner, since, counts, gone, told, told_since, ended, words, count FROM alert_memories;
DROP TABLE alert_memories;
ALTER TABLE alert_memories_old RENAME TO alert_memories;
CREATE INDEX alert_memories_instance ON alert_memories (instance_id);
