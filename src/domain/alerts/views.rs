//! The alert pages and their JSON. No I/O; `notify` masks the secrets of channels.

pub mod channel_form;
mod fields;
pub mod mutes;
pub mod responses;
pub mod rule_form;

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use self::mutes::MuteView;
use super::channel_kinds::{ChannelKind, KINDS};
use super::delivery::{Delivery, DeliveryProgress};
use super::display::of_condition;
use super::model::{ActiveAlert, AlertRowKind, AlertRule, SavedChannel, UnreadableAlertRow};
use super::service::{AlertOverview, MuteTargets};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::mutes::{MuteSet, MuteState};
use crate::infra::notify::NotifyChannel as Target;
use crate::view;
use crate::web::{ConfirmPage, ConfirmQuestion};

/// A channel without its secrets.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Channel")]
pub struct ChannelView {
    /// The id.
    pub id: ChannelId,
    /// The name.
    pub name: String,
    /// The destination in words.
    pub words: String,
    /// When the channel was created.
    pub created_at: Timestamp,
    /// `kind` and its fields, with secrets masked.
    #[serde(flatten)]
    #[schemars(with = "Target")]
    pub target: Value,
}

impl From<SavedChannel> for ChannelView {
    fn from(saved: SavedChannel) -> Self {
        let SavedChannel {
            id,
            name,
            target,
            created_at,
        } = saved;
        Self {
            id,
            name,
            words: target.words(),
            created_at,
            target: target.masked(),
        }
    }
}

/// `GET /alerts`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "alerts/list.html", blocks = ["main"])]
#[schemars(rename = "Alerts")]
pub struct AlertsPage {
    #[serde(skip)]
    now: Timestamp,
    rules: Vec<AlertRule>,
    channels: Vec<ChannelView>,
    /// Active alerts, whether a notification was sent or not.
    standing: Vec<ActiveAlert>,
    /// The mutes that have not ended, those that end first at the top.
    mutes: Vec<MuteView>,
    deliveries: Vec<Delivery>,
    /// Unreadable rules and channels, which jd-manager ignores.
    unreadable: Vec<UnreadableAlertRow>,
    #[serde(skip)]
    instances: Vec<(InstanceId, String)>,
    #[serde(skip)]
    muted: MuteSet,
}
view!(AlertsPage { "main" => as_main });

impl AlertsPage {
    /// The page.
    pub fn new(all: AlertOverview, now: Timestamp) -> Self {
        let AlertOverview {
            rules,
            channels,
            standing,
            mutes,
            deliveries,
            instances,
            unreadable,
        } = all;
        let channels = channels.into_iter().map(ChannelView::from).collect();
        let targets = MuteTargets {
            instances,
            tags: Vec::new(),
            rules: rules
                .iter()
                .map(|rule| (rule.id, rule.name.clone()))
                .collect(),
        };
        let muted = mutes.iter().cloned().collect();
        let mutes = mutes.into_iter();
        let mutes = mutes
            .map(|mute| MuteView::new(mute, &targets, now))
            .collect();
        Self {
            now,
            rules,
            channels,
            standing,
            mutes,
            deliveries,
            unreadable,
            instances: targets.instances,
            muted,
        }
    }

    fn muted_until(&self, rule: &AlertRule) -> Option<Timestamp> {
        self.muted.of_rule(rule.id, self.now).map(|mute| mute.until)
    }

    fn kinds(&self) -> &'static [ChannelKind] {
        &KINDS
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn condition(&self, rule: &AlertRule) -> String {
        of_condition(&rule.condition)
    }

    /// The instances or hosts of a rule.
    fn whose(&self, rule: &AlertRule) -> &str {
        if rule.condition.is_about_hosts() {
            return "all hosts";
        }
        let only = rule
            .instance_id
            .and_then(|id| self.instances.iter().find(|(known, _)| *known == id));
        only.map_or("all instances", |(_, name)| name)
    }

