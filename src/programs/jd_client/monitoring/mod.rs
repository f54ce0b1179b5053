//! A reader of the JD client's monitoring API (JSON over plain HTTP, no authentication).
//!
//! Shapes, names and limits are those of `jd_client_sv2` 0.1.0 to 0.6.0 (`stratum-apps` 0.8.0,
//! `monitoring/`). The server at the address is not trusted: time, bytes, entries and requests of a
//! reading are limited, redirects are not followed, and invalid values are left out and counted.
//! This module knows no instances and keeps only idle connections between two readings.

pub(in crate::programs) mod shapes;
#[cfg(test)]
pub(in crate::programs) mod tests;
pub(in crate::programs) mod walk;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::infra::http_client;

/// The seconds between two refreshes of a client's metrics, unless its configuration says otherwise
/// (0.6.0).
pub const DEFAULT_REFRESH_S: u64 = 15;
/// Timeout for a whole reading. A healthy client needs a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum size of one body, in bytes; a hundred channels are about 60 KiB.
const MAX_BODY: usize = 2 << 20;
/// The maximum size of all bodies of a reading, in bytes.
const MAX_READING: usize = 16 << 20;
/// The maximum number of miner connections in a reading.
const MAX_CLIENTS: usize = 2_000;
/// The maximum number of channels in a reading, of pool and miners together.
const MAX_CHANNELS: usize = 10_000;
/// The number of simultaneous requests in one reading. They are answered within a fraction of a
/// millisecond, and each connection needs 34 KB here.
const AT_A_TIME: usize = 1;
/// The number of idle connections to keep per client. More would be useless.
const KEPT: usize = AT_A_TIME;

/// Why there is no reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MonitoringError {
    /// No program listens on the address.
    #[error(
        "No program is listening on the monitoring address. The client opens it after connecting to the template provider. If \
         another program uses the port, the client's log shows this."
    )]
    Refused,
    /// The reading took longer than 5 s.
    #[error(
        "The client's monitoring port did not respond within 5 s. The client or the machine may be overloaded."
    )]
    TimedOut,
    /// The answer is larger than the limit: 2 MiB for one request, 16 MiB in total.
    #[error(
        "The monitoring address sent more data than a JD client sends. Check that the address belongs to the client."
    )]
    TooLarge,
    /// An HTTP status other than 200, redirects included.
    #[error(
        "The monitoring address returned HTTP status {0}. Check that the address belongs to the client and not to another program."
    )]
    Status(u16),
    /// The body is not JSON.
    #[error(
        "The monitoring address did not return JSON. Check that the address belongs to the client and not to another \
         program."
    )]
    NotJson,
    /// The body is JSON, but not from the monitoring API.
    #[error(
        "The monitoring address returned JSON that is not from a JD client. Check that the address belongs to the client."
    )]
    NotTheApi,
    /// The connection failed or broke off, or the server does not speak HTTP; with the reason.
    #[error("The connection to the monitoring address failed: {0}.")]
    Connection(String),
}

/// The metrics of a client. Any value may be missing: older clients have fewer, and invalid values
/// are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonitoringReading {
    /// Seconds since the client's monitoring started. This is not always the client's start,
    /// because a fallback restarts the monitoring.
    pub uptime_secs: Option<u64>,
    /// Hashrate of the channels to the pool, H/s.
    pub server_hashrate: Option<f64>,
    /// Hashrate of all miners' channels, H/s.
    pub clients_hashrate: Option<f64>,
    /// The channels to the pool by number; none when mining solo and before the first miner.
    pub server_channels: Vec<UpstreamChannelReading>,
    /// Connections from miners or translators, by number.
    pub clients: Vec<MinerReading>,
    /// The reading is incomplete: the client has more than 2,000 connections or 10,000 channels, or
    /// its lists are inconsistent.
    pub truncated: bool,
    /// The number of members and entries that were left out because they are invalid.
    pub odd_fields: u32,
}

