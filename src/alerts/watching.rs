//! Observations come in, rules are judged by them, and what is to be told is written down together with what is remembered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::decide::{Memory, grown, step};
use super::delivery::{Courier, queries as posted};
use super::judging::{Verdict, judge};
use super::model::{Observation, Rule, Said};
use super::queries;
use super::service::Alerts;
use super::words;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::{ChannelId, InstanceId, RuleId};

/// An instance that was not looked at for so long may have been through anything.
const GAP: Duration = Duration::from_secs(60);
/// What has passed and ended by itself is looked for so often.
const TICK: Duration = Duration::from_secs(5);

/// What rules are judged with.
struct Desk {
    /// Instances that were not looked at for a while: what had not held for long enough by then begins anew.
    is_new: HashSet<InstanceId>,
    rules: Vec<Rule>,
    memories: HashMap<(RuleId, InstanceId), Memory>,
    silences: HashMap<InstanceId, Timestamp>,
    channels: Vec<ChannelId>,
}

/// What judging came to.
#[derive(Default)]
struct Outcome {
    memories: Vec<((RuleId, InstanceId), Memory)>,
    notices: Vec<(InstanceId, Vec<ChannelId>, Timestamp, Said)>,
}

impl Desk {
    /// Judges all rules by what was seen of an instance.
    fn look(&self, seen: &Observation, now: Timestamp, outcome: &mut Outcome) {
        let minute = now.minute_of_day();
        let is_silenced = self.silences.get(&seen.instance).is_some_and(|until| now < *until);
        for rule in self.rules.iter().filter(|rule| rule.enabled && rule.is_about(seen.instance)) {
            let key = (rule.id, seen.instance);
            let before = self.memories.get(&key).cloned().unwrap_or_default();
            let mut memory = before.clone();
            let receivers = self.receivers(rule);
            let verdict = judge(&rule.condition, seen);
            if self.is_new.contains(&seen.instance) {
                memory.forget_unseen(rule, now);
            }
            let said = match &verdict {
                Verdict::Holds(_) | Verdict::Not | Verdict::Unknown if seen.is_at_rest => {
                    memory.rest();
                    None
                }
                Verdict::Unknown => {
                    memory.forget_pending();
                    None
                }
                Verdict::Figure(figure) => {
                    grown(rule, &mut memory, *figure, minute, is_silenced).map(|from| words::of_growth(rule, seen, from, *figure))
                }
                Verdict::Holds(_) | Verdict::Not => {
                    let why = if let Verdict::Holds(why) = &verdict { Some(why) } else { None };
                    // What lasts is told to the first channel there will be.
                    let may_not = is_silenced || receivers.is_empty();
                    let notice = step(rule, &mut memory, why.map(|why| why.words.as_str()), now, minute, may_not);
                    notice.map(|notice| words::of_notice(rule, seen, &notice, why, now))
                }
            };
            if memory != before {
                outcome.memories.push((key, memory));
            }
            if let Some(said) = said {
                outcome.notices.push((seen.instance, receivers, now, said));
            }
        }
    }

    /// The channels a rule sends to.
    fn receivers(&self, rule: &Rule) -> Vec<ChannelId> {
        let is_chosen = |id: &&ChannelId| rule.channels.is_empty() || rule.channels.contains(id);
        self.channels.iter().filter(is_chosen).copied().collect()
    }
}

impl Alerts {
    /// Takes in what was seen of instances.
    ///
    /// # Errors
    /// The database cannot be read or written: nothing is remembered or told then, and the next observation or tick makes up for it.
    pub async fn observe(&self, seen: Vec<Observation>) -> Result<()> {
        let mut latest = self.latest.lock().await;
        let looks: Vec<(Observation, Timestamp)> = seen.into_iter().map(|seen| (seen.clone(), seen.at)).collect();
        let is_late = |seen: &Observation| latest.get(&seen.instance).is_none_or(|last| seen.at.since(last.at) > GAP);
        let is_new = looks.iter().filter(|(seen, _)| is_late(seen)).map(|(seen, _)| seen.instance).collect();
        latest.extend(looks.iter().map(|(seen, _)| (seen.instance, seen.clone())));
        self.weigh(looks, is_new).await
    }

    /// Looks again at what was last seen of each instance: what has lasted for long enough, and quiet times and silences that have ended.
    pub async fn tick(&self) {
        if let Err(e) = self.look_again().await {
            tracing::warn!(error = %e, "alerts cannot be decided now; it is tried again");
        }
    }

    async fn look_again(&self) -> Result<()> {
        let latest = self.latest.lock().await;
        let now = self.clock.now();
        self.weigh(latest.values().map(|seen| (seen.clone(), now)).collect(), HashSet::new()).await
    }

    /// Forgets an instance that is deleted. What is on its way is still sent.
    pub async fn forget(&self, id: InstanceId) {
        // Its rows go with the instance's own.
        self.latest.lock().await.remove(&id);
    }

    /// Judges what was seen, each as of its moment. The caller holds `latest`, so that one judgement follows the other.
    async fn weigh(&self, looks: Vec<(Observation, Timestamp)>, is_new: HashSet<InstanceId>) -> Result<()> {
        if looks.is_empty() {
            return Ok(());
        }
        let read = self.db.read(move |c| {
            let silences = queries::silences(c, Timestamp(i64::MIN))?;
            Ok(Desk {
                is_new,
                rules: queries::rules(c)?,
                memories: queries::memories(c)?,
                silences: silences.into_iter().map(|silence| (silence.instance_id, silence.until)).collect(),
                channels: queries::channels(c)?.into_iter().map(|channel| channel.id).collect(),
            })
        });
        let desk = read.await?;
        let mut outcome = Outcome::default();
        for (seen, now) in &looks {
            desk.look(seen, *now, &mut outcome);
        }
        if outcome.memories.is_empty() && outcome.notices.is_empty() {
            return Ok(());
        }
        let is_told = !outcome.notices.is_empty();
        self.db
            .write(move |c| {
                // An instance may have been deleted meanwhile.
                let present: Vec<InstanceId> = queries::instance_names(c)?.into_iter().map(|(id, _)| id).collect();
                for (key, memory) in outcome.memories.iter().filter(|((_, instance), _)| present.contains(instance)) {
                    queries::set_memory(c, *key, memory)?;
                }
                for (_, receivers, at, said) in outcome.notices.iter().filter(|(instance, ..)| present.contains(instance)) {
                    for channel in receivers {
                        posted::insert_delivery(c, *channel, *at, said)?;
                    }
                }
                Ok(())
            })
            .await?;
        if is_told {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Ticks and sends until `stop`, in a task of its own; it ends when what is on its way then has arrived or failed.
    pub fn run(self, stop: CancellationToken) -> JoinHandle<()> {
        let courier =
            Courier { db: self.db.clone(), sender: self.sender.clone(), clock: self.clock.clone(), wake: self.wake.clone() };
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
