//! Deliveries: one notice on its way to one channel, held for a moment in case there is more to
//! tell, then tried until it is taken, refused for good, or a day old.
//!
//! Knows neither rules nor instances: only what is to be said, and where.

pub(super) mod queries;
mod worker;

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::ChannelId;
use crate::infra::notify::{NotifyChannel, NotifyMessage, SendError};

pub(super) use worker::DeliveryWorker;

/// A delivery is held for so long before it is sent, so that one message can tell of all that a
/// rule comes to hold of meanwhile: longer than from one look at everybody to the next.
pub(super) const HOLD: Duration = Duration::from_secs(8);
/// A delivery that failed is tried again after this, twice this, four times this, …
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// … at most this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// A delivery that nobody took for so long is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum DeliveryProgress {
    /// To be sent, for the first time or again.
    Waiting,
    /// Taken by the receiver.
    Sent,
    /// Given up.
    Failed,
}

impl DeliveryProgress {
    /// As in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One notice for one channel.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Delivery {
    /// Its number; larger ones are newer.
    pub id: i64,
    /// Where to.
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// In one line.
    pub title: String,
    /// The rest.
    pub text: String,
    /// For programs.
    pub data: serde_json::Value,
    /// Where it stands.
    pub state: DeliveryProgress,
    /// How often it was tried.
    pub tries: i32,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// When it was sent or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The oldest delivery that waits for a channel.
#[derive(Debug)]
pub struct PendingDelivery {
    /// Its number.
    pub id: i64,
    /// For which channel.
    pub channel_id: ChannelId,
    /// Where that leads.
    pub target: NotifyChannel,
    /// What is to be said.
    pub message: NotifyMessage,
    /// How often it was tried.
    pub tries: i32,
    /// Since when it is tried.
    pub queued_at: Timestamp,
    /// When it is to be tried.
    pub due_at: Timestamp,
}

/// What became of a try.
#[derive(Clone, Debug)]
pub struct DeliveryResult {
    /// Where the delivery stands now.
    pub state: DeliveryProgress,
    /// How often it was tried.
    pub tries: i32,
    /// When the try ended.
    pub at: Timestamp,
    /// When it is tried next, if it is.
    pub due_at: Timestamp,
    /// Why it failed.
    pub last_error: Option<String>,
}

impl DeliveryResult {
    /// After a try that ended at `now`: taken, or why not.
    pub fn after(parcel: &PendingDelivery, result: &Result<(), SendError>, now: Timestamp) -> Self {
        let tries = parcel.tries.saturating_add(1);
        let Err(failed) = result else {
            return Self {
                state: DeliveryProgress::Sent,
                tries,
                at: now,
                due_at: now,
                last_error: None,
            };
        };
        let is_over = failed.is_final || now.since(parcel.queued_at) >= PATIENCE;
        let state = if is_over {
            DeliveryProgress::Failed
        } else {
            DeliveryProgress::Waiting
        };
        let due_at = now.after(wait(tries, failed.retry_after));
        Self {
            state,
            tries,
            at: now,
            due_at,
            last_error: Some(failed.words.clone()),
        }
    }
}

/// How long to wait after so many tries: what the receiver asked for, but neither less than the
/// first wait nor more than there is patience.
fn wait(tries: i32, asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) => asked.clamp(FIRST_WAIT, PATIENCE),
        None => {
            let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(16);
            FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
        }
    }
}

impl PendingDelivery {
    /// Whether it is to be tried at `now`. No wait is longer than one may be, so one that seems to
    /// be comes from a clock that was wrong.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let longest = if self.tries == 0 { HOLD } else { PATIENCE };
        self.due_at <= now || self.due_at > now.after(longest)
    }
}

#[cfg(test)]
mod tests;
