//! Evaluates a condition on an observation of an instance or a host, and states the reason. No I/O.

use super::model::{AlertSeverity, InstanceProblem, RuleCondition, ThresholdSide};
use super::observation::{HostObservation, InstanceObservation, ObservedCheck, ObservedMiner};
use crate::base::units::Unit;
use crate::domain::metrics::model::{metric, title};
use crate::infra::chart::{format_value, typed_value};
use crate::keeper::machine::InstanceState;

/// Longer lines are cut to this number of characters.
const LONGEST_LINE: usize = 160;
/// Names that keep their capital letter after the name of an instance.
const NAMES: [&str; 3] = ["Bitcoin", "Stratum", "Linux"];

/// The result of evaluating a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionResult {
    /// The condition holds.
    Holds(ConditionReason),
    /// The condition does not hold.
    Not,
    /// Not known: the alert neither starts nor ends.
    Unknown,
    /// For events that do not last: a value that grows with each event.
    Figure(f64),
}

/// Why a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionReason {
    /// A few words that follow the name of the instance or host: `not running`.
    pub words: String,
    /// The cause, if known, as a continuation of the words: `because the pool closed the connection`.
    pub cause: Option<String>,
    /// Full sentences, with what to do.
    pub text: String,
}

impl ConditionReason {
    /// The words, and the cause if it is known.
    pub fn text_with_cause(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{} {cause}", self.words),
            None => self.words.clone(),
        }
    }
}

/// Evaluates a condition on an observation: one result for the instance, or for a condition about
/// miners one for each miner, by [`ObservedMiner::id`].
pub fn evaluate_all(
    condition: &RuleCondition,
    seen: &InstanceObservation,
) -> Vec<(String, ConditionResult)> {
    let RuleCondition::MinerOffline { miner: only } = condition else {
        return vec![(String::new(), evaluate(condition, seen))];
    };
    let miners = seen.miners.iter().flatten();
    let is_meant = |miner: &&ObservedMiner| {
        only.as_ref()
            .is_none_or(|only| *only == miner.name || *only == miner.id())
    };
    let result = |miner: &ObservedMiner| match miner.is_offline {
        None => ConditionResult::Unknown,
        Some(false) => ConditionResult::Not,
        Some(true) => ConditionResult::Holds(why_offline(miner)),
    };
    // Miners that have name and address in common have different protocols: one of them is enough.
    let mut results: Vec<(String, ConditionResult)> = Vec::new();
    for miner in miners.filter(is_meant) {
        let (id, result) = (miner.id(), result(miner));
        match results.last_mut().filter(|(known, _)| *known == id) {
            Some((_, known)) if matches!(known, ConditionResult::Holds(_)) => *known = result,
            Some(_) => {}
            None => results.push((id, result)),
        }
    }
    results
}

fn why_offline(miner: &ObservedMiner) -> ConditionReason {
    let name = cut(&miner.name);
    let words = if miner.address.is_empty() {
        format!("miner {name} offline")
    } else {
        format!("miner {name} ({}) offline", miner.address)
    };
    ConditionReason {
        words,
        cause: None,
        text: "Check the miner's power and network connection, and the pool address set in the miner. If you removed the miner permanently, jd-manager drops it from the list 7 days after its last connection, and the alert ends.".into(),
    }
}

/// Whether a host cannot be used.
pub fn evaluate_host(seen: &HostObservation) -> ConditionResult {
    match &seen.problem {
        None => ConditionResult::Unknown,
        Some(None) => ConditionResult::Not,
        Some(Some(problem)) => ConditionResult::Holds(ConditionReason {
            words: problem.what.clone(),
            cause: None,
            text: problem.advice.clone(),
        }),
    }
}

/// Evaluates a condition on an observation of an instance.
fn evaluate(condition: &RuleCondition, seen: &InstanceObservation) -> ConditionResult {
    match condition {
        RuleCondition::State { is } => {
            let holds = match is {
                InstanceProblem::Failed => seen.state == InstanceState::Failed,
                InstanceProblem::BackingOff => seen.state == InstanceState::BackingOff,
                InstanceProblem::NotRunning => {
                    seen.is_wanted && seen.state != InstanceState::Running
                }
            };
            if holds {
                ConditionResult::Holds(why_state(*is, seen))
            } else {
                ConditionResult::Not
            }
        }
        RuleCondition::Check { check, at_least } => {
            evaluate_checks(check.as_deref(), *at_least, &seen.checks)
        }
        RuleCondition::Metric {
            metric,
            side,
            threshold,
        } => {
            match seen
                .figures
                .get(metric)
                .copied()
                .filter(|value| value.is_finite())
            {
                None => ConditionResult::Unknown,
                Some(value) if is_beyond(value, *side, *threshold) => {
                    ConditionResult::Holds(why_metric(metric, value, *side, *threshold))
                }
                Some(_) => ConditionResult::Not,
            }
        }
        RuleCondition::UpdateAvailable => match &seen.available_update {
            None => ConditionResult::Unknown,
            Some(None) => ConditionResult::Not,
            Some(Some(text)) => {
                let words =
                    continuation(text).unwrap_or_else(|| "a newer client is available".into());
                ConditionResult::Holds(ConditionReason {
                    words,
                    cause: None,
                    text: text.clone(),
                })
            }
        },
        // Evaluated for each miner, and for each host.
        RuleCondition::MinerOffline { .. } | RuleCondition::HostUnreachable => {
            ConditionResult::Unknown
        }
        RuleCondition::BlockFound => ConditionResult::Figure(seen.blocks as f64),
        RuleCondition::BestDifficulty => {
            match seen.best_difficulty.filter(|value| value.is_finite()) {
                Some(best) => ConditionResult::Figure(best),
                None => ConditionResult::Unknown,
            }
        }
    }
}

