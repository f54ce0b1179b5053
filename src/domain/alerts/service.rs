//! The use cases of alerts: manage channels and rules, mute, send tests, list deliveries.

use diesel::SqliteConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

use super::channel_draft::ChannelDraft;
use super::delivery::{Delivery, DeliveryProgress, queries as posted};
use super::display;
use super::model::{
    ActiveAlert, AlertRowId, AlertRowKind, AlertRule, RuleCondition, SavedChannel,
    UnreadableAlertRow,
};
use super::observation::{AlertObservation, AlertSubject};
use super::queries;
use super::rule_draft::{RuleDraft, RuleReferences};
use crate::base::clock::Clock;
use crate::base::error::{Error, Result};
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::mutes::{Mute, MuteService, MuteSet, lasting_mutes};
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::infra::notify::{NotifyMessage, NotifySender, SendError};

/// The number of recent deliveries on the Alerts page.
const NEWEST: usize = 50;
/// How long deliveries are kept.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The last observation of each instance and host.
pub(super) type LatestObservations = HashMap<AlertSubject, Arc<AlertObservation>>;

/// The alert service; cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    pub(super) db: Db,
    pub(super) vault: Vault,
    pub(super) sender: Arc<NotifySender>,
    pub(super) clock: Arc<dyn Clock>,
    /// What sends no notifications for a while.
    pub(super) mutes: MuteService,
    /// The URL of jd-manager without a slash at its end; none: no links in messages.
    pub(super) public_url: Option<Arc<str>>,
    /// Notified when a delivery waits.
    pub(super) wake: Arc<Notify>,
    /// The last observation of each instance and host. Locked while rules are evaluated or changed.
    pub(super) latest: Arc<Mutex<LatestObservations>>,
    /// The deliveries in progress. Nothing is added to them.
    pub(super) in_hand: Arc<Mutex<HashSet<i64>>>,
    /// The unreadable rows that were already logged.
    pub(super) complained: Arc<std::sync::Mutex<HashSet<AlertRowId>>>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alerts")
    }
}

/// The data of the Alerts page.
#[derive(Debug)]
pub struct AlertOverview {
    /// The rules, oldest first.
    pub rules: Vec<AlertRule>,
    /// The channels, oldest first.
    pub channels: Vec<SavedChannel>,
    /// The active alerts, oldest first.
    pub standing: Vec<ActiveAlert>,
    /// The mutes that have not ended, those that end first at the top.
    pub mutes: Vec<Mute>,
    /// The newest deliveries, newest first.
    pub deliveries: Vec<Delivery>,
    /// Ids and names of all instances, by name.
    pub instances: Vec<(InstanceId, String)>,
    /// Unreadable rows, which are ignored everywhere else.
    pub unreadable: Vec<UnreadableAlertRow>,
}

/// Ids and names of all instances, by name, and of all channels, oldest first.
pub type Choices = (Vec<(InstanceId, String)>, Vec<(ChannelId, String)>);

/// What can be muted.
#[derive(Clone, Debug, Default)]
pub struct MuteTargets {
    /// Ids and names of all instances, by name.
    pub instances: Vec<(InstanceId, String)>,
    /// The tags of instances, sorted, each once, ignoring case.
    pub tags: Vec<String>,
    /// Ids and names of all readable rules, oldest first.
    pub rules: Vec<(RuleId, String)>,
}

impl Alerts {
    /// Alerts stored in `db`, with secrets sealed by `vault`.
    pub fn new(db: Db, vault: Vault, sender: NotifySender, clock: impl Clock) -> Self {
        let (sender, clock): (_, Arc<dyn Clock>) = (Arc::new(sender), Arc::new(clock));
        let (wake, latest, in_hand, complained) = <(Arc<_>, Arc<_>, Arc<_>, Arc<_>)>::default();
        Self {
            mutes: MuteService::new(db.clone(), clock.clone()),
            db,
            vault,
            sender,
            clock,
            public_url: None,
            wake,
            latest,
            in_hand,
            complained,
        }
    }

