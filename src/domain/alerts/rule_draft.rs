//! Reads a submitted rule and reports every invalid field.
//!
//! A program sends the condition as an object; a form sends its members next to the other fields.
//! Fields that a program omits keep their values.

use serde_json::Value;
use strum::{IntoEnumIterator, VariantNames};

use super::display::of_condition;
use super::model::{
    AlertRule, AlertSeverity, InstanceProblem, QuietHours, RuleCondition, ThresholdSide,
};
use crate::base::error::{FieldError, Result};
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::configs::{LONGEST_NAME, check_name};
use crate::domain::health::model::HealthCheck;
use crate::domain::metrics::model::metric;
use crate::infra::chart::{Unit, read_value};
use crate::web::RequestInput;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, flag, id, list, member, text, whole};
use serde_json::json;

/// The longest wait of a rule, in seconds: one week.
pub const LONGEST: i64 = 7 * 86_400;
/// The shortest time between two notifications about the same problem, in seconds.
pub const SHORTEST_REPEAT: i64 = 60;
/// The default for notify after and resolve after, in seconds.
pub const USUAL: u32 = 60;
/// The default for notify after of a rule about miners, which restart and reconnect.
pub const USUAL_OF_MINER: u32 = 600;
/// The longest name of a miner with its address, in characters.
const LONGEST_MINER: usize = 200;
/// Metrics that have values only with a detail after a colon.
const ONLY_WITH_DETAIL: [&str; 4] = [
    "health",
    "miner_hashrate",
    "miner_shares_accepted",
    "miner_shares_rejected",
];

/// A request body for a rule.
#[derive(Clone, Debug)]
pub struct RuleDraft {
    value: Value,
    /// The pairs of a form.
    pairs: Option<Vec<(String, String)>>,
}

/// The ids a rule may refer to.
#[derive(Clone, Debug, Default)]
pub struct RuleReferences {
    /// All instances.
    pub instances: Vec<InstanceId>,
    /// All channels.
    pub channels: Vec<ChannelId>,
}

impl RuleDraft {
    /// The draft in a request body.
    pub fn of(input: RequestInput) -> Self {
        Self {
            value: input.value,
            pairs: input.form,
        }
    }

    /// The rule, with its former id or a new one.
    pub fn check(self, former: Option<&AlertRule>, known: &RuleReferences) -> Result<AlertRule> {
        let mut members = MemberReader::of(self.value, rule_fields(former.is_none()))?;
        let pairs = self.pairs;
        let condition = match (&pairs, former) {
            (Some(_), _) => read_condition(&mut members),
            (None, Some(former)) if !members.has("condition") => Some(former.condition.clone()),
            (None, _) => match members.take("condition") {
                None => {
                    members.refuse(
                        "condition",
                        "condition must be an object such as {\"kind\": \"state\", \"is\": \"not-running\"}.",
                    );
                    None
                }
                Some(given) => nested_condition(&mut members, given),
            },
        };
        let name = name(&mut members, former, condition.as_ref());
        let lasts = condition.as_ref().is_none_or(RuleCondition::lasts);
        let mut seconds = |name: &str, otherwise: Option<u32>| {
            if !lasts {
                return None;
            }
            let has = members.has(name);
            let given = members
                .number(name)
                .and_then(|number| u32::try_from(number).ok());
            if has { given } else { otherwise }
        };
        let usual = if lasts { USUAL } else { 0 };
        let usual_for = match condition {
            Some(RuleCondition::MinerOffline { .. }) => USUAL_OF_MINER,
            _ => usual,
        };
        let for_s = seconds(
            "for_s",
            former.map(|former| former.for_s).or(Some(usual_for)),
        )
        .unwrap_or(usual_for);
        let clear_s = seconds(
            "clear_s",
            former.map(|former| former.clear_s).or(Some(usual)),
        )
        .unwrap_or(usual);
        let repeat_s = seconds("repeat_s", former.and_then(|former| former.repeat_s));
        // Browsers do not send unchecked boxes.
        let mut flag = |name: &str, former: Option<bool>| {
            let given = members.flag(name);
            if pairs.is_some() {
                given.unwrap_or(false)
            } else {
                given.or(former).unwrap_or(true)
            }
        };
        let tell_cleared = flag("tell_cleared", former.map(|former| former.tell_cleared)) && lasts;
        let enabled = flag("enabled", former.map(|former| former.enabled));
        let is_about_hosts = condition
            .as_ref()
            .is_some_and(RuleCondition::is_about_hosts);
        let instance_id = if members.has("instance_id") {
            let given = members
                .parsed::<InstanceId>("instance_id", "the id of an instance, or empty for all");
            if is_about_hosts && given.is_some() {
                members.refuse(
                    "instance_id",
                    "instance_id must be empty, because this condition is about hosts.",
                );
            }
            given
        } else {
            former.and_then(|former| former.instance_id)
        };
        let instance_id = instance_id.filter(|_| !is_about_hosts);
        if instance_id.is_some_and(|id| !known.instances.contains(&id)) {
            members.refuse("instance_id", "This instance does not exist.");
        }
        let quiet = quiet(&mut members, pairs.is_some(), former);
        let channels = channels(&mut members, pairs.as_deref(), former, known);
        let id = former.map_or_else(RuleId::random, |former| former.id);
        let rule = condition.zip(name).map(|(condition, name)| AlertRule {
            id,
            name,
            condition,
            instance_id,
            for_s,
            clear_s,
            repeat_s,
            tell_cleared,
            quiet,
            channels,
            enabled,
        });
        members.finish(rule)
    }
}

