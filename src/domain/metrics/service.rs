//! The use cases of metrics: queries on the samples.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

use super::counters;
use super::latest::{LatestFigures, LatestMetrics, is_present};
use super::model::{FiguresResponse, MetricMeasure, is_of_miner, metric, rank};
use super::queries::{self, MetricSample, Resolution, SampleBucket, SeriesRow};
use super::range::{self, MINER_STEP, PointSpacing, Retention, RollupMarks, sample_step};
use super::translator::TranslatorBoard;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService};
use crate::infra::db::{Db, WriteMode};

/// A series is not among the latest values if it is this much older than the newest sample of its
/// instance, in seconds.
const LATEST: i64 = 300;

/// The metrics service; cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricService {
    pub(super) db: Db,
    pub(super) instances: InstanceService,
    interval: Duration,
    keep: Retention,
    rounds: watch::Receiver<i64>,
    board: LatestMetrics,
    pub(super) translators: TranslatorBoard,
}

/// A sample, as in the view `metrics`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Sample")]
pub struct SampleRow {
    /// The number of the sample. It never changes.
    pub id: i64,
    /// The id of the instance.
    pub instance_id: InstanceId,
    /// The name of the metric.
    pub metric_type: String,
    /// The value: a reading, or the increment since the previous sample.
    pub value: f64,
    /// The time of the sample.
    pub timestamp: Timestamp,
}

/// The summary of a series in a time range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesSummary {
    /// Number of samples.
    pub count: i64,
    /// Sum.
    pub sum: f64,
    /// Average.
    pub avg: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
}

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// The start of the point.
    pub timestamp: Timestamp,
    /// The average of the readings, or the sum of the increments.
    pub value: f64,
    /// Number of samples in the point.
    pub count: i64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
}

/// The points of a series in a time range. There are no points without samples.
#[derive(Clone, Debug)]
pub struct SeriesPoints {
    /// The start of the time range.
    pub from: Timestamp,
    /// The end of the time range.
    pub to: Timestamp,
    /// The interval between points, in seconds.
    pub step: i64,
    /// Oldest first.
    pub points: Vec<SeriesPoint>,
    /// The current value of a gauge; `None` if the instance is not running, without a recent sample,
    /// or for a time range in the past.
    pub current: Option<f64>,
}

/// The requested time range and interval of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// The start of the time range.
    pub from: Timestamp,
    /// The end of the time range.
    pub to: Timestamp,
    /// The interval; `None` for the shortest with at most `most_points`.
    pub level: Option<Resolution>,
    /// The maximum number of points.
    pub most_points: i64,
}

impl MetricService {
    /// The service for the samples in `db`, which are taken every `interval`. `rounds` contains the
    /// second of the last round, `board` the latest samples.
    pub fn new(
        db: Db,
        instances: InstanceService,
        interval: Duration,
        keep: Retention,
        rounds: watch::Receiver<i64>,
        board: LatestMetrics,
    ) -> Self {
        Self {
            db,
            instances,
            interval,
            keep,
            rounds,
            board,
            translators: TranslatorBoard::default(),
        }
    }

    /// The same with the Stratum V1 miners of each instance, for Prometheus.
    pub fn with_translators(self, translators: TranslatorBoard) -> Self {
        Self {
            translators,
            ..self
        }
    }

    /// The latest samples of an instance; `None` before the first sample since jd-manager started.
    pub fn measured(&self, id: InstanceId) -> Option<LatestFigures> {
        self.board.of(id)
    }

    /// The same, unless the samples are older than a few intervals.
    pub fn current(&self, id: InstanceId) -> Option<LatestFigures> {
        self.measured(id)
            .filter(|measured| is_present(measured.at, Timestamp::now(), self.interval_s()))
    }

