//! Evaluates all rules on observations, and stores the resulting notifications and the new state of
//! the rules in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::delivery::DeliveryWorker;
use super::display;
use super::evaluate::{ConditionReason, ConditionResult, evaluate_all, evaluate_host};
use super::grouping::{NotificationEvent, NotificationItem, page_path};
use super::incident::is_covered;
use super::model::AlertRule;
use super::observation::{AlertObservation, AlertSubject, InstanceObservation};
use super::posting::{NotificationQueue, RuleNotice, bundles};
use super::queries::{self, RuleStateKey};
use super::service::{Alerts, LatestObservations};
use super::state_machine::{RuleState, grown, step};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::ChannelId;
use crate::domain::instances::InstanceTags;
use crate::domain::mutes::{MuteSet, lasting_mutes};

/// After this time without observations, the state of an instance or host is uncertain.
const GAP: Duration = Duration::from_secs(60);
/// How often elapsed delays and expired mutes are checked.
const TICK: Duration = Duration::from_secs(5);

/// The input for evaluating rules.
struct RuleContext {
    /// Those without recent observations: conditions that had not held long enough start again.
    is_new: HashSet<AlertSubject>,
    rules: Vec<AlertRule>,
    states: HashMap<RuleStateKey, RuleState>,
    mutes: MuteSet,
    channels: Vec<ChannelId>,
}

/// The result of an evaluation.
#[derive(Default)]
struct EvaluationResult {
    states: Vec<(RuleStateKey, RuleState)>,
    notices: Vec<RuleNotice>,
}

impl RuleContext {
    /// Evaluates all rules on an observation.
    fn evaluate_rules(
        &self,
        seen: &AlertObservation,
        now: Timestamp,
        outcome: &mut EvaluationResult,
    ) {
        let subject = seen.subject();
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.enabled && rule.is_about(&subject))
        {
            let receivers = self.receivers(rule);
            let results = match seen {
                AlertObservation::Instance(seen) => self.evaluate_instance(rule, seen, outcome),
                AlertObservation::Host(seen) => vec![(String::new(), evaluate_host(seen))],
            };
            for (miner, verdict) in results {
                let key = RuleStateKey {
                    rule: rule.id,
                    subject: subject.clone(),
                    miner,
                };
                self.evaluate_rule(rule, seen, (key, verdict), &receivers, now, outcome);
            }
        }
    }

    /// The results of a rule for an instance, or for each of its miners.
    fn evaluate_instance(
        &self,
        rule: &AlertRule,
        seen: &InstanceObservation,
        outcome: &mut EvaluationResult,
    ) -> Vec<(String, ConditionResult)> {
        let mut results = evaluate_all(&rule.condition, seen);
        if is_covered(rule, seen, &self.rules, |other| self.receivers(other)) {
            for (_, verdict) in &mut results {
                *verdict = ConditionResult::Unknown;
            }
        }
        self.clear_unlisted(rule, seen, &results, outcome);
        results
    }

    /// Ends the alerts about miners that are not listed any more, without a notification.
    fn clear_unlisted(
        &self,
        rule: &AlertRule,
        seen: &InstanceObservation,
        results: &[(String, ConditionResult)],
        outcome: &mut EvaluationResult,
    ) {
        if seen.miners.is_none() {
            return;
        }
        let gone = self.states.keys().filter(|key| {
            (key.rule, key.subject.instance()) == (rule.id, Some(seen.instance))
                && !results.iter().any(|(miner, _)| *miner == key.miner)
        });
        let gone = gone.map(|key| (key.clone(), RuleState::default()));
        outcome.states.extend(gone);
    }

    /// Evaluates a rule on what was observed of an instance, of one of its miners, or of a host.
    fn evaluate_rule(
        &self,
        rule: &AlertRule,
        seen: &AlertObservation,
        (key, verdict): (RuleStateKey, ConditionResult),
        receivers: &[ChannelId],
        now: Timestamp,
        outcome: &mut EvaluationResult,
    ) {
        let minute = now.minute_of_day();
        let muted_until = key
            .subject
            .muted_until(&self.mutes, rule.id, seen.tags(), now);
        let is_muted = muted_until.is_some();
        let before = self.states.get(&key).cloned().unwrap_or_default();
        let mut state = before.clone();
        if self.is_new.contains(&key.subject) {
            state.prune_unseen(rule, now);
        }
        let told = match &verdict {
            ConditionResult::Holds(_) | ConditionResult::Not | ConditionResult::Unknown
                if seen.is_at_rest() =>
            {
                state.rest();
                None
            }
            ConditionResult::Unknown => {
                state.clear_pending();
                None
            }
            ConditionResult::Figure(figure) => {
                let from = grown(rule, &mut state, *figure, minute, is_muted);
                from.map(|from| {
                    (
                        NotificationEvent::Happened,
                        display::of_growth(rule, seen, from, *figure),
                    )
                })
            }
            ConditionResult::Holds(_) | ConditionResult::Not => {
                let why = match &verdict {
                    ConditionResult::Holds(why) => Some(why),
                    _ => None,
                };
                let words = why.map(ConditionReason::text_with_cause);
                // Problems that last are reported to the first channel that is added.
                let may_not = is_muted || receivers.is_empty();
                let notice = step(rule, &mut state, words.as_deref(), now, minute, may_not);
                notice.map(|notice| (notice.kind.into(), display::of_notice(seen, &notice, why)))
            }
        };
        let miner = key.miner.clone();
        if state != before {
            outcome.states.push((key, state));
        }
        if let Some((event, item)) = told {
            outcome.notices.push(RuleNotice {
                rule: rule.clone(),
                receivers: receivers.to_vec(),
                at: now,
                event,
                item: NotificationItem { miner, ..item },
            });
        }
    }

    /// The channels of a rule.
    fn receivers(&self, rule: &AlertRule) -> Vec<ChannelId> {
        let is_chosen = |id: &&ChannelId| rule.channels.is_empty() || rule.channels.contains(id);
        self.channels.iter().filter(is_chosen).copied().collect()
    }
}

