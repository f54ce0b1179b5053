//! Follows the logs of a view, in the order in which lines arrive.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, SelectAll};

use crate::infra::log_store::{LogEvent, LogFollower};

/// The followers of one viewer.
pub struct LogFollowers {
    /// The number of the log, and its event. None: a log is not followed any more.
    events: SelectAll<BoxStream<'static, Option<(usize, LogEvent)>>>,
    /// The place reached in each log.
    places: Vec<u64>,
}

impl LogFollowers {
    /// One for each log of the view.
    pub fn new(followers: Vec<LogFollower>) -> Self {
        let places = followers.iter().map(LogFollower::position).collect();
        let events = followers.into_iter().enumerate().map(|(log, follower)| {
            let events = stream::unfold(follower, move |mut follower| async move {
                let event = follower.next().await?;
                Some((Some((log, event)), follower))
            });
            let end = stream::once(std::future::ready(None));
            events.chain(end).boxed()
        });
        Self {
            events: stream::select_all(events),
            places,
        }
    }

    /// Waits for the next event of a log; none when the manager stops.
    pub async fn next(&mut self) -> Option<(usize, LogEvent)> {
        if self.places.is_empty() {
            // There is no log to follow; the stream stays open, so that viewers do not reconnect.
            return std::future::pending().await;
        }
        let (log, event) = self.events.next().await.flatten()?;
        self.places[log] = match &event {
            LogEvent::Records(batch) => batch.last().map_or(self.places[log], |last| last.seq),
            LogEvent::Skipped { until, .. } => *until,
        };
        Some((log, event))
    }

    /// The place in each log after a record of one of them, where another viewer would continue.
    pub fn places(&self, log: usize, seq: u64) -> Vec<u64> {
        let mut places = self.places.clone();
        places[log] = seq;
        places
    }
}