/// The fields of a request that creates or changes a rule.
pub(super) fn rule_fields(is_new: bool) -> Vec<RequestField> {
    let mut condition = member(
        "condition",
        "The condition.",
        json!({ "type": "object", "properties": {
        "kind": { "type": "string", "enum": RuleCondition::VARIANTS },
        "is": { "type": "string", "enum": ["not-running", "failed", "backing-off"] },
        "at_least": { "type": "string", "enum": ["warning", "unhealthy"] },
        "check": { "type": "string" }, "miner": { "type": "string", "maxLength": LONGEST_MINER }, "metric": { "type": "string" }, "side": { "type": "string", "enum": ["above", "below"] },
        "threshold": { "type": ["number", "string"], "examples": ["1.5 TH/s"] },
    }, "required": ["kind"], "examples": [{ "kind": "state", "is": "not-running" }] }),
    );
    condition.required = is_new;
    vec![
        condition,
        text(
            "name",
            "Shown in each notification. Default: based on the condition.",
        )
        .longest(64),
        id(
            "instance_id",
            "The instance; null: all instances. Always null for host-unreachable.",
        )
        .or_null(),
        whole(
            "for_s",
            "Notify after the condition has held for this many seconds; 600 by default for miner-offline.",
            0,
            LONGEST,
        )
        .or(60),
        whole(
            "clear_s",
            "Resolve after the condition has not held for this many seconds.",
            0,
            LONGEST,
        )
        .or(60),
        whole(
            "repeat_s",
            "Repeat the notification at this interval while the problem lasts, in seconds; null: never.",
            SHORTEST_REPEAT,
            LONGEST,
        )
        .or_null(),
        flag("tell_cleared", "Notify when the problem is resolved.").or(true),
        member(
            "quiet",
            "Daily quiet time: `{\"from\", \"to\"}`, as times or minutes since midnight; null: none.",
            json!({ "type": ["object", "null"], "examples": [{ "from": "22:00", "to": "07:00" }] }),
        ),
        list("channels", "The channels; empty: all channels."),
        flag("enabled", "Whether the rule is enabled.").or(true),
    ]
}

/// The given name, or a name made from the condition.
fn name(
    members: &mut MemberReader,
    former: Option<&AlertRule>,
    condition: Option<&RuleCondition>,
) -> Option<String> {
    let has = members.has("name");
    let name = match members.text("name") {
        Some(name) => name,
        None if !has && former.is_some() => return former.map(|former| former.name.clone()),
        None => {
            let words = condition.map(of_condition)?;
            let mut letters = words.chars();
            letters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(letters)
                .take(LONGEST_NAME)
                .collect()
        }
    };
    match check_name(&name) {
        Ok(()) => Some(name),
        Err(wrong) => {
            members.refuse("name", wrong);
            None
        }
    }
}

fn nested_condition(members: &mut MemberReader, given: Value) -> Option<RuleCondition> {
    let mut inner = match MemberReader::of(given, []) {
        Ok(inner) => inner,
        Err(_) => {
            members.refuse("condition", "condition must be an object.");
            return None;
        }
    };
    let condition = read_condition(&mut inner);
    // Each kind accepts only its own fields.
    let unknown = inner.unknown(&[
        "is",
        "at_least",
        "check",
        "metric",
        "side",
        "threshold",
        "miner",
    ]);
    inner.refuse_all(unknown);
    let errors = inner.refused();
    let is_right = errors.is_empty();
    members.refuse_all(errors.into_iter().map(|error| error.under("/condition")));
    condition.filter(|_| is_right)
}