fn tags_of(latest: &LatestObservations) -> HashMap<AlertSubject, InstanceTags> {
    let tags = latest
        .iter()
        .filter_map(|(subject, seen)| Some((subject.clone(), seen.tags()?.clone())));
    tags.collect()
}

impl Alerts {
    /// Processes observations of instances or hosts.
    ///
    /// # Errors
    /// The database cannot be read or written. Nothing is stored or sent then; the next observation
    /// or tick catches up.
    pub async fn observe(&self, seen: Vec<impl Into<AlertObservation>>) -> Result<()> {
        let seen: Vec<AlertObservation> = seen.into_iter().map(Into::into).collect();
        let mut latest = self.latest.lock().await;
        let looks: Vec<(Arc<AlertObservation>, Timestamp)> = seen
            .into_iter()
            .map(|seen| {
                let at = seen.at();
                (Arc::new(seen), at)
            })
            .collect();
        let is_late = |subject: &AlertSubject, at: Timestamp| {
            latest
                .get(subject)
                .is_none_or(|last| at.since(last.at()) > GAP)
        };
        let is_new = looks
            .iter()
            .map(|(seen, at)| (seen.subject(), *at))
            .filter(|(subject, at)| is_late(subject, *at))
            .map(|(subject, _)| subject)
            .collect();
        latest.extend(looks.iter().map(|(seen, _)| (seen.subject(), seen.clone())));
        self.evaluate_observations(looks, is_new, &latest).await
    }

    /// Evaluates the last observations again, because delays may have elapsed and
    /// quiet times or mutes may have ended.
    pub async fn tick(&self) {
        if let Err(e) = self.reevaluate().await {
            tracing::warn!(error = %e, "alert rules could not be evaluated; jd-manager will retry");
        }
    }

    async fn reevaluate(&self) -> Result<()> {
        let latest = self.latest.lock().await;
        let now = self.clock.now();
        self.evaluate_observations(
            latest.values().map(|seen| (seen.clone(), now)).collect(),
            HashSet::new(),
            &latest,
        )
        .await
    }

