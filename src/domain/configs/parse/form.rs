//! Converts urlencoded forms with flat names to the JSON that [`read`](super::read) accepts, and
//! the pointer of an error to the name of its form field.
//!
//! Names have dots between levels and numbers for pools: `listening_address`,
//! `upstreams.0.pool_port`, `template_provider_type.Sv2Tp.address`, `miner_telemetry.cidrs`.
//! Besides:
//! * the select field `template_provider` (`sv2tp` or `ipc`) selects the kind, and fields of the
//!   other kind are dropped. Without that field, the kind is the one with non-empty fields;
//! * pools with only empty fields are dropped, so a form can offer a spare row; the others are
//!   renumbered, and pointers use the new numbers;
//! * lists are one text with elements separated by commas, spaces or line breaks. Several fields
//!   with that name are combined. For other names, the last field wins;
//! * empty text means "not set".
//!
//! Callers remove other form fields (name, description) first; otherwise they cause a warning.

use super::table::split_list;
use crate::programs::jd_client::config_fields::{ConfigField, FieldKind, USUAL_TRANSLATOR};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const KINDS: [(&str, &str); 2] = [("sv2tp", "Sv2Tp"), ("ipc", "BitcoinCoreIpc")];

/// The JSON of a submitted form.
pub fn form_to_value(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    let mut top = Map::new();
    let mut pools: BTreeMap<u32, Map<String, Value>> = BTreeMap::new();
    let mut providers: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut translator = Map::new();
    let mut chosen = None;
    for (name, text) in pairs {
        let path: Vec<&str> = name.splitn(4, '.').collect();
        match path[..] {
            ["template_provider"] => chosen = Some(text),
            ["upstreams", row, field] if row.parse::<u32>().is_ok() => {
                let row = row.parse().unwrap_or_default();
                pools
                    .entry(row)
                    .or_default()
                    .insert(field.into(), text.into());
            }
            [
                "template_provider_type",
                kind @ ("Sv2Tp" | "BitcoinCoreIpc"),
                field,
            ] => {
                providers
                    .entry(kind.into())
                    .or_default()
                    .insert(field.into(), text.into());
            }
            _ if is_list(&name) => lists
                .entry(name)
                .or_default()
                .extend(split_list(&text).map(Value::from)),
            ["translator", field] => {
                translator.insert(field.into(), text.into());
            }
            _ => {
                top.insert(name, text.into());
            }
        }
    }
    pools.retain(|_, fields| !all_empty(fields));
    top.insert(
        "upstreams".into(),
        pools.into_values().map(Value::Object).collect(),
    );
    for (name, list) in lists {
        match name.split('.').collect::<Vec<_>>()[..] {
            ["translator", table, key] => translator.insert(table.into(), json!({ key: list })),
            [table, key] => top.insert(table.into(), json!({ key: list })),
            _ => top.insert(name, list.into()),
        };
    }
    // A section that was never used stays absent.
    let is_unused = |(name, value): &(&str, &str)| {
        let field = name.trim_start_matches("translator.");
        translator.get(field).is_none_or(|text| text == value)
    };
    let is_off = translator
        .get("enabled")
        .is_none_or(|enabled| enabled == "false");
    let has_networks = translator
        .get("miner_telemetry")
        .is_some_and(|telemetry| telemetry["cidrs"] != json!([]));
    if !is_off || has_networks || !USUAL_TRANSLATOR.iter().all(is_unused) {
        top.insert("translator".into(), translator.into());
    }
    if let Some(choice) = provider_choice(chosen, providers) {
        top.insert("template_provider_type".into(), choice);
    }
    Value::Object(top)
}

fn provider_choice(
    chosen: Option<String>,
    mut providers: BTreeMap<String, Map<String, Value>>,
) -> Option<Value> {
    match chosen {
        None => providers.retain(|_, fields| !all_empty(fields)),
        Some(chosen) => match KINDS.iter().find(|(name, _)| *name == chosen.trim()) {
            Some((_, kind)) => {
                providers.entry((*kind).to_owned()).or_default();
                providers.retain(|known, _| known == kind);
            }
            // An invalid choice, which `read` reports.
            None => return Some(chosen.into()),
        },
    }
    if providers.is_empty() {
        return None;
    }
    Some(Value::Object(
        providers
            .into_iter()
            .map(|(kind, fields)| (kind, Value::Object(fields)))
            .collect(),
    ))
}

