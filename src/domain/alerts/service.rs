//! The use cases of alerts: channels, rules and silences are set up, tests are sent, deliveries are
//! looked at.

use diesel::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

use super::channel_draft::ChannelDraft;
use super::delivery::{Delivery, DeliveryProgress, queries as posted};
use super::display;
use super::model::{
    ActiveAlert, AlertRowId, AlertRowKind, AlertRule, InstanceObservation, InstanceSilence,
    SavedChannel, UnreadableAlertRow,
};
use super::queries;
use super::rule_draft::{RuleDraft, RuleReferences};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::infra::notify::{NotifyMessage, NotifySender, SendError};

/// For how long an instance can be silenced, minutes.
pub const SILENCES: [i64; 4] = [30, 120, 480, 1440];
/// So many of the newest deliveries are on the page of alerts.
const NEWEST: usize = 50;
/// Deliveries are kept for so long.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Everything that can be done with alerts; cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    pub(super) db: Db,
    pub(super) vault: Vault,
    pub(super) sender: Arc<NotifySender>,
    pub(super) clock: Arc<dyn Clock>,
    /// Called when a delivery waits.
    pub(super) wake: Arc<Notify>,
    /// What was last seen of each instance. Held while rules are judged, and while they are
    /// changed.
    pub(super) latest: Arc<Mutex<HashMap<InstanceId, InstanceObservation>>>,
    /// Which deliveries the courier has taken up: nothing is added to them any more.
    pub(super) in_hand: Arc<Mutex<HashSet<i64>>>,
    /// Of which rows the log says already that they cannot be read.
    pub(super) complained: Arc<std::sync::Mutex<HashSet<AlertRowId>>>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alerts")
    }
}

/// All there is about alerts.
#[derive(Debug)]
pub struct AlertOverview {
    /// The rules, oldest first.
    pub rules: Vec<AlertRule>,
    /// The channels, oldest first.
    pub channels: Vec<SavedChannel>,
    /// What holds now, the longest first.
    pub standing: Vec<ActiveAlert>,
    /// Which instances are silenced, the first to end first.
    pub silences: Vec<InstanceSilence>,
    /// The newest deliveries, newest first.
    pub deliveries: Vec<Delivery>,
    /// Ids and names of all instances, by name.
    pub instances: Vec<(InstanceId, String)>,
    /// What cannot be read and is left out of all of this.
    pub unreadable: Vec<UnreadableAlertRow>,
}

/// Ids and names of all instances, by name, and of all channels, oldest first.
pub type Choices = (Vec<(InstanceId, String)>, Vec<(ChannelId, String)>);

impl Alerts {
    /// Over the tables in `db`, secrets sealed by `vault`.
    pub fn new(db: Db, vault: Vault, sender: NotifySender, clock: impl Clock) -> Self {
        let (sender, clock) = (Arc::new(sender), Arc::new(clock));
        let (wake, latest, in_hand, complained) = <(Arc<_>, Arc<_>, Arc<_>, Arc<_>)>::default();
        Self {
            db,
            vault,
            sender,
            clock,
            wake,
            latest,
            in_hand,
            complained,
        }
    }

    /// All there is.
    pub async fn everything(&self) -> Result<AlertOverview> {
        let (now, vault) = (self.clock.now(), self.vault.clone());
        let all = self
            .db
            .read(move |c| {
                let (rules, channels) = (queries::rules(c)?, queries::channels(c, &vault)?);
                let mut standing = queries::standing(c)?;
                // Of a rule that is left out nobody knows.
                standing.retain(|one| rules.read.iter().any(|rule| rule.id == one.rule_id));
                Ok(AlertOverview {
                    unreadable: [rules.unreadable, channels.unreadable].concat(),
                    rules: rules.read,
                    channels: channels.read,
                    standing,
                    silences: queries::silences(c, now)?,
                    deliveries: posted::deliveries(c, None, NEWEST)?.0,
                    instances: queries::instance_names(c)?,
                })
            })
            .await?;
        self.report(&all.unreadable);
        Ok(all)
    }

    /// One channel.
    pub async fn channel(&self, id: ChannelId) -> Result<SavedChannel> {
        let vault = self.vault.clone();
        self.db.read(move |c| channel(c, &vault, id)).await
    }

    /// A channel, and the names of the rules that send to it alone: it cannot be deleted while
    /// there are any.
    pub async fn channel_with_users(
        &self,
        id: ChannelId,
    ) -> Result<(SavedChannel, Vec<AlertRule>)> {
        let vault = self.vault.clone();
        self.db
            .read(move |c| Ok((channel(c, &vault, id)?, only_users(c, id)?)))
            .await
    }

    /// Saves a new channel.
    ///
    /// # Errors
    /// Names every wrong field; the name is taken.
    pub async fn create_channel(&self, draft: ChannelDraft) -> Result<SavedChannel> {
        let (name, target) = draft.check(None)?;
        let saved = SavedChannel {
            id: ChannelId::random(),
            name,
            target,
            created_at: self.clock.now(),
        };
        let vault = self.vault.clone();
        self.db
            .write(move |c| {
                check_free(c, &saved.name, None)?;
                queries::insert_channel(c, &vault, &saved)?;
                Ok(saved)
            })
            .await
    }

