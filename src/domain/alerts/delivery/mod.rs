//! Deliveries: one notification for one channel. A delivery is held briefly so that more instances
//! can be added, then retried until the receiver accepts it, rejects it permanently, or a day has
//! passed.
//!
//! Independent of rules and instances.

pub(super) mod queries;
mod worker;

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::ChannelId;
use crate::infra::notify::{NotifyChannel, NotifyMessage, SendError};

pub(super) use worker::DeliveryWorker;

/// How long a delivery is held before it is sent, so that one notification can list all affected
/// instances.
pub(super) const HOLD: Duration = Duration::from_secs(8);
/// How long a delivery is held while more instances are likely to follow: the time between two
/// rounds of health checks.
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// A failed delivery is retried after this time, then after twice and four times this time, …
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// … up to this time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// A delivery fails permanently after this time.
pub(super) const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum DeliveryProgress {
    /// Waiting to be sent, for the first time or again.
    Waiting,
    /// Accepted by the receiver.
    Sent,
    /// Failed permanently.
    Failed,
}

impl DeliveryProgress {
    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One notification for one channel.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Delivery {
    /// The number; newer deliveries have larger numbers.
    pub id: i64,
    /// The channel.
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    /// When the problem was noticed.
    pub at: Timestamp,
    /// The title, one line.
    pub title: String,
    /// The text.
    pub text: String,
    /// Details for programs.
    pub data: serde_json::Value,
    /// The state.
    pub state: DeliveryProgress,
    /// The number of attempts.
    pub tries: i32,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// When it was sent or failed permanently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The oldest waiting delivery of a channel.
#[derive(Debug)]
pub struct PendingDelivery {
    /// The number.
    pub id: i64,
    /// The channel.
    pub channel_id: ChannelId,
    /// The destination of the channel.
    pub target: NotifyChannel,
    /// The message.
    pub message: NotifyMessage,
    /// The number of attempts.
    pub tries: i32,
    /// When the delivery was queued.
    pub queued_at: Timestamp,
    /// When the next attempt is due.
    pub due_at: Timestamp,
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub struct DeliveryResult {
    /// The state of the delivery after the attempt.
    pub state: DeliveryProgress,
    /// The number of attempts.
    pub tries: i32,
    /// When the attempt finished.
    pub at: Timestamp,
    /// When the next attempt is due, if there is one.
    pub due_at: Timestamp,
    /// Why the attempt failed.
    pub last_error: Option<String>,
}

impl DeliveryResult {
    /// The result of an attempt that finished at `now`.
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

/// The delay after this number of attempts. A delay requested by the receiver is limited to between
/// [`FIRST_WAIT`] and [`PATIENCE`].
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
    /// Whether the next attempt is due at `now`. A due time further away than the longest wait comes
    /// from a wrong clock and counts as due.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let longest = if self.tries == 0 {
            LONGEST_HOLD
        } else {
            PATIENCE
        };
        self.due_at <= now || self.due_at > now.after(longest)
    }
}

#[cfg(test)]
mod tests;
