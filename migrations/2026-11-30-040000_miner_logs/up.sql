-- Rejected shares of all time by reason (JSON).
ALTER TABLE miners ADD COLUMN reasons TEXT NOT NULL DEFAULT '{}';

-- What was read of the log of an instance's translator (JSON): the position, and the shares of each channel. It is written together with
-- the miners that were counted from it.
CREATE TABLE miner_logs (
    instance_id TEXT NOT NULL PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    state       TEXT NOT NULL
);

-- The series of a miner are named by its name and address. Older ones have only the name: they go on where the list of miners has exactly one
-- address for it, and otherwise end and stay as they are until they are too old.
UPDATE OR IGNORE metric_series
SET metric_type = metric_type || '@' || (
    SELECT address FROM miners m
    WHERE m.instance_id = metric_series.instance_id AND m.protocol = 'v2'
        AND m.name = substr(metric_series.metric_type, instr(metric_series.metric_type, ':') + 1)
)
WHERE metric_type GLOB 'miner_*:*' AND (
    SELECT COUNT(*) = 1 AND MIN(address) <> '' FROM miners m
    WHERE m.instance_id = metric_series.instance_id AND m.protocol = 'v2'
        AND m.name = substr(metric_series.metric_type, instr(metric_series.metric_type, ':') + 1)
);
