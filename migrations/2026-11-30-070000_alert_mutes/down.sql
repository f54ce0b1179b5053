CREATE TABLE alert_silences (
    instance_id TEXT   NOT NULL PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    until       BIGINT NOT NULL
);
-- An earlier version knows neither other mutes nor those that begin later.
INSERT INTO alert_silences
SELECT instance_id, MAX(ends_at) FROM alert_mutes
WHERE instance_id IS NOT NULL AND starts_at <= CAST(strftime('%s', 'now') AS INTEGER) * 1000
GROUP BY instance_id;
DROP TABLE alert_mutes;
