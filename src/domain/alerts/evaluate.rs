//! Whether a condition holds of what was seen of an instance, and the words why. Pure.

use super::model::{
    AlertSeverity, InstanceObservation, InstanceProblem, ObservedCheck, RuleCondition,
    ThresholdSide,
};
use crate::domain::metrics::model::{metric, title};
use crate::infra::chart::{format_value, typed_value};
use crate::keeper::machine::InstanceState;

/// A line has at most so many characters before it is cut.
const LONGEST_LINE: usize = 160;

/// What a condition comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionResult {
    /// It holds.
    Holds(ConditionReason),
    /// It does not.
    Not,
    /// Nobody knows: it neither comes nor goes.
    Unknown,
    /// Of what happens rather than lasts: a figure that grows with it.
    Figure(f64),
}

/// Why a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionReason {
    /// In a few words, as they stand behind the instance's name: `not running`.
    pub words: String,
    /// In sentences, with what to do.
    pub text: String,
}

/// Judges a condition by what was seen.
pub fn evaluate(condition: &RuleCondition, seen: &InstanceObservation) -> ConditionResult {
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
                ConditionResult::Holds(why_state(*is, seen.state))
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
                    first_sentence(text).unwrap_or_else(|| "A newer client is available".into());
                ConditionResult::Holds(ConditionReason {
                    words,
                    text: text.clone(),
                })
            }
        },
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

fn why_state(trouble: InstanceProblem, state: InstanceState) -> ConditionReason {
    let words = match trouble {
        InstanceProblem::Failed => "failed",
        InstanceProblem::BackingOff => "ended, waits to be started again",
        InstanceProblem::NotRunning => "not running though it should be",
    };
    let text = match state {
        InstanceState::Failed => {
            "It failed and is not started again by itself. Its page says why; start it again when that is mended."
        }
        InstanceState::BackingOff => {
            "Its client ended and is started again after a wait. Its page says why it ended."
        }
        InstanceState::Starting => {
            "It is starting and does not serve miners yet. If that goes on, its log says what it waits for."
        }
        InstanceState::Stopped | InstanceState::Stopping => "It is stopped. Its page says by whom.",
        InstanceState::Running => "It is running.",
    };
    ConditionReason {
        words: words.into(),
        text: text.into(),
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
    // The worst first; the order of checks otherwise.
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
                first_sentence(&worst.message)
                    .unwrap_or_else(|| format!("{} is {}", worst.check, worst.status))
            );
            let texts = bad.iter().map(|(_, seen)| match seen.message.trim() {
                "" => format!("{} is {}.", seen.check, seen.status),
                message => message.to_owned(),
            });
            ConditionResult::Holds(ConditionReason {
                words,
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
    let about = metric(name).map_or("", |(metric, _)| metric.help);
    ConditionReason {
        words: format!("{} is {value}, {side} {threshold}", title(name)),
        text: about.into(),
    }
}

/// A figure of a metric as people read it.
pub fn figure(name: &str, value: f64) -> String {
    metric(name).map_or_else(
        || value.to_string(),
        |(metric, _)| format_value(metric.unit, value),
    )
}

/// A threshold of a metric as somebody would type it, not rounded.
pub fn typed(name: &str, threshold: f64) -> String {
    metric(name).map_or_else(
        || threshold.to_string(),
        |(metric, _)| typed_value(metric.unit, threshold),
    )
}

/// The first sentence of a text without its full stop, cut if it is long; none: there is no text.
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

/// A line of at most so many characters.
pub fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
