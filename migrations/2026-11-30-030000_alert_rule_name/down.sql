UPDATE alert_rules SET name = 'Health is bad' WHERE name = 'Instance unhealthy';
