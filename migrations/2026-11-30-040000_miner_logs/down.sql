DROP TABLE miner_logs;
ALTER TABLE miners DROP COLUMN reasons;
