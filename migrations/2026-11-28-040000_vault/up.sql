-- One row once the secrets in this database are sealed. `proof`: a known text, sealed; only the right key opens it. `swept_at`: when the
-- file was written anew, so that nothing of them in the clear is left in pages that are free.
CREATE TABLE vault (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    proof    TEXT    NOT NULL,
    swept_at BIGINT
);
