//! The courier: takes what waits to its channels, one delivery at a time and in order for each
//! channel, all channels at once.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{DeliveryProgress, DeliveryResult, PendingDelivery, queries};
use crate::base::clock::Clock;
use crate::base::ids::ChannelId;
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::infra::notify::NotifySender;

/// It looks again after so long even if nobody calls and nothing is due: clocks are set, and
/// databases have other writers.
const LOOK: Duration = Duration::from_secs(60);
/// The database is asked again after so long when it could not be read or written.
const AGAIN: Duration = Duration::from_secs(5);

/// Sends what waits.
pub struct DeliveryWorker {
    pub(in crate::domain::alerts) db: Db,
    pub(in crate::domain::alerts) vault: Vault,
    pub(in crate::domain::alerts) sender: Arc<NotifySender>,
    pub(in crate::domain::alerts) clock: Arc<dyn Clock>,
    /// Called when something new waits.
    pub(in crate::domain::alerts) wake: Arc<Notify>,
    /// Which deliveries it has taken up. Locked while it looks for more, so that nothing is added
    /// to one between the look and the sending.
    pub(in crate::domain::alerts) in_hand: Arc<Mutex<HashSet<i64>>>,
}

impl DeliveryWorker {
    /// Sends until `stop`; what is on its way then is still waited for, so that it is not sent
    /// twice.
    pub async fn run(self, stop: CancellationToken) {
        let mut away = FuturesUnordered::new();
        let mut busy: HashSet<ChannelId> = HashSet::new();
        let mut is_failing = false;
        while !stop.is_cancelled() {
            let mut in_hand = self.in_hand.lock().await;
            let vault = self.vault.clone();
            let pause = match self.db.read(move |c| queries::parcels(c, &vault)).await {
                Ok(parcels) => {
                    is_failing = false;
                    let now = self.clock.now();
                    let (due, later): (Vec<PendingDelivery>, Vec<PendingDelivery>) = parcels
                        .into_iter()
                        .filter(|parcel| !busy.contains(&parcel.channel_id))
                        .partition(|parcel| parcel.is_due(now));
                    for parcel in due {
                        busy.insert(parcel.channel_id);
                        in_hand.insert(parcel.id);
                        away.push(self.claim(parcel, stop.clone()));
                    }
                    later
                        .iter()
                        .map(|parcel| parcel.due_at.since(now))
                        .min()
                        .unwrap_or(LOOK)
                        .min(LOOK)
                }
                Err(e) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(error = %e, "alerts that wait to be sent cannot be read; they are sent as soon as they can be");
                    }
                    AGAIN
                }
            };
            drop(in_hand);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                Some((id, channel)) = away.next() => {
                    busy.remove(&channel);
                    self.in_hand.lock().await.remove(&id);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
        while away.next().await.is_some() {}
    }

    /// One try, and what became of it. The channel is busy until that is stored: what was sent must
    /// not be sent again because the disk was full for a while.
    async fn claim(&self, parcel: PendingDelivery, stop: CancellationToken) -> (i64, ChannelId) {
        let result = self.sender.send(&parcel.target, &parcel.message).await;
        let settled = DeliveryResult::after(&parcel, &result, self.clock.now());
        match settled.state {
            DeliveryProgress::Sent => {
                tracing::info!(channel = %parcel.channel_id, title = %parcel.message.title, "told")
            }
            DeliveryProgress::Failed => {
                let cause = settled.last_error.as_deref().unwrap_or_default();
                tracing::warn!(channel = %parcel.channel_id, title = %parcel.message.title, cause, "given up");
            }
            DeliveryProgress::Waiting => {}
        }
        loop {
            let (id, stored) = (parcel.id, settled.clone());
            match self
                .db
                .write(move |c| Ok(queries::finish(c, id, &stored)?))
                .await
            {
                Ok(_) => return (parcel.id, parcel.channel_id),
                Err(e) => {
                    tracing::warn!(error = %e, "what became of an alert cannot be stored; it is tried again")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return (parcel.id, parcel.channel_id),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}
