DROP VIEW metrics;
DROP TABLE metric_baselines;
DROP TABLE metric_marks;
DROP TABLE metric_days;
DROP TABLE metric_hours;
DROP TABLE metric_minutes;
DROP TABLE metric_samples;
DROP TABLE metric_fresh;
DROP TABLE metric_series;
CREATE TABLE metrics (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT    NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    metric_type TEXT    NOT NULL,
    value       DOUBLE  NOT NULL,
    timestamp   BIGINT  NOT NULL
);
CREATE INDEX metrics_series ON metrics (instance_id, metric_type, timestamp);
