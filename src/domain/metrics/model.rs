//! What is measured: every metric's name, unit and meaning. Pure data.
//!
//! Names are part of the API and never change. A name may end in `:` and a detail, such as the
//! reason of a refusal or a miner's own name: `shares_rejected:stale-share`,
//! `miner_hashrate:barn.rig1`.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::infra::chart::{ChartKind, Unit};

/// How the values of a metric are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricMeasure {
    /// Readings: a stretch of them has a mean.
    Gauge,
    /// Increments since the sample before: a stretch of them has a sum. A restart shows neither as
    /// a loss nor as a spike.
    Counter,
}

/// The newest figures of an instance.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FiguresResponse {
    /// The newest sample of each metric. Of a counter that is the increment since the sample
    /// before; see `totals`.
    pub metrics: BTreeMap<String, f64>,
    /// Each counter's total since the instance was created, without those of single miners.
    pub totals: BTreeMap<String, f64>,
    /// When the newest of them was taken; none: nothing was sampled yet.
    pub timestamp: Option<Timestamp>,
}

/// One metric.
#[derive(Debug)]
pub struct MetricKind {
    /// Its name, without a detail.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// How its values are taken.
    pub measure: MetricMeasure,
    /// How its chart is drawn.
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

/// All of them, in the order in which a page shows them.
pub const CATALOGUE: &[MetricKind] = &[
    area(
        "hashrate_measured",
        "Hashrate, measured",
        Unit::HashesPerSecond,
        "Work of the miners' accepted shares within the last ten minutes, as hashes per second.",
    ),
    area(
        "hashrate_1h",
        "Hashrate, measured over an hour",
        Unit::HashesPerSecond,
        "Work of the miners' accepted shares within the last hour, as hashes per second.",
    ),
    area(
        "hashrate_miners",
        "Hashrate of the miners",
        Unit::HashesPerSecond,
        "What the client expects of its miners, from their channels; without those whose claim no share has confirmed yet.",
    ),
    area(
        "hashrate_upstream",
        "Hashrate told to the pool",
        Unit::HashesPerSecond,
        "What the client announced on its channels to the pool.",
    ),
    counter(
        "shares_accepted",
        "Shares accepted",
        "Shares of the miners that the client accepted.",
    ),
    counter(
        "shares_rejected",
        "Shares rejected",
        "Shares of the miners that the client refused.",
    ),
    counter(
        "shares_submitted",
        "Shares sent to the pool",
        "Shares that the client sent to the pool.",
    ),
    counter(
        "shares_acknowledged",
        "Shares the pool accepted",
        "Shares that the pool acknowledged.",
    ),
    counter(
        "shares_refused",
        "Shares the pool refused",
        "Shares that the pool refused.",
    ),
    gauge(
        "best_difficulty",
        "Best difficulty",
        Unit::Count,
        "Difficulty of the best share on the miners' present channels.",
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
        "Connections from miners and translators.",
    ),
    gauge(
        "channels_miners",
        "Channels of the miners",
        Unit::Count,
        "Channels the miners opened.",
    ),
    gauge(
        "channels_upstream",
        "Channels to the pool",
        Unit::Count,
        "Channels to the pool; none when mining solo.",
    ),
    area(
        "cpu_percent",
        "Processor",
        Unit::Percent,
        "Processor time of the client, per cent of one core.",
    ),
    area(
        "memory_bytes",
        "Memory",
        Unit::Bytes,
        "Physical memory the client occupies.",
    ),
    gauge(
        "memory_private_bytes",
        "Private memory",
        Unit::Bytes,
        "Memory of its own, used or not: what a memory limit is held against.",
    ),
    gauge("threads", "Threads", Unit::Count, "Threads of the client."),
    gauge(
        "open_files",
        "Open files",
        Unit::Count,
        "Files and sockets the client has open.",
    ),
    gauge(
        "uptime_seconds",
        "Uptime",
        Unit::Seconds,
        "Since the client was started.",
    ),
    counter("log_errors", "Errors in the log", "Lines of level ERROR."),
    counter(
        "log_warnings",
        "Warnings in the log",
        "Lines of level WARN.",
    ),
    counter("log_infos", "Notes in the log", "Lines of level INFO."),
    counter(
        "log_debugs",
        "Details in the log",
        "Lines of the levels DEBUG and TRACE.",
    ),
    counter(
        "log_others",
        "Other lines in the log",
        "Lines outside the client's format, such as the text of a panic.",
    ),
    gauge(
        "health_score",
        "Health",
        Unit::Count,
        "0 to 100: the weighted mean of all checks, as of the last round of them.",
    ),
    gauge(
        "health",
        "Check",
        Unit::Count,
        "What a check found: 0 healthy, 1 warning, 2 unhealthy.",
    ),
    gauge(
        "monitoring_up",
        "Monitoring answers",
        Unit::Count,
        "1 when the client's monitoring answered, 0 when it did not.",
    ),
    area(
        "miner_hashrate",
        "Hashrate of a miner",
        Unit::HashesPerSecond,
        "What the client expects of the miner of this name.",
    ),
    counter(
        "miner_shares_accepted",
        "Accepted shares of a miner",
        "Shares of the miner of this name that the client accepted.",
    ),
    counter(
        "miner_shares_rejected",
        "Rejected shares of a miner",
        "Shares of the miner of this name that the client refused.",
    ),
];

/// The metric that a name belongs to, and the detail after its colon. None for a name nobody ever
/// wrote.
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

/// What a chart of a series is called.
pub fn title(metric_type: &str) -> String {
    match metric(metric_type) {
        Some((metric, Some(detail))) => format!("{}: {detail}", metric.title),
        Some((metric, None)) => metric.title.into(),
        None => metric_type.into(),
    }
}

/// The place of a name in a page's order: that of its metric, those with details after the ones
/// without.
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
        assert!(rank("threads") < rank("shares_rejected:stale-share"));
    }
}
