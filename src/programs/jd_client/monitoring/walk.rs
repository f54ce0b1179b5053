//! One reading: the order of the requests, how pages are read, and when to stop.
//!
//! This module knows no members of a body. A server may lie about everything: reading pages
//! continues only while each page has new entries, and [`PagedReading`] limits the size of a
//! reading.

use super::shapes::{ApiListPage, ListItem, MinerEntry, RawObject, ShapeError};
use super::{
    AT_A_TIME, MAX_BODY, MAX_CHANNELS, MAX_CLIENTS, MAX_READING, MinerChannelReading, MinerReading,
    MonitoringError, MonitoringReading,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of entries per request: the maximum of the API.
const PAGE: usize = 100;

/// A reading in progress.
pub(in crate::programs) struct PagedReading<'a> {
    http: &'a reqwest::Client,
    base: String,
    /// The remaining number of bytes.
    bytes_left: AtomicUsize,
    /// The remaining number of channels.
    channels_left: AtomicUsize,
}

/// A list over all its pages.
pub(in crate::programs) struct CompleteList<T> {
    pub entries: Vec<T>,
    pub truncated: bool,
    pub odd: u32,
}

impl<T> Default for CompleteList<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            truncated: false,
            odd: 0,
        }
    }
}

impl<T: ListItem> CompleteList<T> {
    /// The entries, sorted by id, because the API does not sort them. Problems are recorded in
    /// `reading`.
    fn told_in(mut self, reading: &mut MonitoringReading) -> Vec<T> {
        reading.truncated |= self.truncated;
        reading.odd_fields = reading.odd_fields.saturating_add(self.odd);
        self.entries.sort_unstable_by_key(ListItem::id);
        self.entries
    }
}

impl<'a> PagedReading<'a> {
    pub(super) fn new(http: &'a reqwest::Client, address: SocketAddr) -> Self {
        Self {
            http,
            base: format!("http://{}/api/v1", reachable(address)),
            bytes_left: AtomicUsize::new(MAX_READING),
            channels_left: AtomicUsize::new(MAX_CHANNELS),
        }
    }

    /// The whole reading. Lists that are empty according to the summary are not requested.
    pub(super) async fn reading(&self) -> Result<MonitoringReading, MonitoringError> {
        let body = self
            .get("/global")
            .await?
            .ok_or(MonitoringError::Status(404))?;
        let mut global = RawObject::of(&body)?;
        if !["server", "sv2_clients", "sv1_clients", "uptime_secs"]
            .iter()
            .any(|name| global.has(name))
        {
            return Err(MonitoringError::NotTheApi);
        }
        let mut reading = MonitoringReading {
            uptime_secs: global.count("uptime_secs"),
            ..MonitoringReading::default()
        };
        let mut server = global.object("server").unwrap_or_default();
        reading.server_hashrate = server.number("total_hashrate");
        let no_channels = server.count("total_channels") == Some(0);
        let mut clients = global.object("sv2_clients").unwrap_or_default();
        reading.clients_hashrate = clients.number("total_hashrate");
        let no_clients = clients.count("total_clients") == Some(0);
        reading.odd_fields = global
            .odd
            .saturating_add(server.odd)
            .saturating_add(clients.odd);
        if !no_channels {
            let channels = self.list("/server/channels", &self.channels_left).await?;
            reading.server_channels = channels
                .map(|whole| whole.told_in(&mut reading))
                .unwrap_or_default();
        }
        if !no_clients {
            let listed = self
                .list("/clients", &AtomicUsize::new(MAX_CLIENTS))
                .await?;
            let listed = listed
                .map(|whole| whole.told_in(&mut reading))
                .unwrap_or_default();
            let mut answers =
                stream::iter(listed.into_iter().map(|listed| self.channels_of(listed)))
                    .buffered(AT_A_TIME);
            while let Some((entry, channels)) = answers.try_next().await? {
                // A connection that was closed after it was listed is left out.
                let Some(channels) = channels else { continue };
                let channels = channels.told_in(&mut reading);
                reading.clients.push(MinerReading {
                    client_id: entry.client_id,
                    is_translator: entry.is_translator,
                    address: entry.address,
                    channels,
                });
            }
        }
        Ok(reading)
    }

    async fn channels_of(
        &self,
        listed: MinerEntry,
    ) -> Result<(MinerEntry, Option<CompleteList<MinerChannelReading>>), MonitoringError> {
        if !listed.has_channels {
            return Ok((listed, Some(CompleteList::default())));
        }
        let path = format!("/clients/{}/channels", listed.client_id);
        let channels = self.list(&path, &self.channels_left).await?;
        Ok((listed, channels))
    }

    /// Reads the pages of a list, up to `left` entries; `None` if the API has no such list. Of
    /// entries with the same id, the first counts.
    pub(in crate::programs) async fn list<T: ListItem>(
        &self,
        path: &str,
        left: &AtomicUsize,
    ) -> Result<Option<CompleteList<T>>, MonitoringError> {
        let mut whole = CompleteList::default();
        let mut seen = HashSet::new();
        let mut offset = 0;
        // In the worst case, the entries arrive one by one. The timeout of the reading limits this.
        loop {
            if left.load(Ordering::Relaxed) == 0 {
                whole.truncated = true;
                return Ok(Some(whole));
            }
            let Some(body) = self
                .get(&format!("{path}?offset={offset}&limit={PAGE}"))
                .await?
            else {
                return Ok(None);
            };
            let page = ApiListPage::<T>::of(&body)?;
            whole.odd = whole.odd.saturating_add(page.odd);
            let before = whole.entries.len();
            for entry in page.entries {
                if !seen.insert(entry.id()) {
                    continue;
                }
                if !use_budget(left, 1) {
                    whole.truncated = true;
                    return Ok(Some(whole));
                }
                whole.entries.push(entry);
            }
            offset += page.length;
            if page.total.is_some_and(|total| offset as u64 >= total) {
                return Ok(Some(whole));
            }
            if whole.entries.len() == before {
                // Nothing new, although the server claims that there is more.
                whole.truncated = page.total.is_some();
                return Ok(Some(whole));
            }
        }
    }

    /// The body at `path`; `None` if the path does not exist.
    pub(in crate::programs) async fn get(
        &self,
        path: &str,
    ) -> Result<Option<Vec<u8>>, MonitoringError> {
        let mut response = self
            .http
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .map_err(|e| fault(&e))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            other => return Err(MonitoringError::Status(other)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| fault(&e))? {
            if body.len() + chunk.len() > MAX_BODY || !use_budget(&self.bytes_left, chunk.len()) {
                return Err(MonitoringError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}

/// Subtracts `amount` from an account, if it has that much.
fn use_budget(account: &AtomicUsize, amount: usize) -> bool {
    account
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(amount)
        })
        .is_ok()
}

/// The address at which a server on `address` can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    // The kernel treats an IPv4-mapped IPv6 address (`::ffff:0.0.0.0`) as IPv4.
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl From<ShapeError> for MonitoringError {
    fn from(unreadable: ShapeError) -> Self {
        match unreadable {
            ShapeError::NotJson => Self::NotJson,
            ShapeError::NoObject => Self::NotTheApi,
        }
    }
}

/// The meaning of a connection error, with the text of its innermost cause.
fn fault(error: &reqwest::Error) -> MonitoringError {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => MonitoringError::Refused,
        Some(io::ErrorKind::TimedOut) => MonitoringError::TimedOut,
        _ => MonitoringError::Connection(cause.to_string()),
    }
}
