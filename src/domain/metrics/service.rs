//! The use cases of metrics: what can be asked of the samples.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;

use super::counters;
use super::latest::{LatestFigures, LatestMetrics, is_present};
use super::model::{FiguresResponse, MetricMeasure, metric, rank};
use super::queries::{self, MetricSample, Resolution, SampleBucket, SeriesRow};
use super::range::{self, PointSpacing, Retention, RollupMarks};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService};
use crate::infra::db::{Db, WriteMode};

/// A series that has not had a sample for so long when its instance had is not among the latest,
/// seconds.
const LATEST: i64 = 300;

/// Everything that can be asked of metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricService {
    pub(super) db: Db,
    pub(super) instances: InstanceService,
    interval: Duration,
    keep: Retention,
    rounds: watch::Receiver<i64>,
    board: LatestMetrics,
}

/// One sample, as the table `metrics` has it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Sample")]
pub struct SampleRow {
    /// Its number; the same sample always has the same one.
    pub id: i64,
    /// Whose it is.
    pub instance_id: InstanceId,
    /// What was measured.
    pub metric_type: String,
    /// How much: a reading, or the increment since the sample before.
    pub value: f64,
    /// When.
    pub timestamp: Timestamp,
}

/// A stretch of a series in one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesSummary {
    /// How many samples.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub avg: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct SeriesPoint {
    /// Its beginning.
    pub timestamp: Timestamp,
    /// The mean of its readings, or the sum of its increments.
    pub value: f64,
    /// How many samples it holds.
    pub count: i64,
    /// The least of them.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// A stretch of a series in points. Where there was no sample, there is no point.
#[derive(Clone, Debug)]
pub struct SeriesPoints {
    /// From here
    pub from: Timestamp,
    /// to here.
    pub to: Timestamp,
    /// The distance of points, seconds.
    pub step: i64,
    /// Oldest first.
    pub points: Vec<SeriesPoint>,
    /// What a gauge stands at now; none while its instance does not run, without a recent sample,
    /// and for a stretch that is over.
    pub current: Option<f64>,
}

/// Which stretch of a series is wanted, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// From here
    pub from: Timestamp,
    /// to here.
    pub to: Timestamp,
    /// In buckets of this; none: as fine as a thousand points allow.
    pub level: Option<Resolution>,
}

impl MetricService {
    /// Over the samples in `db`, which are taken every `interval`; `rounds` tells when, `board` has
    /// the newest.
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
        }
    }

    /// What was measured of an instance last; none before its first sample since the manager began.
    pub fn measured(&self, id: InstanceId) -> Option<LatestFigures> {
        self.board.of(id)
    }

    /// The same, unless it is older than a few intervals.
    pub fn current(&self, id: InstanceId) -> Option<LatestFigures> {
        self.measured(id)
            .filter(|measured| is_present(measured.at, Timestamp::now(), self.interval_s()))
    }

    /// The sums of several counters of an instance, each from a moment of its own up to `to`, in
    /// the order of `wanted`; 0 for one that was never counted.
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
                let mut sums = [0.0; N];
                for (sum, (name, from)) in sums.iter_mut().zip(wanted) {
                    if let Some(series) = queries::series(c, id, name)? {
                        *sum = range::whole(c, marks, series.id, (seconds(from), to))?
                            .map_or(0.0, |all| all.sum);
                    }
                }
                Ok(sums)
            })
            .await
    }

    /// Writes samples that were not measured but found out: readings of moment `at`, by instance
    /// and name.
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

    /// The distance of samples, seconds.
    pub fn interval_s(&self) -> i64 {
        i64::try_from(self.interval.as_secs()).unwrap_or(10).max(1)
    }

    /// An instance; the answer to everything about one that is not there is the same.
    pub async fn instance(&self, id: InstanceId) -> Result<Instance> {
        self.instances.get(id).await
    }

    /// The newest samples of an instance, newest first; of one type or of all.
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

    /// The latest value of each series of an instance, and when the newest of them was taken. A
    /// series that ended before is left out.
    pub async fn latest(&self, id: InstanceId) -> Result<FiguresResponse> {
        self.instance(id).await?;
        self.db
            .read(move |c| {
                let mut latest = Vec::new();
                for series in queries::series_of(c, id)? {
                    if let Some(sample) = queries::newest(c, series.id, 1)?.first() {
                        latest.push((series.metric_type, *sample));
                    }
                }
                let newest = latest.iter().map(|(_, sample)| sample.at).max();
                let is_late = |at: i64| newest.is_some_and(|newest| newest - at > LATEST);
                let values = latest.into_iter().filter(|(_, sample)| !is_late(sample.at));
                let totals = queries::baseline(c, id)?
                    .map(|state| counters::totals(&state))
                    .unwrap_or_default();
                let metrics = values.map(|(name, sample)| (name, sample.value)).collect();
                Ok(FiguresResponse {
                    metrics,
                    totals,
                    timestamp: newest.map(moment),
                })
            })
            .await
    }

    /// The names of an instance's series, in a page's order.
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

    /// A stretch of a series in one row; none if there is no sample in it.
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

    /// A stretch of several series in points, each with all of it in one row; none if there is no
    /// sample in it.
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
        let spacing = match stretch.level {
            Some(level) => PointSpacing::of(level),
            None => PointSpacing::for_stretch(
                to - from,
                self.interval_s(),
                seconds(now) - from,
                self.keep,
            ),
        };
        self.db
            .read(move |c| {
                let marks = RollupMarks::read(c)?;
                let mut all = Vec::with_capacity(names.len());
                for name in names {
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
                        .filter(|sample| is_present(sample.at, now, interval_s))
                        .map(|sample| sample.value);
                    let current = match name.as_str() {
                        "hashrate_measured" => instance.hashrate.filter(|_| is_live),
                        // How it is holds until it is looked at again.
                        "health_score" => score.filter(|_| is_live),
                        _ => newest,
                    };
                    let measure =
                        metric(&name).map_or(MetricMeasure::Gauge, |(metric, _)| metric.measure);
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

/// At least the `limit` newest samples of several series together, if there are so many. Each
/// series is read a little further back until what was read of all is enough: one of them may have
/// ended long ago.
fn newest_of(
    c: &mut SqliteConnection,
    id: InstanceId,
    series: &[SeriesRow],
    limit: usize,
) -> QueryResult<Vec<SampleRow>> {
    let mut each = limit / series.len().max(1) + 1;
    loop {
        let mut rows = Vec::new();
        // Since when all of them are known.
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
        // As the view `metrics` has it.
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
