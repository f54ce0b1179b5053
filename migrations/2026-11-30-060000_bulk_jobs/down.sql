DROP TABLE bulk_steps;
DROP TABLE bulk_jobs;
