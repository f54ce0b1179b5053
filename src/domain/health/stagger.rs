//! Spreads many automatic restarts over time, for example when the pool of fifty instances comes
//! back. Independent of the kind of fix.

use std::time::Duration;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

/// Minimum time between two restarts. Fifty take 17 s, so the last one is restarted within 30 s
/// after its pool responds again.
pub(super) const PACE: Duration = Duration::from_millis(350);

/// Grants turns one at a time, in order of the requests.
#[derive(Debug)]
pub(super) struct StaggerQueue {
    every: Duration,
    /// Earliest start of the next turn. Locked during a turn.
    next: tokio::sync::Mutex<Option<Instant>>,
}

/// A turn. It lasts until it is dropped, so after a slow turn the others do not all run at the same time.
#[must_use = "the task stops when this value is dropped"]
#[derive(Debug)]
pub(super) struct StaggerTurn<'a>(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Option<Instant>>,
);

impl StaggerQueue {
    /// One at a time, at least `every` apart.
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            next: tokio::sync::Mutex::new(None),
        }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> StaggerTurn<'_> {
        let mut next = self.next.lock().await;
        if let Some(next) = *next {
            tokio::time::sleep_until(next).await;
        }
        *next = Some(Instant::now() + self.every);
        StaggerTurn(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test(flavor = "multi_thread")]
    async fn fifty_at_once_take_their_turns_in_order_and_none_waits_longer_than_it_must() {
        let (turns, begun) = (StaggerQueue::new(Duration::from_millis(10)), Instant::now());
        let turns = &turns;
        let took = join_all((0..50_u32).map(|number| async move {
            let _turn = turns.take().await;
            (number, begun.elapsed())
        }));
        let took = took.await;
        assert!(
            took[0].1 < Duration::from_millis(200),
            "the first goes at once: {:?}",
            took[0]
        );
        for (number, at) in &took {
            assert!(
                *at >= Duration::from_millis(10) * *number,
                "{number} went too early: {at:?}"
            );
        }
        assert!(took[49].1 < Duration::from_millis(2000), "{:?}", took[49]);
        // If no one waits, a turn starts immediately.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let alone = Instant::now();
        let turn = turns.take().await;
        assert!(alone.elapsed() < Duration::from_millis(200));
        // A slow turn delays the others: they do not all run at once afterward.
        let behind = join_all((0..3).map(|_| async {
            let _turn = turns.take().await;
            alone.elapsed()
        }));
        let slow = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(turn);
        };
        let (behind, ()) = tokio::join!(behind, slow);
        assert!(
            behind[0] >= Duration::from_millis(100)
                && behind[2] >= behind[0] + Duration::from_millis(20),
            "{behind:?}"
        );
    }
}
