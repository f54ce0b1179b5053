-- Samples as small as they can be. Times here are whole seconds since 1970 UTC. Nothing was ever written into the old table.
DROP TABLE metrics;

-- Which series there are. A deleted instance's series lose their instance at once; their samples are removed little by little.
CREATE TABLE metric_series (
    id          INTEGER NOT NULL PRIMARY KEY,
    instance_id TEXT    REFERENCES instances (id) ON DELETE SET NULL,
    metric_type TEXT    NOT NULL,
    -- Its values are increments, to be summed up; otherwise they are readings, to be averaged.
    is_counter  BOOLEAN NOT NULL CHECK (is_counter IN (0, 1)),
    UNIQUE (instance_id, metric_type)
);

-- The newest samples, in the order in which they come: a round of all instances touches a handful of pages.
CREATE TABLE metric_fresh (
    at        BIGINT NOT NULL,
    series_id BIGINT NOT NULL,
    value     DOUBLE NOT NULL,
    PRIMARY KEY (at, series_id)
) WITHOUT ROWID;

-- All others, in the order in which they are read; moved here from metric_fresh every five minutes.
CREATE TABLE metric_samples (
    series_id BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    value     DOUBLE NOT NULL,
    PRIMARY KEY (series_id, at)
) WITHOUT ROWID;

-- Rolled up; `at` is the bucket's first second.
CREATE TABLE metric_minutes (
    series_id BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    sum       DOUBLE NOT NULL,
    min       DOUBLE NOT NULL,
    max       DOUBLE NOT NULL,
    PRIMARY KEY (series_id, at)
) WITHOUT ROWID;
CREATE TABLE metric_hours (
    series_id BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    sum       DOUBLE NOT NULL,
    min       DOUBLE NOT NULL,
    max       DOUBLE NOT NULL,
    PRIMARY KEY (series_id, at)
) WITHOUT ROWID;
CREATE TABLE metric_days (
    series_id BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    sum       DOUBLE NOT NULL,
    min       DOUBLE NOT NULL,
    max       DOUBLE NOT NULL,
    PRIMARY KEY (series_id, at)
) WITHOUT ROWID;

-- Up to which second each table above is complete.
CREATE TABLE metric_marks (
    level TEXT   NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);

-- What counters stood at when an instance was last sampled, as JSON: the next increments are counted from there.
CREATE TABLE metric_baselines (
    instance_id TEXT NOT NULL PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    state       TEXT NOT NULL
);

-- The truth for whoever looks with SQL: every sample that is kept raw. `timestamp` is milliseconds since 1970 UTC.
CREATE VIEW metrics AS
SELECT s.series_id * 4294967296 + s.at AS id, n.instance_id, n.metric_type, s.value, s.at * 1000 AS timestamp
FROM metric_series n
JOIN (
    SELECT series_id, at, value FROM metric_samples
    UNION ALL
    SELECT series_id, at, value FROM metric_fresh
) s ON s.series_id = n.id
WHERE n.instance_id IS NOT NULL;
