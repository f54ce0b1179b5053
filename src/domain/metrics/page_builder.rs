//! Builds the metrics pages of an instance: the series of each chart, their statistics, and the marks
//! of starts and updates.

use std::collections::BTreeMap;

use super::chart_options::ChartOptions;
use super::model::{metric, title};
use super::range::CHART_POINTS;
use super::responses::TimeSeries;
use super::service::{MetricService, SeriesPoints, SeriesQuery};
use super::views::{ChartGroup, GROUPS, MetricsPage, MinerRow, SeriesChart, SeriesPage};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::infra::chart::{ChartMark, DISTINCT_LINES, Unit, format_value};

/// The number of rows in the table of miners, connected miners first. An instance may have series for
/// thousands of miners; the list of miners links to the chart of each.
const MINERS: usize = 256;

/// The series that are shown of an instance on another host. Each is a request.
pub const REMOTE_SERIES: [&str; 7] = [
    "hashrate_measured",
    "shares_accepted",
    "shares_rejected",
    "miners",
    "health_score",
    "cpu_percent",
    "memory_bytes",
];

/// Several series of an instance in one chart.
pub async fn group(
    metrics: &MetricService,
    id: InstanceId,
    (name, names): (String, Vec<String>),
    choice: &ChartOptions,
    stretch: SeriesQuery,
    now: Timestamp,
) -> Result<ChartGroup> {
    let choice = choice.since_creation(metrics.instance(id).await?.created_at);
    let stretch = SeriesQuery {
        from: choice.shown_from(),
        most_points: CHART_POINTS,
        ..stretch
    };
    let points = metrics.points(id, names.clone(), stretch, now).await?;
    let mut drawn = Vec::new();
    for (metric_type, (points, summary)) in names.iter().zip(points) {
        drawn.push(SeriesChart {
            metric_type: metric_type.clone(),
            label: label(metric_type),
            points,
            summary,
        });
    }
    // The series in the URL stays, because it determines the unit and the title.
    let is_there = |drawn: &SeriesChart| !drawn.points.points.is_empty();
    let first = names.first().cloned().unwrap_or_default();
    if drawn.iter().any(is_there) {
        drawn.retain(|one| is_there(one) || one.metric_type == first);
    }
    let marks = metrics
        .instances()
        .client_marks(id, stretch.from, stretch.to)
        .await?;
    let marks = marks.into_iter().map(|mark| ChartMark {
        at: mark.at.0,
        label: mark.label,
    });
    Ok(ChartGroup {
        title: name,
        path: path(id, &first),
        with: names.get(1..).unwrap_or_default().join(","),
        id: format!(
            "c-{}",
            first.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        ),
        drawn,
        marks: marks.collect(),
        choice,
    })
}

/// The hashrate of an instance in the last day, for its overview.
pub async fn hashrate_chart(
    metrics: &MetricService,
    id: InstanceId,
    now: Timestamp,
) -> Result<ChartGroup> {
    let (title, series) = GROUPS[0];
    let names = series.iter().map(|(name, _)| (*name).to_owned());
    // The average of an hour says little in a chart of a day.
    let names = names.filter(|name| name != "hashrate_1h" && name != "hashrate_upstream");
    let choice = ChartOptions::last_day(now);
    let stretch = SeriesQuery {
        from: choice.from,
        to: choice.to,
        level: None,
        most_points: CHART_POINTS,
    };
    group(
        metrics,
        id,
        (title.into(), names.collect()),
        &choice,
        stretch,
        now,
    )
    .await
}

/// A series of an instance on another host, from the JSON there.
pub fn remote_chart(metric_type: &str, series: TimeSeries, choice: &ChartOptions) -> ChartGroup {
    let points = SeriesPoints {
        from: choice.from,
        to: choice.to,
        step: series.step,
        points: series.time_series,
        current: None,
    };
    ChartGroup {
        title: title(metric_type),
        path: String::new(),
        with: String::new(),
        id: format!("c-{metric_type}"),
        drawn: vec![SeriesChart {
            metric_type: metric_type.to_owned(),
            label: label(metric_type),
            points,
            summary: None,
        }],
        marks: Vec::new(),
        choice: choice.clone(),
    }
}

/// The label of a series.
fn label(metric_type: &str) -> String {
    let short = GROUPS
        .iter()
        .flat_map(|(_, series)| series.iter())
        .find(|(name, _)| *name == metric_type);
    match (short, metric_type.split_once(':')) {
        (Some((_, label)), _) if !label.is_empty() => (*label).to_owned(),
        (_, Some((_, detail))) => detail.to_owned(),
        _ => title(metric_type),
    }
}

