//! The catalogue of metrics: name, unit and meaning. Data only.
//!
//! Names are part of the API and never change. A name may end in `:` and a detail, such as the
//! reason of a rejection or the name of a miner: `shares_rejected:stale-share`,
//! `miner_hashrate:barn.rig1`.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::infra::chart::{ChartKind, Unit};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricMeasure {
    /// Readings; a time range has an average.
    Gauge,
    /// Increments since the previous sample; a time range has a total. A restart causes neither a
    /// loss nor a spike.
    Counter,
}

/// The latest values of an instance.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FiguresResponse {
    /// The latest sample of each metric. For a counter this is the increment since the previous
    /// sample; see `totals`.
    pub metrics: BTreeMap<String, f64>,
    /// The total of each counter since the instance was created, without counters of individual miners.
    pub totals: BTreeMap<String, f64>,
    /// When the latest sample was taken; null if there are no samples yet.
    pub timestamp: Option<Timestamp>,
}

/// One metric.
#[derive(Debug)]
pub struct MetricKind {
    /// The name, without a detail.
    pub name: &'static str,
    /// The title on pages.
    pub title: &'static str,
    /// The meaning, in sentences.
    pub help: &'static str,
    /// The unit of the values.
    pub unit: Unit,
    /// Gauge or counter.
    pub measure: MetricMeasure,
    /// The kind of chart.
    pub kind: ChartKind,
}

const fn gauge(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    help: &'static str,
) -> MetricKind {
    MetricKind {
        name,
        title,
        help,
        unit,
        measure: MetricMeasure::Gauge,
        kind: ChartKind::Line,
    }
}

const fn area(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    help: &'static str,
) -> MetricKind {
    MetricKind {
        name,
        title,
        help,
        unit,
        measure: MetricMeasure::Gauge,
        kind: ChartKind::Area,
    }
}

const fn counter(name: &'static str, title: &'static str, help: &'static str) -> MetricKind {
    MetricKind {
        name,
        title,
        help,
        unit: Unit::Count,
        measure: MetricMeasure::Counter,
        kind: ChartKind::Area,
    }
}

/// All metrics, in the order of the pages.
pub const CATALOGUE: &[MetricKind] = &[
    area(
        "hashrate_measured",
        "Hashrate (10-min average)",
        Unit::HashesPerSecond,
        "10-minute average, calculated from the miners' accepted shares.",
    ),
    area(
        "hashrate_1h",
        "Hashrate (1-h average)",
        Unit::HashesPerSecond,
        "1-hour average, calculated from the miners' accepted shares.",
    ),
    area(
        "hashrate_miners",
        "Expected hashrate",
        Unit::HashesPerSecond,
        "Hashrate the client expects from the miners' channels. Channels that have no accepted share yet are not counted.",
    ),
    area(
        "hashrate_upstream",
        "Reported hashrate",
        Unit::HashesPerSecond,
        "Hashrate the client reports to the pool.",
    ),
    counter(
        "shares_accepted",
        "Shares accepted",
        "Miner shares accepted by the client.",
    ),
    counter(
        "shares_rejected",
        "Shares rejected",
        "Miner shares rejected by the client.",
    ),
    counter(
        "shares_submitted",
        "Shares sent to the pool",
        "Shares the client sent to the pool.",
    ),
    counter(
        "shares_acknowledged",
        "Shares acknowledged by the pool",
        "Shares the pool acknowledged.",
    ),
    counter(
        "shares_refused",
        "Shares rejected by the pool",
        "Shares the pool rejected.",
    ),
    gauge(
        "best_difficulty",
        "Best difficulty",
        Unit::Count,
        "Difficulty of the best share on the current miner channels.",
    ),
    counter(
        "blocks_found",
        "Blocks found",
        "Shares that solved a block.",
    ),
    gauge(
        "miners",
        "Miners",
        Unit::Count,
        "Connected miners, including those behind the translator. The translator does not count as a miner.",
    ),
    gauge(
        "channels_miners",
        "Miner channels",
        Unit::Count,
        "Channels with the client, including those of the translator.",
    ),
    gauge(
        "channels_upstream",
        "Pool channels",
        Unit::Count,
        "Channels to the pool. Zero when mining solo.",
    ),
    area(
        "cpu_percent",
        "CPU",
        Unit::Percent,
        "CPU time of the client, as a percentage of one core.",
    ),
    area(
        "memory_bytes",
        "Memory",
        Unit::Bytes,
        "Physical memory used by the client.",
    ),
    gauge(
        "memory_private_bytes",
        "Private memory",
        Unit::Bytes,
        "Private memory of the client, used or reserved. The memory limit applies to this value.",
    ),
    gauge("threads", "Threads", Unit::Count, "Threads of the client."),
    gauge(
        "open_files",
        "Open files",
        Unit::Count,
        "Files and sockets that the client has open.",
    ),
    gauge(
        "uptime_seconds",
        "Uptime",
        Unit::Seconds,
        "Time since the client was started.",
    ),
    counter("log_errors", "Log errors", "Log lines at level ERROR."),
    counter("log_warnings", "Log warnings", "Log lines at level WARN."),
    counter("log_infos", "Log info lines", "Log lines at level INFO."),
    counter(
        "log_debugs",
        "Log debug lines",
        "Log lines at levels DEBUG and TRACE.",
    ),
    counter(
        "log_others",
        "Other log lines",
        "Log lines in another format, such as a panic message.",
    ),
    gauge(
        "health_score",
        "Health",
        Unit::Count,
        "0 to 100: weighted average of all checks in the latest round.",
    ),
    gauge(
        "health",
        "Health check",
        Unit::Count,
        "Result of a health check: 0 healthy, 1 warning, 2 unhealthy.",
    ),
    gauge(
        "monitoring_up",
        "Monitoring reachable",
        Unit::Count,
        "1 if the client's monitoring API responded, 0 if not.",
    ),
    gauge(
        "translator_up",
        "Translator running",
        Unit::Count,
        "1 if the translator accepts Stratum V1 miners, 0 if not.",
    ),
    gauge(
        "translator_miners",
        "Stratum V1 miners",
        Unit::Count,
        "Stratum V1 miners connected to the translator.",
    ),
    counter(
        "translator_restarts",
        "Translator restarts",
        "Automatic restarts of the translator.",
    ),
    area(
        "translator_cpu_percent",
        "Translator CPU",
        Unit::Percent,
        "CPU time of the translator, as a percentage of one core.",
    ),
    area(
        "translator_memory_bytes",
        "Translator memory",
        Unit::Bytes,
        "Physical memory used by the translator.",
    ),
    area(
        "miner_hashrate",
        "Miner hashrate",
        Unit::HashesPerSecond,
        "10-minute average of this miner, one sample every 5 min.",
    ),
    counter(
        "miner_shares_accepted",
        "Miner shares accepted",
        "Accepted shares of this miner.",
    ),
    counter(
        "miner_shares_rejected",
        "Miner shares rejected",
        "Rejected shares of this miner, including those that the translator rejected.",
    ),
];

