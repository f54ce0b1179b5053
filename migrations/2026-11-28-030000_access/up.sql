-- Who may do what. Nothing in here lets anybody in by itself: passwords are argon2id, sessions and tokens are kept as hashes.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    -- The secret of a second factor, and the last of its steps (30 s since 1970) that was used: none counts twice.
    second_factor TEXT,
    second_factor_step BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    password_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    program TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_a_user ON sessions (user_id);

-- For programs. Without a user: made by the machine's own user.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT
);

-- What was done, by whom, from where. `times`: refused logins from one address in a row are one line.
CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    deed TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_of_an_actor ON audit (actor, id);
