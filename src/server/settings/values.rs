//! Values of settings, as people write them.

use clap::ValueEnum;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A duration as people write it: `10s`, `5m`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl std::str::FromStr for DurationText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text.trim()) {
            Ok(length) if length >= Duration::from_secs(1) => Ok(Self(length)),
            Ok(_) => Err("a duration must be at least 1s".into()),
            Err(_) => Err(format!(
                "\"{text}\" is not a duration like 10s, 5m or 1h 30m"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What happens to the clients when jd-manager stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnShutdown {
    /// Stop the clients.
    Stop,
    /// Leave the clients running.
    Leave,
}

/// Log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Human-readable text.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Networks as people write them: `10.0.0.0/8`, a single address, several separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkList(pub Vec<IpNet>);

impl std::str::FromStr for NetworkList {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let pieces = text
            .split(',')
            .map(str::trim)
            .filter(|piece| !piece.is_empty());
        pieces.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for NetworkList {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let pieces = Vec::<String>::deserialize(d)?;
        pieces
            .iter()
            .map(|piece| network(piece))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match network {
        // That would trust everyone to claim any address.
        Some(network) if network.prefix_len() == 0 => Err(format!(
            "\"{text}\" includes every address; list only your proxies"
        )),
        Some(network) => Ok(network.trunc()),
        None => Err(format!(
            "\"{text}\" is neither an address nor a network like 10.0.0.0/8"
        )),
    }
}

/// The place of the Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAt {
    /// In the data directory.
    DataDir,
    /// At the configured path.
    Path(PathBuf),
    /// Disabled.
    Nowhere,
}
