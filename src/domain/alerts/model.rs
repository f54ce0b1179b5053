//! Rules, what they look at, and what they are asked about. Values only: no I/O, no clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::infra::notify::{NotifyChannel, Tone};
use crate::keeper::machine::InstanceState;

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RuleCondition {
    /// The instance is not as it should be.
    State {
        /// In which way.
        is: InstanceProblem,
    },
    /// A health check is bad.
    Check {
        /// Which; none: any of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<String>,
        /// From here on.
        at_least: AlertSeverity,
    },
    /// A figure is beyond a threshold.
    Metric {
        /// Which, by the name it has under `/metrics`.
        metric: String,
        /// On which side of it.
        side: ThresholdSide,
        /// In the metric's own unit.
        threshold: f64,
    },
    /// A block was found. Happens, does not last.
    BlockFound,
    /// A share was better than every one before. Happens, does not last.
    BestDifficulty,
    /// A newer client is there than the one that runs.
    UpdateAvailable,
}

impl RuleCondition {
    /// Its kind's name in JSON.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// It lasts and can be over, rather than happening at a moment.
    pub const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::State { .. } | Self::Check { .. } | Self::Metric { .. } | Self::UpdateAvailable
        )
    }
}

/// In which way an instance is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceProblem {
    /// Given up on.
    Failed,
    /// Ended, waiting to be started again.
    BackingOff,
    /// Wanted, and not serving miners.
    NotRunning,
}

/// How bad a health check has to be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum AlertSeverity {
    /// At least a warning.
    Warning,
    /// Unhealthy.
    Unhealthy,
}

/// On which side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdSide {
    /// More than it.
    Above,
    /// Less than it.
    Below,
}

/// A part of every day in which nothing is sent, in minutes of the machine's local day, 0 to 1439.
/// It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct QuietHours {
    /// Its first minute.
    pub from: u16,
    /// The first minute after it.
    pub to: u16,
}

impl QuietHours {
    /// Whether a minute of the day lies in it.
    pub const fn holds(self, minute: u16) -> bool {
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// When somebody is to be told of what.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct AlertRule {
    /// Its id.
    pub id: RuleId,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub condition: RuleCondition,
    /// Of which instance; none: of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// It must hold for so long before it is told, seconds.
    pub for_s: u32,
    /// It must not hold for so long before it counts as over, seconds.
    pub clear_s: u32,
    /// How often the notice is repeated while the condition lasts, seconds; none: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_s: Option<u32>,
    /// Its end is told, too.
    pub tell_cleared: bool,
    /// When nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// Where to; empty: to all channels.
    pub channels: Vec<ChannelId>,
    /// It is watched for.
    pub enabled: bool,
}

impl AlertRule {
    /// Whether it is about this instance.
    pub fn is_about(&self, instance: InstanceId) -> bool {
        self.instance_id.is_none_or(|only| only == instance)
    }
}

/// What somebody who watches an instance saw of it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceObservation {
    /// Of which instance.
    pub instance: InstanceId,
    /// Its name.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The user wants it to run.
    pub is_wanted: bool,
    /// It was stopped as asked: nothing about it holds, and that is no news.
    pub is_at_rest: bool,
    /// Its state.
    pub state: InstanceState,
    /// What its health checks found.
    pub checks: Vec<ObservedCheck>,
    /// The newer client that is available for it; outer none: the version of its client is unknown.
    pub available_update: Option<Option<String>>,
    /// The newest value of each metric; one that is not known is not there.
    pub figures: BTreeMap<String, f64>,
    /// Blocks found so far in total; only ever grows.
    pub blocks: u64,
    /// The best difficulty of a share; none: not known.
    pub best_difficulty: Option<f64>,
}

/// What one health check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedCheck {
    /// Its name.
    pub check: String,
    /// `healthy`, `warning`, `unhealthy` or `unknown`.
    pub status: String,
    /// What it found, and what to do, in sentences.
    pub message: String,
}

