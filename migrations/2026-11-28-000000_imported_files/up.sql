-- The file that a configuration was imported from, without its secrets: its comments, its unknown keys and its order are in the file
-- that is exported.
CREATE TABLE configuration_files (
    configuration_id TEXT NOT NULL PRIMARY KEY REFERENCES configurations (id) ON DELETE CASCADE,
    text             TEXT NOT NULL
);
