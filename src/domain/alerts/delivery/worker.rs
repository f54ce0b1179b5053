//! The delivery worker: sends waiting deliveries in order, one at a time for each channel. Channels
//! are independent of each other.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
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

/// The worker checks at least this often, because the clock may be set and other processes may
/// write to the database.
const LOOK: Duration = Duration::from_secs(60);
/// The wait after a database error.
const AGAIN: Duration = Duration::from_secs(5);

/// The URL of a page about a message with this data; none: messages have no links.
pub type MessageLink = Box<dyn Fn(&Value) -> Option<String> + Send + Sync>;

/// Sends waiting deliveries.
pub struct DeliveryWorker {
    pub(in crate::domain::alerts) db: Db,
    pub(in crate::domain::alerts) vault: Vault,
    pub(in crate::domain::alerts) sender: Arc<NotifySender>,
    pub(in crate::domain::alerts) clock: Arc<dyn Clock>,
    /// Links of messages.
    pub(in crate::domain::alerts) link: MessageLink,
    /// Notified when a new delivery waits.
    pub(in crate::domain::alerts) wake: Arc<Notify>,
    /// The deliveries in progress. Locked while the worker selects deliveries, so that no instance
    /// is added to one that is about to be sent.
    pub(in crate::domain::alerts) in_hand: Arc<Mutex<HashSet<i64>>>,
}

impl DeliveryWorker {
    /// Sends until `stop`, then waits for attempts in progress so that nothing is sent twice.
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
                        tracing::warn!(error = %e, "waiting notifications could not be read; jd-manager will retry");
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

    /// Makes one attempt and stores the result. The channel stays busy until the result is stored,
    /// so that a full disk does not cause duplicates.
    async fn claim(
        &self,
        mut parcel: PendingDelivery,
        stop: CancellationToken,
    ) -> (i64, ChannelId) {
        parcel.message.link = (self.link)(&parcel.message.data);
        let result = self.sender.send(&parcel.target, &parcel.message).await;
        let settled = DeliveryResult::after(&parcel, &result, self.clock.now());
        match settled.state {
            DeliveryProgress::Sent => {
                tracing::info!(channel = %parcel.channel_id, title = %parcel.message.title, "notification sent")
            }
            DeliveryProgress::Failed => {
                let cause = settled.last_error.as_deref().unwrap_or_default();
                tracing::warn!(channel = %parcel.channel_id, title = %parcel.message.title, cause, "notification failed permanently");
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
                    tracing::warn!(error = %e, "the result of a notification could not be stored; jd-manager will retry")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return (parcel.id, parcel.channel_id),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}
