DROP TABLE skipped_releases;
