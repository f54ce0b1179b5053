//! What is said: the messages of notices, and rules in words for pages. Pure.

use serde_json::json;

use super::evaluate::{Why, figure, typed};
use super::grouping::Item;
use super::model::{Condition, Observation, Rule, Said, Severity, Side, Trouble};
use super::state_machine::{Kind, Notice};
use crate::domain::health::model::Check;
use crate::domain::metrics::model::title;
use crate::infra::notify::Mood;

/// A notice in words. `why`: why it holds now; none for what is over.
#[must_use]
pub fn of_notice(seen: &Observation, notice: &Notice, why: Option<&Why>) -> Item {
    let text = if notice.kind == Kind::Cleared { "" } else { why.map_or("", |why| why.text.as_str()) };
    let until = (notice.kind == Kind::Cleared).then_some(notice.until).flatten();
    Item { text: text.into(), since: Some(notice.since), until, ..of_instance(seen, notice.words.clone()) }
}

/// What happened, from the figure it was last told of to the present one.
#[must_use]
pub fn of_growth(rule: &Rule, seen: &Observation, from: f64, to: f64) -> Item {
    let (words, text) = match rule.condition {
        Condition::BestDifficulty => {
            let [before, best] = [from, to].map(|value| figure("best_difficulty", value));
            (format!("new best difficulty {best}"), format!("The best share so far had difficulty {before}."))
        }
        _ => {
            let found = to - from;
            let words = if found > 1.0 { format!("{found} blocks found") } else { "block found".into() };
            (words, format!("It has found {to} so far."))
        }
    };
    Item { text, figure: Some(to), before: Some(from), ..of_instance(seen, words) }
}

fn of_instance(seen: &Observation, words: String) -> Item {
    let (id, name) = (seen.instance, seen.name.clone());
    Item { id, name, words, text: String::new(), since: None, until: None, figure: None, before: None }
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

/// A condition in words, as they stand behind "Tell when …": `an instance is not running though it should be`.
#[must_use]
pub fn of_condition(condition: &Condition) -> String {
    match condition {
        Condition::State { is: Trouble::Failed } => "an instance failed for good".into(),
        Condition::State { is: Trouble::BackingOff } => "an instance ended and waits to be started again".into(),
        Condition::State { is: Trouble::NotRunning } => "an instance is not running though it should be".into(),
        Condition::Check { check, at_least } => {
            let which = check.as_ref().map_or_else(
                || "any health check".into(),
                |name| {
                    format!(
                        "the health check {}",
                        name.parse::<Check>().map_or_else(|()| name.clone(), |check| check.title().to_owned())
                    )
                },
            );
            let how = if *at_least == Severity::Warning { "has a warning or worse" } else { "is unhealthy" };
            format!("{which} {how}")
        }
        Condition::Metric { metric, side, threshold } => {
            let side = if *side == Side::Above { "above" } else { "below" };
            format!("{} is {side} {}", title(metric), typed(metric, *threshold))
        }
        Condition::BlockFound => "a block is found".into(),
        Condition::BestDifficulty => "a share is better than every one before".into(),
        Condition::UpdateAvailable => "a newer client is there".into(),
    }
}