/// The metric with this name, and the detail after the colon. `None` for an unknown name.
pub fn metric(metric_type: &str) -> Option<(&'static MetricKind, Option<&str>)> {
    let (name, detail) = match metric_type.split_once(':') {
        Some((name, detail)) => (name, Some(detail)),
        None => (metric_type, None),
    };
    CATALOGUE
        .iter()
        .find(|metric| metric.name == name)
        .map(|metric| (metric, detail))
}

/// Metrics of which a high value is bad. Of all others, a low value is.
const WORSE_IF_HIGH: [&str; 14] = [
    "shares_rejected",
    "shares_refused",
    "cpu_percent",
    "memory_bytes",
    "memory_private_bytes",
    "threads",
    "open_files",
    "log_errors",
    "log_warnings",
    "log_others",
    "health",
    "translator_restarts",
    "translator_cpu_percent",
    "translator_memory_bytes",
];
/// Metrics of which the sum over several instances means nothing.
const NOT_ADDED: [&str; 6] = [
    "best_difficulty",
    "uptime_seconds",
    "health_score",
    "health",
    "monitoring_up",
    "translator_up",
];

/// Whether the worst instance is the one with the highest value of a series.
pub fn is_worse_if_high(metric_type: &str) -> bool {
    metric(metric_type).is_some_and(|(metric, _)| WORSE_IF_HIGH.contains(&metric.name))
}

/// Whether the sum of a series over several instances means something.
pub fn can_be_added(metric_type: &str) -> bool {
    metric(metric_type).is_some_and(|(metric, _)| !NOT_ADDED.contains(&metric.name))
}

/// Whether a series is about an individual miner.
pub fn is_of_miner(metric_type: &str) -> bool {
    metric_type.starts_with("miner_")
}

/// The title of a series.
pub fn title(metric_type: &str) -> String {
    match metric(metric_type) {
        Some((metric, Some(detail))) => format!("{}: {detail}", metric.title),
        Some((metric, None)) => metric.title.into(),
        None => metric_type.into(),
    }
}

/// The sort key of a name: the order of the catalogue, names with a detail last.
pub fn rank(metric_type: &str) -> (bool, usize) {
    let at = CATALOGUE
        .iter()
        .position(|metric| metric_type.split(':').next() == Some(metric.name));
    (metric_type.contains(':'), at.unwrap_or(CATALOGUE.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_told_apart_and_details_kept() {
        let names: BTreeSet<&str> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(
            CATALOGUE
                .iter()
                .all(|m| m.help.ends_with('.') && !m.name.contains(':'))
        );
        assert_eq!(
            title("shares_rejected:stale-share"),
            "Shares rejected: stale-share"
        );
        assert_eq!(metric("miner_hashrate:a:b").unwrap().1, Some("a:b"));
        assert!(metric("mood").is_none());
        let listed = WORSE_IF_HIGH.iter().chain(&NOT_ADDED);
        assert!(listed.clone().all(|name| names.contains(name)));
        assert!(is_worse_if_high("shares_rejected:stale-share") && !is_worse_if_high("miners"));
        assert!(can_be_added("miners") && !can_be_added("health_score") && !can_be_added("mood"));
        assert!(rank("threads") < rank("shares_rejected:stale-share"));
    }
}
