//! A summary for a dashboard that cannot sign in, such as the home screen of Umbrel: hashrate, miners and
//! health of all instances together, and nothing else. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::units::{Unit, format_value};
use crate::domain::instances::Instance;

/// How often a dashboard should ask again.
const REFRESH: &str = "30s";

/// The widget, in the format of Umbrel (`three-stats`).
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct StatusWidget {
    /// Always `three-stats`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// How often to ask again, such as `30s`.
    refresh: &'static str,
    /// The page to open: empty, the first one.
    link: &'static str,
    /// Hashrate, miners and health, in this order.
    items: [WidgetItem; 3],
}

/// A value of the widget.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct WidgetItem {
    title: &'static str,
    /// The value.
    text: String,
    /// Its unit, or more about it.
    subtext: String,
}

impl StatusWidget {
    /// The summary of these instances.
    pub fn of(instances: &[Instance]) -> Self {
        let sum = |value: fn(&Instance) -> Option<f64>| {
            let known: Vec<f64> = instances.iter().filter_map(value).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>())
        };
        let hashrate = sum(|i| i.hashrate);
        let miners = sum(|i| i.miner_count.map(|count| count as f64));
        let text = |unit, value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |value| format_value(unit, value))
        };
        let rate = text(Unit::HashesPerSecond, hashrate);
        let (rate, unit) = rate.split_once('\u{a0}').unwrap_or((&rate, ""));
        let item = |title, text: &str, subtext: &str| WidgetItem {
            title,
            text: text.into(),
            subtext: subtext.into(),
        };
        Self {
            kind: "three-stats",
            refresh: REFRESH,
            link: "",
            items: [
                item("Hashrate", rate, unit),
                item("Miners", &text(Unit::Count, miners), "connected"),
                item("Health", health(instances), ""),
            ],
        }
    }
}

/// The worst health of the instances that should run.
fn health(instances: &[Instance]) -> &'static str {
    let mut wanted = instances
        .iter()
        .filter(|i| i.desired == "running")
        .map(|i| i.health.as_ref().map_or("unknown", |health| health.status))
        .peekable();
    if wanted.peek().is_none() {
        return "Stopped";
    }
    let worst = wanted.max_by_key(|status| match *status {
        "unhealthy" => 3,
        "warning" => 2,
        "unknown" => 1,
        _ => 0,
    });
    match worst {
        Some("unhealthy") => "Unhealthy",
        Some("warning") => "Warning",
        Some("healthy") => "Healthy",
        _ => "Unknown",
    }
}