    /// Saves a changed channel. A secret that is masked, empty or not sent stays as it is.
    ///
    /// # Errors
    /// There is none with this id; names every wrong field; the name is taken.
    pub async fn update_channel(&self, id: ChannelId, draft: ChannelDraft) -> Result<SavedChannel> {
        let vault = self.vault.clone();
        let changed = move |c: &mut SqliteConnection| {
            let former = channel(c, &vault, id)?;
            let (name, target) = draft.check(Some(&former))?;
            check_free(c, &name, Some(id))?;
            let saved = SavedChannel {
                name,
                target,
                ..former
            };
            queries::update_channel(c, &vault, &saved)?;
            Ok(saved)
        };
        let saved = self.db.write(changed).await?;
        // What waits may now be sent in another way.
        self.wake.notify_one();
        Ok(saved)
    }

    /// Removes a channel with what was on its way to it.
    ///
    /// # Errors
    /// There is none with this id; a rule sends to it alone.
    pub async fn delete_channel(&self, id: ChannelId) -> Result<SavedChannel> {
        let _turn = self.latest.lock().await;
        let vault = self.vault.clone();
        self.db
            .write(move |c| {
                let former = channel(c, &vault, id)?;
                check_unused(c, id, &former.name)?;
                queries::delete_channel(c, id)?;
                Ok(former)
            })
            .await
    }

    /// Sends a test message at once; the inner result is what became of it.
    pub async fn test_channel(
        &self,
        id: ChannelId,
    ) -> Result<(SavedChannel, Result<(), SendError>)> {
        let saved = self.channel(id).await?;
        let said = display::of_test();
        let message = NotifyMessage {
            id: uuid::Uuid::new_v4().to_string(),
            at: self.clock.now().0,
            title: said.title,
            text: said.text,
            mood: said.mood,
            link: None,
            data: said.data,
        };
        let result = self.sender.send(&saved.target, &message).await;
        Ok((saved, result))
    }

    /// One rule.
    pub async fn rule(&self, id: RuleId) -> Result<AlertRule> {
        self.db.read(move |c| rule(c, id)).await
    }

    /// What a rule can be about and where it can send.
    pub async fn choices(&self) -> Result<Choices> {
        let vault = self.vault.clone();
        self.db
            .read(move |c| Ok((queries::instance_names(c)?, channel_names(c, &vault)?)))
            .await
    }

    /// Saves a new rule.
    pub async fn create_rule(&self, draft: RuleDraft) -> Result<AlertRule> {
        let (now, vault) = (self.clock.now(), self.vault.clone());
        self.db
            .write(move |c| {
                let rule = draft.check(None, &known(c, &vault)?)?;
                queries::insert_rule(c, &rule, now)?;
                Ok(rule)
            })
            .await
    }

    /// Saves a changed rule. One that is about something else now, or switched off, forgets what it
    /// remembered.
    ///
    /// # Errors
    /// There is none with this id; names every wrong field.
    pub async fn update_rule(&self, id: RuleId, draft: RuleDraft) -> Result<AlertRule> {
        let _turn = self.latest.lock().await;
        let vault = self.vault.clone();
        self.db
            .write(move |c| {
                let former = rule(c, id)?;
                let rule = draft.check(Some(&former), &known(c, &vault)?)?;
                queries::update_rule(c, &rule)?;
                if !rule.enabled
                    || (&rule.condition, rule.instance_id)
                        != (&former.condition, former.instance_id)
                {
                    queries::delete_rule_state(c, id)?;
                }
                Ok(rule)
            })
            .await
    }

    /// Removes a rule with what it remembers.
    pub async fn delete_rule(&self, id: RuleId) -> Result<AlertRule> {
        let _turn = self.latest.lock().await;
        self.db
            .write(move |c| {
                let former = rule(c, id)?;
                queries::delete_rule(c, id)?;
                Ok(former)
            })
            .await
    }

    /// Tells nothing of an instance for so many minutes, one of [`SILENCES`].
    ///
    /// # Errors
    /// There is no such instance; another number of minutes.
    pub async fn silence(&self, instance: InstanceId, minutes: i64) -> Result<InstanceSilence> {
        if !SILENCES.contains(&minutes) {
            return Err(Error::invalid(
                "/minutes",
                "minutes must be 30, 120, 480 or 1440.",
            ));
        }
        let until = self
            .clock
            .now()
            .after(Duration::from_secs(minutes.unsigned_abs() * 60));
        self.db
            .write(move |c| {
                let name = queries::instance_names(c)?
                    .into_iter()
                    .find(|(id, _)| *id == instance);
                let Some((_, name)) = name else {
                    return Err(Error::invalid(
                        "/instance_id",
                        "This instance does not exist.",
                    ));
                };
                queries::set_silence(c, instance, until)?;
                Ok(InstanceSilence {
                    instance_id: instance,
                    instance: name,
                    until,
                })
            })
            .await
    }

