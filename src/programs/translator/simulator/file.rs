//! The translator's configuration file, as `lib/config.rs` of 0.6.0 declares it, and what the
//! translator writes about a bad one. Keys are not looked into, and quoted numbers are not
//! accepted, which the real one does accept.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The settings.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SimulatedTranslatorFile {
    pub(super) upstreams: Vec<SimulatedClientAddress>,
    /// Not an IP address: the translator exits with code 1 and no line.
    pub(super) downstream_address: String,
    pub(super) downstream_port: u16,
    #[serde(rename = "max_supported_version")]
    _max_version: u16,
    #[serde(rename = "min_supported_version")]
    _min_version: u16,
    pub(super) downstream_extranonce2_size: u16,
    pub(super) downstream_difficulty_config: SimulatedDifficulty,
    pub(super) aggregate_channels: bool,
    #[serde(default)]
    pub(super) log_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) monitoring_address: Option<SocketAddr>,
}

/// Where the client is, and the identity to use there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SimulatedClientAddress {
    pub(super) address: String,
    pub(super) port: u16,
    #[serde(rename = "authority_pubkey")]
    _key: String,
    pub(super) user_identity: String,
}

/// The difficulty of miners.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct SimulatedDifficulty {
    pub(super) min_individual_miner_hashrate: f32,
    pub(super) shares_per_minute: f32,
    pub(super) enable_vardiff: bool,
    pub(super) job_keepalive_interval_secs: u16,
}

/// How the translator introduces what is wrong with its file.
pub(super) fn complaint(error: &str) -> String {
    format!("Translator proxy config error: Bad `config` TOML deserialize: `{error}`")
}

/// Reads the file.
///
/// # Errors
/// What the translator writes about it, without [`complaint`]'s introduction.
pub(super) fn load(path: &Path) -> Result<SimulatedTranslatorFile, String> {
    if !path.exists() {
        return Err(format!(
            "no configuration found: `{}` does not exist and no `TPROXY__*` environment variables are set. Supply a TOML file \
             (-c/--config) or set `TPROXY__*` environment variables",
            path.display()
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let table: toml::Table = text
        .parse()
        .map_err(|error| format!("{error} in {}", path.display()))?;
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}
