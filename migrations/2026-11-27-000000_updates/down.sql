DROP TABLE update_state;
DROP TABLE update_jobs;
DROP INDEX updates_version;
ALTER TABLE updates DROP COLUMN release;
ALTER TABLE instances DROP COLUMN running_version;
ALTER TABLE instances DROP COLUMN prepared_version;
ALTER TABLE instances DROP COLUMN trial_version;
