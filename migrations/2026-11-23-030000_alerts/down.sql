DROP TABLE alert_deliveries;
DROP TABLE alert_silences;
DROP TABLE alert_memories;
DROP TABLE alert_rule_channels;
DROP TABLE alert_rules;
DROP TABLE alert_channels;