    /// With links to pages of jd-manager at this URL, which has no slash at its end.
    #[must_use]
    pub fn linking_to(mut self, public_url: Option<&str>) -> Self {
        self.public_url = public_url.map(Into::into);
        self
    }

    /// All there is.
    pub async fn everything(&self) -> Result<AlertOverview> {
        let (now, vault) = (self.clock.now(), self.vault.clone());
        let all = self
            .db
            .read(move |c| {
                let (rules, channels) = (queries::rules(c)?, queries::channels(c, &vault)?);
                let mut mutes = lasting_mutes(c, now)?;
                mutes.sort_by_key(|mute| (mute.until, mute.id));
                let set: MuteSet = mutes.iter().cloned().collect();
                let mut standing = queries::standing(c, &set, now)?;
                // The rule is unreadable.
                standing.retain(|one| rules.read.iter().any(|rule| rule.id == one.rule_id));
                Ok(AlertOverview {
                    unreadable: [rules.unreadable, channels.unreadable].concat(),
                    rules: rules.read,
                    channels: channels.read,
                    standing,
                    mutes,
                    deliveries: posted::deliveries(c, None, NEWEST)?.0,
                    instances: queries::instance_names(c)?,
                })
            })
            .await?;
        self.report(&all.unreadable);
        Ok(all)
    }

    /// Whether an enabled rule is about miners, so that they have to be observed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn has_miner_rules(&self) -> Result<bool> {
        let rules = self.db.read(|c| Ok(queries::rules(c)?)).await?;
        let is_about_miners = |rule: &AlertRule| {
            rule.enabled && matches!(rule.condition, RuleCondition::MinerOffline { .. })
        };
        Ok(rules.read.iter().any(is_about_miners))
    }

    /// One channel.
    pub async fn channel(&self, id: ChannelId) -> Result<SavedChannel> {
        let vault = self.vault.clone();
        self.db.read(move |c| channel(c, &vault, id)).await
    }

    /// A channel and the rules that use only this channel. They prevent its deletion.
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
    /// Lists every invalid field; the name is already in use.
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

    /// Saves a changed channel. A secret that is masked, empty or omitted is kept.
    ///
    /// # Errors
    /// The id does not exist; lists every invalid field; the name is already in use.
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
        // Waiting deliveries may succeed with the new settings.
        self.wake.notify_one();
        Ok(saved)
    }

    /// Removes a channel and its waiting deliveries.
    ///
    /// # Errors
    /// The id does not exist; a rule uses only this channel.
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

    /// Sends a test immediately. The inner result is the result of the attempt.
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
            link: self.public_url.as_ref().map(|url| format!("{url}/alerts")),
            data: said.data,
        };
        let result = self.sender.send(&saved.target, &message).await;
        Ok((saved, result))
    }

    /// One rule.
    pub async fn rule(&self, id: RuleId) -> Result<AlertRule> {
        self.db.read(move |c| rule(c, id)).await
    }

    /// The instances and channels a rule can use.
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

    /// Saves a changed rule. A rule with a new condition or instance, or a disabled rule, loses its
    /// state.
    ///
    /// # Errors
    /// The id does not exist; lists every invalid field.
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

    /// Removes a rule and its state.
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

    /// What sends no notifications for a while.
    pub fn mutes(&self) -> &MuteService {
        &self.mutes
    }

    /// What can be muted.
    pub async fn mute_targets(&self) -> Result<MuteTargets> {
        self.db
            .read(|c| {
                let mut tags = BTreeMap::new();
                for own in queries::instance_tags(c)? {
                    for tag in own.iter() {
                        tags.entry(tag.to_lowercase())
                            .or_insert_with(|| tag.to_owned());
                    }
                }
                let rules = queries::rules(c)?.read.into_iter();
                Ok(MuteTargets {
                    instances: queries::instance_names(c)?,
                    tags: tags.into_values().collect(),
                    rules: rules.map(|rule| (rule.id, rule.name)).collect(),
                })
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

    /// Sends a failed delivery again.
    ///
    /// # Errors
    /// The number does not exist; the delivery has not failed.
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

/// All channels by name, including unreadable ones, because a rule may use one.
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

/// Rejects removing the only channel of a rule: the rule would then send to all channels.
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