/// Whether the field with this name is a list in one text.
fn is_list(name: &str) -> bool {
    ConfigField::of_key(name).is_some_and(|field| field.kind == FieldKind::List)
}

fn all_empty(fields: &Map<String, Value>) -> bool {
    fields.values().all(super::is_blank)
}

/// The name of the form field for an error at `pointer` (relative to the configuration):
/// `/upstreams/0/pool_port` is `upstreams.0.pool_port`. Elements of a list belong to the field of
/// the list, and the kind of template provider to `template_provider`.
pub fn form_name(pointer: &str) -> String {
    let path: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    match path[..] {
        ["template_provider_type"] => "template_provider".into(),
        [list, _] if is_list(list) => list.into(),
        ["miner_telemetry", ..] => "miner_telemetry.cidrs".into(),
        ["translator", "miner_telemetry", ..] => "translator.miner_telemetry.cidrs".into(),
        _ => path.join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::parse::read;
    use crate::domain::configs::{TranslatorSettings, samples};
    use proptest::prelude::*;

    fn form(pairs: &[(&str, &str)]) -> Value {
        form_to_value(
            pairs
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string())),
        )
    }

    #[test]
    fn a_filled_in_form_is_the_configuration_it_shows() {
        let value = form(&[
            ("listening_address", "0.0.0.0:34265"),
            ("max_supported_version", "2"),
            ("min_supported_version", "2"),
            ("authority_public_key", samples::PUBLIC),
            ("authority_secret_key", samples::SECRET),
            ("cert_validity_sec", "3600"),
            ("shares_per_minute", "6.0"),
            ("share_batch_size", "10"),
            ("mode", "COINBASEONLY"),
            ("jdc_signature", "rig in the attic"),
            ("coinbase_reward_script", samples::REWARD),
            ("user_identity", ""),
            ("upstreams.7.pool_address", "fd12::7"),
            ("upstreams.7.pool_port", "1"),
            ("upstreams.7.jds_address", "10.20.30.7"),
            ("upstreams.7.jds_port", "65535"),
            ("upstreams.7.user_identity", "alice.attic"),
            ("upstreams.7.authority_pubkey", samples::POOL_KEY),
            ("upstreams.0.pool_address", "pool.attic.localhost"),
            ("upstreams.0.pool_port", "3333"),
            ("upstreams.0.jds_address", "10.20.30.7"),
            ("upstreams.0.jds_port", "3334"),
            ("upstreams.0.user_identity", "alice.attic"),
            ("upstreams.0.authority_pubkey", samples::POOL_KEY),
            ("upstreams.1.pool_address", ""),
            ("upstreams.1.pool_port", " "),
            ("template_provider", "ipc"),
            ("template_provider_type.Sv2Tp.address", "127.0.0.1:8442"),
            ("template_provider_type.BitcoinCoreIpc.version", "31"),
            ("template_provider_type.BitcoinCoreIpc.network", "mainnet"),
            (
                "template_provider_type.BitcoinCoreIpc.data_dir",
                "/srv/bitcoin",
            ),
            ("template_provider_type.BitcoinCoreIpc.fee_threshold", "100"),
            ("template_provider_type.BitcoinCoreIpc.min_interval", "5"),
            ("monitoring_address", "127.0.0.1:9091"),
            ("monitoring_cache_refresh_secs", "15"),
            ("supported_extensions", "0x0002"),
            ("required_extensions", " 1,\r\n65535 "),
            ("reserved_downstream_rollable_extranonce_size", "8"),
            ("miner_telemetry.cidrs", "192.168.1.0/24\r\n"),
            ("max_past_jobs", "3"),
            ("translator.enabled", "true"),
            ("translator.listening_address", "0.0.0.0:34255"),
            ("translator.min_miner_hashrate", "500 GH/s"),
            ("translator.shares_per_minute", "6"),
            ("translator.aggregate_channels", "true"),
            ("translator.miner_telemetry.cidrs", ""),
        ]);
        assert_eq!(
            read(&value, None).unwrap().config,
            samples::with_translator()
        );
    }

    #[test]
    fn an_unused_translator_section_stays_absent() {
        let usual: Vec<(&str, &str)> = USUAL_TRANSLATOR.to_vec();
        assert!(form(&usual).get("translator").is_none());
        assert!(form(&[]).get("translator").is_none());
        for (name, text) in [
            ("translator.enabled", "true"),
            ("translator.min_miner_hashrate", "100 TH/s"),
            ("translator.miner_telemetry.cidrs", "192.168.1.0/24"),
        ] {
            let mut changed = usual.clone();
            changed.push((name, text));
            assert!(form(&changed).get("translator").is_some(), "{name}");
        }
        // The form shows what the translator would do if it were on.
        let mut on = usual;
        on.push(("translator.enabled", "true"));
        let mut value = samples::pool().to_stored_value();
        value["translator"] = form(&on)["translator"].clone();
        assert_eq!(
            read(&value, None).unwrap().config.translator,
            Some(TranslatorSettings::starting())
        );
    }

    #[test]
    fn empty_rows_go_and_the_others_close_up() {
        let value = form(&[
            ("upstreams.2.pool_port", "1"),
            ("upstreams.0.pool_port", ""),
            ("upstreams.4294967295.pool_port", "2"),
        ]);
        assert_eq!(
            value["upstreams"],
            json!([{"pool_port": "1"}, {"pool_port": "2"}])
        );
        assert_eq!(form(&[])["upstreams"], json!([]));
    }

    #[test]
    fn the_kind_of_provider_is_chosen_or_follows_from_what_is_filled_in() {
        let (tp, ipc) = (
            "template_provider_type.Sv2Tp.address",
            "template_provider_type.BitcoinCoreIpc.version",
        );
        let kinds = |pairs: &[(&str, &str)]| match &form(pairs)["template_provider_type"] {
            Value::Object(kinds) => kinds.keys().cloned().collect::<Vec<_>>().join("+"),
            other => other.to_string(),
        };
        assert_eq!(
            kinds(&[("template_provider", "sv2tp"), (tp, "a:1"), (ipc, "30")]),
            "Sv2Tp"
        );
        assert_eq!(
            kinds(&[(ipc, "30"), (tp, "a:1"), ("template_provider", "ipc")]),
            "BitcoinCoreIpc"
        );
        assert_eq!(kinds(&[("template_provider", "ipc")]), "BitcoinCoreIpc");
        assert_eq!(kinds(&[(tp, " "), (ipc, "30")]), "BitcoinCoreIpc");
        assert_eq!(kinds(&[(tp, "a:1"), (ipc, "30")]), "BitcoinCoreIpc+Sv2Tp");
        assert_eq!(kinds(&[(tp, "")]), "null");
        assert_eq!(
            kinds(&[("template_provider", "other"), (tp, "a:1")]),
            "\"other\""
        );
    }

    #[test]
    fn a_complaint_finds_its_field() {
        for (pointer, name) in [
            ("/listening_address", "listening_address"),
            ("/upstreams/0/pool_port", "upstreams.0.pool_port"),
            ("/upstreams", "upstreams"),
            ("/template_provider_type", "template_provider"),
            (
                "/template_provider_type/Sv2Tp/address",
                "template_provider_type.Sv2Tp.address",
            ),
            ("/supported_extensions/3", "supported_extensions"),
            ("/miner_telemetry/cidrs/0", "miner_telemetry.cidrs"),
            ("/translator/enabled", "translator.enabled"),
            (
                "/translator/miner_telemetry/cidrs/0",
                "translator.miner_telemetry.cidrs",
            ),
        ] {
            assert_eq!(form_name(pointer), name);
        }
    }

    proptest! {
        #[test]
        fn any_form_is_read(
            pairs in prop::collection::vec(("[a-zA-Z_.0-9]{0,40}|upstreams\\.[0-9]{1,12}\\.[a-z_]{1,9}", "\\PC{0,20}"), 0..30)
        ) {
            let _ = read(&form_to_value(pairs), None);
        }
    }
}