    /// The totals of several counters of an instance, each from its own start time up to `to`, in the
    /// order of `wanted`; 0 for a counter without samples.
    pub async fn sums<const N: usize>(
        &self,
        id: InstanceId,
        wanted: [(&'static str, Timestamp); N],
        to: Timestamp,
    ) -> Result<[f64; N]> {
        let to = seconds(to) + 1;
        self.db
            .read(move |c| {
                let marks = RollupMarks::read(c)?;
                let series = queries::series_ids(c, id, &wanted.map(|(name, _)| name))?;
                let mut sums = [0.0; N];
                // Counters with the same start are read together.
                let starts: BTreeSet<i64> = wanted.iter().map(|(_, from)| seconds(*from)).collect();
                for from in starts {
                    let places: Vec<(usize, i64)> = (0..N)
                        .filter(|place| seconds(wanted[*place].1) == from)
                        .filter_map(|place| Some((place, series[place]?)))
                        .collect();
                    let numbers: Vec<i64> = places.iter().map(|(_, series)| *series).collect();
                    let totals = range::totals(c, marks, &numbers, (from, to))?;
                    for (place, series) in places {
                        sums[place] = totals.get(&series).map_or(0.0, |all| all.sum);
                    }
                }
                Ok(sums)
            })
            .await
    }

    /// Writes readings that do not come from the sampler, such as health scores, for time `at`, by
    /// instance and name.
    pub async fn record(
        &self,
        at: Timestamp,
        samples: Vec<(InstanceId, String, f64)>,
    ) -> Result<()> {
        self.db
            .write_as(WriteMode::UNSYNCED, move |c| {
                let mut known = Vec::with_capacity(samples.len());
                for (id, name, value) in samples {
                    if let Some(series) = queries::series_id(c, id, &name, false)? {
                        known.push((series, value));
                    }
                }
                queries::insert(c, seconds(at), &known)?;
                Ok(())
            })
            .await
    }

    /// The instances whose metrics these are.
    pub fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// The second of the last round of samples, and of each one to come.
    pub fn rounds(&self) -> watch::Receiver<i64> {
        self.rounds.clone()
    }

    /// The interval between samples, in seconds.
    pub fn interval_s(&self) -> i64 {
        i64::try_from(self.interval.as_secs()).unwrap_or(10).max(1)
    }

    /// An instance, or the same error for every request about an unknown instance.
    pub async fn instance(&self, id: InstanceId) -> Result<Instance> {
        self.instances.get(id).await
    }

    /// The newest samples of an instance, newest first, of one metric or all.
    pub async fn newest(
        &self,
        id: InstanceId,
        metric_type: Option<String>,
        limit: usize,
    ) -> Result<Vec<SampleRow>> {
        self.instance(id).await?;
        self.db
            .read(move |c| {
                let series = match metric_type {
                    Some(name) => queries::series(c, id, &name)?.into_iter().collect(),
                    None => queries::series_of(c, id)?,
                };
                let mut rows = newest_of(c, id, &series, limit)?;
                rows.sort_by(|a, b| {
                    (b.timestamp, &a.metric_type).cmp(&(a.timestamp, &b.metric_type))
                });
                rows.truncate(limit);
                Ok(rows)
            })
            .await
    }

    /// The latest value of each series of an instance, and the time of the newest one. Series without
    /// recent samples are left out.
    pub async fn latest(&self, id: InstanceId) -> Result<FiguresResponse> {
        self.latest_of(id, |_| true).await
    }

    /// The same for the series that `is_wanted` selects by name.
    pub async fn latest_of(
        &self,
        id: InstanceId,
        is_wanted: fn(&str) -> bool,
    ) -> Result<FiguresResponse> {
        self.instance(id).await?;
        self.db.read(move |c| latest_of(c, id, is_wanted)).await
    }

    /// The same for several instances, in the same order.
    pub async fn latest_of_all(
        &self,
        ids: Vec<InstanceId>,
        is_wanted: fn(&str) -> bool,
    ) -> Result<Vec<FiguresResponse>> {
        self.db
            .read(move |c| {
                ids.into_iter()
                    .map(|id| latest_of(c, id, is_wanted))
                    .collect()
            })
            .await
    }

    /// The names of the series of an instance, in page order.
    pub async fn types(&self, id: InstanceId) -> Result<Vec<String>> {
        self.instance(id).await?;
        let series = self
            .db
            .read(move |c| Ok(queries::series_of(c, id)?))
            .await?;
        let mut names: Vec<String> = series
            .into_iter()
            .map(|series| series.metric_type)
            .collect();
        names.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
        Ok(names)
    }

    /// The summary of a series in a time range; `None` without samples.
    pub async fn summary(
        &self,
        id: InstanceId,
        metric_type: String,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<SeriesSummary>> {
        self.instance(id).await?;
        let (from, to) = (seconds(from), seconds(to) + 1);
        let found = self
            .db
            .read(move |c| match queries::series(c, id, &metric_type)? {
                Some(series) => {
                    let marks = RollupMarks::read(c)?;
                    Ok(range::whole(c, marks, series.id, (from, to))?)
                }
                None => Ok(None),
            })
            .await?;
        Ok(found.map(summary))
    }

    /// The points of the series of all instances in a time range, with the same interval, which is
    /// the first result, in seconds. At most `most_points` for each, whatever interval is requested.
    pub async fn points_of_all(
        &self,
        metric_type: String,
        stretch: SeriesQuery,
        now: Timestamp,
    ) -> Result<(i64, Vec<(InstanceId, Vec<SeriesPoint>)>)> {
        let (from, to) = (seconds(stretch.from), seconds(stretch.to) + 1);
        let finest = SeriesQuery {
            level: None,
            ..stretch
        };
        let finest = self.spacing(&metric_type, finest, now);
        let spacing = stretch.level.map_or(finest, |level| {
            let wanted = PointSpacing::of(level);
            if wanted.step > finest.step {
                wanted
            } else {
                finest
            }
        });
        let measure = measure(&metric_type);
        self.db
            .read(move |c| {
                let marks = RollupMarks::read(c)?;
                let found = range::points_of_all(c, marks, &metric_type, (from, to), spacing)?;
                let points = found.into_iter().map(|(id, buckets)| {
                    let points = buckets.iter().map(|bucket| point(bucket, measure));
                    (id, points.collect())
                });
                Ok((spacing.step, points.collect()))
            })
            .await
    }

    /// The interval of the points of a series.
    fn spacing(&self, name: &str, stretch: SeriesQuery, now: Timestamp) -> PointSpacing {
        match stretch.level {
            Some(level) => PointSpacing::of(level),
            None => PointSpacing::for_stretch(
                seconds(stretch.to) + 1 - seconds(stretch.from),
                sample_step(name, self.interval_s()),
                seconds(now) - seconds(stretch.from),
                self.keep.of_series(name),
                stretch.most_points,
            ),
        }
    }

    /// The points of several series in a time range, each with a summary; `None` without samples.
    pub async fn points(
        &self,
        id: InstanceId,
        names: Vec<String>,
        stretch: SeriesQuery,
        now: Timestamp,
    ) -> Result<Vec<(SeriesPoints, Option<SeriesSummary>)>> {
        let instance = self.instance(id).await?;
        let is_live = instance.running && is_present(seconds(stretch.to), now, self.interval_s());
        let interval_s = self.interval_s();
        let score = instance
            .health
            .as_ref()
            .filter(|health| health.status != "unknown")
            .map(|health| f64::from(health.score));
        let (from, to) = (seconds(stretch.from), seconds(stretch.to) + 1);
        let metrics = self.clone();
        self.db
            .read(move |c| {
                let marks = RollupMarks::read(c)?;
                let mut all = Vec::with_capacity(names.len());
                for name in names {
                    let spacing = metrics.spacing(&name, stretch, now);
                    let (found, whole, newest) = match queries::series(c, id, &name)? {
                        Some(series) => (
                            range::points(c, marks, series.id, (from, to), spacing)?,
                            range::whole(c, marks, series.id, (from, to))?,
                            if is_live {
                                queries::newest(c, series.id, 1)?.pop()
                            } else {
                                None
                            },
                        ),
                        None => (Vec::new(), None, None),
                    };
                    let newest = newest
                        .filter(|sample| is_present(sample.at, now, sample_step(&name, interval_s)))
                        .map(|sample| sample.value);
                    let current = match name.as_str() {
                        "hashrate_measured" => instance.hashrate.filter(|_| is_live),
                        // A score is valid until the next round of checks.
                        "health_score" => score.filter(|_| is_live),
                        _ => newest,
                    };
                    let measure = measure(&name);
                    let points = found
                        .into_iter()
                        .map(|bucket| point(&bucket, measure))
                        .collect();
                    let points = SeriesPoints {
                        from: stretch.from,
                        to: stretch.to,
                        step: spacing.step,
                        points,
                        current,
                    };
                    all.push((points, whole.map(summary)));
                }
                Ok(all)
            })
            .await
    }
}

fn latest_of(
    c: &mut SqliteConnection,
    id: InstanceId,
    is_wanted: fn(&str) -> bool,
) -> Result<FiguresResponse> {
    let mut latest = Vec::new();
    let series = queries::series_of(c, id)?.into_iter();
    for series in series.filter(|series| is_wanted(&series.metric_type)) {
        if let Some(sample) = queries::newest(c, series.id, 1)?.first() {
            latest.push((series.metric_type, *sample));
        }
    }
    let newest = latest.iter().map(|(_, sample)| sample.at).max();
    let is_current = |(name, sample): &(String, MetricSample)| {
        let limit = if is_of_miner(name) {
            2 * MINER_STEP
        } else {
            LATEST
        };
        newest.is_some_and(|newest| newest - sample.at <= limit)
    };
    let values = latest.into_iter().filter(is_current);
    let totals = queries::baseline(c, id)?
        .map(|state| counters::totals(&state))
        .unwrap_or_default();
    Ok(FiguresResponse {
        metrics: values.map(|(name, sample)| (name, sample.value)).collect(),
        totals,
        timestamp: newest.map(moment),
    })
}

/// At least the `limit` newest samples of several series together, if available. Each series is read
/// further back step by step until there are enough, because a series may have ended long ago.
fn newest_of(
    c: &mut SqliteConnection,
    id: InstanceId,
    series: &[SeriesRow],
    limit: usize,
) -> QueryResult<Vec<SampleRow>> {
    let mut each = limit / series.len().max(1) + 1;
    loop {
        let mut rows = Vec::new();
        // All series are known since this time.
        let mut since = i64::MIN;
        for one in series {
            let found = queries::newest(c, one.id, i64::try_from(each).unwrap_or(i64::MAX))?;
            if found.len() >= each {
                since = since.max(found.iter().map(|sample| sample.at).min().unwrap_or(since));
            }
            rows.extend(found.into_iter().map(|sample| row(id, one, sample)));
        }
        if since == i64::MIN
            || each > limit
            || rows
                .iter()
                .filter(|row| row.timestamp >= moment(since))
                .count()
                >= limit
        {
            return Ok(rows);
        }
        each *= 4;
    }
}

fn row(instance_id: InstanceId, series: &SeriesRow, sample: MetricSample) -> SampleRow {
    SampleRow {
        // As in the view `metrics`.
        id: series.id * (1 << 32) + sample.at,
        instance_id,
        metric_type: series.metric_type.clone(),
        value: sample.value,
        timestamp: moment(sample.at),
    }
}

fn summary(all: SampleBucket) -> SeriesSummary {
    SeriesSummary {
        count: all.count,
        sum: all.sum,
        avg: all.average(),
        min: all.min,
        max: all.max,
    }
}

fn measure(name: &str) -> MetricMeasure {
    metric(name).map_or(MetricMeasure::Gauge, |(metric, _)| metric.measure)
}

fn point(bucket: &SampleBucket, measure: MetricMeasure) -> SeriesPoint {
    let value = if measure == MetricMeasure::Counter {
        bucket.sum
    } else {
        bucket.average()
    };
    SeriesPoint {
        timestamp: moment(bucket.at),
        value,
        count: bucket.count,
        min: bucket.min,
        max: bucket.max,
    }
}

fn moment(second: i64) -> Timestamp {
    Timestamp(second.saturating_mul(1000))
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}
