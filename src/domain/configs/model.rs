//! A configuration of the client as the product keeps it: one object for all versions of the
//! client.
//!
//! The field names are those of the JSON the API speaks and mostly those of the client's file. The
//! values obey `rules` when the object came out of `parse`; [`ClientConfig::starting`] alone is
//! unfinished. Must not know TOML, HTTP or storage.

use crate::domain::keys::{KeyPair, SecretKey};
pub use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

pub use crate::domain::keys::MASK;

// The fields stand in the order of the client's file: single values before tables.
/// Everything one client is told.
///
/// Serialised it shows the secret as [`MASK`]; [`to_stored_value`](Self::to_stored_value) is the
/// form with the secret in it, and the one that deserialises.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct ClientConfig {
    /// Where miners connect. An IP address, never a host name.
    pub listening_address: SocketAddr,
    /// Highest version of the mining protocol offered to pools. There is only version 2.
    pub max_supported_version: u16,
    /// Lowest version of the mining protocol offered to pools.
    pub min_supported_version: u16,
    /// By which miners recognise this client.
    pub authority_public_key: String,
    /// With which this client proves itself to miners.
    pub authority_secret_key: SecretKey,
    /// How long the certificates shown to miners are valid, in seconds. The client keeps only 32
    /// bits.
    pub cert_validity_sec: u32,
    /// How many shares a minute each miner should find; sets its difficulty. The client keeps a
    /// 32-bit float.
    pub shares_per_minute: f64,
    /// After how many shares a miner is sent one acknowledgement.
    pub share_batch_size: u32,
    /// Who chooses transactions, and whether there is a pool.
    pub mode: MiningMode,
    /// Text put into the coinbase's input script. May be empty.
    pub jdc_signature: String,
    /// Where solo rewards and the client's share of the coinbase go: an output descriptor (BIP
    /// 380).
    pub coinbase_reward_script: String,
    /// The account at the pool for clients up to 0.2.0, which know one for all pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<String>,
    /// Protocol extensions the client offers, e.g. 2 for hashrates per worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_extensions: Vec<u16>,
    /// Protocol extensions without which the client refuses a connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_extensions: Vec<u16>,
    /// Where the client serves its figures; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_address: Option<SocketAddr>,
    /// How often those figures are renewed, in seconds (the client's default is 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring_cache_refresh_secs: Option<u32>,
    /// Bytes of the extranonce kept for miners to roll (the client's default is 8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_downstream_rollable_extranonce_size: Option<u8>,
    /// Past jobs kept per channel for late shares; 0 and absent are the client's default, 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_past_jobs: Option<u32>,
    /// Pools with their declarators, in the order they are tried. Kept but not used in solo mode.
    #[serde(default)]
    pub upstreams: Vec<ConfigUpstream>,
    /// Which networks are searched for miners' own pages; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miner_telemetry: Option<MinerTelemetry>,
    /// The translator that runs beside the client, for Stratum V1 miners; absent: there is none. It
    /// has a file of its own and is not in the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorSettings>,
    /// Where block templates come from.
    pub template_provider_type: TemplateProvider,
}

/// Who chooses the transactions of a block, and who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "UPPERCASE")]
pub enum MiningMode {
    /// The client declares whole templates to the pool.
    FullTemplate,
    /// The client tells the pool only its coinbase; the transactions stay with it.
    CoinbaseOnly,
    /// No pool: blocks pay to the reward script.
    SoloMining,
}

impl MiningMode {
    /// As in the client's file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether pools are used.
    pub fn needs_pool(self) -> bool {
        self != Self::SoloMining
    }
}

/// A pool and its declarator.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Pool")]
pub struct ConfigUpstream {
    /// By which the client recognises both.
    pub authority_pubkey: String,
    /// Host name or IP address of the pool, without port.
    pub pool_address: String,
    /// Port of the pool.
    pub pool_port: u16,
    /// Host name or IP address of the job declarator server, without port.
    pub jds_address: String,
    /// Port of the job declarator server.
    pub jds_port: u16,
    /// The account at this pool.
    pub user_identity: String,
}

/// Where block templates come from.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum TemplateProvider {
    /// A program that speaks the template distribution protocol, such as `sv2-tp`.
    Sv2Tp {
        /// `host:port`; the host is a name or an IP address.
        address: String,
        /// By which it is recognised; without it the client trusts whoever answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
        /// The chain of the node behind it, if the user says it. The client is not told: it is
        /// ours, to hold the payout against.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<BitcoinNetwork>,
    },
    /// Bitcoin Core itself, through its socket on this machine.
    BitcoinCoreIpc {
        /// Major version of the node, 30 or 31.
        version: u8,
        /// The chain the node follows.
        network: BitcoinNetwork,
        /// The node's data directory; absent: the operating system's default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_dir: Option<String>,
        /// Fees, in satoshis, by which a template must improve to be sent before the next block.
        fee_threshold: u64,
        /// Seconds at least between two templates.
        min_interval: u8,
    },
}

/// Search for miners' own management pages in the local network; the client repeats it every
/// minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct MinerTelemetry {
    /// Private IPv4 networks of 256 addresses or fewer, `192.168.1.0/24`.
    #[serde(default)]
    pub cidrs: Vec<String>,
}

/// How Stratum V1 miners connect. All else that a translator needs follows from the client's
/// configuration.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct TranslatorSettings {
    /// Whether the translator runs.
    pub enabled: bool,
    /// Where Stratum V1 miners connect. An IP address, never a host name.
    pub listening_address: SocketAddr,
    /// Hashrate of the weakest miner in H/s; sets the difficulty at the start. At least
    /// [`Self::LEAST_HASHRATE`]. The translator keeps a 32-bit float.
    pub min_miner_hashrate: f64,
    /// Shares that each miner should find per minute. The translator keeps a 32-bit float.
    pub shares_per_minute: f64,
    /// One channel to the client for all miners; otherwise each miner has its own. Shares are counted
    /// for each miner only with a channel of its own.
    pub aggregate_channels: bool,
    /// Which networks are searched for miners' own pages; absent: none.
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

    /// What most people need: the usual port on all addresses of the machine, small miners, a channel
    /// for each.
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

    /// What a person's new configuration starts from. Unfinished: no pool, no reward script.
    ///
    /// It listens on all addresses of the machine, because miners are other machines of the local
    /// network and on loopback none could connect. Its figures stay on loopback: they are not
    /// protected and only the manager reads them. The other values are those of the client's
    /// example files.
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

    /// The JSON object with [`MASK`] in the place of the secret: for pages, lists and answers.
    pub fn masked(&self) -> serde_json::Value {
        serde_json::to_value(self)
            .expect("every field has a JSON form: keys are strings and the one float is finite")
    }

    /// The JSON object with the secret in it: for checking it once more, and for nothing else.
    pub fn to_stored_value(&self) -> serde_json::Value {
        let mut value = self.masked();
        value[SECRET_FIELD] = self.authority_secret_key.reveal().into();
        value
    }

    /// The account a client up to 0.2.0 uses for every pool: the one set for that, or else the one
    /// on which the pools agree. `None` when there is none or when they differ.
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
