DROP TABLE updates;
DROP TABLE health_checks;
DROP TABLE metrics;
DROP TABLE events;
DROP TABLE instances;
DROP TABLE configuration_revisions;
DROP TABLE configurations;
