//! When a client's monitoring is asked. A client refreshes its metrics at an interval from its
//! configuration, so asking it again before that gives the same answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::programs::jd_client::monitoring::{
    MonitoringClient, MonitoringError, MonitoringReading,
};

/// In the first seconds after the start of a client it is asked in every round, because its user
/// waits for the first miner and the first share.
const YOUNG: i64 = 120;

/// The monitoring of a client, and its last answer.
#[derive(Clone, Debug)]
pub(super) struct MonitoringSource {
    /// The start time of the client, milliseconds since 1970.
    pub(super) started: i64,
    /// Its address, and how often it refreshes its metrics; none if not configured.
    pub(super) address: Option<(SocketAddr, Duration)>,
    /// When it last answered, seconds since 1970, and what.
    answer: Option<(i64, Arc<MonitoringReading>)>,
}

impl MonitoringSource {
    /// Monitoring that was not asked yet.
    pub(super) fn new(started: i64, address: Option<(SocketAddr, Duration)>) -> Self {
        Self {
            started,
            address,
            answer: None,
        }
    }

    /// Asks the client at `now`, seconds since 1970, or repeats its last answer if a new one would be
    /// the same. None: it has no address.
    pub(super) async fn ask(
        &mut self,
        client: &MonitoringClient,
        now: i64,
    ) -> Option<Result<Arc<MonitoringReading>, MonitoringError>> {
        let (address, _) = self.address?;
        if let Some(known) = self.current_answer(now) {
            return Some(Ok(known));
        }
        let read = client.read(address).await.map(Arc::new);
        self.answer = read.as_ref().ok().map(|read| (now, Arc::clone(read)));
        Some(read)
    }

    /// The last answer, if the client has not refreshed its metrics since.
    fn current_answer(&self, now: i64) -> Option<Arc<MonitoringReading>> {
        let (_, refresh) = self.address?;
        let (at, known) = self.answer.as_ref()?;
        let is_young = now - self.started.div_euclid(1000) < YOUNG;
        // A clock that was set back makes no answer current.
        let is_current = u64::try_from(now - at).is_ok_and(|age| age < refresh.as_secs());
        (is_current && !is_young).then(|| Arc::clone(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_answer_is_repeated_until_the_client_refreshes_its_metrics() {
        let source = |refresh_s, started_s: i64, answered_s| MonitoringSource {
            answer: Some((answered_s, Arc::default())),
            ..MonitoringSource::new(
                started_s * 1000,
                Some((
                    (Ipv4Addr::LOCALHOST, 9091).into(),
                    Duration::from_secs(refresh_s),
                )),
            )
        };
        for (refresh_s, started_s, answered_s, now, is_repeated) in [
            (15, 0, 1000, 1010, true),
            (15, 0, 1000, 1014, true),
            (15, 0, 1000, 1015, false),
            (1, 0, 1000, 1010, false),
            // Never refreshed, because of a bug in the client: not repeated, so that it is noticed.
            (0, 0, 1000, 1000, false),
            // Two minutes after the start.
            (15, 891, 1000, 1010, false),
            (15, 890, 1000, 1010, true),
            // The clock was set back.
            (15, 0, 1000, 990, false),
        ] {
            let source = source(refresh_s, started_s, answered_s);
            assert_eq!(
                source.current_answer(now).is_some(),
                is_repeated,
                "{refresh_s} {started_s} {answered_s} {now}"
            );
        }
        let unasked = MonitoringSource {
            answer: None,
            ..source(15, 0, 1000)
        };
        assert!(unasked.current_answer(1010).is_none());
    }
}
