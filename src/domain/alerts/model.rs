//! Alert rules, conditions, channels and active alerts. Values only: no I/O, no clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observation::AlertSubject;
use crate::base::clock::Timestamp;
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::infra::notify::{NotifyChannel, Tone};

/// The condition of a rule.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RuleCondition {
    /// The instance is in a problem state.
    State {
        /// The problem state.
        is: InstanceProblem,
    },
    /// A health check shows a problem.
    Check {
        /// The check; `None` for any check.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<String>,
        /// The minimum severity.
        at_least: AlertSeverity,
    },
    /// A metric is above or below a threshold.
    Metric {
        /// The name of the metric under `/metrics`.
        metric: String,
        /// The side of the threshold.
        side: ThresholdSide,
        /// The threshold in the unit of the metric.
        threshold: f64,
    },
    /// A block was found. An event that does not last.
    BlockFound,
    /// A share set a new best difficulty. An event that does not last.
    BestDifficulty,
    /// A newer client than the running one is available.
    UpdateAvailable,
    /// A miner is not connected to its running instance. Each miner is reported on its own.
    MinerOffline {
        /// The miner: its name, or name and address as in `barn.rig1@192.0.2.7`; `None` for all
        /// miners.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        miner: Option<String>,
    },
    /// The jd-manager on another machine cannot be reached. Nothing is known of its instances then.
    HostUnreachable,
}

impl RuleCondition {
    /// The name of the kind in JSON.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Whether the condition lasts and can be resolved, unlike a single event.
    pub const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::State { .. }
                | Self::Check { .. }
                | Self::Metric { .. }
                | Self::UpdateAvailable
                | Self::MinerOffline { .. }
                | Self::HostUnreachable
        )
    }

    /// Whether the condition is about hosts. All others are about instances.
    pub const fn is_about_hosts(&self) -> bool {
        matches!(self, Self::HostUnreachable)
    }

    /// What the condition is about, as in the data of notifications: `instance` or `host`.
    pub const fn noun(&self) -> &'static str {
        match self.is_about_hosts() {
            true => "host",
            false => "instance",
        }
    }
}

/// The problem state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceProblem {
    /// Failed: jd-manager has stopped retrying.
    Failed,
    /// Exited; jd-manager will retry.
    BackingOff,
    /// Not running, but should be.
    NotRunning,
}

/// The severity of a health check.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum AlertSeverity {
    /// A warning or worse.
    Warning,
    /// Unhealthy.
    Unhealthy,
}

/// The side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdSide {
    /// Above the threshold.
    Above,
    /// Below the threshold.
    Below,
}

/// The daily quiet time without notifications, in minutes of the local day, 0 to 1439. It may span
/// midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct QuietHours {
    /// The first minute.
    pub from: u16,
    /// The first minute after the quiet time.
    pub to: u16,
}

impl QuietHours {
    /// Whether a minute of the day is in the quiet time.
    pub const fn holds(self, minute: u16) -> bool {
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// An alert rule.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct AlertRule {
    /// The id.
    pub id: RuleId,
    /// The name.
    pub name: String,
    /// The condition.
    pub condition: RuleCondition,
    /// The instance; `None` for all instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Notify after the condition has held for this many seconds.
    pub for_s: u32,
    /// Resolve after the condition has not held for this many seconds.
    pub clear_s: u32,
    /// The interval of repeated notifications while the problem lasts, in seconds; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_s: Option<u32>,
    /// Notify when the problem is resolved.
    pub tell_cleared: bool,
    /// The daily quiet time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// The channels; empty for all channels.
    pub channels: Vec<ChannelId>,
    /// Whether the rule is enabled.
    pub enabled: bool,
}

impl AlertRule {
    /// Whether the rule applies to this instance or host.
    pub fn is_about(&self, subject: &AlertSubject) -> bool {
        match subject {
            AlertSubject::Instance(id) => {
                !self.condition.is_about_hosts() && self.instance_id.is_none_or(|only| only == *id)
            }
            AlertSubject::Host(_) => self.condition.is_about_hosts(),
        }
    }
}

/// A saved channel. Contains secrets, so it is not serialized.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedChannel {
    /// The id.
    pub id: ChannelId,
    /// The name.
    pub name: String,
    /// The destination.
    pub target: NotifyChannel,
    /// When the channel was created.
    pub created_at: Timestamp,
}

/// An active alert: the condition has held long enough.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "StandingAlert")]
pub struct ActiveAlert {
    /// The id of the rule.
    pub rule_id: RuleId,
    /// The name of the rule.
    pub rule: String,
    /// The id of the instance; absent if the alert is about a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// The name of the instance; absent if the alert is about a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The name of the host; absent if the alert is about an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The miner, by name and address; absent if the alert is about the instance or a host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub miner: String,
    /// When the problem started.
    pub since: Timestamp,
    /// When the last notification was sent; absent if none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
    /// Until when no notification is sent about it; absent if it is not muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
}

impl ActiveAlert {
    /// The name of the instance or host.
    pub fn name(&self) -> &str {
        let name = self.instance.as_deref().or(self.host.as_deref());
        name.unwrap_or_default()
    }

    /// The page of the instance or host.
    pub fn link(&self) -> String {
        match self.instance_id {
            Some(id) => format!("/instances/{id}"),
            None => format!("/hosts/{}", self.name()),
        }
    }
}

/// An unreadable row of the database, for example from a newer version. It is ignored everywhere
/// else.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct UnreadableAlertRow {
    /// The place of the row.
    pub place: AlertRowId,
    /// The id in the row.
    pub id: String,
    /// The name.
    pub name: String,
}

/// The place of a row: `rule-3`, `channel-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertRowId {
    /// The kind of row.
    pub kind: AlertRowKind,
    /// The row number in the table.
    pub number: i64,
}

/// The kinds of rows. Their names are also used in URLs.
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
        schemars::json_schema!({ "type": "string", "description": "The unreadable rule or channel." })
    }
}

impl Serialize for AlertRowId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A notification for people and programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The title, one line.
    pub title: String,
    /// The text, in sentences.
    pub text: String,
    /// The tone.
    pub mood: Tone,
    /// Details for programs.
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
            (
                RuleCondition::MinerOffline {
                    miner: Some("rig".into()),
                },
                r#"{"kind":"miner-offline","miner":"rig"}"#,
            ),
            // The migration back finds such rules by this text.
            (
                RuleCondition::HostUnreachable,
                r#"{"kind":"host-unreachable"}"#,
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
