//! Limits requests per address, so that a faulty program or an attacker cannot use all of the manager's
//! capacity.
//!
//! Local requests over loopback or the Unix socket are not limited; nor is a local proxy that is not in
//! `trusted_proxies`. Behind a trusted proxy, the clients behind it are counted. The number of remembered
//! addresses is limited: an address is removed when its burst is fully available
//! again.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use governor::Quota;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::caller::PeerAddress;
use super::problem::ProblemResponse;

/// The burst after a pause, in seconds of the rate: a page with all its files
/// is a dozen requests.
const BURST: u32 = 5;
/// Idle addresses are removed after this number of requests.
const SWEEP: u64 = 1024;

type Addresses = governor::RateLimiter<
    IpAddr,
    HashMapStateStore<IpAddr>,
    MonotonicClock,
    NoOpMiddleware<std::time::Instant>,
>;

/// The counters of requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct RateLimiter(Option<Arc<RequestCounts>>);

#[derive(Debug)]
struct RequestCounts {
    addresses: Addresses,
    asked: AtomicU64,
    rate: NonZeroU32,
}

impl RateLimiter {
    /// `rate`: sustained requests per second from one address; 0: no limit.
    pub fn of(rate: u32) -> Self {
        Self(NonZeroU32::new(rate).map(|rate| {
            let burst = NonZeroU32::new(rate.get().saturating_mul(BURST)).unwrap_or(rate);
            let quota = Quota::per_second(rate).allow_burst(burst);
            let addresses =
                governor::RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock);
            Arc::new(RequestCounts {
                addresses,
                asked: AtomicU64::new(0),
                rate,
            })
        }))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 with `Retry-After`: too many requests.
    pub fn count(&self, peer: PeerAddress) -> Result<(), ProblemResponse> {
        let (Some(counts), Some(address)) = (
            &self.0,
            peer.address
                .filter(|address| !address.to_canonical().is_loopback()),
        ) else {
            return Ok(());
        };
        let address = PeerAddress::client_network(address);
        if counts.asked.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            counts.addresses.retain_recent();
            counts.addresses.shrink_to_fit();
        }
        counts.addresses.check_key(&address).map_err(|early| {
            let wait = early.wait_time_from(MonotonicClock.now()).as_secs() + 1;
            let detail = format!(
                "More than {} requests per second from {address}. Try again in {wait} s. To follow changes, use an event stream instead of polling.",
                counts.rate
            );
            ProblemResponse::new(StatusCode::TOO_MANY_REQUESTS, detail).with_header(RETRY_AFTER, HeaderValue::from(wait))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> PeerAddress {
        PeerAddress {
            address: Some(address.parse().unwrap()),
            ..PeerAddress::default()
        }
    }

    fn passed(pace: &RateLimiter, address: &str, times: usize) -> usize {
        (0..times)
            .filter(|_| pace.count(from(address)).is_ok())
            .count()
    }

    #[test]
    fn each_address_has_a_burst_of_its_own() {
        let pace = RateLimiter::of(1);
        assert_eq!(passed(&pace, "192.0.2.7", 50), 5);
        assert_eq!(
            passed(&pace, "::ffff:192.0.2.7", 5),
            0,
            "the same in another form"
        );
        assert_eq!(passed(&pace, "192.0.2.8", 50), 5);
        assert_eq!(passed(&pace, "2001:db8::1", 50), 5);
        assert_eq!(passed(&pace, "2001:db8::2", 50), 0, "of the same network");
        assert_eq!(passed(&pace, "2001:db8:0:1::2", 50), 5);
        assert_eq!(
            pace.count(from("192.0.2.7")).unwrap_err().status(),
            StatusCode::TOO_MANY_REQUESTS
        );
    }

    #[test]
    fn this_machine_is_not_held_back_and_nobody_is_where_that_is_wished() {
        let pace = RateLimiter::of(1);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(passed(&pace, address, 50), 50, "{address}");
        }
        assert!((0..50).all(|_| {
            pace.count(PeerAddress {
                socket: true,
                ..PeerAddress::default()
            })
            .is_ok()
        }));
        assert_eq!(passed(&RateLimiter::of(0), "192.0.2.7", 50), 50);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let pace = RateLimiter::of(u32::MAX);
        for n in 0..20_000_u32 {
            assert!(
                pace.count(PeerAddress {
                    address: Some(IpAddr::V4(n.into())),
                    ..PeerAddress::default()
                })
                .is_ok()
            );
        }
        let counts = pace.0.unwrap();
        assert!(counts.addresses.len() <= 1024, "{}", counts.addresses.len());
    }
}
