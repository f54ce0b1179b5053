//! The section for Stratum V1 miners.
//!
//! Every setting except `enabled` has a default, so `{"enabled": true}` is enough. If the section
//! is present, `enabled` defaults to true.

use super::table::{ObjectReader, is_blank};
use super::{miner_telemetry, scalar};
use crate::base::quantity::{read_value, typed_value};
use crate::base::units::Unit;
use crate::domain::configs::model::TranslatorSettings;
use crate::domain::configs::rules::{ConfigFindings, address};
use serde_json::Value;

/// Reads the section `translator`, if present.
pub fn translator(
    top: &mut ObjectReader,
    found: &mut ConfigFindings,
) -> Option<TranslatorSettings> {
    if top.peek("translator").is_none_or(is_blank) {
        top.skip("translator");
        return None;
    }
    let mut table = top.table("translator", found)?;
    let usual = TranslatorSettings::starting();
    let complaints = found.errors.len();
    let enabled = table.optional("enabled", found, truth);
    let listening_address = table.optional("listening_address", found, |v| {
        address::listening(&scalar::word(v, scalar::LONGEST_TEXT)?)
    });
    let min_miner_hashrate = table.optional("min_miner_hashrate", found, hashrate);
    let shares_per_minute = table.optional("shares_per_minute", found, scalar::above_zero);
    let aggregate_channels = table.optional("aggregate_channels", found, truth);
    let miner_telemetry = miner_telemetry(&mut table, found);
    table.warn_of_unknown(found);
    (found.errors.len() == complaints).then(|| TranslatorSettings {
        enabled: enabled.unwrap_or(usual.enabled),
        listening_address: listening_address.unwrap_or(usual.listening_address),
        min_miner_hashrate: min_miner_hashrate.unwrap_or(usual.min_miner_hashrate),
        shares_per_minute: shares_per_minute.unwrap_or(usual.shares_per_minute),
        aggregate_channels: aggregate_channels.unwrap_or(usual.aggregate_channels),
        miner_telemetry,
    })
}

/// A boolean, or its name in a form.
fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        Value::String(text) => Err(format!("{} is not a valid choice.", scalar::shown(text))),
        other => Err(format!(
            "This must be true or false, not {}.",
            scalar::kind(other)
        )),
    }
}

/// A hashrate in H/s, as a number or as text with a unit. A 32-bit float must hold it: the real
/// translator panics at the first miner with a hashrate of 0, a negative one or NaN (observed, 0.6.0).
fn hashrate(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => read_value(Unit::HashesPerSecond, text),
        other => {
            return Err(format!(
                "This must be a hashrate, such as 500 GH/s, not {}.",
                scalar::kind(other)
            ));
        }
    };
    let least = TranslatorSettings::LEAST_HASHRATE;
    match number {
        Some(number) if number >= least && (number as f32).is_finite() => Ok(number),
        Some(number) => Err(format!(
            "{} is outside the allowed range. Enter at least {}, such as 500 GH/s.",
            typed_value(Unit::HashesPerSecond, number),
            typed_value(Unit::HashesPerSecond, least)
        )),
        None => Err("This is not a hashrate. Enter a number with a unit, such as 500 GH/s.".into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::configs::parse::read;
    use crate::domain::configs::{TranslatorSettings, samples};
    use serde_json::{Value, json};

    fn told(translator: Value) -> Result<Option<TranslatorSettings>, Vec<(String, String)>> {
        let mut value = samples::pool().to_stored_value();
        value["translator"] = translator;
        read(&value, None)
            .map(|parsed| parsed.config.translator)
            .map_err(|found| {
                found
                    .errors
                    .into_iter()
                    .map(|e| (e.pointer, e.detail))
                    .collect()
            })
    }

    #[test]
    fn a_section_with_nothing_in_it_has_the_usual_values() {
        assert_eq!(told(Value::Null), Ok(None));
        for section in [
            json!({}),
            json!({ "enabled": true }),
            json!({ "enabled": "true", "shares_per_minute": "" }),
        ] {
            assert_eq!(told(section), Ok(Some(TranslatorSettings::starting())));
        }
        let off = told(json!({ "enabled": false, "min_miner_hashrate": "100 TH/s" }))
            .unwrap()
            .unwrap();
        assert_eq!((off.enabled, off.min_miner_hashrate), (false, 100e12));
    }

    #[test]
    fn what_the_translator_would_panic_at_is_an_error() {
        for (field, value, words) in [
            ("min_miner_hashrate", json!(0), "at least 1 kH/s"),
            ("min_miner_hashrate", json!(-5), "at least 1 kH/s"),
            ("min_miner_hashrate", json!("NaN"), "not a hashrate"),
            ("min_miner_hashrate", json!(1e39), "at least 1 kH/s"),
            ("min_miner_hashrate", json!("fast"), "not a hashrate"),
            ("min_miner_hashrate", json!([]), "not a list"),
            ("shares_per_minute", json!(0), "above 0"),
            ("shares_per_minute", json!("inf"), "above 0"),
            ("listening_address", json!("barn:34255"), "barn"),
            (
                "listening_address",
                json!("0.0.0.0:80"),
                "Port 80 is below 1024. On Linux only root",
            ),
            (
                "listening_address",
                json!("127.0.0.1:34265"),
                "already uses port 34265",
            ),
            (
                "listening_address",
                json!("0.0.0.0:9091"),
                "already uses port 9091",
            ),
            ("enabled", json!("yes"), "not a valid choice"),
            ("enabled", json!(1), "true or false"),
        ] {
            let errors = told(json!({ field: value })).unwrap_err();
            assert_eq!(errors.len(), 1, "{field}: {errors:?}");
            let (pointer, detail) = &errors[0];
            assert_eq!(*pointer, format!("/translator/{field}"));
            assert!(detail.contains(words), "{field}: {detail}");
        }
    }

    #[test]
    fn miners_need_their_bytes_of_the_extranonce() {
        let told = |reserved: u8, is_shared: bool| {
            let mut value = samples::pool().to_stored_value();
            value["translator"] = json!({ "aggregate_channels": is_shared });
            value["reserved_downstream_rollable_extranonce_size"] = reserved.into();
            read(&value, None)
                .map(drop)
                .map_err(|found| found.errors[0].detail.clone())
        };
        assert_eq!(told(4, false), Ok(()));
        assert!(told(3, false).unwrap_err().contains("Extranonce size 4"));
        assert_eq!(told(6, true), Ok(()));
        assert!(told(5, true).unwrap_err().contains("Extranonce size 4"));
    }
}
