//! What is said: the messages of notices, and rules in words for pages. Pure.

use serde_json::json;

use super::evaluate::{ConditionReason, figure, typed};
use super::grouping::NotificationItem;
use super::model::{
    AlertRule, AlertSeverity, InstanceObservation, InstanceProblem, Notification, RuleCondition,
    ThresholdSide,
};
use super::state_machine::{NoticeKind, RuleTransition};
use crate::domain::health::model::HealthCheck;
use crate::domain::metrics::model::title;
use crate::infra::notify::Tone;

/// A notice in words. `why`: why it holds now; none for what is over.
pub fn of_notice(
    seen: &InstanceObservation,
    notice: &RuleTransition,
    why: Option<&ConditionReason>,
) -> NotificationItem {
    let text = if notice.kind == NoticeKind::Cleared {
        ""
    } else {
        why.map_or("", |why| why.text.as_str())
    };
    let until = (notice.kind == NoticeKind::Cleared)
        .then_some(notice.until)
        .flatten();
    NotificationItem {
        text: text.into(),
        since: Some(notice.since),
        until,
        ..of_instance(seen, notice.words.clone())
    }
}

/// What happened, from the figure it was last told of to the present one.
pub fn of_growth(
    rule: &AlertRule,
    seen: &InstanceObservation,
    from: f64,
    to: f64,
) -> NotificationItem {
    let (words, text) = match rule.condition {
        RuleCondition::BestDifficulty => {
            let [before, best] = [from, to].map(|value| figure("best_difficulty", value));
            (
                format!("new best difficulty {best}"),
                format!("The best share so far had difficulty {before}."),
            )
        }
        _ => {
            let found = to - from;
            let words = if found > 1.0 {
                format!("{found} blocks found")
            } else {
                "block found".into()
            };
            (words, format!("It has found {to} so far."))
        }
    };
    NotificationItem {
        text,
        figure: Some(to),
        before: Some(from),
        ..of_instance(seen, words)
    }
}

fn of_instance(seen: &InstanceObservation, words: String) -> NotificationItem {
    let (id, name) = (seen.instance, seen.name.clone());
    NotificationItem {
        id,
        name,
        words,
        text: String::new(),
        since: None,
        until: None,
        figure: None,
        before: None,
    }
}

/// What a test says.
pub fn of_test() -> Notification {
    Notification {
        title: "Test from jd-manager".into(),
        text: "This channel works: alerts will come here.".into(),
        mood: Tone::Plain,
        data: json!({ "event": "test" }),
    }
}

/// A condition in words, as they stand behind "Tell when …": `an instance is not running though it
/// should be`.
pub fn of_condition(condition: &RuleCondition) -> String {
    match condition {
        RuleCondition::State {
            is: InstanceProblem::Failed,
        } => "an instance failed for good".into(),
        RuleCondition::State {
            is: InstanceProblem::BackingOff,
        } => "an instance ended and waits to be started again".into(),
        RuleCondition::State {
            is: InstanceProblem::NotRunning,
        } => "an instance is not running though it should be".into(),
        RuleCondition::Check { check, at_least } => {
            let which = check.as_ref().map_or_else(
                || "any health check".into(),
                |name| {
                    format!(
                        "the health check {}",
                        name.parse::<HealthCheck>()
                            .map_or_else(|_| name.clone(), |check| check.title().to_owned())
                    )
                },
            );
            let how = if *at_least == AlertSeverity::Warning {
                "has a warning or worse"
            } else {
                "is unhealthy"
            };
            format!("{which} {how}")
        }
        RuleCondition::Metric {
            metric,
            side,
            threshold,
        } => {
            let side = if *side == ThresholdSide::Above {
                "above"
            } else {
                "below"
            };
            format!("{} is {side} {}", title(metric), typed(metric, *threshold))
        }
        RuleCondition::BlockFound => "a block is found".into(),
        RuleCondition::BestDifficulty => "a share is better than every one before".into(),
        RuleCondition::UpdateAvailable => "a newer client is there".into(),
    }
}
