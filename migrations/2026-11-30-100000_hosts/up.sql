-- Other machines with a jd-manager, used through SSH. Below `created_at`: the last known state.
CREATE TABLE hosts (
    name           TEXT   NOT NULL PRIMARY KEY COLLATE NOCASE,
    address        TEXT   NOT NULL UNIQUE,
    created_at     BIGINT NOT NULL,
    status         TEXT   NOT NULL,
    since          BIGINT NOT NULL,
    version        TEXT,
    instances      BIGINT,
    running        BIGINT,
    last_answer_at BIGINT
);
