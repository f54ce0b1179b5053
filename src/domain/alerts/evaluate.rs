//! Whether a condition holds of what was seen of an instance, and the words why. Pure.

use super::model::{Condition, Observation, Seen, Severity, Side, Trouble};
use crate::domain::metrics::model::{metric, title};
use crate::infra::chart::{format_value, typed_value};
use crate::keeper::machine::State;

/// A line has at most so many characters before it is cut.
const LONGEST_LINE: usize = 160;

/// What a condition comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It holds.
    Holds(Why),
    /// It does not.
    Not,
    /// Nobody knows: it neither comes nor goes.
    Unknown,
    /// Of what happens rather than lasts: a figure that grows with it.
    Figure(f64),
}

/// Why a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In a few words, as they stand behind the instance's name: `not running`.
    pub words: String,
    /// In sentences, with what to do.
    pub text: String,
}

/// Judges a condition by what was seen.
#[must_use]
pub fn judge(condition: &Condition, seen: &Observation) -> Verdict {
    match condition {
        Condition::State { is } => {
            let holds = match is {
                Trouble::Failed => seen.state == State::Failed,
                Trouble::BackingOff => seen.state == State::BackingOff,
                Trouble::NotRunning => seen.is_wanted && seen.state != State::Running,
            };
            if holds { Verdict::Holds(why_state(*is, seen.state)) } else { Verdict::Not }
        }
        Condition::Check { check, at_least } => judge_checks(check.as_deref(), *at_least, &seen.checks),
        Condition::Metric { metric, side, threshold } => {
            match seen.figures.get(metric).copied().filter(|value| value.is_finite()) {
                None => Verdict::Unknown,
                Some(value) if is_beyond(value, *side, *threshold) => {
                    Verdict::Holds(why_metric(metric, value, *side, *threshold))
                }
                Some(_) => Verdict::Not,
            }
        }
        Condition::UpdateAvailable => match &seen.available_update {
            None => Verdict::Unknown,
            Some(None) => Verdict::Not,
            Some(Some(text)) => {
                let words = first_sentence(text).unwrap_or_else(|| "A newer client is available".into());
                Verdict::Holds(Why { words, text: text.clone() })
            }
        },
        #[allow(clippy::cast_precision_loss, reason = "nobody finds 2^53 blocks")]
        Condition::BlockFound => Verdict::Figure(seen.blocks as f64),
        Condition::BestDifficulty => match seen.best_difficulty.filter(|value| value.is_finite()) {
            Some(best) => Verdict::Figure(best),
            None => Verdict::Unknown,
        },
    }
}

const fn is_beyond(value: f64, side: Side, threshold: f64) -> bool {
    match side {
        Side::Above => value > threshold,
        Side::Below => value < threshold,
    }
}

fn why_state(trouble: Trouble, state: State) -> Why {
    let words = match trouble {
        Trouble::Failed => "failed",
        Trouble::BackingOff => "ended, waits to be started again",
        Trouble::NotRunning => "not running though it should be",
    };
    let text = match state {
        State::Failed => "It failed and is not started again by itself. Its page says why; start it again when that is mended.",
        State::BackingOff => "Its client ended and is started again after a wait. Its page says why it ended.",
        State::Starting => "It is starting and does not serve miners yet. If that goes on, its log says what it waits for.",
        State::Stopped | State::Stopping => "It is stopped. Its page says by whom.",
        State::Running => "It is running.",
    };
    Why { words: words.into(), text: text.into() }
}

fn judge_checks(only: Option<&str>, at_least: Severity, checks: &[Seen]) -> Verdict {
    let mut known =
        checks.iter().filter(|seen| only.is_none_or(|only| seen.check == only)).filter(|seen| seen.status != "unknown");
    let mut bad: Vec<(Severity, &Seen)> =
        known.clone().filter_map(|seen| Some((Severity::of(&seen.status)?, seen))).filter(|(how, _)| *how >= at_least).collect();
    // The worst first; the order of checks otherwise.
    bad.sort_by_key(|(how, _)| std::cmp::Reverse(*how));
    match bad.first() {
        None if known.next().is_some() => Verdict::Not,
        None => Verdict::Unknown,
        Some((_, worst)) => {
            let more = match bad.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let words = format!(
                "{}{more}",
                first_sentence(&worst.message).unwrap_or_else(|| format!("{} is {}", worst.check, worst.status))
            );
            let texts = bad.iter().map(|(_, seen)| match seen.message.trim() {
                "" => format!("{} is {}.", seen.check, seen.status),
                message => message.to_owned(),
            });
            Verdict::Holds(Why { words, text: texts.collect::<Vec<_>>().join("\n") })
        }
    }
}

fn why_metric(name: &str, value: f64, side: Side, threshold: f64) -> Why {
    let (value, threshold) = (figure(name, value), typed(name, threshold));
    let side = if side == Side::Above { "above" } else { "below" };
    let about = metric(name).map_or("", |(metric, _)| metric.help);
    Why { words: format!("{} is {value}, {side} {threshold}", title(name)), text: about.into() }
}

/// A figure of a metric as people read it.
#[must_use]
pub fn figure(name: &str, value: f64) -> String {
    metric(name).map_or_else(|| value.to_string(), |(metric, _)| format_value(metric.unit, value))
}

/// A threshold of a metric as somebody would type it, not rounded.
#[must_use]
pub fn typed(name: &str, threshold: f64) -> String {
    metric(name).map_or_else(|| threshold.to_string(), |(metric, _)| typed_value(metric.unit, threshold))
}

/// The first sentence of a text without its full stop, cut if it is long; none: there is no text.
fn first_sentence(text: &str) -> Option<String> {
    let line = text.trim().lines().next().map(str::trim).filter(|line| !line.is_empty())?;
    let end =
        line.match_indices(['.', '!', '?']).find(|(at, _)| line[at + 1..].starts_with(' ')).map_or(line.len(), |(at, _)| at);
    Some(cut(line[..end].trim_end_matches('.')))
}

/// A line of at most so many characters.
#[must_use]
pub fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
