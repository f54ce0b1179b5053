DROP TABLE audit;
DROP TABLE tokens;
DROP TABLE sessions;
DROP TABLE users;
