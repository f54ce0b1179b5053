//! A configuration of the client: one object for all client versions.
//!
//! The field names are those of the API's JSON and mostly those of the client's file. Values from
//! `parse` obey `rules`; only [`ClientConfig::starting`] is incomplete. This module must not depend
//! on TOML, HTTP or storage.

use crate::domain::keys::{KeyPair, SecretKey};
pub use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

pub use crate::domain::keys::MASK;

// The fields have the order of the client's file: single values before tables.
/// The complete settings of a client.
///
/// Serialization shows the secret as [`MASK`]. [`to_stored_value`](Self::to_stored_value) includes
/// the secret and can be deserialized.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientConfig {
    /// The IP address and port for miners. Never a host name.
    pub listening_address: SocketAddr,
    /// Maximum protocol version offered to pools. Only version 2 exists.
    pub max_supported_version: u16,
    /// Minimum protocol version offered to pools.
    pub min_supported_version: u16,
    /// The public key that miners use to verify this client.
    pub authority_public_key: String,
    /// The secret key of this client.
    pub authority_secret_key: SecretKey,
    /// Validity of the certificates for miners, in seconds. The client stores 32 bits.
    pub cert_validity_sec: u32,
    /// Target shares per minute for each miner; sets its difficulty. The client stores a 32-bit
    /// float.
    pub shares_per_minute: f64,
    /// The number of shares per acknowledgment to a miner.
    pub share_batch_size: u32,
    /// The mining mode.
    pub mode: MiningMode,
    /// The coinbase tag: text in the coinbase input script. Can be empty.
    pub jdc_signature: String,
    /// The payout of solo rewards and of the client's part of the coinbase: an output descriptor
    /// (BIP 380).
    pub coinbase_reward_script: String,
    /// The default pool account. Clients up to 0.2.0 use it for all pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<String>,
    /// Protocol extensions that the client offers, such as 2 for worker hashrates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_extensions: Vec<u16>,
    /// Protocol extensions that peers must support, or the client rejects the connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_extensions: Vec<u16>,
    /// The address where the client serves metrics; if absent, there are no metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_address: Option<SocketAddr>,
    /// How often the client updates its metrics, in seconds (default of the client: 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_cache_refresh_secs: Option<u32>,
    /// Bytes of the extranonce that miners can roll (default of the client: 8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_downstream_rollable_extranonce_size: Option<u8>,
    /// Past jobs kept per channel for late shares; 0 and absent mean the client's default, 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_past_jobs: Option<u32>,
    /// Pools with their job declaration servers, in order of use. Kept but not used for solo
    /// mining.
    #[serde(default)]
    pub upstreams: Vec<ConfigUpstream>,
    /// The networks to search for miners' management pages; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miner_telemetry: Option<MinerTelemetry>,
    /// The translator for Stratum V1 miners, which runs next to the client; none if absent. It has
    /// its own configuration file and is not part of the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorSettings>,
    /// The template provider.
    pub template_provider_type: TemplateProvider,
}

/// The mining mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "UPPERCASE")]
pub enum MiningMode {
    /// The client declares whole templates to the pool.
    FullTemplate,
    /// The client sends the pool only its coinbase, not the transactions.
    CoinbaseOnly,
    /// No pool: blocks pay the client's payout.
    SoloMining,
}

impl MiningMode {
    /// As in the client configuration file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the mode uses pools.
    pub fn needs_pool(self) -> bool {
        self != Self::SoloMining
    }
}

/// A pool and its job declaration server.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Pool")]
pub struct ConfigUpstream {
    /// The public key that verifies both servers.
    pub authority_pubkey: String,
    /// Host name or IP address of the pool, without port.
    pub pool_address: String,
    /// Port of the pool.
    pub pool_port: u16,
    /// Host name or IP address of the job declaration server, without port.
    pub jds_address: String,
    /// Port of the job declaration server.
    pub jds_port: u16,
    /// The account at this pool.
    pub user_identity: String,
}

