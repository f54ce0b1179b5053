//! Limits on connections: total and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::web::PeerAddress;

/// Time between two log lines about the same problem.
const QUIET: Duration = Duration::from_secs(60);

/// The maximum number of connections of the process: half of its open files; the others are for
/// the database, keepers and logs.
pub(super) fn connection_limit(wanted: usize) -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = files
        .map_or(usize::MAX, |files| {
            usize::try_from(files / 2).unwrap_or(usize::MAX)
        })
        .max(16);
    if wanted > most {
        tracing::info!(
            wanted,
            taken = most,
            "max_connections is more than half of this process's open-file limit"
        );
    }
    wanted.min(most)
}

/// The connection slots of one listener.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimits {
    what: &'static str,
    limit: usize,
    from_one: usize,
    taken: Arc<Mutex<SlotCounts>>,
    complaint: Arc<RateLimitedLog>,
}

#[derive(Debug, Default)]
struct SlotCounts {
    all: usize,
    by: HashMap<IpAddr, usize>,
}

/// The slot of one connection; released on drop.
#[must_use = "the slot is freed when this value is dropped"]
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    taken: Arc<Mutex<SlotCounts>>,
    whose: Option<IpAddr>,
}

impl ConnectionLimits {
    /// `what`: description for the log; the limits in total and per address.
    pub(super) fn new(what: &'static str, limit: usize, from_one: usize) -> Self {
        Self {
            what,
            limit,
            from_one,
            taken: Arc::default(),
            complaint: Arc::default(),
        }
    }

    /// A slot for a connection from `address`; `None` if there is none. `counted`: the limit per address
    /// applies.
    pub(super) fn take(&self, address: Option<IpAddr>, counted: bool) -> Option<ConnectionSlot> {
        let whose = address.filter(|_| counted).map(PeerAddress::client_network);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = whose
            .and_then(|whose| taken.by.get(&whose).copied())
            .unwrap_or_default();
        let reason = if taken.all >= self.limit {
            "limit reached"
        } else if whose.is_some() && theirs >= self.from_one {
            "too many from this address"
        } else {
            taken.all += 1;
            if let Some(whose) = whose {
                taken.by.insert(whose, theirs + 1);
            }
            return Some(ConnectionSlot {
                taken: self.taken.clone(),
                whose,
            });
        };
        let all = taken.all;
        drop(taken);
        if let Some(refused) = self.complaint.is_due() {
            let address = address
                .map(|address| address.to_string())
                .unwrap_or_default();
            tracing::warn!(
                what = self.what,
                open = all,
                limit = self.limit,
                refused,
                address,
                "rejected a connection: {reason}"
            );
        }
        None
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(whose) = self.whose
            && let Some(theirs) = taken.by.get_mut(&whose)
        {
            *theirs -= 1;
            if *theirs == 0 {
                taken.by.remove(&whose);
            }
        }
    }
}

/// A problem that may occur a thousand times a second and is logged once a minute.
#[derive(Debug, Default)]
pub(super) struct RateLimitedLog(Mutex<(Option<Instant>, u64)>);

impl RateLimitedLog {
    /// The number of occurrences since the last log line, if it should be logged now.
    pub(super) fn is_due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        if state.0.is_some_and(|last| last.elapsed() < QUIET) {
            return None;
        }
        state.0 = Some(Instant::now());
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn nobody_gets_more_than_his_share_and_all_together_not_more_than_there_is() {
        let seats = ConnectionLimits::new("seats", 5, 2);
        let mut held = vec![
            seats.take(from("10.0.0.1"), true).unwrap(),
            seats.take(from("10.0.0.1"), true).unwrap(),
        ];
        assert!(
            seats.take(from("10.0.0.1"), true).is_none(),
            "a third from one address"
        );
        held.push(seats.take(from("10.0.0.2"), true).unwrap());
        // Addresses that are not counted have only the total limit.
        held.push(seats.take(from("127.0.0.1"), false).unwrap());
        held.push(seats.take(from("127.0.0.1"), false).unwrap());
        assert!(
            seats.take(from("127.0.0.1"), false).is_none()
                && seats.take(from("10.0.0.9"), true).is_none()
        );
        drop(held.remove(0));
        held.push(seats.take(from("10.0.0.1"), true).unwrap());
        drop(held);
        let taken = seats.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by.is_empty(), "{taken:?}");
    }

    #[test]
    fn an_address_of_ipv6_counts_with_its_network() {
        let seats = ConnectionLimits::new("seats", 5, 1);
        let _held = seats.take(from("2001:db8:0:1::1"), true).unwrap();
        assert!(seats.take(from("2001:db8:0:1:ffff::2"), true).is_none());
        assert!(seats.take(from("2001:db8:0:2::1"), true).is_some());
    }

    #[test]
    fn a_trouble_is_told_of_once_and_counted() {
        let complaint = RateLimitedLog::default();
        assert_eq!(
            (complaint.is_due(), complaint.is_due(), complaint.is_due()),
            (Some(1), None, None)
        );
        complaint.0.lock().unwrap().0 = None;
        assert_eq!(complaint.is_due(), Some(3));
    }
}