const fn is_beyond(value: f64, side: ThresholdSide, threshold: f64) -> bool {
    match side {
        ThresholdSide::Above => value > threshold,
        ThresholdSide::Below => value < threshold,
    }
}

fn why_state(problem: InstanceProblem, seen: &InstanceObservation) -> ConditionReason {
    let words = match problem {
        InstanceProblem::Failed => "failed",
        InstanceProblem::BackingOff => "client exited unexpectedly, retrying",
        InstanceProblem::NotRunning => "not running",
    };
    let has_exited = matches!(
        seen.state,
        InstanceState::Failed | InstanceState::BackingOff
    );
    let cause = seen.cause.as_ref().filter(|_| has_exited);
    let advice = cause.map(|cause| cause.advice.as_str());
    let text = match seen.state {
        InstanceState::Failed => {
            let advice = advice.unwrap_or("Fix the error that the instance page shows.");
            format!("The client failed and jd-manager has stopped retrying. {advice} Then start the instance.")
        }
        InstanceState::BackingOff => {
            let advice = advice.unwrap_or("The instance page shows the last error.");
            format!("jd-manager will restart the client after a delay. {advice}")
        }
        InstanceState::Starting => {
            "The client is starting and is not accepting miners yet. If this continues, check the log."
                .into()
        }
        InstanceState::Stopped | InstanceState::Stopping => {
            "The instance is stopped. The instance page shows who stopped it.".into()
        }
        InstanceState::Running => "The client is running.".into(),
    };
    ConditionReason {
        words: words.into(),
        cause: cause.map(|cause| format!("because {}", cause.what)),
        text,
    }
}

fn evaluate_checks(
    only: Option<&str>,
    at_least: AlertSeverity,
    checks: &[ObservedCheck],
) -> ConditionResult {
    let mut known = checks
        .iter()
        .filter(|seen| only.is_none_or(|only| seen.check == only))
        .filter(|seen| seen.status != "unknown");
    let mut bad: Vec<(AlertSeverity, &ObservedCheck)> = known
        .clone()
        .filter_map(|seen| Some((seen.status.parse::<AlertSeverity>().ok()?, seen)))
        .filter(|(how, _)| *how >= at_least)
        .collect();
    // The worst first, otherwise in the order of the checks.
    bad.sort_by_key(|(how, _)| std::cmp::Reverse(*how));
    match bad.first() {
        None if known.next().is_some() => ConditionResult::Not,
        None => ConditionResult::Unknown,
        Some((_, worst)) => {
            let more = match bad.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let words = format!(
                "{}{more}",
                continuation(&worst.message)
                    .unwrap_or_else(|| format!("{} is {}", worst.check, worst.status))
            );
            let texts = bad.iter().map(|(_, seen)| match seen.message.trim() {
                "" => format!("{} is {}.", seen.check, seen.status),
                message => message.to_owned(),
            });
            ConditionResult::Holds(ConditionReason {
                words,
                cause: None,
                text: texts.collect::<Vec<_>>().join("\n"),
            })
        }
    }
}

fn why_metric(name: &str, value: f64, side: ThresholdSide, threshold: f64) -> ConditionReason {
    let (value, threshold) = (figure(name, value), typed(name, threshold));
    let side = if side == ThresholdSide::Above {
        "above"
    } else {
        "below"
    };
    let title = uncapitalized(&title(name));
    let is_count = metric(name).is_some_and(|(metric, _)| metric.unit == Unit::Count);
    let shown = if is_count && title.ends_with('s') {
        format!("{value} {title}")
    } else {
        format!("{title} {value}")
    };
    ConditionReason {
        words: format!("{shown}, {side} {threshold}"),
        cause: None,
        text: String::new(),
    }
}

/// The value of a metric as pages show it.
pub fn figure(name: &str, value: f64) -> String {
    metric(name).map_or_else(
        || value.to_string(),
        |(metric, _)| format_value(metric.unit, value),
    )
}

/// The threshold of a metric as a user would type it, not rounded.
pub fn typed(name: &str, threshold: f64) -> String {
    metric(name).map_or_else(
        || threshold.to_string(),
        |(metric, _)| typed_value(metric.unit, threshold),
    )
}

/// The first sentence of a text without its full stop, cut if it is long; `None` if there is no text.
fn first_sentence(text: &str) -> Option<String> {
    let line = text
        .trim()
        .lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())?;
    let end = line
        .match_indices(['.', '!', '?'])
        .find(|(at, _)| line[at + 1..].starts_with(' '))
        .map_or(line.len(), |(at, _)| at);
    Some(cut(line[..end].trim_end_matches('.')))
}

/// The first sentence of a text as it continues after the name of an instance: `mining solo`.
fn continuation(text: &str) -> Option<String> {
    first_sentence(text).map(|sentence| uncapitalized(&sentence))
}

/// The text with a lowercase first letter, unless the first word is an abbreviation or a name.
fn uncapitalized(text: &str) -> String {
    let mut rest = text.chars();
    match rest.next() {
        Some(first)
            if rest
                .clone()
                .next()
                .is_none_or(|second| !second.is_uppercase())
                && !NAMES.iter().any(|name| text.starts_with(name)) =>
        {
            first.to_lowercase().chain(rest).collect()
        }
        _ => text.to_owned(),
    }
}

/// The line, cut to the maximum length.
pub fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
