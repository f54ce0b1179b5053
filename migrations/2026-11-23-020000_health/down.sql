DROP INDEX health_checks_time;
DROP TABLE health_states;