/// The names of the series in a chart: the first one and the others.
pub fn names(first: String, with: Option<&str>) -> (String, Vec<String>) {
    let further = with
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty() && *name != first);
    let names: Vec<String> = std::iter::once(first.clone())
        .chain(further.map(str::to_owned))
        .take(DISTINCT_LINES)
        .collect();
    let of_group = GROUPS.iter().find(|(_, group)| {
        group.len() > 1
            && names.len() > 1
            && names
                .iter()
                .all(|n| group.iter().any(|(name, _)| name == n))
    });
    (
        of_group.map_or_else(|| title(&first), |(name, _)| (*name).to_owned()),
        names,
    )
}

/// The metrics page of an instance.
pub async fn page(
    metrics: &MetricService,
    id: InstanceId,
    (choice, stretch): (ChartOptions, SeriesQuery),
    now: Timestamp,
) -> Result<MetricsPage> {
    let instance = metrics.instance(id).await?;
    let types = metrics.types(id).await?;
    let mut groups = Vec::new();
    for (name, series) in GROUPS {
        let there: Vec<String> = series
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| types.iter().any(|t| t == name))
            .map(str::to_owned)
            .collect();
        if !there.is_empty() {
            groups.push(
                group(
                    metrics,
                    id,
                    ((*name).to_owned(), there),
                    &choice,
                    stretch,
                    now,
                )
                .await?,
            );
        }
    }
    for of in ["shares_rejected", "shares_refused"] {
        let reasons = types
            .iter()
            .filter(|name| name.starts_with(&format!("{of}:")))
            .take(DISTINCT_LINES);
        let reasons: Vec<String> = reasons.cloned().collect();
        if !reasons.is_empty() {
            let name = format!(
                "{}, by reason",
                metric(of).map_or(of, |(metric, _)| metric.title)
            );
            groups.push(group(metrics, id, (name, reasons), &choice, stretch, now).await?);
        }
    }
    let uptime = if types.is_empty() {
        None
    } else {
        Some(
            metrics
                .uptime_within(id, stretch.from, stretch.to.min(now))
                .await?,
        )
    };
    let (miners, more_miners) = miners(metrics, &instance, &types, stretch).await?;
    let choice = choice.since_creation(instance.created_at);
    Ok(MetricsPage {
        instance,
        choice,
        groups,
        miners,
        more_miners,
        uptime,
        metrics: Vec::new(),
    })
}

/// The listed miners of an instance by name, and the number of miners not listed.
async fn miners(
    metrics: &MetricService,
    instance: &Instance,
    types: &[String],
    stretch: SeriesQuery,
) -> Result<(Vec<MinerRow>, usize)> {
    let id = instance.id;
    // Without a client no miner is connected, whatever the last sample was.
    let latest = if instance.running {
        let miners = |name: &str| name.starts_with("miner_hashrate:");
        metrics.latest_of(id, miners).await?.metrics
    } else {
        BTreeMap::new()
    };
    let mut rows = Vec::new();
    let mut names: Vec<&str> = types
        .iter()
        .filter_map(|name| name.strip_prefix("miner_hashrate:"))
        .collect();
    if names.len() > MINERS {
        names.sort_by_key(|name| !latest.contains_key(&format!("miner_hashrate:{name}")));
    }
    let more = names.len().saturating_sub(MINERS);
    names.truncate(MINERS);
    names.sort_unstable();
    for name in names {
        let mut counts = Vec::new();
        for of in ["accepted", "rejected"] {
            let found = metrics
                .summary(
                    id,
                    format!("miner_shares_{of}:{name}"),
                    stretch.from,
                    stretch.to,
                )
                .await?;
            counts.push(found.map(|all| all.sum));
        }
        if counts.iter().all(Option::is_none) {
            continue;
        }
        let say = |count: Option<f64>| format_value(Unit::Count, count.unwrap_or(0.0));
        rows.push(MinerRow {
            name: name.to_owned(),
            hashrate: latest
                .get(&format!("miner_hashrate:{name}"))
                .map(|rate| format_value(Unit::HashesPerSecond, *rate)),
            accepted: say(counts[0]),
            rejected: say(counts[1]),
            path: path(id, &format!("miner_hashrate:{name}")),
        });
    }
    Ok((rows, more))
}

/// The page of one chart.
pub async fn series_page(
    metrics: &MetricService,
    id: InstanceId,
    names: (String, Vec<String>),
    (choice, stretch): (ChartOptions, SeriesQuery),
    now: Timestamp,
) -> Result<SeriesPage> {
    let instance = metrics.instance(id).await?;
    let group = group(metrics, id, names, &choice, stretch, now).await?;
    let first = group.drawn.first();
    let (step, time_series) = first.map_or((60, Vec::new()), |drawn| {
        (drawn.points.step, drawn.points.points.clone())
    });
    Ok(SeriesPage {
        instance,
        group,
        step,
        time_series,
    })
}

/// The path of the chart of a series, without the leading slash and the last part.
pub fn path(id: InstanceId, metric_type: &str) -> String {
    // A miner can choose any name.
    let name: String = form_urlencoded::byte_serialize(metric_type.as_bytes()).collect();
    format!("metrics/{id}/{}", name.replace('+', "%20"))
}