    /// Forgets a deleted instance or host. Its queued notifications are still sent.
    pub async fn clear(&self, subject: &AlertSubject) {
        // The database deletes its rows together with it.
        self.latest.lock().await.remove(subject);
    }

    /// Evaluates observations, each as of its own time. The caller has locked `latest`, so
    /// evaluations never overlap.
    async fn evaluate_observations(
        &self,
        looks: Vec<(Arc<AlertObservation>, Timestamp)>,
        is_new: HashSet<AlertSubject>,
        latest: &LatestObservations,
    ) -> Result<()> {
        let Some(first) = looks.iter().map(|(_, at)| *at).min() else {
            return Ok(());
        };
        let vault = self.vault.clone();
        let read = self.db.read(move |c| {
            let (rules, channels) = (queries::rules(c)?, queries::channels(c, &vault)?);
            let desk = RuleContext {
                is_new,
                rules: rules.read,
                states: queries::rule_states(c)?,
                mutes: lasting_mutes(c, first)?.into_iter().collect(),
                channels: channels
                    .read
                    .into_iter()
                    .map(|channel| channel.id)
                    .collect(),
            };
            Ok((desk, [rules.unreadable, channels.unreadable].concat()))
        });
        let (desk, unreadable) = read.await?;
        self.report(&unreadable);
        let mut outcome = EvaluationResult::default();
        for (seen, now) in &looks {
            desk.evaluate_rules(seen, *now, &mut outcome);
        }
        if outcome.states.is_empty() && outcome.notices.is_empty() {
            return Ok(());
        }
        let (is_told, now) = (!outcome.notices.is_empty(), self.clock.now());
        let tags = tags_of(latest);
        // Nothing is added to deliveries in progress, and the worker selects none while something is
        // added.
        let in_hand = self.in_hand.lock().await;
        let taken = in_hand.clone();
        self.db
            .write(move |c| {
                // The instance or host may have been deleted in the meantime.
                let present = queries::subjects(c)?;
                for (key, state) in outcome
                    .states
                    .iter()
                    .filter(|(key, _)| present.contains(&key.subject))
                {
                    queries::set_memory(c, key, state)?;
                }
                outcome
                    .notices
                    .retain(|told| present.contains(&told.item.subject()));
                let states = desk.states.into_iter().chain(outcome.states);
                let mut states: HashMap<RuleStateKey, RuleState> = states.collect();
                // Nothing waits for notifications that are not sent.
                states.retain(|key, _| {
                    let (subject, mutes) = (&key.subject, &desk.mutes);
                    let until = subject.muted_until(mutes, key.rule, tags.get(subject), now);
                    until.is_none()
                });
                let queue = NotificationQueue {
                    rules: &desk.rules,
                    states: &states,
                    in_progress: &taken,
                    now,
                };
                for bundle in bundles(outcome.notices) {
                    queue.add(c, &bundle)?;
                }
                Ok(())
            })
            .await?;
        drop(in_hand);
        if is_told {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Ticks and sends until `stop` in a separate task. The task ends when all attempts in progress
    /// are finished.
    pub fn run(self, stop: CancellationToken) -> JoinHandle<()> {
        let url = self.public_url.clone();
        let courier = DeliveryWorker {
            db: self.db.clone(),
            vault: self.vault.clone(),
            sender: self.sender.clone(),
            clock: self.clock.clone(),
            link: Box::new(move |data| Some(format!("{}{}", url.as_ref()?, page_path(data)))),
            wake: self.wake.clone(),
            in_hand: self.in_hand.clone(),
        };
        let ticking = stop.clone();
        let tick = async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    () = ticking.cancelled() => break,
                    _ = ticks.tick() => self.tick().await,
                }
            }
        };
        tokio::spawn(async move {
            tokio::join!(tick, courier.run(stop));
        })
    }
}

#[cfg(test)]
mod tests;
