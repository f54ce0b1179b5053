//! Builds one notification for one instance or host, or for all that had a problem of the same kind
//! within a short time. No I/O.
//!
//! If a pool fails, you get one notification and not fifty. The data of a notification holds an
//! item for each of them, so that more items can be added until it is sent.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;

use super::evaluate::cut;
use super::model::{AlertRule, Notification, RuleCondition};
use super::observation::AlertSubject;
use super::state_machine::NoticeKind;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::{InstanceId, RuleId};
use crate::infra::notify::Tone;

/// Maximum number of instances or hosts in one notification. Its data contains all of them.
pub const MOST: usize = 1000;
/// Maximum number of instances or hosts that its text names: receivers limit the size. The link of the
/// notification leads to all of them.
const NAMED: usize = 20;
/// Maximum number of different words in one text.
const WORDINGS: usize = 8;
/// Maximum number of different pieces of advice in one notification. More would not be read.
const ADVICE: usize = 4;

/// What a notification reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum NotificationEvent {
    /// The condition started to hold.
    Raised,
    /// The condition still holds.
    Again,
    /// The problem is resolved.
    Cleared,
    /// An event that does not last.
    Happened,
}

impl NotificationEvent {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<NoticeKind> for NotificationEvent {
    fn from(kind: NoticeKind) -> Self {
        match kind {
            NoticeKind::Raised => Self::Raised,
            NoticeKind::Again => Self::Again,
            NoticeKind::Cleared => Self::Cleared,
        }
    }
}

/// The part of a notification about one instance or host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationItem {
    /// The id of the instance; `None` for a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InstanceId>,
    /// The name of the instance or host.
    pub name: String,
    /// The miner, by name and address; empty if the notification is about the instance or a host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub miner: String,
    /// The name of its rule, if that is not the one of the notification; otherwise empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// A few words that follow the name: `not running`.
    pub words: String,
    /// More details in sentences, such as what to do; may be empty.
    pub text: String,
    /// When the problem started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the problem ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// For events: the current value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
    /// For events: the last reported value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
}

impl NotificationItem {
    /// What it is about.
    pub fn subject(&self) -> AlertSubject {
        let host = || AlertSubject::Host(self.name.clone());
        self.id.map_or_else(host, AlertSubject::Instance)
    }

    /// Whether both are about the same instance, miner or host.
    pub fn is_about(&self, other: &Self) -> bool {
        (self.subject(), &self.miner) == (other.subject(), &other.miner)
    }

    /// The item of a notification of `rule`, in a notification of `other`.
    pub fn attributed(mut self, rule: &AlertRule, other: &AlertRule) -> Self {
        if rule.id != other.id && self.rule.is_empty() {
            self.rule.clone_from(&rule.name);
        } else if self.rule == other.name {
            self.rule.clear();
        }
        self
    }
}

/// The page about a notification: that of its instance or host, or the list if it names several.
pub fn page_path(data: &Value) -> String {
    if let Some(hosts) = data.get("hosts").and_then(Value::as_array) {
        let name = |host: &Value| Some(host.get("name")?.as_str()?.to_owned());
        return match &hosts[..] {
            [host] => name(host).map_or_else(|| "/hosts".into(), |name| format!("/hosts/{name}")),
            _ => "/hosts".into(),
        };
    }
    let items = data.get("instances").and_then(Value::as_array);
    let id = |item: &Value| item.get("id")?.as_str()?.parse().ok();
    let ids: HashSet<InstanceId> = items.into_iter().flatten().filter_map(id).collect();
    let miner = data.pointer("/instances/0/miner").and_then(Value::as_str);
    let is_about_miners = miner.is_some_and(|miner| !miner.is_empty());
    let kind = data.pointer("/condition/kind").and_then(Value::as_str);
    // Lists of what needs attention do not contain instances with other alerts, or without a problem.
    let needs_attention = data["event"] != NotificationEvent::Cleared.as_str()
        && matches!(kind, Some("state" | "check"));
    match Vec::from_iter(ids)[..] {
        [id] if is_about_miners => format!("/instances/{id}/miners"),
        [id] => format!("/instances/{id}"),
        [] => "/alerts".to_owned(),
        _ if is_about_miners => "/miners".to_owned(),
        _ if needs_attention => "/instances?attention=true".to_owned(),
        _ => "/instances".to_owned(),
    }
}

