//! The secret key must not be in any other field, because other fields are shown, sent to pools or
//! published in blocks.

use serde_json::Value;

use super::ConfigFindings;
use crate::domain::configs::model::ClientConfig;

/// No other value may contain the secret key of this configuration, not even as part of a text.
pub fn secret_elsewhere(config: &ClientConfig, found: &mut ConfigFindings) {
    search(
        &config.masked(),
        "",
        config.authority_secret_key.reveal(),
        found,
    );
}

fn search(value: &Value, at: &str, secret: &str, found: &mut ConfigFindings) {
    match value {
        Value::String(text) if text.contains(secret) => {
            found.error(at, "This contains this client's secret key, and others would see it. Remove it, and create a new key pair if it was sent anywhere.");
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(row, one)| search(one, &format!("{at}/{row}"), secret, found)),
        Value::Object(members) => members
            .iter()
            .for_each(|(key, one)| search(one, &format!("{at}/{key}"), secret, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    #[test]
    fn a_secret_key_in_any_other_field_is_named_and_not_quoted() {
        let mut config = samples::pool();
        let mut found = ConfigFindings::default();
        secret_elsewhere(&config, &mut found);
        assert_eq!(found, ConfigFindings::default());
        config.jdc_signature = format!("mine{}", samples::SECRET);
        config.upstreams[0].user_identity = samples::SECRET.into();
        secret_elsewhere(&config, &mut found);
        let at: Vec<&str> = found
            .errors
            .iter()
            .map(|one| one.pointer.as_str())
            .collect();
        assert_eq!(at, ["/jdc_signature", "/upstreams/0/user_identity"]);
        assert!(
            found
                .errors
                .iter()
                .all(|one| !one.detail.contains(&samples::SECRET[..16]))
        );
    }
}