/// The template provider.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum TemplateProvider {
    /// A program that supports the template distribution protocol, such as `sv2-tp`.
    Sv2Tp {
        /// `host:port`; the host is a name or an IP address.
        address: String,
        /// Its public key; if absent, the client does not verify it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// The network of the node behind it, if known. Not sent to the client; jd-manager compares
        /// the payout with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<BitcoinNetwork>,
    },
    /// Bitcoin Core on this machine, through its socket.
    BitcoinCoreIpc {
        /// Major version of the node, 30 or 31.
        version: u8,
        /// The network of the node.
        network: BitcoinNetwork,
        /// The node's data directory; if absent, the default of the operating system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_dir: Option<String>,
        /// The fee increase in satoshis that triggers a new template before the next block.
        fee_threshold: u64,
        /// The minimum number of seconds between two templates.
        min_interval: u8,
    },
}

/// The search for miners' management pages in the local network, which the client repeats every
/// minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct MinerTelemetry {
    /// Private IPv4 networks of 256 addresses or fewer, `192.168.1.0/24`.
    #[serde(default)]
    pub cidrs: Vec<String>,
}

/// The settings for Stratum V1 miners. The translator's other settings come from the client's
/// configuration.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct TranslatorSettings {
    /// Whether to run the translator.
    pub enabled: bool,
    /// The address for Stratum V1 miners: an IP address and a port, not a host name.
    pub listening_address: SocketAddr,
    /// The hashrate of the weakest miner in H/s; sets the starting difficulty. At least
    /// [`Self::LEAST_HASHRATE`]. The translator stores a 32-bit float.
    pub min_miner_hashrate: f64,
    /// The target for shares per minute per miner. The translator stores a 32-bit float.
    pub shares_per_minute: f64,
    /// Use one channel to the client for all miners; otherwise, each miner has its own channel.
    /// Shares are counted per miner only if each miner has its own channel.
    pub aggregate_channels: bool,
    /// The networks to search for miners' management pages; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miner_telemetry: Option<MinerTelemetry>,
}

impl TranslatorSettings {
    /// The smallest miner that is supported, H/s.
    pub const LEAST_HASHRATE: f64 = 1e3;
    /// A miner of the Bitaxe class, H/s.
    pub const BITAXE_HASHRATE: f64 = 500e9;
    /// An ASIC miner, H/s.
    pub const ASIC_HASHRATE: f64 = 100e12;

    /// Settings that suit most users: the default port on all addresses on the machine, small
    /// miners, and one channel per miner.
    pub fn starting() -> Self {
        Self {
            enabled: true,
            listening_address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 34255)),
            min_miner_hashrate: Self::BITAXE_HASHRATE,
            shares_per_minute: 6.0,
            aggregate_channels: false,
            miner_telemetry: None,
        }
    }
}

impl ClientConfig {
    /// The translator's settings if it is to run.
    pub fn enabled_translator(&self) -> Option<&TranslatorSettings> {
        self.translator
            .as_ref()
            .filter(|translator| translator.enabled)
    }

