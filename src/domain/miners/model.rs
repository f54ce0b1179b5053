//! A miner as pages and the API show it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::MinerProtocol;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// `many-rejected` requires at least this number of shares in the last hour,
const ENOUGH: u64 = 100;
/// and more than this percentage of them rejected.
const MANY_PERCENT: u64 = 1;

/// Which miners a list contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinerFilter {
    /// Those of this instance; none: of all instances.
    pub instance: Option<InstanceId>,
    /// Those that speak this protocol.
    pub protocol: Option<MinerProtocol>,
    /// Those in this state.
    pub state: Option<MinerState>,
}

/// What a miner does.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum MinerState {
    /// It is connected and has a channel.
    Mining,
    /// It is connected and has no channel, so it cannot mine.
    NoChannel,
    /// More than 1% of at least 100 shares in the last hour were rejected.
    ManyRejected,
    /// It is not connected. Its counts are kept for seven days.
    Offline,
}

impl MinerState {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The state for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Mining => "mining",
            Self::NoChannel => "no channel",
            Self::ManyRejected => "many rejected",
            Self::Offline => "offline",
        }
    }

    /// What the state means and what to do about it; empty if nothing is wrong.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Mining => "",
            Self::NoChannel => {
                "The miner is connected, but the translator has opened no channel for it, so it cannot mine. Restart the miner. If that does not help, update its firmware."
            }
            Self::ManyRejected => {
                "More than 1% of the miner's shares in the last hour were rejected. Check its network connection and overclocking."
            }
            Self::Offline => {
                "The miner is not connected. It stays on the list for 7 days after it was last seen."
            }
        }
    }

    /// The state of an instance whose shape and color it shares on a page.
    pub fn shape(self) -> &'static str {
        match self {
            Self::Mining => "running",
            Self::NoChannel => "starting",
            Self::ManyRejected => "failed",
            Self::Offline => "stopped",
        }
    }
}

/// A miner of an instance. Miners that have the same protocol, address and name are one.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Miner {
    /// The instance; only in the list of all instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Its name; only in the list of all instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// The user name of a Stratum V1 miner, the identity of a Stratum V2 miner; at most 128
    /// characters.
    pub name: String,
    /// The protocol that it speaks.
    pub protocol: MinerProtocol,
    /// Its IP address; empty if the program that it is connected to does not know it.
    pub address: String,
    /// H/s, averaged over 10 min; 0 while it is offline or nothing is known yet.
    pub hashrate: f64,
    /// The average covers the whole 10 min.
    pub settled: bool,
    /// Its shares are counted. If not, the next four do not grow: all miners share one channel, or the
    /// program that it is connected to has no counts for its channel.
    pub counted: bool,
    /// Accepted shares of today (UTC).
    pub shares_accepted: u64,
    /// Rejected shares of today (UTC).
    pub shares_rejected: u64,
    /// Accepted shares of all time.
    pub shares_accepted_total: u64,
    /// Rejected shares of all time.
    pub shares_rejected_total: u64,
    /// Rejected shares of all time by reason, at most 16 reasons and `other`. A share that the
    /// translator rejected without logging why has the reason `rejected-by-translator`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// When the last accepted share was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_share_at: Option<Timestamp>,
    /// Since when it has been connected, as far as jd-manager saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<Timestamp>,
    /// Since when it has not been connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_since: Option<Timestamp>,
    /// What it does.
    pub state: MinerState,
}

/// A listed miner with a name, of any instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMiner {
    /// The instance.
    pub instance_id: InstanceId,
    /// The protocol that it speaks.
    pub protocol: MinerProtocol,
    /// Its IP address; empty if it is not known.
    pub address: String,
    /// Its username or identity.
    pub name: String,
    /// It is not connected.
    pub is_offline: bool,
    /// Since when it has been connected, as far as jd-manager saw it.
    pub connected_since: Option<Timestamp>,
    /// Since when it has not been connected.
    pub offline_since: Option<Timestamp>,
}

/// The day of a moment, in days since 1970 UTC.
pub fn day_of(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY)
}

/// Whether many of these shares of an hour were rejected: more than 1 % of at least 100.
pub fn is_many_rejected(accepted: u64, rejected: u64) -> bool {
    let all = accepted.saturating_add(rejected);
    all >= ENOUGH && rejected.saturating_mul(100) > all.saturating_mul(MANY_PERCENT)
}
