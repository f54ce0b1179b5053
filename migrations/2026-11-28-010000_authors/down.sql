ALTER TABLE configuration_revisions DROP COLUMN author;
