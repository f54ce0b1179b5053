-- What sends no notifications for a while, and why. Without instance, tag and rule: everything.
CREATE TABLE alert_mutes (
    id          TEXT   NOT NULL PRIMARY KEY,
    instance_id TEXT   REFERENCES instances (id) ON DELETE CASCADE,
    tag         TEXT,
    rule_id     TEXT   REFERENCES alert_rules (id) ON DELETE CASCADE,
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL,
    comment     TEXT   NOT NULL,
    -- Who created it; empty for a mute of an earlier version.
    author      TEXT   NOT NULL,
    CHECK ((instance_id IS NOT NULL) + (tag IS NOT NULL) + (rule_id IS NOT NULL) <= 1)
);
CREATE INDEX alert_mutes_ends_at ON alert_mutes (ends_at);
CREATE INDEX alert_mutes_instance ON alert_mutes (instance_id);
CREATE INDEX alert_mutes_rule ON alert_mutes (rule_id);

-- When an earlier mute began is not known.
INSERT INTO alert_mutes (id, instance_id, starts_at, ends_at, comment, author)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
           || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
       instance_id, MIN(until, CAST(strftime('%s', 'now') AS INTEGER) * 1000), until, '', ''
FROM alert_silences;
DROP TABLE alert_silences;