    /// The defaults of a new configuration. Incomplete: no pool and no payout.
    ///
    /// It listens on all addresses of the machine, because miners are other machines in the local
    /// network. Metrics stay on loopback, because they are not protected and only jd-manager reads
    /// them. The other values are those of the client's example files.
    pub fn starting(keys: KeyPair) -> Self {
        Self {
            listening_address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 34265)),
            max_supported_version: 2,
            min_supported_version: 2,
            authority_public_key: keys.public_key,
            authority_secret_key: keys.secret_key,
            cert_validity_sec: 3600,
            shares_per_minute: 6.0,
            share_batch_size: 10,
            mode: MiningMode::FullTemplate,
            jdc_signature: "jd-manager".into(),
            coinbase_reward_script: String::new(),
            user_identity: None,
            upstreams: Vec::new(),
            template_provider_type: TemplateProvider::Sv2Tp {
                address: "127.0.0.1:8442".into(),
                public_key: None,
                network: None,
            },
            monitoring_address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9091))),
            monitoring_cache_refresh_secs: Some(15),
            supported_extensions: Vec::new(),
            required_extensions: Vec::new(),
            reserved_downstream_rollable_extranonce_size: None,
            miner_telemetry: None,
            max_past_jobs: None,
            translator: None,
        }
    }

    /// The JSON object with [`MASK`] instead of the secret, for pages, lists and responses.
    pub fn masked(&self) -> serde_json::Value {
        serde_json::to_value(self)
            .expect("every field has a JSON form: keys are strings and the one float is finite")
    }

    /// The JSON object with the secret. Use it only to check the configuration again or to store
    /// it.
    pub fn to_stored_value(&self) -> serde_json::Value {
        let mut value = self.masked();
        value[SECRET_FIELD] = self.authority_secret_key.reveal().into();
        value
    }

    /// The account that clients up to 0.2.0 use for every pool: the default account, or else the
    /// account that all pools share. `None` if there is none or the accounts differ.
    pub fn common_user_identity(&self) -> Option<&str> {
        if let Some(identity) = &self.user_identity {
            return Some(identity);
        }
        let first = &self.upstreams.first()?.user_identity;
        self.upstreams
            .iter()
            .all(|upstream| upstream.user_identity == *first)
            .then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;
    use serde_json::json;

    #[test]
    fn the_json_has_the_shape_of_the_contract() {
        let pool = samples::pool();
        let expected = json!({
            "listening_address": "0.0.0.0:34265", "max_supported_version": 2, "min_supported_version": 2,
            "authority_public_key": samples::PUBLIC, "authority_secret_key": MASK, "cert_validity_sec": 3600,
            "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "FULLTEMPLATE", "jdc_signature": "rig in the attic",
            "coinbase_reward_script": samples::REWARD,
            "upstreams": [{"authority_pubkey": samples::POOL_KEY, "pool_address": "pool.attic.localhost", "pool_port": 3333,
                "jds_address": "10.20.30.7", "jds_port": 3334, "user_identity": "alice.attic"}],
            "template_provider_type": {"Sv2Tp": {"address": "127.0.0.1:8442"}},
            "monitoring_address": "127.0.0.1:9091", "monitoring_cache_refresh_secs": 15
        });
        assert_eq!(pool.masked(), expected);
        let ipc = samples::with_everything();
        assert_eq!(
            ipc.masked()["template_provider_type"],
            json!({"BitcoinCoreIpc": {"version": 31, "network": "mainnet", "data_dir": "/srv/bitcoin", "fee_threshold": 100,
                "min_interval": 5}})
        );
        assert_eq!(
            ipc.masked()["miner_telemetry"],
            json!({"cidrs": ["192.168.1.0/24"]})
        );
    }

    #[test]
    fn only_the_stored_form_holds_the_secret_and_it_reads_back() {
        for config in samples::all() {
            assert!(
                !serde_json::to_string(&config)
                    .unwrap()
                    .contains(samples::SECRET)
            );
            assert!(!format!("{config:?}").contains(samples::SECRET));
            let stored = config.to_stored_value();
            assert_eq!(stored["authority_secret_key"], samples::SECRET);
            assert_eq!(
                serde_json::from_value::<ClientConfig>(stored).unwrap(),
                config
            );
        }
    }

    #[test]
    fn the_common_identity_is_the_one_set_or_the_one_agreed_on() {
        let mut config = samples::pool();
        assert_eq!(config.common_user_identity(), Some("alice.attic"));
        config.upstreams.push(ConfigUpstream {
            user_identity: "bob".into(),
            ..config.upstreams[0].clone()
        });
        assert_eq!(config.common_user_identity(), None);
        config.user_identity = Some("carol".into());
        assert_eq!(config.common_user_identity(), Some("carol"));
        assert_eq!(samples::solo().common_user_identity(), None);
    }
}
