//! Joins the rules that report the same incident. No I/O.
//!
//! When a client exits, several rules notice it: the one about its state, the one about its health.
//! The first of them sends the notification, and the last one that ends sends the resolution. Then
//! all of them remember the same start. Rules with other channels report to other people, and
//! problems that start later are other incidents: those are not joined.

use std::time::Duration;

use super::grouping::{NotificationEvent, NotificationItem};
use super::model::{AlertRule, RuleCondition};
use super::queries::RuleStateKey;
use super::state_machine::RuleState;
use crate::base::clock::Timestamp;
use crate::base::ids::ChannelId;

/// Problems of an instance that start within this time are one incident. A health check notices
/// within a minute what a state shows at once, and some causes take a few minutes to end a client.
pub const SAME_START: Duration = Duration::from_secs(300);

/// The evaluation of one rule for one instance or miner.
#[derive(Debug)]
pub struct RuleReport<'a> {
    /// The rule.
    pub rule: &'a AlertRule,
    /// The channels of the rule.
    pub receivers: Vec<ChannelId>,
    /// What the state is about.
    pub key: RuleStateKey,
    /// The state before.
    pub before: RuleState,
    /// The state now.
    pub state: RuleState,
    /// The notification that is due.
    pub notice: Option<(NotificationEvent, NotificationItem)>,
}

/// Whether both rules are about the state or the health of an instance.
pub const fn are_comparable(a: &AlertRule, b: &AlertRule) -> bool {
    const fn is_about_state(rule: &AlertRule) -> bool {
        matches!(
            rule.condition,
            RuleCondition::State { .. } | RuleCondition::Check { .. }
        )
    }
    is_about_state(a) && is_about_state(b)
}

impl RuleReport<'_> {
    fn is_comparable(&self, other: &Self) -> bool {
        are_comparable(self.rule, other.rule) && self.receivers == other.receivers
    }

    /// When the problem started that has been reported and not resolved.
    fn open_since(&self) -> Option<Timestamp> {
        self.state.told.and(self.state.told_since)
    }

    fn notice_of(&self, event: NotificationEvent) -> Option<&NotificationItem> {
        let (kind, item) = self.notice.as_ref()?;
        (*kind == event).then_some(item)
    }
}

/// Removes the notifications that repeat what another rule reports about the same instance. All
/// reports are about this instance.
pub fn join_rules(reports: &mut [RuleReport<'_>]) {
    for at in 0..reports.len() {
        let Some((event, item)) = &reports[at].notice else {
            continue;
        };
        let Some(since) = item.since else { continue };
        let event = *event;
        let is_other = |&other: &usize| other != at && reports[other].is_comparable(&reports[at]);
        let mut others = (0..reports.len()).filter(is_other);
        let is_open_since = |other: usize| reports[other].open_since() == Some(since);
        match event {
            NotificationEvent::Raised => {
                // Another rule has reported it before, or does so now.
                let is_first = |other: usize| {
                    other < at
                        || reports[other]
                            .notice_of(NotificationEvent::Raised)
                            .is_none()
                };
                let first = others.find_map(|other| {
                    let begun = reports[other].open_since().filter(|_| is_first(other))?;
                    (begun.distance(since) <= SAME_START)
                        .then(|| (begun, reports[other].state.words.clone()))
                });
                if let Some((begun, words)) = first {
                    let report = &mut reports[at];
                    report.notice = None;
                    (report.state.told_since, report.state.words) = (Some(begun), words);
                }
            }
            // Another rule repeats it.
            NotificationEvent::Again => {
                let repeats = |other: usize| {
                    other < at && is_open_since(other) && reports[other].rule.repeat_s.is_some()
                };
                if others.any(repeats) {
                    reports[at].notice = None;
                }
            }
            // Another rule will report the end, or does so now.
            NotificationEvent::Cleared => {
                let ends = |other: usize| {
                    let is_now = reports[other]
                        .notice_of(event)
                        .is_some_and(|kept| other < at && kept.since == Some(since));
                    reports[other].rule.tell_cleared && (is_now || is_open_since(other))
                };
                if others.any(ends) {
                    reports[at].notice = None;
                }
            }
            NotificationEvent::Happened => {}
        }
    }
}

#[cfg(test)]
mod tests;