fn read_condition(members: &mut MemberReader) -> Option<RuleCondition> {
    let kind = members.text("kind");
    match kind.as_deref() {
        Some("state") => Some(RuleCondition::State {
            is: one_of(members, "is", &TROUBLES)?,
        }),
        Some("check") => {
            let check = check(members);
            Some(RuleCondition::Check {
                check,
                at_least: one_of(members, "at_least", &SEVERITIES)?,
            })
        }
        Some("metric") => {
            let name = members.text("metric");
            if !name.as_deref().is_some_and(is_watched) && !members.is_refused("metric") {
                let words = match name.as_deref().and_then(metric) {
                    Some(_) => {
                        "metric must apply to the whole instance, such as hashrate_miners. Metrics for a single miner or rejection reason cannot be used."
                    }
                    None => "metric must be the name of a metric, such as hashrate_miners.",
                };
                members.refuse("metric", words);
            }
            let side = one_of(members, "side", &SIDES);
            let unit = name
                .as_deref()
                .and_then(metric)
                .map_or(Unit::Count, |(metric, _)| metric.unit);
            let threshold = threshold(members, unit);
            Some(RuleCondition::Metric {
                metric: name?,
                side: side?,
                threshold: threshold?,
            })
        }
        Some("block-found") => Some(RuleCondition::BlockFound),
        Some("best-difficulty") => Some(RuleCondition::BestDifficulty),
        Some("update-available") => Some(RuleCondition::UpdateAvailable),
        Some("miner-offline") => Some(RuleCondition::MinerOffline {
            miner: miner(members)?,
        }),
        Some("host-unreachable") => Some(RuleCondition::HostUnreachable),
        _ => {
            if !members.is_refused("kind") {
                members.refuse(
                    "kind",
                    format!(
                        "kind must be one of {}.",
                        RuleCondition::VARIANTS.join(", ")
                    ),
                );
            }
            None
        }
    }
}

const TROUBLES: [(&str, InstanceProblem); 3] = [
    ("not-running", InstanceProblem::NotRunning),
    ("failed", InstanceProblem::Failed),
    ("backing-off", InstanceProblem::BackingOff),
];
const SEVERITIES: [(&str, AlertSeverity); 2] = [
    ("warning", AlertSeverity::Warning),
    ("unhealthy", AlertSeverity::Unhealthy),
];
const SIDES: [(&str, ThresholdSide); 2] = [
    ("above", ThresholdSide::Above),
    ("below", ThresholdSide::Below),
];

fn one_of<T: Copy>(members: &mut MemberReader, name: &str, options: &[(&str, T)]) -> Option<T> {
    let given = members.text(name);
    let found = options
        .iter()
        .find(|(word, _)| given.as_deref() == Some(*word));
    if found.is_none() && !members.is_refused(name) {
        let words: Vec<&str> = options.iter().map(|(word, _)| *word).collect();
        members.refuse(name, format!("{name} must be one of {}.", words.join(", ")));
    }
    found.map(|(_, value)| *value)
}

/// The miner of a rule; the inner `None` for all miners.
fn miner(members: &mut MemberReader) -> Option<Option<String>> {
    let miner = members.text("miner");
    if members.is_refused("miner") {
        return None;
    }
    let is_long = miner
        .as_ref()
        .is_some_and(|miner| miner.chars().count() > LONGEST_MINER);
    if is_long {
        members.refuse(
            "miner",
            format!("miner must have at most {LONGEST_MINER} characters."),
        );
        return None;
    }
    Some(miner)
}

/// A health check by its API name or its title; `None` for any check.
fn check(members: &mut MemberReader) -> Option<String> {
    let word = members.text("check")?;
    let found = HealthCheck::iter().find(|check| {
        [check.as_str(), check.title()]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
    });
    if found.is_none() {
        members.refuse(
            "check",
            format!(
                "check must be one of {}, or empty for any.",
                HealthCheck::VARIANTS.join(", ")
            ),
        );
    }
    found.map(|check| check.as_str().to_owned())
}

/// Whether rules can use this metric. Of the metrics with a detail only `health` can be used; some
/// metrics have no value without a detail.
pub fn is_watched(name: &str) -> bool {
    match metric(name) {
        Some((metric, None)) => !ONLY_WITH_DETAIL.contains(&metric.name),
        Some((metric, Some(detail))) => {
            metric.name == "health" && detail.parse::<HealthCheck>().is_ok()
        }
        None => false,
    }
}

