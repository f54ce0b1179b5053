//! Properties that hold for any JSON.

use super::*;
use crate::domain::configs::samples;
use proptest::prelude::*;
use serde_json::json;

/// Any JSON, with names of fields more often than random.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        "\\PC{0,30}".prop_map(Value::from),
        Just(json!(MASK)),
        Just(json!("Sv2Tp")),
        Just(json!("host:1")),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        let names: Vec<String> = samples::with_everything()
            .to_stored_value()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .chain(
                [
                    "Sv2Tp",
                    "BitcoinCoreIpc",
                    "sv2_tp",
                    "bitcoin_core_ipc",
                    "pool_address",
                    "jd_address",
                    "cidrs",
                    "version",
                    "x/~",
                ]
                .map(str::to_owned),
            )
            .collect();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_taken_or_refused_with_reasons(value in any_json()) {
        for previous in [None, Some(&samples::pool())] {
            if let Err(found) = read(&value, previous) {
                prop_assert!(!found.errors.is_empty());
            }
        }
    }

    #[test]
    fn one_wrong_field_of_a_good_configuration_is_found_or_harmless(value in any_json(), at in 0_usize..20) {
        let good = samples::with_everything().to_stored_value();
        let key = good.as_object().unwrap().keys().nth(at % good.as_object().unwrap().len()).unwrap().clone();
        let mut sent = good;
        sent[&key] = value;
        match read(&sent, None) {
            Ok(accepted) => {
                let again = read(&accepted.config.to_stored_value(), None);
                prop_assert_eq!(again.map(|again| again.config), Ok(accepted.config));
            }
            // Rules for several fields can report the error at another field.
            Err(found) => {
                let joint = ["secret_key", "reward_script", "monitoring_address", "_version", "user_identity", "sv2_tp", "_ipc"];
                for error in &found.errors {
                    let elsewhere = joint.iter().any(|end| error.pointer.ends_with(end));
                    prop_assert!(error.pointer.starts_with(&format!("/{key}")) || elsewhere, "{}: {:?}", key, found.errors);
                }
            }
        }
    }
}
