//! The parts of a [`ClientStatus`](super::ClientStatus): the states of template provider and work,
//! the pool, shares, and messages. Values only; how lines change them is not known here.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many reasons why a pool refuses shares are counted apart; a pool that makes up more has them
/// counted under [`OTHER`].
const REASONS: usize = 16;

/// The reason under which all further ones are counted.
pub const OTHER: &str = "other";

/// How things stand with the template provider, since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProviderState {
    /// Nothing was said about it yet.
    #[default]
    Unknown,
    /// The client connects with it.
    Connecting {
        /// Since when.
        since: Timestamp,
    },
    /// It is connected.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// The connection with it ended.
    Lost {
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be used. The client may try again.
    Refused {
        /// Since the first try that failed.
        since: Timestamp,
        /// Why, in the words of the last try: `Connection refused`.
        words: String,
    },
}

/// Where work goes, since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum WorkState {
    /// Nothing was said about it yet.
    #[default]
    Unknown,
    /// Only to the own node: by the configuration's mode, or since no pool was left.
    Solo {
        /// Since when.
        since: Timestamp,
    },
    /// Nowhere yet: a pool is being tried.
    Trying {
        /// Since when there has been no pool.
        since: Timestamp,
    },
    /// To a pool that has agreed, as has its job declaration server.
    Pool {
        /// Since when.
        since: Timestamp,
    },
}

/// What became of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamState {
    /// The client tries to connect with it.
    #[default]
    Trying,
    /// The pool itself is connected. Work goes to it only when the job declaration server has
    /// agreed, too: see [`WorkState::Pool`].
    Connected,
    /// Work went to it, until the connection ended.
    Lost,
    /// Work never went to it.
    Failed,
}

/// A pool with its job declaration server, one of the list in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
#[schemars(rename = "UpstreamStanding")]
pub struct UpstreamAddress {
    /// Its place in the list, from 1.
    pub number: u64,
    /// How long the list is.
    pub of: u64,
    /// The pool's `host:port`.
    pub pool: String,
    /// The job declaration server's `host:port`.
    pub jds: String,
    /// When it came into its state.
    pub since: Timestamp,
    /// What became of it.
    pub state: UpstreamState,
    /// Why it failed or was lost, or why the last try failed; none if the log does not say.
    pub why: Option<String>,
}

/// Something the client said.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ClientMessage {
    /// When it was last said.
    pub at: Timestamp,
    /// What, in short and clean words, at most 160 characters.
    pub words: String,
}

/// What became of shares in this run. The counts are the pool's; in solo there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareCounts {
    /// When the pool last took some.
    pub accepted_at: Option<Timestamp>,
    /// When the pool last refused one.
    pub rejected_at: Option<Timestamp>,
    /// When the client itself last took a miner's share.
    pub miners_accepted_at: Option<Timestamp>,
    /// Shares that the client itself took, one a minute at most, the newest first: figures that
    /// were read well after one must count it.
    pub marks: [Option<Timestamp>; 2],
    /// When the client itself last refused a miner's share.
    pub miners_rejected_at: Option<Timestamp>,
    /// How many the pool took.
    pub accepted: u64,
    /// How many the pool refused.
    pub rejected: u64,
    /// How many of them for which reason, in the pool's words; at most 16 reasons besides
    /// [`OTHER`].
    pub by_reason: BTreeMap<String, u64>,
    /// The most that the pool took with one answer.
    pub largest_batch: u64,
    /// How many the pool refused as stale since the last template came.
    pub stale_since_template: u64,
}

impl ProviderState {
    /// Since when it has been so; none while nothing is known.
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
    /// Since when it has been so; none while nothing is known.
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

/// Between two shares that are kept as marks.
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

/// Keeps what was said; tells whether it is other than what was kept before.
pub(super) fn say(kept: &mut Option<ClientMessage>, at: Timestamp, words: String) -> bool {
    let is_new = kept.as_ref().is_none_or(|said| said.words != words);
    *kept = Some(ClientMessage { at, words });
    is_new
}
