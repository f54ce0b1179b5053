//! When what holds is told: a pure state machine for one rule and one instance. No clock, no I/O,
//! no words of its own.
//!
//! Two things are kept apart. Whether the condition *counts*: it has held for as long as the rule
//! wants, and has not been gone for as long as the rule wants. And what people were *told*. A
//! notice is due when the two differ and nothing forbids to speak. So a quiet time or a silence
//! only delays: what still lasts afterwards is told then, what came and went meanwhile is not, and
//! what people believe to last is cleared when they may be spoken to again.

use std::time::Duration;

use super::model::AlertRule;
use crate::base::clock::Timestamp;

/// What is remembered between two looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// Since when it holds, gaps that do not matter included.
    pub since: Option<Timestamp>,
    /// It has held long enough to count.
    pub counts: bool,
    /// It counts, but has not held since then.
    pub gone: Option<Timestamp>,
    /// People believe that it lasts; when they were last told so.
    pub told: Option<Timestamp>,
    /// Since when that which they were told of held.
    pub told_since: Option<Timestamp>,
    /// When that ended, if it has.
    pub ended: Option<Timestamp>,
    /// The words in which they were last told.
    pub words: String,
    /// Of what happens rather than lasts: the figure up to which it was told.
    pub count: Option<f64>,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// It holds.
    Raised,
    /// It still holds.
    Again,
    /// It is over.
    Cleared,
}

/// Something that is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTransition {
    /// What it says.
    pub kind: NoticeKind,
    /// Why: of what is over, the words in which it was told.
    pub words: String,
    /// Since when it holds, or held.
    pub since: Timestamp,
    /// When it ended, if it is over.
    pub until: Option<Timestamp>,
}

/// Looks at the condition once more. `holds`: the words why it holds; none: it does not.
/// `minute_of_day` is the local one, for the rule's quiet time; `is_silenced`: nothing may be told
/// now for another reason. When nothing is known of the condition this is not called, so that it
/// neither comes nor goes.
pub fn step(
    rule: &AlertRule,
    memory: &mut RuleState,
    holds: Option<&str>,
    now: Timestamp,
    minute_of_day: u16,
    is_silenced: bool,
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
    let may_speak = !is_silenced && !is_quiet(rule, minute_of_day);
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
            // Came and went untold.
            memory.ended = None;
            None
        }
        _ => None,
    }
}

/// Takes in a figure that only grows, such as how many blocks were found. Some: it has grown since
/// it was last told, from this. The first figure is only remembered; growth at a time when nothing
/// may be told is told afterwards.
pub fn grown(
    rule: &AlertRule,
    memory: &mut RuleState,
    figure: f64,
    minute_of_day: u16,
    is_silenced: bool,
) -> Option<f64> {
    let Some(before) = memory.count else {
        memory.count = Some(figure);
        return None;
    };
    if figure <= before || is_silenced || is_quiet(rule, minute_of_day) {
        return None;
    }
    memory.count = Some(figure);
    Some(before)
}

impl RuleState {
    /// A clock that was set back must not make anything wait for as long as that.
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

    /// What held, but not for long enough to count, is forgotten, since nothing is known of it any
    /// more.
    pub fn clear_pending(&mut self) {
        if !self.counts {
            self.since = None;
        }
    }

    /// The same if it would count by now only because nobody looked for a while.
    pub fn prune_unseen(&mut self, rule: &AlertRule, now: Timestamp) {
        if self
            .since
            .is_some_and(|since| now.since(since) >= seconds(rule.for_s))
        {
            self.clear_pending();
        }
    }

    /// What it was about was put to rest by its owner: whatever held is over, and that is no news.
    pub fn rest(&mut self) {
        *self = Self {
            count: self.count,
            ..Self::default()
        };
    }

    /// Nobody believes any more that it lasts.
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