/// A channel of the client to the pool. Its counts begin with the channel, and a reconnection opens
/// a new one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamChannelReading {
    /// The pool's number for the channel.
    pub channel_id: u32,
    /// The account at the pool, at most 128 characters; empty if missing.
    pub user_identity: String,
    /// H/s as reported to the pool.
    pub nominal_hashrate: Option<f64>,
    /// Shares that the pool accepted.
    pub shares_acknowledged: Option<u64>,
    /// Shares sent to the pool.
    pub shares_submitted: Option<u64>,
    /// Shares that the pool rejected.
    pub shares_rejected: Option<u64>,
    /// Rejected shares by the pool's reason, at most 32 reasons of 64 characters.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Sum of the difficulties that the pool acknowledged.
    pub acknowledged_work: Option<f64>,
    /// Sum of the difficulties that the client itself validated.
    pub validated_work: Option<f64>,
    /// Difficulty of the best share.
    pub best_difficulty: Option<f64>,
    /// Blocks found.
    pub blocks_found: Option<u64>,
}

/// A connection from a miner or a translator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerReading {
    /// The client's number for the connection. A miner that reconnects gets a new number.
    pub client_id: u64,
    /// Whether it is a translator (`client_kind`, clients from 0.5.0 on); `None` if the client does
    /// not know.
    pub is_translator: Option<bool>,
    /// Its address, which the client knows only of miners that it found in its network
    /// (`management_ip`).
    pub address: Option<IpAddr>,
    /// Its channels, by number.
    pub channels: Vec<MinerChannelReading>,
}

/// A miner's channel. Its counts begin with the channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerChannelReading {
    /// The channel's number within the connection.
    pub channel_id: u32,
    /// The name that the miner uses, at most 128 characters; empty if missing.
    pub user_identity: String,
    /// H/s: what the miner claimed, later what the client estimates.
    pub nominal_hashrate: Option<f64>,
    /// Whether the client's estimate is stable; none from clients before 0.3.0.
    pub stable_hashrate: Option<bool>,
    /// Shares that the client accepted.
    pub shares_accepted: Option<u64>,
    /// Shares that the client rejected.
    pub shares_rejected: Option<u64>,
    /// Rejected shares by reason, at most 32 reasons of 64 characters.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Sum of the difficulties of the accepted shares.
    pub share_work: Option<f64>,
    /// Difficulty of the best share.
    pub best_difficulty: Option<f64>,
    /// Blocks found.
    pub blocks_found: Option<u64>,
}

impl MinerChannelReading {
    /// The hashrate is only the miner's claim: no share has confirmed it yet.
    pub fn is_unsettled(&self) -> bool {
        self.stable_hashrate == Some(false) && self.shares_accepted.is_none_or(|shares| shares == 0)
    }
}

/// Reads monitoring APIs. Clones share their idle connections.
#[derive(Clone, Debug)]
pub struct MonitoringClient {
    http: reqwest::Client,
    patience: Duration,
}

impl MonitoringClient {
    /// A reader without connections.
    pub fn new() -> Self {
        Self::with_patience(PATIENCE)
    }

    fn with_patience(patience: Duration) -> Self {
        let http = http_client::plain()
            .user_agent("jd-manager")
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(KEPT)
            .build()
            .expect("a client without TLS and proxy depends on nothing that could fail");
        Self { http, patience }
    }

    /// Reads all metrics of the client at `address`. If the client listens on all addresses
    /// (`0.0.0.0`, `[::]`), the loopback address is used.
    ///
    /// # Errors
    /// Why there is no reading. An incomplete reading is also an error.
    pub async fn read(&self, address: SocketAddr) -> Result<MonitoringReading, MonitoringError> {
        let walk = walk::PagedReading::new(&self.http, address);
        tokio::time::timeout(self.patience, walk.reading())
            .await
            .unwrap_or(Err(MonitoringError::TimedOut))
    }
}

impl MonitoringClient {
    /// A reading to be made page by page, for an API that has other lists than the client's.
    pub(in crate::programs) fn paged(&self, address: SocketAddr) -> walk::PagedReading<'_> {
        walk::PagedReading::new(&self.http, address)
    }

    /// Time for a whole reading.
    pub(in crate::programs) fn patience(&self) -> Duration {
        self.patience
    }
}

impl Default for MonitoringClient {
    fn default() -> Self {
        Self::new()
    }
}
