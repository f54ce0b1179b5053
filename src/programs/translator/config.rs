//! The translator's configuration file.
//!
//! [`TranslatorConfig`] has the values that a translator next to a client needs. Its checks reject
//! every value that would make a translator panic or exit. It renders to one text for all versions
//! from 0.2.0 to 0.6.0: no version rejects unknown keys, so keys that only some versions need are
//! always written. Keys and rules are from `lib/config.rs` of each version, and from the code that
//! uses the values.

mod read;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;

use key_utils::Secp256k1PublicKey;
use toml::{Table, Value};

use crate::base::listeners::overlap;
use crate::programs::telemetry_network::check_network;

pub use read::{TranslatorFileNote, TranslatorImport, read};

/// Minimum and maximum number of extranonce bytes that a miner can vary. Mining software such as
/// cgminer supports at most 8.
pub const EXTRANONCE2_SIZES: std::ops::RangeInclusive<u8> = 2..=8;

/// Additional bytes that an aggregated channel needs to distinguish miners (`AGGREGATED_TPROXY_
/// LOCAL_PREFIX_BYTES` in `sv2/channel_manager`).
const AGGREGATION_BYTES: u8 = 2;

/// Maximum length of an identity in bytes. The translator appends `.miner` and a number, or
/// `.translator-proxy`, and panics if the result exceeds the protocol's limit of 255 bytes.
const LONGEST_IDENTITY: usize = 200;

/// Maximum length of a DNS name.
const LONGEST_HOST: usize = 253;

/// Maximum number of entries in a list.
const LONGEST_LIST: usize = 64;

/// The only version of Stratum V2. The translator requires the keys and ignores their values.
const PROTOCOL_VERSION: i64 = 2;

/// The settings of a translator next to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct TranslatorConfig {
    /// IP address or host name of the client.
    pub upstream_address: String,
    /// The client's port for miners.
    pub upstream_port: u16,
    /// The client's public authority key, 51 characters.
    pub authority_key: String,
    /// The name of the client's channels. Some versions append a number for each miner.
    pub user_identity: String,
    /// IP address and port for Stratum V1 miners. A host name would make the translator exit.
    pub listening: SocketAddr,
    /// IP address and port of the monitoring API; none turns it off.
    pub monitoring: Option<SocketAddr>,
    /// Seconds between two refreshes of the monitoring data. With 0, the data would never change.
    pub monitoring_refresh_secs: u32,
    /// Hashrate of the weakest miner, in H/s; sets the difficulty of its first shares.
    pub min_hashrate: f64,
    /// Target for shares per minute, which sets the difficulty.
    pub shares_per_minute: f64,
    /// Adjust the difficulty for each miner. If false, the monitoring API has no hashrate.
    pub vardiff: bool,
    /// Seconds without a new job after which the translator sends the current job again; 0 turns
    /// this off.
    pub job_keepalive_secs: u16,
    /// One channel for all miners. Shares are then not counted per miner.
    pub aggregate: bool,
    /// Extranonce bytes that each miner can vary.
    pub extranonce2_size: u8,
    /// Protocol extensions to use if the client supports them. Extension 2 sends worker names to
    /// the pool.
    pub supported_extensions: Vec<u16>,
    /// Protocol extensions that the client must support; otherwise the translator rejects it.
    pub required_extensions: Vec<u16>,
    /// Private IPv4 networks that the translator searches for the miners' web pages. If empty, it
    /// does not search.
    pub telemetry_networks: Vec<String>,
}

/// A value that prevents a translator from running.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TranslatorConfigFault {
    /// The key in the file, such as `downstream_port`.
    pub key: &'static str,
    /// The problem, the value and the fix.
    pub detail: String,
}

impl TranslatorConfig {
    /// A configuration with typical values: miners connect to port 34255 on all interfaces.
    pub fn beside_client(
        upstream_address: String,
        upstream_port: u16,
        authority_key: String,
        user_identity: String,
    ) -> Self {
        Self {
            upstream_address,
            upstream_port,
            authority_key,
            user_identity,
            listening: SocketAddr::from(([0, 0, 0, 0], 34255)),
            monitoring: None,
            // Half the usual sample interval, so that a new miner is seen within one or two samples.
            monitoring_refresh_secs: 5,
            min_hashrate: 5e11,
            shares_per_minute: 6.0,
            vardiff: true,
            job_keepalive_secs: 60,
            aggregate: false,
            extranonce2_size: 4,
            supported_extensions: Vec::new(),
            required_extensions: Vec::new(),
            telemetry_networks: Vec::new(),
        }
    }

