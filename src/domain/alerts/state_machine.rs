//! Decides when to notify: a pure state machine for one rule and one instance. No clock, no I/O, no
//! texts.
//!
//! The state has two independent parts: whether the condition *counts* (it has held for the time in
//! "notify after" and has not been absent for the time in "resolve after"), and what was *reported*.
//! A notification is due when the two differ, unless a quiet time or a mute applies. Quiet times and
//! mutes therefore only delay notifications, and the state goes on meanwhile: a problem that
//! persists is reported afterward, a problem that started and ended in the meantime is not, and a
//! reported problem that ended in the meantime is reported as resolved afterward. The first two are
//! as in Prometheus Alertmanager. The third is not: it would drop that message, and the last thing a
//! receiver shows would be a problem that no longer exists.

use std::time::Duration;

use super::model::AlertRule;
use crate::base::clock::Timestamp;

/// The state between two evaluations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// Since when the condition holds, including short interruptions.
    pub since: Option<Timestamp>,
    /// The condition has held long enough to count.
    pub counts: bool,
    /// The condition counts but has not held since this time.
    pub gone: Option<Timestamp>,
    /// When the current problem was last reported; `None` if it was not.
    pub told: Option<Timestamp>,
    /// When the reported problem started.
    pub told_since: Option<Timestamp>,
    /// When the reported problem ended.
    pub ended: Option<Timestamp>,
    /// The words of the last report.
    pub words: String,
    /// For events that do not last: the last reported value.
    pub count: Option<f64>,
}

/// The kind of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The condition holds.
    Raised,
    /// The condition still holds.
    Again,
    /// The problem is resolved.
    Cleared,
}

/// A notification that is due now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTransition {
    /// The kind.
    pub kind: NoticeKind,
    /// The reason; for a resolved problem, the words of the last report.
    pub words: String,
    /// When the problem started.
    pub since: Timestamp,
    /// When the problem ended, if it has.
    pub until: Option<Timestamp>,
}

/// Evaluates the condition once more. `holds`: the reason, or `None` if the condition does not hold.
/// `minute_of_day` is local time, for the quiet time of the rule. `is_muted`: the instance is
/// muted. Not called while the condition is unknown, so that an alert neither starts nor ends then.
pub fn step(
    rule: &AlertRule,
    memory: &mut RuleState,
    holds: Option<&str>,
    now: Timestamp,
    minute_of_day: u16,
    is_muted: bool,
) -> Option<RuleTransition> {
    memory.set_back_to(now);
    match holds {
        Some(_) => {
            memory.gone = None;
            let since = *memory.since.get_or_insert(now);
            memory.counts |= now.since(since) >= seconds(rule.for_s);
            if memory.counts {
                memory.ended = None;
            }
        }
        None if memory.counts => {
            let gone = *memory.gone.get_or_insert(now);
            if now.since(gone) >= seconds(rule.clear_s) {
                (memory.since, memory.counts, memory.gone) = (None, false, None);
                memory.ended = Some(gone);
            }
        }
        None => memory.since = None,
    }
    let may_speak = !is_muted && !is_quiet(rule, minute_of_day);
    match (memory.told, holds) {
        (None, Some(why)) if memory.counts && may_speak => {
            let since = memory.since.unwrap_or(now);
            (memory.told, memory.told_since, memory.words) =
                (Some(now), Some(since), why.to_owned());
            Some(RuleTransition {
                kind: NoticeKind::Raised,
                words: why.to_owned(),
                since,
                until: None,
            })
        }
        (Some(told), Some(why)) if memory.counts && may_speak && is_due(rule, told, now) => {
            (memory.told, memory.words) = (Some(now), why.to_owned());
            Some(RuleTransition {
                kind: NoticeKind::Again,
                words: why.to_owned(),
                since: memory.told_since.unwrap_or(now),
                until: None,
            })
        }
        (Some(_), _) if !memory.counts && (may_speak || !rule.tell_cleared) => {
            Some(memory.clear(now)).filter(|_| rule.tell_cleared)
        }
        (None, _) if !memory.counts => {
            // The problem started and ended without a report.
            memory.ended = None;
            None
        }
        _ => None,
    }
}

/// Processes a value that only grows, such as the number of blocks found. Returns the last reported
/// value if the value has grown since. The first value is only stored. Growth during a quiet time
/// or mute is reported afterward.
pub fn grown(
    rule: &AlertRule,
    memory: &mut RuleState,
    figure: f64,
    minute_of_day: u16,
    is_muted: bool,
) -> Option<f64> {
    let Some(before) = memory.count else {
        memory.count = Some(figure);
        return None;
    };
    if figure <= before || is_muted || is_quiet(rule, minute_of_day) {
        return None;
    }
    memory.count = Some(figure);
    Some(before)
}

impl RuleState {
    /// Limits all times to `now`, so that a clock that was set back does not cause long waits.
    fn set_back_to(&mut self, now: Timestamp) {
        for moment in [
            &mut self.since,
            &mut self.gone,
            &mut self.told,
            &mut self.told_since,
            &mut self.ended,
        ] {
            *moment = moment.map(|moment| moment.min(now));
        }
    }

    /// Forgets a condition that has not held long enough to count, because it is unknown now.
    pub fn clear_pending(&mut self) {
        if !self.counts {
            self.since = None;
        }
    }

    /// The same if the condition would count now only because there were no observations.
    pub fn prune_unseen(&mut self, rule: &AlertRule, now: Timestamp) {
        if self
            .since
            .is_some_and(|since| now.since(since) >= seconds(rule.for_s))
        {
            self.clear_pending();
        }
    }

    /// The user stopped the instance: all problems end without a notification.
    pub fn rest(&mut self) {
        *self = Self {
            count: self.count,
            ..Self::default()
        };
    }

    /// Ends the reported problem.
    fn clear(&mut self, now: Timestamp) -> RuleTransition {
        let until = self.ended.take().unwrap_or(now);
        let since = self.told_since.take().unwrap_or(until);
        self.told = None;
        RuleTransition {
            kind: NoticeKind::Cleared,
            words: std::mem::take(&mut self.words),
            since,
            until: Some(until),
        }
    }
}

fn is_quiet(rule: &AlertRule, minute_of_day: u16) -> bool {
    rule.quiet.is_some_and(|quiet| quiet.holds(minute_of_day))
}

fn is_due(rule: &AlertRule, told: Timestamp, now: Timestamp) -> bool {
    rule.repeat_s
        .is_some_and(|every| now.since(told) >= seconds(every))
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(u64::from(number))
}

#[cfg(test)]
mod tests;