    /// Ends the silence of an instance.
    ///
    /// # Errors
    /// It is not silenced.
    pub async fn end_silence(&self, instance: InstanceId) -> Result<()> {
        self.db
            .write(move |c| match queries::end_silence(c, instance)? {
                0 => Err(Error::not_found("silence of the instance", instance)),
                _ => Ok(()),
            })
            .await
    }

    /// At most `limit` deliveries, fewer if they are long, newest first, and whether there are
    /// more; `before`: only those with a smaller number.
    pub async fn deliveries(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Delivery>, bool)> {
        self.db
            .read(move |c| Ok(posted::deliveries(c, before, limit)?))
            .await
    }

    /// Tries a delivery that was given up once more.
    ///
    /// # Errors
    /// There is none of this number; it was not given up.
    pub async fn send_again(&self, id: i64) -> Result<()> {
        let now = self.clock.now();
        self.db
            .write(move |c| match posted::progress(c, id)?.as_deref() {
                None => Err(Error::not_found("delivery", id)),
                Some(state) if state == DeliveryProgress::Failed.as_str() => {
                    Ok(posted::requeue(c, id, now)?)
                }
                Some(state) if state == DeliveryProgress::Sent.as_str() => Err(Error::Conflict(
                    "This notification was already sent.".into(),
                )),
                Some(_) => Err(Error::Conflict(
                    "This notification is already waiting to be sent.".into(),
                )),
            })
            .await?;
        self.wake.notify_one();
        Ok(())
    }
}

fn channel(c: &mut SqliteConnection, vault: &Vault, id: ChannelId) -> Result<SavedChannel> {
    find_row(
        queries::channels(c, vault)?,
        AlertRowKind::Channel,
        id,
        |channel| channel.id,
    )
}

fn rule(c: &mut SqliteConnection, id: RuleId) -> Result<AlertRule> {
    find_row(queries::rules(c)?, AlertRowKind::Rule, id, |rule| rule.id)
}

fn find_row<T, I: PartialEq + ToString>(
    rows: queries::AlertRows<T>,
    kind: AlertRowKind,
    id: I,
    of: impl Fn(&T) -> I,
) -> Result<T> {
    if let Some(found) = rows.read.into_iter().find(|row| of(row) == id) {
        return Ok(found);
    }
    let id = id.to_string();
    match rows.unreadable.iter().find(|row| row.id == id) {
        Some(row) => Err(Error::Conflict(format!(
            "The {} \"{}\" is unreadable. A newer jd-manager may have written it. You can delete it on the Alerts page.",
            kind, row.name
        ))),
        None => Err(Error::not_found(kind.into(), id)),
    }
}

/// All channels by name, also those that cannot be read: a rule may send to one.
fn channel_names(c: &mut SqliteConnection, vault: &Vault) -> Result<Vec<(ChannelId, String)>> {
    let channels = queries::channels(c, vault)?;
    let unreadable = channels.unreadable.into_iter();
    let unreadable = unreadable
        .filter_map(|row| Some((row.id.parse().ok()?, format!("{} (unreadable)", row.name))));
    Ok(channels
        .read
        .into_iter()
        .map(|channel| (channel.id, channel.name))
        .chain(unreadable)
        .collect())
}

fn only_users(c: &mut SqliteConnection, id: ChannelId) -> Result<Vec<AlertRule>> {
    Ok(queries::rules(c)?
        .read
        .into_iter()
        .filter(|rule| rule.channels == [id])
        .collect())
}

/// Refuses to leave a rule without its only channel: it would send to all, which nobody asked for.
pub(super) fn check_unused(c: &mut SqliteConnection, id: ChannelId, name: &str) -> Result<()> {
    let users = only_users(c, id)?;
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = users
        .iter()
        .map(|rule| format!("\"{}\"", rule.name))
        .collect();
    let (names, them) = (
        names.join(", "),
        if users.len() == 1 {
            "that rule"
        } else {
            "those rules"
        },
    );
    Err(Error::Conflict(format!(
        "\"{name}\" is the only channel of {names}. Select another channel for {them} first."
    )))
}

fn check_free(c: &mut SqliteConnection, name: &str, own: Option<ChannelId>) -> Result<()> {
    match queries::channel_name_is_taken(c, name, own)? {
        true => Err(Error::Conflict(format!(
            "A channel named \"{name}\" already exists. Choose another name."
        ))),
        false => Ok(()),
    }
}

fn known(c: &mut SqliteConnection, vault: &Vault) -> Result<RuleReferences> {
    let instances = queries::instance_names(c)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    Ok(RuleReferences {
        instances,
        channels: channel_names(c, vault)?
            .into_iter()
            .map(|(id, _)| id)
            .collect(),
    })
}

#[cfg(test)]
mod tests;
