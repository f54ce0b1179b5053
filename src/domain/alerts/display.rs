//! The texts of notifications, and rule conditions in words for pages. No I/O.

use serde_json::json;

use super::evaluate::{ConditionReason, figure, typed};
use super::grouping::NotificationItem;
use super::model::{
    AlertRule, AlertSeverity, InstanceProblem, Notification, RuleCondition, ThresholdSide,
};
use super::observation::AlertObservation;
use super::state_machine::{NoticeKind, RuleTransition};
use crate::domain::health::model::HealthCheck;
use crate::domain::metrics::model::title;
use crate::infra::notify::Tone;

/// The text of a transition. `why`: the current reason; `None` when the problem is resolved.
pub fn of_notice(
    seen: &AlertObservation,
    notice: &RuleTransition,
    why: Option<&ConditionReason>,
) -> NotificationItem {
    let why = why.filter(|_| notice.kind != NoticeKind::Cleared);
    let text = why.map_or("", |why| why.text.as_str());
    let until = (notice.kind == NoticeKind::Cleared)
        .then_some(notice.until)
        .flatten();
    NotificationItem {
        text: text.into(),
        since: Some(notice.since),
        until,
        ..of_subject(seen, notice.words.clone())
    }
}

/// The text of an event: the value went from the last reported one to the current one.
pub fn of_growth(
    rule: &AlertRule,
    seen: &AlertObservation,
    from: f64,
    to: f64,
) -> NotificationItem {
    let (words, text) = match rule.condition {
        RuleCondition::BestDifficulty => {
            let [before, best] = [from, to].map(|value| figure("best_difficulty", value));
            (
                format!("new best difficulty {best}"),
                format!("Previous best: {before}."),
            )
        }
        _ => {
            let found = to - from;
            let words = if found > 1.0 {
                format!("{found} blocks found")
            } else {
                "block found".into()
            };
            (words, format!("Blocks found so far: {to}."))
        }
    };
    NotificationItem {
        text,
        figure: Some(to),
        before: Some(from),
        ..of_subject(seen, words)
    }
}

fn of_subject(seen: &AlertObservation, words: String) -> NotificationItem {
    NotificationItem {
        id: seen.subject().instance(),
        name: seen.name().to_owned(),
        miner: String::new(),
        rule: String::new(),
        words,
        text: String::new(),
        since: None,
        until: None,
        figure: None,
        before: None,
    }
}

/// The text of a test.
pub fn of_test() -> Notification {
    Notification {
        title: "Test from jd-manager".into(),
        text: "This channel works. Alerts will be sent here.".into(),
        mood: Tone::Plain,
        data: json!({ "event": "test" }),
    }
}

/// A condition in words, as a continuation of "Notify when …": `an instance is not running but
/// should be`.
pub fn of_condition(condition: &RuleCondition) -> String {
    match condition {
        RuleCondition::State {
            is: InstanceProblem::Failed,
        } => "an instance failed".into(),
        RuleCondition::State {
            is: InstanceProblem::BackingOff,
        } => "an instance exited and is retrying".into(),
        RuleCondition::State {
            is: InstanceProblem::NotRunning,
        } => "an instance is not running but should be".into(),
        RuleCondition::Check { check, at_least } => {
            let which = check.as_ref().map_or_else(
                || "any health check".into(),
                |name| {
                    format!(
                        "the {} health check",
                        name.parse::<HealthCheck>()
                            .map_or_else(|_| name.clone(), |check| check.title().to_owned())
                    )
                },
            );
            let how = if *at_least == AlertSeverity::Warning {
                "has a warning or is unhealthy"
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
            format!("{} {side} {}", title(metric), typed(metric, *threshold))
        }
        RuleCondition::BlockFound => "a block is found".into(),
        RuleCondition::BestDifficulty => "a share sets a new best difficulty".into(),
        RuleCondition::UpdateAvailable => "a newer client is available".into(),
        RuleCondition::MinerOffline { miner: None } => "a miner is offline".into(),
        RuleCondition::MinerOffline { miner: Some(miner) } => {
            format!("the miner {miner} is offline")
        }
        RuleCondition::HostUnreachable => "a host is unreachable".into(),
    }
}
