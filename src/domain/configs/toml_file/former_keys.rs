//! Keys of earlier clients and their current replacements.
//!
//! Sources: the example files and sources of `jd_client` 0.1.0 to 0.1.4 and of `jd_client_sv2`
//! 0.1.0 to 0.6.0, and its releases v0.1.0 and v0.2.0, which were not on the cargo registry. Works
//! on one table of a file at a time; messages quote no secret.

use crate::domain::configs::rules::reward::legacy_descriptor;
use crate::domain::keys::without_secret_keys;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The maximum length of a quoted value.
const LONGEST_QUOTE: usize = 200;

/// The replacement of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyReplacement {
    /// Pointers to fields that are missing because the file has this key instead. Without a slash,
    /// the field is in the same table as the key.
    pub fields: &'static [&'static str],
    /// What to write instead, as a sentence.
    pub hint: String,
}

/// Old names of keys that import still reads, with the current names.
pub(super) const RENAMES: [(&str, &str); 2] = [
    ("upstreams[].jd_address", "jds_address, with jds_port"),
    ("upstreams[].jd_port", "jds_port"),
];

/// The replacement of `written` in a table. `path` is the prefix of its keys in the list of fields.
pub(super) fn replacement(path: &str, written: &str, table: &DeTable) -> Option<KeyReplacement> {
    let key = written.to_ascii_lowercase();
    let text = |name: &str| single(table, name);
    let (fields, hint): (&'static [&'static str], String) = match (path, key.as_str()) {
        ("", "downstream_address" | "downstream_port") => (&["/listening_address"], {
            let host = text("downstream_address").unwrap_or_else(|| "0.0.0.0".into());
            let port = text("downstream_port").unwrap_or_else(|| "34265".into());
            let host = match host.contains(':') && !host.starts_with('[') {
                true => format!("[{host}]"),
                false => host,
            };
            let line = assignment("listening_address", &format!("{host}:{port}"));
            format!("The address and the port are now one key: write {line}.")
        }),
        ("", "tp_address") => (
            &["/template_provider_type", "/template_provider_type/Sv2Tp/address"],
            format!(
                "Write {} below [template_provider_type.Sv2Tp].",
                assignment("address", &text("tp_address").unwrap_or_default())
            ),
        ),
        ("", "tp_authority_public_key") => (
            &["/template_provider_type/Sv2Tp/public_key"],
            format!(
                "Write {} below [template_provider_type.Sv2Tp].",
                assignment("public_key", &text("tp_authority_public_key").unwrap_or_default())
            ),
        ),
        ("", "coinbase_outputs" | "coinbase_output") => (
            &["/coinbase_reward_script"],
            match table.iter().find(|(name, _)| name.get_ref() == written) {
                Some((_, outputs)) => format!("Write {}.", descriptor(outputs.get_ref())),
                None => String::new(),
            },
        ),
        ("", "pool_address" | "pool_port" | "jds_address" | "jds_port" | "jd_address" | "jd_port"
            | "authority_pubkey" | "pool_authority_public_key") => (
            &["/upstreams"],
            "This is a pool setting. Move it below an [[upstreams]] line.".into(),
        ),
        ("", "pool_signature") | ("upstreams[].", "pool_signature") => (
            &["/jdc_signature"],
            format!(
                "Write {} above the first line in square brackets.",
                assignment("jdc_signature", &text("pool_signature").unwrap_or_default())
            ),
        ),
        ("template_provider_type.BitcoinCoreIpc.", "unix_socket_path") => (
            &["network"],
            socket_hint(&text("unix_socket_path").unwrap_or_default()),
        ),
        ("", "min_extranonce2_size") => (
            &[],
            "Clients no longer have this setting. Remove it; since 0.2.0, reserved_downstream_rollable_extranonce_size sets how \
             many bytes are reserved for miners."
                .into(),
        ),
        ("", "withhold" | "retry" | "timeout") => (
            &[],
            "Clients no longer have this setting. Remove it.".into(),
        ),
        _ => return None,
    };
    Some(KeyReplacement { fields, hint })
}

