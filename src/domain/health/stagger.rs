//! What keeps many cures at once from being a stampede, as when the pool of fifty instances comes
//! back: each takes its turn, and a pool is asked once for all that wait for it. Must not know what
//! is cured.

use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::running_config::PoolEndpoints;

/// From one restart to the next at least. Fifty take 17 s, so that the last is still restarted
/// within 30 s of its pool answering again.
pub(super) const PACE: Duration = Duration::from_millis(350);
/// A pool has so long to accept the connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// What became of a connection is true for so long, for whoever asks.
pub(super) const FRESH: Duration = Duration::from_secs(2);

/// Gives turns, one after the other, in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct StaggerQueue {
    every: Duration,
    /// From when on the next one may begin. Locked by whoever has the turn.
    next: tokio::sync::Mutex<Option<Instant>>,
}

/// A turn. It lasts until it is dropped, so that whoever is slow in it does not have the others
/// catch up all at once.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub(super) struct StaggerTurn<'a>(
    #[expect(dead_code, reason = "held, not read")] MutexGuard<'a, Option<Instant>>,
);

impl StaggerQueue {
    /// One at once, the others at least `every` apart.
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            next: tokio::sync::Mutex::new(None),
        }
    }

    /// Waits for its turn.
    pub(super) async fn take(&self) -> StaggerTurn<'_> {
        let mut next = self.next.lock().await;
        if let Some(next) = *next {
            tokio::time::sleep_until(next).await;
        }
        *next = Some(Instant::now() + self.every);
        StaggerTurn(next)
    }
}

type Address = (String, u16);
/// When it was last asked, and whether it accepted. Locked while it is being asked.
type Known = Arc<tokio::sync::Mutex<Option<(Instant, bool)>>>;

/// Which addresses accept connections.
#[derive(Debug, Default)]
pub(super) struct AddressProbes(Mutex<HashMap<Address, Known>>);

impl AddressProbes {
    /// The first of the pools that accepts connections, its job declarator server included, in
    /// words.
    pub(super) async fn first_that_answers(&self, pools: &[PoolEndpoints]) -> Option<String> {
        // All at once: one that does not answer must not keep the next waiting.
        let answers = join_all(pools.iter().map(|pool| async move {
            let declarator = async {
                match &pool.jds {
                    Some(jds) => self.accepts(jds).await,
                    None => true,
                }
            };
            let (declarator, pool) = tokio::join!(declarator, self.accepts(&pool.pool));
            declarator && pool
        }));
        let first = answers.await.into_iter().position(|answers| answers)?;
        pools.get(first).map(PoolEndpoints::words)
    }

    /// Whether an address accepts connections, or did within the last moment.
    async fn accepts(&self, address: &Address) -> bool {
        let known = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody asks for those any more.
            all.retain(|of, known| {
                of == address
                    || Arc::strong_count(known) > 1
                    || known.try_lock().is_ok_and(|k| is_fresh(&k))
            });
            Arc::clone(all.entry(address.clone()).or_default())
        };
        let mut known = known.lock().await;
        if let Some((_, accepts)) = known.filter(|_| is_fresh(&known)) {
            return accepts;
        }
        let connected = tokio::time::timeout(
            PATIENCE,
            TcpStream::connect((address.0.as_str(), address.1)),
        )
        .await;
        let accepts = matches!(connected, Ok(Ok(_)));
        *known = Some((Instant::now(), accepts));
        accepts
    }
}

fn is_fresh(known: &Option<(Instant, bool)>) -> bool {
    known.is_some_and(|(at, _)| at.elapsed() < FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

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
        // Whoever comes when nobody waits goes at once.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let alone = Instant::now();
        let turn = turns.take().await;
        assert!(alone.elapsed() < Duration::from_millis(200));
        // Who is slow in a turn keeps it: those behind do not come all at once.
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

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pool_is_asked_once_for_all_that_wait_for_it() {
        let (listener, free) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let address = |of: &TcpListener| ("127.0.0.1".to_owned(), of.local_addr().unwrap().port());
        let (there, gone) = (address(&listener), address(&free));
        drop(free);
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let pools = [
            PoolEndpoints {
                pool: there.clone(),
                jds: Some(gone.clone()),
            },
            PoolEndpoints {
                pool: gone,
                jds: None,
            },
            PoolEndpoints {
                pool: there.clone(),
                jds: None,
            },
        ];
        let probes = AddressProbes::default();
        let found = join_all((0..50).map(|_| probes.first_that_answers(&pools))).await;
        // The first has no declarator, the second is not there.
        assert!(
            found.iter().all(|found| *found == Some(pools[2].words())),
            "{found:?}"
        );
        assert_eq!(probes.first_that_answers(&pools[..2]).await, None);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(FRESH).await;
        assert!(probes.first_that_answers(&pools).await.is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            asked.load(Ordering::SeqCst),
            2,
            "what was so a while ago is asked anew"
        );
        // What nobody asks for any more is not kept.
        tokio::time::sleep(FRESH).await;
        assert!(probes.accepts(&there).await);
        assert_eq!(probes.0.lock().unwrap().len(), 1);
    }
}
