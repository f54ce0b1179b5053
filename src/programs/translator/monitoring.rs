//! Reads the translator's monitoring API: its Stratum V1 miners, and the channels at the client.
//!
//! The API is the same server as the client's, so pages, limits and single values are read by
//! `jd_client/monitoring`. Names of fields are those of stratum-apps 0.3 to 0.8
//! (`monitoring/sv1.rs`), which translators 0.2.0 to 0.6.0 have. The answers are not trusted: time,
//! bytes, entries and texts are bounded, and odd values are left out and counted.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use crate::programs::jd_client::monitoring::shapes::{ListItem, RawObject};
use crate::programs::jd_client::monitoring::walk::{CompleteList, PagedReading};
use crate::programs::jd_client::monitoring::{
    MonitoringClient, MonitoringError, UpstreamChannelReading,
};

/// Miners that are listed at most.
const MOST_MINERS: usize = 10_000;
/// Channels that are listed at most.
const MOST_CHANNELS: usize = 10_000;

/// Why there is no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatorMonitoringError(pub MonitoringError);

impl std::error::Error for TranslatorMonitoringError {}

impl fmt::Display for TranslatorMonitoringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHECK: &str = "Check that the monitoring address belongs to the translator.";
        match &self.0 {
            MonitoringError::Refused => f.write_str(
                "No program is listening on the translator's monitoring address. The translator opens it after connecting to its client.",
            ),
            MonitoringError::TimedOut => f.write_str(
                "The translator's monitoring did not respond in time. The translator or the machine may be overloaded.",
            ),
            MonitoringError::TooLarge => write!(
                f,
                "The monitoring address sent more data than a translator sends. {CHECK}"
            ),
            MonitoringError::Status(status) => write!(
                f,
                "The monitoring address returned HTTP status {status}. {CHECK}"
            ),
            MonitoringError::NotJson => {
                write!(f, "The monitoring address did not return JSON. {CHECK}")
            }
            MonitoringError::NotTheApi => write!(
                f,
                "The monitoring address does not belong to a translator. {CHECK}"
            ),
            MonitoringError::Connection(why) => write!(
                f,
                "The connection to the translator's monitoring address failed: {why}."
            ),
        }
    }
}

impl From<MonitoringError> for TranslatorMonitoringError {
    fn from(error: MonitoringError) -> Self {
        Self(error)
    }
}

/// What a translator says. Any value may be missing: older translators have fewer, and odd ones are
/// left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TranslatorReading {
    /// Seconds since the monitoring began. It begins again when the translator changes its
    /// upstream.
    pub uptime_secs: Option<u64>,
    /// Hashrate of all miners, H/s.
    pub miners_hashrate: Option<f64>,
    /// Hashrate of the channels at the client, H/s.
    pub channels_hashrate: Option<f64>,
    /// Stratum V1 miners, by the translator's number.
    pub miners: Vec<Sv1MinerReading>,
    /// Channels at the client, by number: one for each miner, or one for all of them.
    pub channels: Vec<UpstreamChannelReading>,
    /// Not everything is here: there are more than 10,000 miners or channels, or the lists do not
    /// add up.
    pub truncated: bool,
    /// Values and entries that were left out.
    pub odd_fields: u32,
}

/// A Stratum V1 miner that is connected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sv1MinerReading {
    /// The translator's number. A miner that connects again gets another one.
    pub client_id: u64,
    /// Its channel; `None` if it is connected and has none yet, so that it cannot mine.
    pub channel_id: Option<u32>,
    /// The user name that it sent, at most 128 characters; empty before it sent one.
    pub username: String,
    /// The worker's name: the part of the user name behind the first dot, or all of it.
    pub worker: String,
    /// Its address; `None` from translators before 0.4.0.
    pub address: Option<IpAddr>,
    /// Its own name for its software, if the API has it. Translators up to 0.6.0 do not.
    pub user_agent: Option<String>,
    /// Make, model and firmware as the miner's own page says; `None` unless the translator scans
    /// its network.
    pub device: Option<String>,
    /// H/s, estimated from its shares; `None` if the translator does not adjust its difficulty.
    pub hashrate: Option<f64>,
    /// Whether the estimate has settled; `None` from translators before 0.3.0.
    pub stable_hashrate: Option<bool>,
    /// The share counts of its channel; `None` if it has no channel of its own.
    pub shares: Option<Sv1ShareCounts>,
}

/// Shares of one miner since its channel was opened, as the client counts them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sv1ShareCounts {
    /// Sent to the client.
    pub submitted: Option<u64>,
    /// Accepted by the client.
    pub accepted: Option<u64>,
    /// Rejected by the client.
    pub rejected: Option<u64>,
    /// The rejected shares by the client's reason, at most 32 reasons of 64 characters.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Sum of the difficulties of accepted shares.
    pub accepted_work: Option<f64>,
    /// Difficulty of the best share.
    pub best_difficulty: Option<f64>,
}