    /// Maximum number of extranonce bytes that a miner can get from a client that reserves
    /// `reserved` bytes for miners (its `reserved_downstream_rollable_extranonce_size`). With more,
    /// the client rejects the channel and the translator exits.
    pub fn largest_extranonce2(aggregate: bool, reserved: u8) -> u8 {
        let needed = if aggregate { AGGREGATION_BYTES } else { 0 };
        (EXTRANONCE2_SIZES.end() - needed).min(reserved.saturating_sub(needed))
    }

    /// All problems with the values, for a client that reserves `reserved` extranonce bytes for
    /// miners.
    pub fn faults(&self, reserved: u8) -> Vec<TranslatorConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |key, detail: String| faults.push(TranslatorConfigFault { key, detail });
        if !is_host(&self.upstream_address) {
            fault(
                "upstreams.address",
                format!(
                    "`{}` is not an IP address or a host name. Enter the client's address without a port.",
                    short(&self.upstream_address)
                ),
            );
        }
        for (key, port) in [
            ("upstreams.port", Some(self.upstream_port)),
            ("downstream_port", Some(self.listening.port())),
            ("monitoring_address", self.monitoring.map(|to| to.port())),
        ] {
            if port == Some(0) {
                fault(
                    key,
                    "Port 0 is not allowed. Choose a port from 1 to 65535.".into(),
                );
            }
        }
        if Secp256k1PublicKey::from_str(&self.authority_key).is_err() {
            fault(
                "upstreams.authority_pubkey",
                format!(
                    "`{}` is not a Stratum V2 public key. Copy the client's authority_public_key.",
                    short(&self.authority_key)
                ),
            );
        }
        if let Some(detail) = identity_fault(&self.user_identity) {
            fault("upstreams.user_identity", detail);
        }
        let is_same_port = self
            .monitoring
            .is_some_and(|to| overlap(to, self.listening));
        if is_same_port {
            fault(
                "monitoring_address",
                format!(
                    "Port {} is already the port for miners. Choose another port for monitoring.",
                    self.listening.port()
                ),
            );
        }
        if self.monitoring_refresh_secs == 0 {
            fault(
                "monitoring_cache_refresh_secs",
                "With 0, the monitoring data would never change. Enter at least 1 second.".into(),
            );
        }
        for (key, what, value) in [
            (
                "downstream_difficulty_config.min_individual_miner_hashrate",
                "hashrate",
                self.min_hashrate,
            ),
            (
                "downstream_difficulty_config.shares_per_minute",
                "number of shares per minute",
                self.shares_per_minute,
            ),
        ] {
            if !is_positive_f32(value) {
                fault(
                    key,
                    format!(
                        "The {what} is {value}, which would crash the translator. Enter a number above 0."
                    ),
                );
            }
        }
        let largest = Self::largest_extranonce2(self.aggregate, reserved);
        let smallest = *EXTRANONCE2_SIZES.start();
        if !(smallest..=largest).contains(&self.extranonce2_size) {
            let size = self.extranonce2_size;
            fault(
                "downstream_extranonce2_size",
                if largest < smallest {
                    format!(
                        "The client reserves only {reserved} extranonce bytes for miners, which is too few. Set the client's reserved_downstream_rollable_extranonce_size to 8."
                    )
                } else {
                    format!(
                        "Extranonce size {size} is not allowed, because the client would reject every miner. Enter a number from {smallest} to {largest}."
                    )
                },
            );
        }
        for (key, length) in [
            ("supported_extensions", self.supported_extensions.len()),
            ("required_extensions", self.required_extensions.len()),
            ("miner_telemetry.cidrs", self.telemetry_networks.len()),
        ] {
            if length > LONGEST_LIST {
                fault(
                    key,
                    format!("The list has {length} entries. At most {LONGEST_LIST} are allowed."),
                );
            }
        }
        for network in self.telemetry_networks.iter().take(LONGEST_LIST) {
            if let Err(why) = check_network(network) {
                fault(
                    "miner_telemetry.cidrs",
                    format!("`{}` {why}", short(network)),
                );
            }
        }
        faults
    }

    /// The text of the file, for every version from 0.2.0 to 0.6.0 and a client that reserves
    /// `reserved` extranonce bytes for miners.
    ///
    /// # Errors
    /// All [`Self::faults`], if there are any.
    pub fn to_toml(&self, reserved: u8) -> Result<String, Vec<TranslatorConfigFault>> {
        let faults = self.faults(reserved);
        if faults.is_empty() {
            Ok(self.table().to_string())
        } else {
            Err(faults)
        }
    }

    /// The file as a table. Keys come before tables, as TOML requires.
    fn table(&self) -> Table {
        let mut table = Table::new();
        let mut set = |key: &str, value: Value| table.insert(key.into(), value);
        // 0.2.0 to 0.2.5 require it here, later versions in the upstream.
        set("user_identity", self.user_identity.as_str().into());
        set("downstream_address", self.listening.ip().to_string().into());
        set("downstream_port", i64::from(self.listening.port()).into());
        set("max_supported_version", PROTOCOL_VERSION.into());
        set("min_supported_version", PROTOCOL_VERSION.into());
        set(
            "downstream_extranonce2_size",
            i64::from(self.extranonce2_size).into(),
        );
        set("aggregate_channels", self.aggregate.into());
        set("supported_extensions", numbers(&self.supported_extensions));
        set("required_extensions", numbers(&self.required_extensions));
        if let Some(address) = self.monitoring {
            set("monitoring_address", address.to_string().into());
            set(
                "monitoring_cache_refresh_secs",
                i64::from(self.monitoring_refresh_secs).into(),
            );
        }
        let mut difficulty = Table::new();
        let mut set = |key: &str, value: Value| difficulty.insert(key.into(), value);
        set(
            "min_individual_miner_hashrate",
            Value::Float(self.min_hashrate),
        );
        set("shares_per_minute", Value::Float(self.shares_per_minute));
        set("enable_vardiff", self.vardiff.into());
        set(
            "job_keepalive_interval_secs",
            i64::from(self.job_keepalive_secs).into(),
        );
        table.insert("downstream_difficulty_config".into(), difficulty.into());
        // Since 0.5.0. With an empty list, the translator does not search.
        let mut telemetry = Table::new();
        telemetry.insert("cidrs".into(), self.telemetry_networks.clone().into());
        table.insert("miner_telemetry".into(), telemetry.into());
        let mut upstream = Table::new();
        let mut set = |key: &str, value: Value| upstream.insert(key.into(), value);
        set("address", self.upstream_address.as_str().into());
        set("port", i64::from(self.upstream_port).into());
        set("authority_pubkey", self.authority_key.as_str().into());
        set("user_identity", self.user_identity.as_str().into());
        table.insert("upstreams".into(), Value::Array(vec![upstream.into()]));
        table
    }
}

fn numbers(list: &[u16]) -> Value {
    list.iter()
        .map(|n| i64::from(*n))
        .collect::<Vec<_>>()
        .into()
}

/// The first characters of a value, for an error message.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// The translator stores both numbers as `f32`. It panics if one is negative, infinite or not a
/// number, or if it divides by 0 (`hash_rate_to_target` in channels_sv2, unwrapped in
/// `sv1/sv1_server`).
fn is_positive_f32(value: f64) -> bool {
    let narrow = value as f32;
    narrow.is_finite() && narrow > 0.0
}

/// An IP address or a valid DNS name.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.parse::<IpAddr>().is_ok()
        || text.len() <= LONGEST_HOST && text.trim_end_matches('.').split('.').all(is_label)
}

fn identity_fault(identity: &str) -> Option<String> {
    if identity.is_empty() {
        Some("The identity is empty. Enter a name for the client's channels.".into())
    } else if identity.len() > LONGEST_IDENTITY {
        Some(format!(
            "The identity is {} bytes long, which would crash the translator. Enter at most {LONGEST_IDENTITY} bytes.",
            identity.len()
        ))
    } else if identity.chars().any(char::is_control) {
        Some("The identity contains a control character. Remove it.".into())
    } else {
        None
    }
}
