//! Builds the page of several instances: the total, and the selected or the worst instances in one
//! chart.

use std::collections::BTreeMap;

use super::chart_options::ChartOptions;
use super::model::{MetricMeasure, can_be_added, is_of_miner, is_worse_if_high, metric, title};
use super::range::CHART_POINTS;
use super::service::{MetricService, SeriesPoint, SeriesPoints, SeriesQuery, SeriesSummary};
use super::views::{ChartGroup, LatestFiguresView, MetricsComparePage, SeriesChart};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, natural_order};
use crate::infra::chart::DISTINCT_LINES;

/// The total is read with about this many points of all instances together.
const TOTAL_POINTS: i64 = 8_000;
/// The total has at least this many points.
const FEWEST_POINTS: i64 = 24;

/// The latest values of all instances.
pub async fn latest_of_all(metrics: &MetricService) -> Result<Vec<LatestFiguresView>> {
    let all = metrics.instances().list().await?;
    let ids = all.iter().map(|instance| instance.id).collect();
    // Each instance may have many series of miners with long names.
    let figures = metrics
        .latest_of_all(ids, |name| !is_of_miner(name))
        .await?;
    Ok(all
        .into_iter()
        .zip(figures)
        .map(|(instance, figures)| LatestFiguresView {
            instance_id: instance.id,
            name: instance.name,
            figures,
        })
        .collect())
}

/// One metric of several instances, and its total. If none is selected: the worst in the time range.
pub async fn compare(
    metrics: &MetricService,
    (metric_type, chosen): (String, Vec<InstanceId>),
    (choice, stretch): (ChartOptions, SeriesQuery),
    now: Timestamp,
) -> Result<MetricsComparePage> {
    let mut all = metrics.instances().list().await?;
    all.sort_by(|a, b| natural_order(&a.name, &b.name));
    let born = all.iter().map(|instance| instance.created_at).min();
    let choice = choice.since_creation(born.unwrap_or_default());
    let stretch = SeriesQuery {
        from: choice.shown_from(),
        most_points: CHART_POINTS,
        ..stretch
    };
    let is_worst = chosen.is_empty();
    let has_total = can_be_added(&metric_type) && all.len() > 1;
    // Once for the ranking and the total.
    let (step, points) = if is_worst || has_total {
        let count = i64::try_from(all.len()).unwrap_or(i64::MAX).max(1);
        let stretch = SeriesQuery {
            most_points: (TOTAL_POINTS / count).clamp(FEWEST_POINTS, CHART_POINTS),
            ..stretch
        };
        let name = metric_type.clone();
        metrics.points_of_all(name, stretch, now).await?
    } else {
        (0, Vec::new())
    };
    let shown = if is_worst {
        worst(&metric_type, &points)
    } else {
        let known = all.iter().map(|instance| instance.id);
        known.filter(|id| chosen.contains(id)).collect()
    };
    let group = |id: &str, title: String, drawn: Vec<SeriesChart>| ChartGroup {
        title,
        path: "metrics".into(),
        with: String::new(),
        drawn,
        marks: Vec::new(),
        choice: choice.clone(),
        id: id.into(),
    };
    let mut drawn = Vec::new();
    for id in shown.iter().take(DISTINCT_LINES) {
        let Some(instance) = all.iter().find(|instance| instance.id == *id) else {
            continue;
        };
        let names = vec![metric_type.clone()];
        let points = metrics.points(*id, names, stretch, now).await?;
        drawn.extend(
            points
                .into_iter()
                .next()
                .map(|(points, summary)| SeriesChart {
                    metric_type: metric_type.clone(),
                    label: instance.name.clone(),
                    points,
                    summary,
                }),
        );
    }
    let is_part = drawn.len() == DISTINCT_LINES && drawn.len() < all.len();
    let headline = match (is_worst && is_part, is_worse_if_high(&metric_type)) {
        (true, true) => format!("{}: the {} highest", title(&metric_type), drawn.len()),
        (true, false) => format!("{}: the {} lowest", title(&metric_type), drawn.len()),
        (false, _) => title(&metric_type),
    };
    let total = has_total
        .then(|| total(metrics, &metric_type, &all, (stretch, step), points, now))
        .flatten();
    Ok(MetricsComparePage {
        total: total.map(|drawn| {
            group(
                "c-total",
                format!("Total: {}", title(&metric_type)),
                vec![drawn],
            )
        }),
        group: (!drawn.is_empty()).then(|| group("c-compare", headline, drawn)),
        choice,
        metric_type,
        chosen: shown,
        is_worst,
        has_table: false,
        all,
        instances: Vec::new(),
    })
}