/// A single value as text.
fn single(table: &DeTable, name: &str) -> Option<String> {
    let (_, value) = table
        .iter()
        .find(|(key, _)| key.get_ref().eq_ignore_ascii_case(name))?;
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// A line of TOML, with an ellipsis for a value that is not a single line.
fn assignment(key: &str, value: &str) -> String {
    let is_plain = !value.is_empty()
        && value.chars().count() <= LONGEST_QUOTE
        && !value.chars().any(char::is_control);
    let value = match is_plain {
        true => without_secret_keys(value),
        false => "…".into(),
    };
    format!("{key} = {}", toml::Value::String(value))
}

/// The line that pays to the same output. Clients used only the first output.
fn descriptor(outputs: &DeValue) -> String {
    let first = match outputs {
        DeValue::Array(list) => list.iter().next().map(|first| first.get_ref()),
        other => Some(other),
    };
    let found = match first {
        Some(DeValue::Table(output)) => single(output, "output_script_type")
            .zip(single(output, "output_script_value"))
            .and_then(|(kind, value)| legacy_descriptor(kind.trim(), value.trim()).ok()),
        _ => None,
    };
    let descriptor = found.unwrap_or_else(|| "addr(<your address>)".into());
    assignment("coinbase_reward_script", &descriptor)
}

/// Current clients find the socket by network and data directory.
fn socket_hint(socket: &str) -> String {
    let folder = Path::new(socket).parent();
    let name = folder
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let (network, data_dir) = match name {
        "testnet4" | "signet" | "regtest" => (name, folder.and_then(Path::parent)),
        _ => ("mainnet", folder),
    };
    let data_dir = data_dir
        .and_then(Path::to_str)
        .filter(|dir| dir.starts_with(['/', '~']));
    match data_dir {
        Some(dir) => format!(
            "The client now finds the socket from the network and the data directory: write {} and {}.",
            assignment("network", network),
            assignment("data_dir", dir)
        ),
        None => "The client now finds the socket from the network and the data directory: write network and, if it is not the default, data_dir."
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(path: &str, key: &str, text: &str) -> String {
        let table = DeTable::parse(text).unwrap();
        replacement(path, key, table.get_ref())
            .unwrap_or_else(|| panic!("{key} is not known"))
            .hint
    }

    #[test]
    fn each_former_key_has_a_line_to_write() {
        let ipc = "template_provider_type.BitcoinCoreIpc.";
        for (path, key, text, says) in [
            (
                "",
                "Downstream_Port",
                "downstream_address = \"10.0.0.9\"\nDownstream_Port = 34000",
                "write listening_address = \"10.0.0.9:34000\".",
            ),
            (
                "",
                "downstream_address",
                "downstream_address = \"fd12::9\"",
                "write listening_address = \"[fd12::9]:34265\".",
            ),
            (
                "",
                "tp_address",
                "tp_address = \"tp.barn.lan:8442\"",
                "Write address = \"tp.barn.lan:8442\" below [template_provider_type.Sv2Tp].",
            ),
            (
                "",
                "coinbase_outputs",
                "coinbase_outputs = [{ output_script_type = \"P2WPKH\", output_script_value = \"02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9\" }]",
                "coinbase_reward_script = \"wpkh(02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9)\"",
            ),
            (
                "",
                "coinbase_outputs",
                "coinbase_outputs = 3",
                "addr(<your address>)",
            ),
            (
                "upstreams[].",
                "pool_signature",
                "pool_signature = \"barn \\\"9\\\"\"",
                "jdc_signature = ",
            ),
            (
                ipc,
                "unix_socket_path",
                "unix_socket_path = \"/srv/btc/signet/node.sock\"",
                "write network = \"signet\" and data_dir = \"/srv/btc\".",
            ),
            (
                ipc,
                "unix_socket_path",
                "unix_socket_path = \"/srv/btc/node.sock\"",
                "write network = \"mainnet\" and data_dir = \"/srv/btc\".",
            ),
            (
                ipc,
                "unix_socket_path",
                "unix_socket_path = 1",
                "write network",
            ),
            ("", "retry", "retry = 10", "Remove it"),
            ("", "jd_port", "jd_port = 1", "below an [[upstreams]] line"),
        ] {
            let found = hint(path, key, text);
            assert!(found.contains(says), "{key}: {found}");
        }
        let table = DeTable::parse("barn = 1").unwrap();
        assert_eq!(replacement("", "barn", table.get_ref()), None);
    }

    #[test]
    fn a_secret_in_the_value_is_not_repeated() {
        let secret = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
        let found = hint("", "tp_address", &format!("tp_address = \"{secret}\""));
        assert!(!found.contains(secret), "{found}");
    }
}