/// The notification for one or more items. `at`: when the first item was noticed.
pub fn said(
    rule: &AlertRule,
    event: NotificationEvent,
    items: &[NotificationItem],
    at: Timestamp,
) -> Notification {
    let (title, text) = match items {
        [item] => (alone(event, item, at), text_alone(event, item)),
        _ => (
            together(rule, event, items),
            text_together(rule, event, items),
        ),
    };
    let mood = match (event, &rule.condition) {
        (NotificationEvent::Raised | NotificationEvent::Again, _) => Tone::Bad,
        (NotificationEvent::Cleared, _)
        | (NotificationEvent::Happened, RuleCondition::BlockFound) => Tone::Good,
        (NotificationEvent::Happened, _) => Tone::Plain,
    };
    let mut data = json!({
        "event": event.as_str(),
        "rule": { "id": rule.id, "name": rule.name },
        "condition": rule.condition,
    });
    data[list_name(rule)] = json!(items);
    // The first instance or host, for programs that expect a single one.
    if let Some(first) = items.first() {
        data[rule.condition.noun()] = match first.id {
            Some(id) => json!({ "id": id, "name": first.name }),
            None => json!({ "name": first.name }),
        };
        if let Ok(Value::Object(members)) = serde_json::to_value(first) {
            for name in ["since", "until", "figure", "before"] {
                if let Some(value) = members.get(name) {
                    data[name] = value.clone();
                }
            }
        }
    }
    let text = [text, rules_of(rule, items)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    Notification {
        title: cut(&title),
        text,
        mood,
        data,
    }
}

/// The name of the items in the data of a notification.
fn list_name(rule: &AlertRule) -> String {
    format!("{}s", rule.condition.noun())
}

/// The rules that the items come from.
fn rules_of(rule: &AlertRule, items: &[NotificationItem]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for item in items {
        let name = if item.rule.is_empty() {
            &rule.name
        } else {
            &item.rule
        };
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let word = if names.len() > 1 { "Rules" } else { "Rule" };
    format!("{word}: {}.", names.join(", "))
}

/// The items of a notification that [`said`] built for this rule and event; `None` for any other.
pub fn items_of(
    data: &Value,
    rule: &AlertRule,
    event: NotificationEvent,
) -> Option<Vec<NotificationItem>> {
    // Comparing the kind is enough: numbers may lose digits in JSON, and each item states its own
    // value.
    let is_of_kind = data["condition"]["kind"] == rule.condition.kind();
    let is_same = is_of_kind && rule_of(data) == Some(rule.id) && data["event"] == event.as_str();
    is_same
        .then(|| serde_json::from_value(data[list_name(rule)].clone()).ok())
        .flatten()
}

/// The rule of a notification.
pub fn rule_of(data: &Value) -> Option<RuleId> {
    data["rule"]["id"].as_str()?.parse().ok()
}

fn alone(event: NotificationEvent, item: &NotificationItem, at: Timestamp) -> String {
    let NotificationItem { name, words, .. } = item;
    match event {
        NotificationEvent::Raised | NotificationEvent::Happened => format!("{name}: {words}"),
        NotificationEvent::Again => {
            let length = item
                .since
                .map(|since| format!(" (for {})", human_duration(at.since(since))))
                .unwrap_or_default();
            format!("{name}: {words}{length}")
        }
        NotificationEvent::Cleared => format!("{name}: resolved (was: {words})"),
    }
}

fn text_alone(event: NotificationEvent, item: &NotificationItem) -> String {
    let since = item.since.map(Timestamp::local).unwrap_or_default();
    let time = match (event, item.since.zip(item.until)) {
        (NotificationEvent::Happened, _) => String::new(),
        (NotificationEvent::Cleared, Some((begun, until))) => {
            format!(
                "Lasted {}, from {since} to {}.",
                human_duration(until.to_second().since(begun.to_second())),
                until.local()
            )
        }
        _ => format!("Since {since}."),
    };
    [item.text.clone(), time]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

const MINER: &str = "miner";

/// What the items are about.
fn noun(rule: &AlertRule, items: &[NotificationItem]) -> &'static str {
    if items.iter().all(|item| !item.miner.is_empty()) {
        MINER
    } else {
        rule.condition.noun()
    }
}

/// `1 instance`, `2 instances`.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The words of all items, if they are the same.
fn common(items: &[NotificationItem]) -> Option<&str> {
    let first = items.first()?.words.as_str();
    items
        .iter()
        .all(|item| item.words == first)
        .then_some(first)
}

fn together(rule: &AlertRule, event: NotificationEvent, items: &[NotificationItem]) -> String {
    let (count, noun) = (items.len(), noun(rule, items));
    let words = match common(items) {
        Some(words) => words,
        // The name of each miner is in its words.
        None if noun == MINER => "offline",
        None if rule.condition.is_about_hosts()
            || items.iter().any(|item| !item.rule.is_empty()) =>
        {
            "several problems"
        }
        None => &rule.name,
    };
    match event {
        NotificationEvent::Raised | NotificationEvent::Happened => {
            format!("{count} {noun}s: {words}")
        }
        NotificationEvent::Again => format!("{count} {noun}s: {words} (ongoing)"),
        NotificationEvent::Cleared => format!("{count} {noun}s: resolved (was: {words})"),
    }
}

/// The instances or hosts, then what to do, then the times: a phone may cut off the end.
fn text_together(rule: &AlertRule, event: NotificationEvent, items: &[NotificationItem]) -> String {
    let noun = noun(rule, items);
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|(words, _)| *words == item.words) {
            Some((_, names)) => names.push(&item.name),
            None => groups.push((&item.words, vec![&item.name])),
        }
    }
    let is_common = groups.len() == 1;
    let mut room = NAMED;
    let who = |(words, names): &(&str, Vec<&str>)| {
        let named = names.len().min(room);
        room -= named;
        let listed = names[..named].join(", ");
        let who = match (names.len() - named, named) {
            (0, _) => listed,
            (more, 0) => counted(more, noun),
            (more, _) => format!("{listed} and {more} more"),
        };
        match is_common {
            true => format!("{who}."),
            false => format!("{who}: {words}"),
        }
    };
    let mut lines: Vec<String> = groups.iter().take(WORDINGS).map(who).collect();
    let rest = groups.iter().skip(WORDINGS).map(|(_, names)| names.len());
    match rest.sum() {
        0 => {}
        more => lines.push(format!("{}: other problems", counted(more, noun))),
    }
    if matches!(event, NotificationEvent::Raised | NotificationEvent::Again) {
        let mut advice: Vec<&str> = Vec::new();
        for text in items
            .iter()
            .map(|item| item.text.as_str())
            .filter(|text| !text.is_empty())
        {
            if !advice.contains(&text) {
                advice.push(text);
            }
        }
        let has_more = advice.len() > ADVICE;
        lines.extend(advice.into_iter().take(ADVICE).map(str::to_owned));
        if has_more {
            lines.push(format!("For advice on the other {noun}s, see their pages."));
        }
    }
    let first = items
        .iter()
        .filter_map(|item| item.since)
        .min()
        .map(Timestamp::local);
    let last = items
        .iter()
        .filter_map(|item| item.until)
        .max()
        .map(Timestamp::local);
    match (event, first, last) {
        (NotificationEvent::Raised | NotificationEvent::Again, Some(first), _) => {
            lines.push(format!("First {noun} affected at {first}."))
        }
        (NotificationEvent::Cleared, Some(first), Some(last)) => {
            lines.push(format!("Lasted from {first} to {last}."))
        }
        _ => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
