-- What is sealed stays so: only a program that knows the table reads it.
DROP TABLE vault;
