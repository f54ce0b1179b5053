//! Reads the translator's monitoring API: its Stratum V1 miners and its channels with the client.
//!
//! The server is the same as the client's, so `jd_client/monitoring` reads pages, limits and single
//! values. The field names are from stratum-apps 0.3 to 0.8 (`monitoring/sv1.rs`), which
//! translators 0.2.0 to 0.6.0 use. Responses are not trusted: time, bytes, entries and texts are
//! limited, and invalid values are omitted and counted.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use crate::programs::jd_client::monitoring::shapes::{ListItem, RawObject};
use crate::programs::jd_client::monitoring::walk::{CompleteList, PagedReading};
use crate::programs::jd_client::monitoring::{
    MonitoringClient, MonitoringError, UpstreamChannelReading,
};

/// Maximum number of miners in a list.
const MOST_MINERS: usize = 10_000;
/// Maximum number of channels in a list.
const MOST_CHANNELS: usize = 10_000;

/// Why nothing could be read.
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
                "The translator's monitoring port did not respond in time. The translator or the machine may be overloaded.",
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

/// The metrics of a translator. Any value may be missing: older translators have fewer, and invalid
/// values are omitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TranslatorReading {
    /// Seconds since monitoring started. It restarts when the translator changes its upstream.
    pub uptime_secs: Option<u64>,
    /// Hashrate of all miners, H/s.
    pub miners_hashrate: Option<f64>,
    /// Hashrate of the channels with the client, H/s.
    pub channels_hashrate: Option<f64>,
    /// Stratum V1 miners, by the translator's number.
    pub miners: Vec<Sv1MinerReading>,
    /// Channels with the client, by number: one per miner, or one for all miners.
    pub channels: Vec<UpstreamChannelReading>,
    /// The data is incomplete: there are more than 10,000 miners or channels, or the lists are
    /// inconsistent.
    pub truncated: bool,
    /// Number of values and entries that were omitted.
    pub odd_fields: u32,
}

/// A connected Stratum V1 miner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sv1MinerReading {
    /// The number that the translator assigned. A miner that reconnects gets a new one.
    pub client_id: u64,
    /// The miner's channel; `None` if it does not have one yet and cannot mine.
    pub channel_id: Option<u32>,
    /// The username that the miner sent, at most 128 characters; empty if it has not sent one yet.
    pub username: String,
    /// The worker's name: the part of the username after the first dot, or the whole username.
    pub worker: String,
    /// The miner's address; `None` from translators before 0.4.0.
    pub address: Option<IpAddr>,
    /// The miner's name for its software, if the API has it. The API of translators up to 0.6.0
    /// does not.
    pub user_agent: Option<String>,
    /// Manufacturer, model and firmware from the miner's web page; `None` unless the translator
    /// searches its network.
    pub device: Option<String>,
    /// Hashrate in H/s, estimated from the miner's shares; `None` if the translator does not adjust
    /// the difficulty.
    pub hashrate: Option<f64>,
    /// Whether the estimate is stable; `None` from translators before 0.3.0.
    pub stable_hashrate: Option<bool>,
    /// The share counts of the miner's channel; `None` if the miner does not have its own channel.
    pub shares: Option<Sv1ShareCounts>,
}

/// A miner's shares since its channel was opened, as counted by the client.
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
    /// The hashrate is only the configured one, because no share has confirmed it yet.
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
        // Before stratum-apps 0.7, which translators use from 0.5.0 on, `user_identity` is the name of
        // the channel until the miner sends a username, and then at most 32 bytes of it, so that
        // miners with long names could not be told apart.
        let username = from
            .name("sv1_username")
            .or_else(|| from.name("authorized_worker_name"))
            .unwrap_or_default();
        let worker = from
            .name("sv1_worker_name")
            .unwrap_or_else(|| worker_of(&username).to_owned());
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
            username,
            worker,
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

/// The worker's name in a username, as translators from 0.5.0 on derive it.
fn worker_of(username: &str) -> &str {
    let (_, worker) = username.split_once('.').unwrap_or_default();
    if worker.is_empty() { username } else { worker }
}

/// Reads the metrics of the translator at `address`. `aggregate` is the setting of that name: one
/// channel for all miners, so that shares are not counted per miner.
///
/// # Errors
/// The reason that nothing could be read. There are no partial results.
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
    // A client's API has this member, too, but it is null.
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
    // If channels are aggregated, the translator assigns the miners' channel numbers itself, so an
    // equal number means nothing.
    if !aggregate {
        result.join_shares();
    }
    Ok(result)
}

impl TranslatorReading {
    /// How many miners are connected. Connections with the same address and username are one miner,
    /// as in the list of miners: a miner that reconnects is not counted twice while the translator
    /// still holds its former connection.
    pub fn miner_count(&self) -> usize {
        let miner = |miner: &Sv1MinerReading| (miner.address, miner.username.clone());
        self.miners.iter().map(miner).collect::<BTreeSet<_>>().len()
    }

    /// The entries, ordered by number. Problems with them are recorded here.
    fn take_list<T: ListItem>(&mut self, list: Option<CompleteList<T>>) -> Vec<T> {
        let Some(mut list) = list else {
            return Vec::new();
        };
        self.truncated |= list.truncated;
        self.odd_fields = self.odd_fields.saturating_add(list.odd);
        list.entries.sort_unstable_by_key(ListItem::id);
        list.entries
    }

    /// Adds the share counts of its channel to each miner.
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