    /// The channels of a rule.
    fn receivers(&self, rule: &AlertRule) -> String {
        if rule.channels.is_empty() {
            return "all".into();
        }
        let name = |id: &ChannelId| match self.channels.iter().find(|channel| channel.id == *id) {
            Some(channel) => channel.name.clone(),
            None => {
                let id = id.to_string();
                let unreadable = self
                    .unreadable
                    .iter()
                    .find(|row| row.id == id)
                    .map_or("?", |row| row.name.as_str());
                format!("{unreadable} (unreadable)")
            }
        };
        rule.channels
            .iter()
            .map(name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The timing of a rule: `after 60 s, every 1 h 0 min, quiet from 22:00 to 07:00`.
    fn when(&self, rule: &AlertRule) -> String {
        let seconds =
            |number: u32| human_duration(std::time::Duration::from_secs(u64::from(number)));
        let mut parts = vec![if rule.for_s == 0 {
            "immediately".into()
        } else {
            format!("after {}", seconds(rule.for_s))
        }];
        parts.extend(
            rule.repeat_s
                .map(|every| format!("every {}", seconds(every))),
        );
        parts.extend(rule.quiet.map(|quiet| {
            format!(
                "quiet from {} to {}",
                fields::time(quiet.from),
                fields::time(quiet.to)
            )
        }));
        parts.join(", ")
    }
}

/// `GET /alerts/deliveries`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "alerts/deliveries.html", blocks = ["main"])]
#[schemars(rename = "Deliveries")]
pub struct DeliveriesPage {
    #[serde(skip)]
    now: Timestamp,
    /// Newest first.
    deliveries: Vec<Delivery>,
    /// The value of `before` for the next page, if there are older notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
    #[serde(skip)]
    limit: u64,
}
view!(DeliveriesPage { "main" => as_main });

impl DeliveriesPage {
    /// One page, and whether there are more; `limit`: the requested number.
    pub fn new((deliveries, has_more): (Vec<Delivery>, bool), limit: u64, now: Timestamp) -> Self {
        let next = deliveries.last().map(|last| last.id).filter(|_| has_more);
        Self {
            now,
            deliveries,
            next,
            limit,
        }
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }
}

/// `POST /alerts/channels/{id}/test`: the result.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "alerts/test.html", blocks = ["main"])]
#[schemars(rename = "ChannelTest")]
pub struct TestPage {
    /// The receiver accepted the test.
    pub success: bool,
    message: String,
    #[serde(skip)]
    channel: ChannelView,
}
view!(TestPage { "main" => as_main });

impl TestPage {
    /// `wrong`: why sending failed; `None` if the receiver accepted the test.
    pub fn new(channel: SavedChannel, wrong: Option<String>) -> Self {
        let channel = ChannelView::from(channel);
        let success = wrong.is_none();
        let message = wrong.unwrap_or_else(|| {
            format!(
                "The receiver ({}) accepted the test message. Check that it arrived.",
                channel.words
            )
        });
        Self {
            success,
            message,
            channel,
        }
    }
}

/// The channel or rule to delete.
#[derive(Debug, JsonSchema, Serialize)]
pub struct AlertRemoval {
    id: String,
    name: String,
    /// The rules that prevent it.
    used_by: Vec<RuleName>,
}

/// The id and name of a rule.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleName {
    id: RuleId,
    name: String,
}

/// The confirmation for deleting a channel; `users`: the rules that use only this channel.
pub(super) fn delete_channel_page(
    channel: SavedChannel,
    users: Vec<AlertRule>,
) -> ConfirmPage<AlertRemoval> {
    let lost = format!(
        "This channel ({}) will no longer receive notifications. jd-manager will discard waiting notifications and delete the channel's history.",
        channel.target.words()
    );
    let used_by = users.into_iter().map(|rule| RuleName {
        id: rule.id,
        name: rule.name,
    });
    let removal = AlertRemoval {
        id: channel.id.to_string(),
        name: channel.name,
        used_by: used_by.collect(),
    };
    ask(removal, format!("/alerts/channels/{}", channel.id), lost)
}

/// The confirmation for deleting an unreadable row.
pub(super) fn delete_unreadable_page(row: UnreadableAlertRow) -> ConfirmPage<AlertRemoval> {
    let lost = match row.place.kind {
        AlertRowKind::Rule => {
            "This rule is unreadable and sends no notifications. A newer jd-manager may be able to read it."
        }
        AlertRowKind::Channel => {
            "This channel is unreadable and receives no notifications. A newer jd-manager may be able to read it and send its waiting notifications. Deleting the channel also deletes its history."
        }
    };
    let address = format!("/alerts/unreadable/{}", row.place);
    let removal = AlertRemoval {
        id: row.id,
        name: row.name,
        used_by: Vec::new(),
    };
    ask(removal, address, lost.into())
}

/// The confirmation for deleting a rule.
pub(super) fn delete_rule_page(rule: AlertRule) -> ConfirmPage<AlertRemoval> {
    let lost = format!(
        "Notifications will stop for this condition: {}. To pause notifications, disable the rule instead.",
        of_condition(&rule.condition)
    );
    let removal = AlertRemoval {
        id: rule.id.to_string(),
        name: rule.name,
        used_by: Vec::new(),
    };
    ask(removal, format!("/alerts/rules/{}", rule.id), lost)
}

fn ask(removal: AlertRemoval, address: String, lost: String) -> ConfirmPage<AlertRemoval> {
    let name = &removal.name;
    let links: Vec<_> = removal
        .used_by
        .iter()
        .map(|rule| (format!("/alerts/rules/{}", rule.id), rule.name.clone()))
        .collect();
    let is_free = links.is_empty();
    let question = ConfirmQuestion {
        title: if is_free {
            format!("Delete {name}?")
        } else {
            format!("{name} cannot be deleted")
        },
        nav: "alerts",
        texts: vec![if is_free {
            lost
        } else {
            "These rules use only this channel. Select another channel for them first.".into()
        }],
        links,
        action: is_free.then(|| (format!("{address}/delete"), format!("Delete {name}"))),
        back: "/alerts".into(),
    };
    ConfirmPage::new(removal, question)
}