/// A number, with or without the unit of the metric: `1.5 TH/s`, `64 MiB`, `90%`.
fn threshold(members: &mut MemberReader, unit: Unit) -> Option<f64> {
    let number = match members.take("threshold") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => read_value(unit, &text),
        _ => None,
    };
    let number = number.filter(|number| number.is_finite());
    if number.is_none() {
        let such = match unit {
            Unit::Bytes => "a number of bytes, such as 64 MiB",
            Unit::HashesPerSecond => "a number of hashes per second, such as 1.5 TH/s",
            Unit::Percent => "a percentage, such as 90%",
            Unit::Count => "a number such as 25 or 1.5 k",
            Unit::Seconds => "a number of seconds, such as 90 or 1 h 30 min",
        };
        members.refuse("threshold", format!("threshold must be {such}."));
    }
    number
}

/// A program sends an object or null; a form sends two times of day.
fn quiet(
    members: &mut MemberReader,
    is_form: bool,
    former: Option<&AlertRule>,
) -> Option<QuietHours> {
    let (given, prefix, names) = if is_form {
        let taken =
            ["quiet_from", "quiet_to"].map(|name| members.take(name).filter(|value| value != ""));
        (taken, "", ["quiet_from", "quiet_to"])
    } else if members.has("quiet") {
        match members.take("quiet") {
            None => return None,
            Some(Value::Object(mut quiet)) => (
                ["from", "to"].map(|name| quiet.remove(name)),
                "/quiet",
                ["from", "to"],
            ),
            Some(_) => {
                members.refuse(
                    "quiet",
                    "quiet must be an object {\"from\", \"to\"} in minutes since midnight, or null.",
                );
                return None;
            }
        }
    } else {
        return former.and_then(|former| former.quiet);
    };
    if is_form && given.iter().all(Option::is_none) {
        return None;
    }
    let minutes = given
        .each_ref()
        .map(|value| value.as_ref().and_then(minute));
    if let [Some(from), Some(to)] = minutes
        && from != to
    {
        return Some(QuietHours { from, to });
    }
    let is_same = minutes.iter().all(Option::is_some);
    let wrong = names
        .iter()
        .zip(minutes)
        .filter(|(_, minute)| is_same || minute.is_none());
    let said = if is_same {
        "The start and end of the quiet time must differ. To send no notifications at all, disable the rule."
    } else {
        "Enter both times, such as 22:30, or minutes since midnight, from 0 to 1439."
    };
    let errors: Vec<FieldError> = wrong
        .map(|(name, _)| FieldError::new(format!("{prefix}/{name}"), said))
        .collect();
    members.refuse_all(errors);
    None
}

/// A minute of the day: a number, or `22:30`.
fn minute(value: &Value) -> Option<u16> {
    let minute = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            // Some browsers also send seconds.
            let mut parts = text
                .trim()
                .split(':')
                .map(|part| part.parse::<u64>().ok().filter(|part| *part < 60));
            let (hour, minute) = (parts.next()??, parts.next()??);
            Some(hour * 60 + minute)
        }
        _ => None,
    };
    minute
        .filter(|minute| *minute < 1440)
        .and_then(|minute| u16::try_from(minute).ok())
}

fn channels(
    members: &mut MemberReader,
    pairs: Option<&[(String, String)]>,
    former: Option<&AlertRule>,
    known: &RuleReferences,
) -> Vec<ChannelId> {
    let given: Vec<Value> = match pairs {
        Some(pairs) => pairs
            .iter()
            .filter(|(name, _)| name == "channels")
            .map(|(_, id)| Value::from(id.as_str()))
            .collect(),
        None if !members.has("channels") => {
            return former
                .map(|former| former.channels.clone())
                .unwrap_or_default();
        }
        None => match members.take("channels") {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                members.refuse(
                    "channels",
                    "channels must be a list of ids; an empty list means all channels.",
                );
                return Vec::new();
            }
        },
    };
    let mut found = Vec::new();
    for value in given {
        match value
            .as_str()
            .and_then(|id| id.parse::<ChannelId>().ok())
            .filter(|id| known.channels.contains(id))
        {
            Some(id) if found.contains(&id) => {}
            Some(id) => found.push(id),
            None => {
                members.refuse("channels", "This channel does not exist.");
                break;
            }
        }
    }
    found
}

impl From<Value> for RuleDraft {
    /// The draft in JSON.
    fn from(value: Value) -> Self {
        Self { value, pairs: None }
    }
}

#[cfg(test)]
mod tests;
