-- Who saved a revision: a page or a program. Empty for those that were saved before this was noted.
ALTER TABLE configuration_revisions ADD COLUMN author TEXT NOT NULL DEFAULT '';