/// A channel as it is saved. Holds secrets, so it is not serialised.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedChannel {
    /// Its id.
    pub id: ChannelId,
    /// What it is called.
    pub name: String,
    /// Where it goes.
    pub target: NotifyChannel,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An instance of which nothing is told for a while.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct InstanceSilence {
    /// Which.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance: String,
    /// Until then.
    pub until: Timestamp,
}

/// Something that holds now, long enough to count.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "StandingAlert")]
pub struct ActiveAlert {
    /// By which rule.
    pub rule_id: RuleId,
    /// Its name.
    pub rule: String,
    /// Of which instance.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last told; none: not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
}

/// A row of the database that this program cannot read, as one that a newer version wrote. It is
/// left out of everything else.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct UnreadableAlertRow {
    /// Where it is.
    pub place: AlertRowId,
    /// The id that stands there.
    pub id: String,
    /// What it is called.
    pub name: String,
}

/// Where a row is, whatever stands in it: `rule-3`, `channel-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertRowId {
    /// What should be there.
    pub kind: AlertRowKind,
    /// Its number in its table.
    pub number: i64,
}

/// What is stored in rows of its own. Its words stand in addresses, too.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum AlertRowKind {
    /// A rule.
    Rule,
    /// A channel.
    Channel,
}

impl std::fmt::Display for AlertRowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.kind, self.number)
    }
}

impl std::str::FromStr for AlertRowId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, number) = text.split_once('-').ok_or(())?;
        Ok(Self {
            kind: kind.parse().map_err(|_| ())?,
            number: number.parse().map_err(|_| ())?,
        })
    }
}

impl schemars::JsonSchema for AlertRowId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "Which rule or channel cannot be read." })
    }
}

impl Serialize for AlertRowId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What is said to people and programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// In one line.
    pub title: String,
    /// The rest, in sentences.
    pub text: String,
    /// How it is meant.
    pub mood: Tone,
    /// For programs.
    pub data: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantNames;

    #[test]
    fn a_quiet_time_may_go_over_midnight() {
        let night = QuietHours {
            from: 22 * 60,
            to: 7 * 60,
        };
        let held: Vec<bool> = [21 * 60 + 59, 22 * 60, 1439, 0, 6 * 60 + 59, 7 * 60]
            .map(|m| night.holds(m))
            .into();
        assert_eq!(held, [false, true, true, true, true, false]);
        let noon = QuietHours { from: 720, to: 780 };
        assert_eq!(
            [719, 720, 779, 780].map(|m| noon.holds(m)),
            [false, true, true, false]
        );
    }

    #[test]
    fn conditions_are_written_under_their_kinds() {
        let all = [
            (
                RuleCondition::State {
                    is: InstanceProblem::NotRunning,
                },
                r#"{"kind":"state","is":"not-running"}"#,
            ),
            (
                RuleCondition::Check {
                    check: None,
                    at_least: AlertSeverity::Unhealthy,
                },
                r#"{"kind":"check","at_least":"unhealthy"}"#,
            ),
            (
                RuleCondition::Metric {
                    metric: "miners".into(),
                    side: ThresholdSide::Below,
                    threshold: 1.0,
                },
                r#"{"kind":"metric","metric":"miners","side":"below","threshold":1.0}"#,
            ),
            (RuleCondition::BlockFound, r#"{"kind":"block-found"}"#),
            (
                RuleCondition::BestDifficulty,
                r#"{"kind":"best-difficulty"}"#,
            ),
            (
                RuleCondition::UpdateAvailable,
                r#"{"kind":"update-available"}"#,
            ),
        ];
        for ((condition, text), kind) in all.into_iter().zip(RuleCondition::VARIANTS) {
            assert_eq!(serde_json::to_string(&condition).unwrap(), text);
            assert_eq!(
                serde_json::from_str::<RuleCondition>(text).unwrap(),
                condition
            );
            assert_eq!(condition.kind(), *kind);
        }
    }
}
