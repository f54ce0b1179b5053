-- The default rule for health has a name that says what happened. A name that a user chose stays.
UPDATE alert_rules SET name = 'Instance unhealthy' WHERE name = 'Health is bad';
