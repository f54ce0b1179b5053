DROP TABLE miners;
