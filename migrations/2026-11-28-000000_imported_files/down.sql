DROP TABLE configuration_files;
