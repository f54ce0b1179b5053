DROP TABLE setups;
