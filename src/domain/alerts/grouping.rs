//! One message of what one rule has to tell: of one instance, or of all that it came to hold of
//! within a short moment. Pure.
//!
//! A pool that is gone is one message and not fifty. What is told of each instance is kept in the
//! message's data, so that what comes a moment later can be added to it while it has not been sent.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evaluate::cut;
use super::model::{AlertRule, Notification, RuleCondition};
use super::state_machine::NoticeKind;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::{InstanceId, RuleId};
use crate::infra::notify::Tone;

/// Instances in one message at most: receivers take no messages of any size.
pub const MOST: usize = 50;
/// So many different pieces of advice are in one message; with more of them nobody would read any.
const ADVICE: usize = 4;

/// What a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum NotificationEvent {
    /// The condition holds.
    Raised,
    /// It still holds.
    Again,
    /// It is over.
    Cleared,
    /// Something happened that does not last.
    Happened,
}

impl NotificationEvent {
    /// As in JSON.
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

/// What is told of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationItem {
    /// Of which.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// In a few words, as they stand behind its name: `not running though it should be`.
    pub words: String,
    /// More in sentences, such as what to do; may be empty.
    pub text: String,
    /// Since when it holds, or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of what happened: the figure now,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
    /// and when it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
}

/// The message of one or more items. `at`: when the first of them was noticed.
pub fn said(
    rule: &AlertRule,
    event: NotificationEvent,
    items: &[NotificationItem],
    at: Timestamp,
) -> Notification {
    let (title, text) = match items {
        [item] => (alone(event, item, at), text_alone(event, item)),
        _ => (together(rule, event, items), text_together(event, items)),
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
        "instances": items,
    });
    // Of the first, for programs that know one instance only.
    if let Some(first) = items.first() {
        data["instance"] = json!({ "id": first.id, "name": first.name });
        if let Ok(Value::Object(members)) = serde_json::to_value(first) {
            for name in ["since", "until", "figure", "before"] {
                if let Some(value) = members.get(name) {
                    data[name] = value.clone();
                }
            }
        }
    }
    let text = [text, format!("Rule: {}.", rule.name)]
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

/// The items of a message that was made by [`said`] for this rule and event; none for any other.
pub fn items_of(
    data: &Value,
    rule: &AlertRule,
    event: NotificationEvent,
) -> Option<Vec<NotificationItem>> {
    // Of a condition the kind is enough: figures need not come back to the last digit, and each
    // item has its own in words.
    let is_of_kind = data["condition"]["kind"] == rule.condition.kind();
    let is_same = is_of_kind && rule_of(data) == Some(rule.id) && data["event"] == event.as_str();
    is_same
        .then(|| serde_json::from_value(data["instances"].clone()).ok())
        .flatten()
}

/// Of which rule a message is.
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
        NotificationEvent::Cleared => format!("{name}: over: {words}"),
    }
}

fn text_alone(event: NotificationEvent, item: &NotificationItem) -> String {
    let since = item.since.map(Timestamp::local).unwrap_or_default();
    let time = match (event, item.since.zip(item.until)) {
        (NotificationEvent::Happened, _) => String::new(),
        (NotificationEvent::Cleared, Some((begun, until))) => {
            format!(
                "It lasted {}, from {since} to {}.",
                human_duration(until.since(begun)),
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

/// The words that all items have in common.
fn common(items: &[NotificationItem]) -> Option<&str> {
    let first = items.first()?.words.as_str();
    items
        .iter()
        .all(|item| item.words == first)
        .then_some(first)
}

fn together(rule: &AlertRule, event: NotificationEvent, items: &[NotificationItem]) -> String {
    let lead = match event {
        NotificationEvent::Raised | NotificationEvent::Happened => "",
        NotificationEvent::Again => "still: ",
        NotificationEvent::Cleared => "over: ",
    };
    format!(
        "{} instances: {lead}{}",
        items.len(),
        common(items).unwrap_or(&rule.name)
    )
}

/// Who, then what to do, then since when: on a phone the end may be cut off.
fn text_together(event: NotificationEvent, items: &[NotificationItem]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|(words, _)| *words == item.words) {
            Some((_, names)) => names.push(&item.name),
            None => groups.push((&item.words, vec![&item.name])),
        }
    }
    let is_common = groups.len() == 1;
    let who = |(words, names): (&str, Vec<&str>)| match is_common {
        true => format!("{}.", names.join(", ")),
        false => format!("{}: {words}", names.join(", ")),
    };
    let mut lines: Vec<String> = groups.into_iter().map(who).collect();
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
            lines.push("What to do about the others stands on their pages.".into());
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
            lines.push(format!("The first since {first}."))
        }
        (NotificationEvent::Cleared, Some(first), Some(last)) => {
            lines.push(format!("It lasted from {first} to {last}."))
        }
        _ => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