impl Sv1MinerReading {
    /// Its hashrate is only what its configuration expects: no share has confirmed it yet.
    pub fn is_unsettled(&self) -> bool {
        self.stable_hashrate == Some(false)
    }
}

impl From<&UpstreamChannelReading> for Sv1ShareCounts {
    fn from(channel: &UpstreamChannelReading) -> Self {
        Self {
            submitted: channel.shares_submitted,
            accepted: channel.shares_acknowledged,
            rejected: channel.shares_rejected,
            rejected_by_reason: channel.rejected_by_reason.clone(),
            accepted_work: channel.acknowledged_work,
            best_difficulty: channel.best_difficulty,
        }
    }
}

impl ListItem for Sv1MinerReading {
    const LISTS: &[(&str, &str)] = &[("items", "total")];

    fn read(from: &mut RawObject) -> Option<Self> {
        let client_id = from.count("client_id")?;
        // Renamed in stratum-apps 0.7.
        let username = from
            .name("sv1_username")
            .or_else(|| from.name("user_identity"));
        let worker = from
            .name("sv1_worker_name")
            .or_else(|| from.name("authorized_worker_name"));
        let device = from.object("miner_telemetry").and_then(|mut telemetry| {
            let words: Vec<String> = ["make", "model", "firmware_version"]
                .iter()
                .filter_map(|name| telemetry.name(name))
                .filter(|word| !word.is_empty())
                .collect();
            from.odd = from.odd.saturating_add(telemetry.odd);
            (!words.is_empty()).then(|| words.join(" "))
        });
        Some(Self {
            client_id,
            channel_id: from.read("channel_id", |_| true),
            username: username.unwrap_or_default(),
            worker: worker.unwrap_or_default(),
            address: from.read("connection_ip", |_| true),
            user_agent: from.name("user_agent"),
            device,
            hashrate: from.number("hashrate"),
            stable_hashrate: from.read("stable_hashrate", |_| true),
            shares: None,
        })
    }

    fn id(&self) -> u64 {
        self.client_id
    }
}

/// Reads the translator at `address`. `aggregate` is its setting of that name: one channel for all
/// miners, so that no share count belongs to a single one.
///
/// # Errors
/// Why there is no reading. It is all or nothing.
pub async fn read(
    client: &MonitoringClient,
    address: SocketAddr,
    aggregate: bool,
) -> Result<TranslatorReading, TranslatorMonitoringError> {
    let walk = client.paged(address);
    tokio::time::timeout(client.patience(), reading(&walk, aggregate))
        .await
        .unwrap_or(Err(MonitoringError::TimedOut))
        .map_err(TranslatorMonitoringError)
}

async fn reading(
    walk: &PagedReading<'_>,
    aggregate: bool,
) -> Result<TranslatorReading, MonitoringError> {
    let body = walk
        .get("/global")
        .await?
        .ok_or(MonitoringError::Status(404))?;
    let mut global = RawObject::of(&body)?;
    let mut result = TranslatorReading {
        uptime_secs: global.count("uptime_secs"),
        ..TranslatorReading::default()
    };
    // A client's API has the member, too, and it is null there.
    let Some(mut summary) = global.object("sv1_clients") else {
        return Err(MonitoringError::NotTheApi);
    };
    let mut server = global.object("server").unwrap_or_default();
    result.miners_hashrate = summary.number("total_hashrate");
    result.channels_hashrate = server.number("total_hashrate");
    let has_none = summary.count("total_clients") == Some(0);
    result.odd_fields = [global.odd, summary.odd, server.odd]
        .into_iter()
        .fold(0, u32::saturating_add);
    let miners = if has_none {
        None
    } else {
        walk.list("/sv1/clients", &AtomicUsize::new(MOST_MINERS))
            .await?
    };
    result.miners = result.take_list(miners);
    let channels = walk
        .list("/server/channels", &AtomicUsize::new(MOST_CHANNELS))
        .await?;
    result.channels = result.take_list(channels);
    // Numbers of miners' channels are the translator's own if channels are aggregated, so an equal
    // number means nothing then.
    if !aggregate {
        result.join_shares();
    }
    Ok(result)
}

impl TranslatorReading {
    /// The entries in the order of their numbers; what was wrong with them is noted here.
    fn take_list<T: ListItem>(&mut self, list: Option<CompleteList<T>>) -> Vec<T> {
        let Some(mut list) = list else {
            return Vec::new();
        };
        self.truncated |= list.truncated;
        self.odd_fields = self.odd_fields.saturating_add(list.odd);
        list.entries.sort_unstable_by_key(ListItem::id);
        list.entries
    }

    /// Gives each miner the share counts of its channel.
    fn join_shares(&mut self) {
        let by_number: HashMap<u32, &UpstreamChannelReading> = self
            .channels
            .iter()
            .map(|channel| (channel.channel_id, channel))
            .collect();
        for miner in &mut self.miners {
            miner.shares = miner
                .channel_id
                .and_then(|number| by_number.get(&number))
                .map(|channel| Sv1ShareCounts::from(*channel));
        }
    }
}
