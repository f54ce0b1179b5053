//! Queues notifications. A notification is held while more instances or hosts are likely to follow, so that
//! an outage that affects many instances is one message, and its end is another.

use diesel::{QueryResult, SqliteConnection};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::delivery::{HOLD, LONGEST_HOLD, queries as posted};
use super::grouping::{MOST, NotificationEvent, NotificationItem, items_of, rule_of, said};
use super::incident::{SAME_START, are_comparable};
use super::model::AlertRule;
use super::observation::AlertSubject;
use super::queries::RuleStateKey;
use super::state_machine::RuleState;
use crate::base::clock::Timestamp;
use crate::base::ids::ChannelId;

/// A notification of a rule about an instance or a host.
#[derive(Debug)]
pub struct RuleNotice {
    /// The rule.
    pub rule: AlertRule,
    /// Its channels.
    pub receivers: Vec<ChannelId>,
    /// When it was noticed.
    pub at: Timestamp,
    /// What it reports.
    pub event: NotificationEvent,
    /// The instance, miner or host.
    pub item: NotificationItem,
}

/// Notifications of one kind for one or more instances or hosts.
#[derive(Debug)]
pub struct NoticeBundle {
    /// The rule of the first item. Items of other rules have the name of their rule.
    rule: AlertRule,
    receivers: Vec<ChannelId>,
    at: Timestamp,
    event: NotificationEvent,
    items: Vec<NotificationItem>,
}

/// Whether two notifications can be one.
fn can_share(a: &AlertRule, b: &AlertRule) -> bool {
    a.id == b.id || are_comparable(a, b)
}

/// Groups notifications by kind and channels, with at most [`MOST`] items in each group.
pub fn bundles(notices: Vec<RuleNotice>) -> Vec<NoticeBundle> {
    let mut bundles: Vec<NoticeBundle> = Vec::new();
    for notice in notices {
        let RuleNotice {
            rule,
            receivers,
            at,
            event,
            item,
        } = notice;
        let bundle = bundles.iter_mut().rfind(|bundle| {
            can_share(&bundle.rule, &rule)
                && (bundle.event, &bundle.receivers) == (event, &receivers)
        });
        let has_room = |bundle: &NoticeBundle| {
            bundle.items.len() < MOST && !bundle.items.iter().any(|other| other.is_about(&item))
        };
        match bundle {
            Some(bundle) if has_room(bundle) => {
                bundle.items.push(item.attributed(&rule, &bundle.rule));
            }
            _ => bundles.push(NoticeBundle {
                rule,
                receivers,
                at,
                event,
                items: vec![item],
            }),
        }
    }
    bundles
}

/// Queues notifications, each as the rules and their states are now.
#[derive(Debug)]
pub struct NotificationQueue<'a> {
    /// All rules.
    pub rules: &'a [AlertRule],
    /// The new state of all rules.
    pub states: &'a HashMap<RuleStateKey, RuleState>,
    /// Deliveries that are being sent, which cannot change.
    pub in_progress: &'a HashSet<i64>,
    /// The current time.
    pub now: Timestamp,
}

impl NotificationQueue<'_> {
    /// Queues a group for each of its channels.
    pub fn add(&self, c: &mut SqliteConnection, bundle: &NoticeBundle) -> QueryResult<()> {
        for channel in &bundle.receivers {
            self.add_for(c, bundle, *channel)?;
        }
        Ok(())
    }

    /// Queues a group for a channel. The group is added to a held delivery if the newest one that it
    /// can share has the same kind and lists other instances, so that the order for each instance
    /// stays right. Otherwise it becomes a separate delivery, and those before it are not held any
    /// longer, because a channel gets its deliveries in order.
    fn add_for(
        &self,
        c: &mut SqliteConnection,
        bundle: &NoticeBundle,
        channel: ChannelId,
    ) -> QueryResult<()> {
        let NoticeBundle {
            rule,
            at,
            event,
            items,
            ..
        } = bundle;
        let now = self.now;
        let held = posted::held(c, channel, now, now.after(LONGEST_HOLD))?;
        // A channel gets its deliveries in order, so those behind a held one wait for it.
        let last = held.first().map(|held| held.id);
        let newest = held.into_iter().find_map(|held| {
            let id = rule_of(&held.data)?;
            match self.rules.iter().find(|rule| rule.id == id) {
                Some(its) => can_share(its, rule).then_some(Some((held, its))),
                // Its rule is gone. Nothing may be added to a delivery before it.
                None => Some(None),
            }
        });
        let former = newest.flatten().and_then(|(held, its)| {
            let former = items_of(&held.data, its, *event)?;
            let is_other = !former
                .iter()
                .any(|former| items.iter().any(|item| item.is_about(former)));
            let has_room = former.len() + items.len() <= MOST;
            (is_other && has_room && !self.in_progress.contains(&held.id))
                .then_some((held, its, former))
        });
        match former {
            Some((held, its, mut all)) => {
                all.extend(items.iter().cloned().map(|item| item.attributed(rule, its)));
                let due = if last == Some(held.id) && self.expects_more(rule, *event, &all) {
                    held.at.after(LONGEST_HOLD)
                } else {
                    held.due_at.min(now.after(HOLD))
                };
                posted::reword(c, held.id, due, &said(its, *event, &all, held.at))?;
            }
            None => {
                posted::end_holds(c, channel, now.after(HOLD), now.after(LONGEST_HOLD))?;
                let hold = if self.expects_more(rule, *event, items) {
                    LONGEST_HOLD
                } else {
                    HOLD
                };
                let said = said(rule, *event, items, *at);
                posted::insert_delivery(c, channel, *at, now.after(hold), &said)?;
            }
        }
        Ok(())
    }

    /// Whether other instances or hosts are likely to follow: their problem started at about the same time,
    /// and has not been reported or resolved yet.
    fn expects_more(
        &self,
        rule: &AlertRule,
        event: NotificationEvent,
        items: &[NotificationItem],
    ) -> bool {
        let is_start_or_end = matches!(
            event,
            NotificationEvent::Raised | NotificationEvent::Cleared
        );
        let since = items.first().and_then(|item| item.since);
        let Some(started) = since.filter(|_| is_start_or_end && are_comparable(rule, rule)) else {
            return false;
        };
        let listed: HashSet<AlertSubject> = items.iter().map(NotificationItem::subject).collect();
        // Rules that take longer than the hold cannot follow in time.
        let can_follow = |other: &&AlertRule| {
            let delay = match event {
                NotificationEvent::Cleared if !other.tell_cleared => return false,
                NotificationEvent::Cleared => other.clear_s.abs_diff(rule.clear_s),
                _ => other.for_s.abs_diff(rule.for_s),
            };
            other.enabled
                && can_share(other, rule)
                && other.channels == rule.channels
                && Duration::from_secs(delay.into()) < LONGEST_HOLD
        };
        let rules: HashSet<_> = self.rules.iter().filter(can_follow).map(|r| r.id).collect();
        self.states.iter().any(|(key, state)| {
            let open = match event {
                NotificationEvent::Raised if !state.counts => state.since,
                NotificationEvent::Cleared => state.told.and(state.told_since),
                _ => None,
            };
            rules.contains(&key.rule)
                && !listed.contains(&key.subject)
                && open.is_some_and(|open| open.distance(started) <= SAME_START)
        })
    }
}