/// The worst instances in a time range, the worst first: by the average of a gauge, the sum of a
/// counter.
fn worst(metric_type: &str, all: &[(InstanceId, Vec<SeriesPoint>)]) -> Vec<InstanceId> {
    let is_counter = is_counter(metric_type);
    let value = |points: &[SeriesPoint]| -> f64 {
        if is_counter {
            return points.iter().map(|point| point.value).sum();
        }
        let count = |point: &SeriesPoint| point.count as f64;
        let sum: f64 = points.iter().map(|p| p.value * count(p)).sum();
        sum / points.iter().map(count).sum::<f64>()
    };
    let mut ranked: Vec<(InstanceId, f64)> = all
        .iter()
        .map(|(id, points)| (*id, value(points)))
        .collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    if is_worse_if_high(metric_type) {
        ranked.reverse();
    }
    ranked.truncate(DISTINCT_LINES);
    ranked.into_iter().map(|(id, _)| id).collect()
}

fn is_counter(metric_type: &str) -> bool {
    metric(metric_type).is_some_and(|(metric, _)| metric.measure == MetricMeasure::Counter)
}

/// The sum of all instances; none without data. `step`: the interval of their points.
fn total(
    metrics: &MetricService,
    metric_type: &str,
    all: &[Instance],
    (stretch, step): (SeriesQuery, i64),
    points: Vec<(InstanceId, Vec<SeriesPoint>)>,
    now: Timestamp,
) -> Option<SeriesChart> {
    let points = added(points.into_iter().flat_map(|(_, points)| points));
    let current = all
        .iter()
        .filter(|instance| instance.running)
        .filter_map(|instance| {
            metrics
                .current(instance.id)?
                .figures
                .get(metric_type)
                .copied()
        });
    let current: Vec<f64> = current.collect();
    let is_live = stretch.to.since(now).is_zero() && now.since(stretch.to).as_secs() < 60;
    summary(&points).map(|summary| SeriesChart {
        metric_type: metric_type.to_owned(),
        label: "total".into(),
        points: SeriesPoints {
            from: stretch.from,
            to: stretch.to,
            step,
            points,
            current: (is_live && !current.is_empty()).then(|| current.iter().sum()),
        },
        summary: Some(summary),
    })
}

/// The sums of the points of the same time, oldest first.
fn added(all: impl IntoIterator<Item = SeriesPoint>) -> Vec<SeriesPoint> {
    let mut sums: BTreeMap<Timestamp, SeriesPoint> = BTreeMap::new();
    for point in all {
        sums.entry(point.timestamp)
            .and_modify(|sum| {
                sum.value += point.value;
                sum.count += point.count;
                sum.min += point.min;
                sum.max += point.max;
            })
            .or_insert(point);
    }
    sums.into_values().collect()
}

/// The statistics of a total: the extremes are those of its points.
fn summary(points: &[SeriesPoint]) -> Option<SeriesSummary> {
    let values = || points.iter().map(|point| point.value);
    let sum: f64 = values().sum();
    (!points.is_empty()).then(|| SeriesSummary {
        count: points.iter().map(|point| point.count).sum(),
        sum,
        avg: sum / points.len() as f64,
        min: values().fold(f64::INFINITY, f64::min),
        max: values().fold(f64::NEG_INFINITY, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_adds_the_points_of_one_time_and_nothing_else() {
        let point = |at: i64, value: f64| SeriesPoint {
            timestamp: Timestamp(at),
            value,
            count: 6,
            min: value,
            max: value,
        };
        let total = added(vec![
            point(0, 1.0),
            point(60_000, 2.0),
            point(0, 10.0),
            point(120_000, 5.0),
        ]);
        let values: Vec<(i64, f64)> = total.iter().map(|p| (p.timestamp.0, p.value)).collect();
        assert_eq!(values, [(0, 11.0), (60_000, 2.0), (120_000, 5.0)]);
        let all = summary(&total).unwrap();
        assert_eq!((all.count, all.sum, all.avg), (24, 18.0, 6.0));
        assert_eq!((all.min, all.max), (2.0, 11.0));
        assert_eq!(summary(&[]), None);
    }
}
