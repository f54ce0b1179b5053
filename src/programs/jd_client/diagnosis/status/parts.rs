//! The parts of a [`ClientStatus`](super::ClientStatus): the states of template provider and work,
//! the pool, shares, and messages. Values only; the rules that change them are elsewhere.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The maximum number of rejection reasons that are counted separately. Further reasons are counted
/// under [`OTHER`].
const REASONS: usize = 16;

/// The reason under which all further reasons are counted.
pub const OTHER: &str = "other";

/// The state of the template provider, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProviderState {
    /// The log has no line about it yet.
    #[default]
    Unknown,
    /// The client is connecting.
    Connecting {
        /// When this state began.
        since: Timestamp,
    },
    /// The client is connected.
    Connected {
        /// When this state began.
        since: Timestamp,
    },
    /// The connection was lost.
    Lost {
        /// When this state began.
        since: Timestamp,
    },
    /// The template provider cannot be used. The client may retry.
    Refused {
        /// Since the first failed attempt.
        since: Timestamp,
        /// The error of the last attempt: `Connection refused`.
        words: String,
    },
}

/// Where the client sends work, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum WorkState {
    /// The log has no line about it yet.
    #[default]
    Unknown,
    /// Only to its own node: because of the configured mode, or because no pool is left.
    Solo {
        /// When this state began.
        since: Timestamp,
    },
    /// Nowhere yet: the client is trying a pool.
    Trying {
        /// Since when there is no pool.
        since: Timestamp,
    },
    /// To a pool. The pool and its job declaration server have accepted the client.
    Pool {
        /// When this state began.
        since: Timestamp,
    },
}

/// The state of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamState {
    /// The client is trying to connect.
    #[default]
    Trying,
    /// The pool itself is connected. It receives work only after the job declaration server has
    /// also accepted the client: see [`WorkState::Pool`].
    Connected,
    /// The pool received work until the connection was lost.
    Lost,
    /// The pool never received work.
    Failed,
}

/// A pool and its job declaration server, from the list in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
#[schemars(rename = "UpstreamStanding")]
pub struct UpstreamAddress {
    /// The position in the list, from 1.
    pub number: u64,
    /// The length of the list.
    pub of: u64,
    /// The pool's `host:port`.
    pub pool: String,
    /// The job declaration server's `host:port`.
    pub jds: String,
    /// Since when the pool has been in this state.
    pub since: Timestamp,
    /// The state.
    pub state: UpstreamState,
    /// Why the pool failed or was lost, or why the last attempt failed; none if the log does not
    /// show it.
    pub why: Option<String>,
}

/// A message in the client's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ClientMessage {
    /// When it was last logged.
    pub at: Timestamp,
    /// The text, short and cleaned, at most 160 characters.
    pub words: String,
}

/// The shares of this run. The counts are those of the pool; there are none in solo mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareCounts {
    /// When the pool last accepted shares.
    pub accepted_at: Option<Timestamp>,
    /// When the pool last rejected a share.
    pub rejected_at: Option<Timestamp>,
    /// When the client itself last accepted a miner's share.
    pub miners_accepted_at: Option<Timestamp>,
    /// Times of shares that the client itself accepted, at most one per minute, the newest first.
    /// Metrics that are read well after such a time must include the share.
    pub marks: [Option<Timestamp>; 2],
    /// When the client itself last rejected a miner's share.
    pub miners_rejected_at: Option<Timestamp>,
    /// The number of shares that the pool accepted.
    pub accepted: u64,
    /// The number of shares that the pool rejected.
    pub rejected: u64,
    /// Rejected shares by reason, in the pool's words; at most 16 reasons and [`OTHER`].
    pub by_reason: BTreeMap<String, u64>,
    /// The largest number of shares that the pool accepted in one response.
    pub largest_batch: u64,
    /// The number of shares that the pool rejected as stale since the last template.
    pub stale_since_template: u64,
}

impl ProviderState {
    /// Since when this state lasts; none if unknown.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unknown => None,
            Self::Connecting { since }
            | Self::Connected { since }
            | Self::Lost { since }
            | Self::Refused { since, .. } => Some(*since),
        }
    }
}

impl WorkState {
    /// Since when this state lasts; none if unknown.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unknown => None,
            Self::Solo { since } | Self::Trying { since } | Self::Pool { since } => Some(*since),
        }
    }
}

impl UpstreamAddress {
    pub(super) fn becomes(&mut self, state: UpstreamState, at: Timestamp) -> bool {
        let is_new = self.state != state;
        if is_new {
            (self.state, self.since) = (state, at);
        }
        is_new
    }
}

/// The minimum time between two kept share times.
const MARKED: Duration = Duration::from_secs(60);

impl ShareCounts {
    pub(super) fn take_of_miner(&mut self, at: Timestamp) {
        self.miners_accepted_at = Some(at);
        if self.marks[0].is_none_or(|mark| at.since(mark) >= MARKED) {
            self.marks = [Some(at), self.marks[0]];
        }
    }

    pub(super) fn reject(&mut self, reason: String, at: Timestamp) {
        if reason.contains("stale") {
            self.stale_since_template = self.stale_since_template.saturating_add(1);
        }
        self.rejected_at = Some(at);
        self.rejected = self.rejected.saturating_add(1);
        let named = self.by_reason.len() - usize::from(self.by_reason.contains_key(OTHER));
        let reason = if named < REASONS || self.by_reason.contains_key(&reason) {
            reason
        } else {
            OTHER.to_owned()
        };
        *self.by_reason.entry(reason).or_default() += 1;
    }
}

/// Keeps a message and returns whether its text differs from the previous one.
pub(super) fn say(kept: &mut Option<ClientMessage>, at: Timestamp, words: String) -> bool {
    let is_new = kept.as_ref().is_none_or(|said| said.words != words);
    *kept = Some(ClientMessage { at, words });
    is_new
}
