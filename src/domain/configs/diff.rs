//! The changes between two configurations, field by field, for the history and for "restart
//! needed".
//!
//! Compares the JSON values, so a new field in the model needs no change here. Shows no secret.

use super::model::{ClientConfig, MASK};
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use serde_json::Value;

/// The text shown instead of a secret that changed.
const CHANGED: &str = "changed";

/// A field that changed.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct FieldDifference {
    /// JSON pointer into the configuration, `/upstreams/0/pool_port`.
    pub path: String,
    /// The old value as text; `None` if the field was not set.
    pub from: Option<String>,
    /// The new value as text; `None` if the field is not set anymore.
    pub to: Option<String>,
}

/// Every field in which `new` differs from `old`, in the order of their paths. Secret values are
/// not included.
pub fn differences(old: &ClientConfig, new: &ClientConfig) -> Vec<FieldDifference> {
    let mut list = Vec::new();
    compare(
        String::new(),
        Some(&old.masked()),
        Some(&new.masked()),
        &mut list,
    );
    if old.authority_secret_key != new.authority_secret_key {
        list.push(FieldDifference {
            path: format!("/{SECRET_FIELD}"),
            from: Some(MASK.into()),
            to: Some(CHANGED.into()),
        });
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    list
}

fn compare(
    path: String,
    old: Option<&Value>,
    new: Option<&Value>,
    list: &mut Vec<FieldDifference>,
) {
    if old == new {
        return;
    }
    // An object or list on one side only is listed field by field, as set or removed.
    let keys = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            Some(Value::Array(elements)) => (0..elements.len()).map(|i| i.to_string()).collect(),
            _ => Vec::new(),
        }
    };
    let mut names = keys(old);
    names.extend(
        keys(new)
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect::<Vec<_>>(),
    );
    let (from, to) = (old.and_then(text), new.and_then(text));
    if from.is_some() || to.is_some() {
        list.push(FieldDifference {
            path: path.clone(),
            from,
            to,
        });
    }
    for name in names {
        let pointer = format!("/{name}");
        compare(
            format!("{path}{pointer}"),
            old.and_then(|v| v.pointer(&pointer)),
            new.and_then(|v| v.pointer(&pointer)),
            list,
        );
    }
}

/// A single value as text; none for lists, objects and null.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::model::MiningMode;
    use crate::domain::configs::samples;
    use crate::domain::keys::KeyPair;

    fn told(old: &ClientConfig, new: &ClientConfig) -> Vec<String> {
        let side = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        differences(old, new)
            .into_iter()
            .map(|d| format!("{} {} > {}", d.path, side(d.from), side(d.to)))
            .collect()
    }

    #[test]
    fn equal_configurations_do_not_differ() {
        for config in samples::all() {
            assert!(differences(&config, &config).is_empty());
        }
    }

    #[test]
    fn every_field_that_differs_is_told_with_both_values() {
        let old = samples::pool();
        let mut new = old.clone();
        new.upstreams[0].pool_port = 4444;
        new.monitoring_address = None;
        new.max_past_jobs = Some(4);
        new.mode = MiningMode::CoinbaseOnly;
        new.supported_extensions = vec![2];
        assert_eq!(
            told(&old, &new),
            [
                "/max_past_jobs - > 4",
                "/mode FULLTEMPLATE > COINBASEONLY",
                "/monitoring_address 127.0.0.1:9091 > -",
                "/supported_extensions/0 - > 2",
                "/upstreams/0/pool_port 3333 > 4444",
            ]
        );
    }

    #[test]
    fn another_provider_is_told_as_one_going_and_one_coming() {
        let lines = told(&samples::pool(), &samples::with_everything());
        assert!(
            lines.contains(&"/template_provider_type/Sv2Tp/address 127.0.0.1:8442 > -".to_owned()),
            "{lines:?}"
        );
        assert!(
            lines
                .contains(&"/template_provider_type/BitcoinCoreIpc/network - > mainnet".to_owned()),
            "{lines:?}"
        );
        assert!(
            lines.contains(&"/upstreams/1/pool_address - > fd12::7".to_owned()),
            "{lines:?}"
        );
    }

    #[test]
    fn a_secret_is_said_to_have_changed_and_never_shown() {
        let old = samples::pool();
        let pair = KeyPair::generate().unwrap();
        let new = ClientConfig {
            authority_public_key: pair.public_key.clone(),
            authority_secret_key: pair.secret_key.clone(),
            ..old.clone()
        };
        let lines = told(&old, &new);
        assert_eq!(
            lines[0],
            format!(
                "/authority_public_key {} > {}",
                samples::PUBLIC,
                pair.public_key
            )
        );
        assert_eq!(lines[1..], ["/authority_secret_key ******** > changed"]);
    }
}
