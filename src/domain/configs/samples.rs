//! Configurations and files shared by the tests of this domain.

#[path = "../../../tests/harness/configurations.rs"]
pub mod configurations;

use super::model::{
    BitcoinNetwork, ClientConfig, ConfigUpstream, MinerTelemetry, MiningMode, TemplateProvider,
    TranslatorSettings,
};
use crate::domain::keys::{KeyPair, SecretKey};

/// A pair from the tests of `key-utils`.
pub const SECRET: &str = "zmBEmPhqo3A92FkiLVvyCz6htc3e53ph3ZbD4ASqGaLjwnFLi";
pub const PUBLIC: &str = "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan";
/// Another public key, from the client's example files.
pub const POOL_KEY: &str = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";
/// An unused address.
pub const REWARD: &str = "addr(bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc)";

/// A pool with declaration, templates from `sv2-tp`.
pub fn pool() -> ClientConfig {
    ClientConfig {
        coinbase_reward_script: REWARD.into(),
        jdc_signature: "rig in the attic".into(),
        upstreams: vec![ConfigUpstream {
            authority_pubkey: POOL_KEY.into(),
            pool_address: "pool.attic.localhost".into(),
            pool_port: 3333,
            jds_address: "10.20.30.7".into(),
            jds_port: 3334,
            user_identity: "alice.attic".into(),
        }],
        ..ClientConfig::starting(KeyPair::from(SecretKey::parse(SECRET).unwrap()))
    }
}

/// Solo, templates from an authenticated `sv2-tp`.
pub fn solo() -> ClientConfig {
    ClientConfig {
        mode: MiningMode::SoloMining,
        upstreams: Vec::new(),
        template_provider_type: TemplateProvider::Sv2Tp {
            address: "[::1]:8442".into(),
            public_key: Some(POOL_KEY.into()),
            network: None,
        },
        ..pool()
    }
}

/// Coinbase-only with two pools, templates from Bitcoin Core, and every optional key set.
pub fn with_everything() -> ClientConfig {
    let first = pool().upstreams.remove(0);
    ClientConfig {
        mode: MiningMode::CoinbaseOnly,
        upstreams: vec![
            first.clone(),
            ConfigUpstream {
                pool_address: "fd12::7".into(),
                pool_port: 1,
                jds_port: 65535,
                ..first
            },
        ],
        template_provider_type: TemplateProvider::BitcoinCoreIpc {
            version: 31,
            network: BitcoinNetwork::Mainnet,
            data_dir: Some("/srv/bitcoin".into()),
            fee_threshold: 100,
            min_interval: 5,
        },
        supported_extensions: vec![2],
        required_extensions: vec![1, 65535],
        reserved_downstream_rollable_extranonce_size: Some(8),
        miner_telemetry: Some(MinerTelemetry {
            cidrs: vec!["192.168.1.0/24".into()],
        }),
        max_past_jobs: Some(3),
        ..pool()
    }
}

/// The same with a port for Stratum V1 miners.
pub fn with_translator() -> ClientConfig {
    ClientConfig {
        translator: Some(TranslatorSettings {
            aggregate_channels: true,
            ..TranslatorSettings::starting()
        }),
        ..with_everything()
    }
}

pub fn all() -> [ClientConfig; 3] {
    [pool(), solo(), with_everything()]
}

/// A complete file for client 0.6.0 that mines solo, on the published example pair and payout
/// address.
pub const SOLO_FILE: &str = r#"listening_address = "127.0.0.1:25265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 3
mode = "SOLOMINING"
jdc_signature = "Sv2MinerSignature"
coinbase_reward_script = "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)"
monitoring_address = "127.0.0.1:25091"
monitoring_cache_refresh_secs = 1
upstreams = []
[template_provider_type.Sv2Tp]
address = "127.0.0.1:25442"
"#;

/// The same for a pool.
pub const POOL_FILE: &str = r#"listening_address = "127.0.0.1:25265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 3
mode = "FULLTEMPLATE"
jdc_signature = "Sv2MinerSignature"
coinbase_reward_script = "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)"
monitoring_address = "127.0.0.1:25091"
monitoring_cache_refresh_secs = 1
[[upstreams]]
authority_pubkey = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
pool_address = "127.0.0.1"
pool_port = 25333
jds_address = "127.0.0.1"
jds_port = 25334
user_identity = "acct.worker"
[template_provider_type.Sv2Tp]
address = "127.0.0.1:25442"
"#;
