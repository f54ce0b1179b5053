//! What is said: the messages of notices, and rules in words for pages. Pure.

use serde_json::json;

use super::decide::{Kind, Notice};
use super::judging::{Why, cut, figure};
use super::model::{Condition, Observation, Rule, Said, Severity, Side, Trouble};
use crate::clock::{Timestamp, spoken};
use crate::metrics::model::title;
use crate::notify::Mood;

/// A notice in words. `why`: why it holds now; none for what is over.
#[must_use]
pub fn of_notice(rule: &Rule, seen: &Observation, notice: &Notice, why: Option<&Why>, now: Timestamp) -> Said {
    let name = &seen.name;
    let since = notice.since.local();
    let (event, title, text, mood) = match notice.kind {
        Kind::Raised => ("raised", format!("{name}: {}", notice.words), told(why, &format!("Since {since}.")), Mood::Bad),
        Kind::Again => {
            let length = spoken(now.since(notice.since));
            ("again", format!("{name}: {} (for {length})", notice.words), told(why, &format!("Since {since}.")), Mood::Bad)
        }
        Kind::Cleared => {
            let until = notice.until.unwrap_or(now);
            let length = spoken(until.since(notice.since));
            (
                "cleared",
                format!("{name}: over: {}", notice.words),
                format!("It lasted {length}, from {since} to {}.", until.local()),
                Mood::Good,
            )
        }
    };
    let mut data = of_rule(rule, seen, event);
    data["since"] = json!(notice.since);
    if let Some(until) = notice.until {
        data["until"] = json!(until);
    }
    Said { title: cut(&title), text: signed(&text, rule), mood, data }
}

/// What happened, from the figure it was last told of to the present one.
#[must_use]
pub fn of_growth(rule: &Rule, seen: &Observation, from: f64, to: f64) -> Said {
    let name = &seen.name;
    let (title, text, mood) = match rule.condition {
        Condition::BestDifficulty => {
            let [before, best] = [from, to].map(|value| figure("best_difficulty", value));
            (
                format!("{name}: new best difficulty {best}"),
                format!("The best share so far had difficulty {before}."),
                Mood::Plain,
            )
        }
        _ => {
            let found = to - from;
            let words = if found > 1.0 { format!("{found} blocks found") } else { "block found".into() };
            (format!("{name}: {words}"), format!("It has found {to} so far."), Mood::Good)
        }
    };
    let mut data = of_rule(rule, seen, "happened");
    (data["figure"], data["before"]) = (json!(to), json!(from));
    Said { title, text: signed(&text, rule), mood, data }
}

/// What a test says.
#[must_use]
pub fn of_test() -> Said {
    Said {
        title: "Test from jd-manager".into(),
        text: "This channel works: alerts will come here.".into(),
        mood: Mood::Plain,
        data: json!({ "event": "test" }),
    }
}

fn told(why: Option<&Why>, since: &str) -> String {
    match why.map(|why| why.text.as_str()).filter(|text| !text.is_empty()) {
        Some(text) => format!("{text}\n{since}"),
        None => since.to_owned(),
    }
}

fn signed(text: &str, rule: &Rule) -> String {
    format!("{text}\nRule: {}.", rule.name)
}

fn of_rule(rule: &Rule, seen: &Observation, event: &str) -> serde_json::Value {
    json!({
        "event": event,
        "rule": { "id": rule.id, "name": rule.name },
        "instance": { "id": seen.instance, "name": seen.name },
        "condition": rule.condition,
    })
}

/// A condition in words, as they stand behind "Tell when …": `an instance is not running though it should be`.
#[must_use]
pub fn of_condition(condition: &Condition) -> String {
    match condition {
        Condition::State { is: Trouble::Failed } => "an instance failed for good".into(),
        Condition::State { is: Trouble::BackingOff } => "an instance ended and waits to be started again".into(),
        Condition::State { is: Trouble::NotRunning } => "an instance is not running though it should be".into(),
        Condition::Check { check, at_least } => {
            let which = check.as_ref().map_or_else(|| "any health check".into(), |name| format!("the health check {name}"));
            let how = if *at_least == Severity::Warning { "has a warning or worse" } else { "is unhealthy" };
            format!("{which} {how}")
        }
        Condition::Metric { metric, side, threshold } => {
            let side = if *side == Side::Above { "above" } else { "below" };
            format!("{} is {side} {}", title(metric), figure(metric, *threshold))
        }
        Condition::BlockFound => "a block is found".into(),
        Condition::BestDifficulty => "a share is better than every one before".into(),
    }
}
