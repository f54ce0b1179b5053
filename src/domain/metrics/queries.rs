//! The database statements for samples and their roll-ups. Times are whole seconds since 1970 UTC.
//!
//! New samples are stored by time (`metric_fresh`) and older ones by series (`metric_samples`).
//! Samples older than the current five minutes are moved from one table to the other and rolled up
//! to minutes, hours and days. A round of all instances therefore writes a few database pages instead
//! of one for each series, which reduces wear on SD cards, and reading costs only the points
//! returned.

pub mod current;
pub mod rollup;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text};
use diesel::sqlite::SqliteConnection as Db;

use super::model::{MetricMeasure, metric};
use crate::base::ids::InstanceId;
use crate::infra::db::statement::CachedStatement;

/// How long samples are stored by time, in seconds.
pub const WINDOW: i64 = 300;

/// The resolution of stored data, finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumIter)]
pub enum Resolution {
    /// Raw samples.
    Raw,
    /// One bucket per minute.
    Minute,
    /// One bucket per hour.
    Hour,
    /// One bucket per day (UTC).
    Day,
}

impl Resolution {
    /// The length of a bucket in seconds; 1 for raw samples.
    pub const fn step(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The next finer level.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(Self::Raw),
            Self::Hour => Some(Self::Minute),
            Self::Day => Some(Self::Hour),
        }
    }

    /// The table of the level; for raw samples the table sorted by series.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw => "metric_samples",
            Self::Minute => "metric_minutes",
            Self::Hour => "metric_hours",
            Self::Day => "metric_days",
        }
    }
}

/// An aggregate of samples.
#[derive(Clone, Copy, Debug, PartialEq, Queryable)]
pub struct SampleBucket {
    /// The first second.
    pub at: i64,
    /// Number of samples.
    pub count: i64,
    /// Sum.
    pub sum: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
}

impl SampleBucket {
    /// Merges two buckets of any times.
    pub fn with(self, other: Self) -> Self {
        Self {
            at: self.at.min(other.at),
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// The average; 0 without samples.
    pub fn average(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum / self.count as f64
        }
    }
}

/// A row of `metric_series`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct SeriesRow {
    /// The number.
    pub id: i64,
    /// The name of the metric.
    pub metric_type: String,
    /// Whether the values are increments.
    pub is_counter: bool,
}

/// All series of an instance, by name.
pub fn series_of(db: &mut Db, instance: InstanceId) -> QueryResult<Vec<SeriesRow>> {
    let text = "SELECT id, metric_type, is_counter FROM metric_series WHERE instance_id = ? ORDER BY metric_type";
    CachedStatement::<(BigInt, Text, Bool)>::new(text)
        .text(instance)
        .load(db)
}

/// One series of an instance.
pub fn series(
    db: &mut Db,
    instance: InstanceId,
    metric_type: &str,
) -> QueryResult<Option<SeriesRow>> {
    let text = "SELECT id, metric_type, is_counter FROM metric_series WHERE instance_id = ? AND metric_type = ?";
    CachedStatement::<(BigInt, Text, Bool)>::new(text)
        .text(instance)
        .text(metric_type)
        .get_result(db)
        .optional()
}

/// The numbers of those series of an instance that exist, in the order of the names.
pub fn series_ids(
    db: &mut Db,
    instance: InstanceId,
    names: &[&str],
) -> QueryResult<Vec<Option<i64>>> {
    let text = format!(
        "SELECT metric_type, id FROM metric_series WHERE instance_id = ? AND metric_type IN ({})",
        question_marks(names.len())
    );
    let mut statement = CachedStatement::<(Text, BigInt)>::new(text).text(instance);
    for name in names {
        statement = statement.text(name);
    }
    let found: HashMap<String, i64> = statement.load::<(String, i64)>(db)?.into_iter().collect();
    Ok(names.iter().map(|name| found.get(*name).copied()).collect())
}

/// `count` question marks.
fn question_marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// The number of a series, created if it is new; `None` if the instance was deleted.
pub fn series_id(
    db: &mut Db,
    instance: InstanceId,
    metric_type: &str,
    is_counter: bool,
) -> QueryResult<Option<i64>> {
    if let Some(known) = series(db, instance, metric_type)? {
        return Ok(Some(known.id));
    }
    let text = "INSERT INTO metric_series (instance_id, metric_type, is_counter) SELECT id, ?, ? FROM instances WHERE id = ? RETURNING id";
    CachedStatement::<BigInt>::new(text)
        .text(metric_type)
        .number(i64::from(is_counter))
        .text(instance)
        .get_result(db)
        .optional()
}

/// The number of miners with series per instance, three series each, including miners that left. Anybody
/// who reaches a port for miners can choose names, so further miners have no series until older ones
/// are deleted.
const MINER_SERIES: i64 = 4_000;

/// A sample to write.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricWrite {
    /// The instance.
    pub instance: InstanceId,
    /// The name of the series.
    pub metric_type: String,
    /// The value: a reading or an increment.
    pub value: f64,
}

/// Writes samples of miners for time `at`, seconds since 1970, in the transaction of the caller;
/// nothing for instances that are gone.
pub fn write_samples(db: &mut Db, at: i64, samples: &[MetricWrite]) -> QueryResult<()> {
    let mut known = Vec::with_capacity(samples.len());
    let mut room: HashMap<InstanceId, i64> = HashMap::new();
    for sample in samples.iter().filter(|sample| sample.value.is_finite()) {
        let (id, name) = (sample.instance, sample.metric_type.as_str());
        if let Some(series) = series(db, id, name)? {
            known.push((series.id, sample.value));
            continue;
        }
        let left = match room.get(&id) {
            Some(left) => *left,
            None => 3 * MINER_SERIES - miner_series(db, id)?,
        };
        room.insert(id, left - 1);
        if left <= 0 {
            continue;
        }
        let is_counter =
            metric(name).is_some_and(|(metric, _)| metric.measure == MetricMeasure::Counter);
        if let Some(series) = series_id(db, id, name, is_counter)? {
            known.push((series, sample.value));
        }
    }
    if !known.is_empty() {
        insert(db, at, &known)?;
    }
    Ok(())
}

/// The number of series of individual miners.
fn miner_series(db: &mut Db, instance: InstanceId) -> QueryResult<i64> {
    let text = "SELECT COUNT(*) FROM metric_series WHERE instance_id = ? AND metric_type >= 'miner_' AND metric_type < 'miner`'";
    CachedStatement::<BigInt>::new(text)
        .text(instance)
        .get_result(db)
}

/// Merges a second sample of the same series and second: increments are added, a later reading
/// replaces the earlier one. This happens if the clock is set back, or if jd-manager is killed and
/// restarted within a second.
pub(super) const MERGE: &str = "DO UPDATE SET value = excluded.value + iif((SELECT n.is_counter FROM metric_series n WHERE n.id = excluded.series_id), value, 0)";

/// Adds the samples of one moment.
pub fn insert(db: &mut Db, at: i64, samples: &[(i64, f64)]) -> QueryResult<usize> {
    // One statement for any number of samples: the list is passed as JSON, which keeps numbers
    // exact.
    let list = serde_json::to_string(samples)
        .map_err(|e| diesel::result::Error::SerializationError(e.into()))?;
    let text = format!(
        "INSERT INTO metric_fresh (at, series_id, value) SELECT ?, j.value ->> 0, j.value ->> 1 FROM json_each(?) j WHERE true \
         ON CONFLICT (at, series_id) {MERGE}"
    );
    CachedStatement::<()>::new(text)
        .number(at)
        .text(list)
        .execute(db)
}

/// The stored counter baseline of an instance.
pub fn baseline(db: &mut Db, instance: InstanceId) -> QueryResult<Option<String>> {
    let text = "SELECT state FROM metric_baselines WHERE instance_id = ?";
    CachedStatement::<Text>::new(text)
        .text(instance)
        .get_result(db)
        .optional()
}

/// Stores the counter baseline of an instance; does nothing if the instance was deleted.
pub fn set_baseline(db: &mut Db, instance: InstanceId, state: &str) -> QueryResult<usize> {
    let text = "INSERT OR REPLACE INTO metric_baselines (instance_id, state) SELECT id, ? FROM instances WHERE id = ?";
    CachedStatement::<()>::new(text)
        .text(state)
        .text(instance)
        .execute(db)
}

/// The second up to which a level is complete; 0 if unknown.
pub fn until(db: &mut Db, level: Resolution) -> QueryResult<i64> {
    let text = "SELECT until FROM metric_marks WHERE level = ?";
    Ok(CachedStatement::<BigInt>::new(text)
        .text(level.table())
        .get_result(db)
        .optional()?
        .unwrap_or(0))
}

pub(super) fn set_until(db: &mut Db, level: Resolution, until: i64) -> QueryResult<usize> {
    let text = "INSERT OR REPLACE INTO metric_marks (level, until) VALUES (?, ?)";
    CachedStatement::<()>::new(text)
        .text(level.table())
        .number(until)
        .execute(db)
}

/// `at` rounded down to a multiple of `step`, both in seconds.
pub const fn floor(at: i64, step: i64) -> i64 {
    at - at.rem_euclid(step)
}

/// The newest `most` buckets of a series at a level between `from` (inclusive) and `to` (exclusive),
/// oldest first. Raw samples give one bucket each.
pub fn buckets(
    db: &mut Db,
    level: Resolution,
    series: i64,
    from: i64,
    to: i64,
    most: i64,
) -> QueryResult<Vec<SampleBucket>> {
    let newer = if level == Resolution::Raw {
        fresh(db, series, from, to, most)?
    } else {
        Vec::new()
    };
    let left = most.saturating_sub(i64::try_from(newer.len()).unwrap_or(i64::MAX));
    let columns = if level == Resolution::Raw {
        "1, value, value, value"
    } else {
        "count, sum, min, max"
    };
    let text = format!(
        "SELECT at, {columns} FROM {} WHERE series_id = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?",
        level.table()
    );
    let statement = CachedStatement::<(BigInt, BigInt, Double, Double, Double)>::new(text);
    let mut found: Vec<SampleBucket> = statement
        .number(series)
        .number(from)
        .number(to)
        .number(left)
        .load(db)?;
    // Newer than the samples stored by series, unless the clock was set back.
    found.splice(0..0, newer.into_iter().map(SampleBucket::from));
    if !found.is_sorted_by_key(|bucket| std::cmp::Reverse(bucket.at)) {
        found.sort_by_key(|bucket| std::cmp::Reverse(bucket.at));
    }
    found.reverse();
    Ok(found)
}

/// The buckets of each series at a level between `from` (inclusive) and `to` (exclusive), merged to
/// one, by series. Series without samples are left out.
pub(super) fn totals(
    db: &mut Db,
    level: Resolution,
    series: &[i64],
    (from, to): (i64, i64),
) -> QueryResult<Vec<(i64, SampleBucket)>> {
    let numbers = question_marks(series.len());
    let load = |db: &mut Db, text: String, first: [i64; 2], last: &[i64]| {
        let mut statement =
            CachedStatement::<(BigInt, BigInt, BigInt, Double, Double, Double)>::new(text);
        for number in first.iter().chain(series).chain(last) {
            statement = statement.number(*number);
        }
        statement.load::<(i64, i64, i64, f64, f64, f64)>(db)
    };
    let columns = match level {
        Resolution::Raw => "COUNT(*), SUM(value), MIN(value), MAX(value)",
        _ => "SUM(count), SUM(sum), MIN(min), MAX(max)",
    };
    // The range comes before the series in the text, because all numbers have the order of the text.
    let text = format!(
        "SELECT series_id, MIN(at), {columns} FROM {} WHERE at >= ? AND at < ? AND series_id IN ({numbers}) GROUP BY series_id",
        level.table()
    );
    let mut found = load(db, text, [from, to], &[])?;
    if level == Resolution::Raw {
        // The same walk as in `fresh`.
        let text = format!(
            "WITH RECURSIVE moments (at) AS ( \
                 SELECT MAX(at) FROM metric_fresh WHERE at < ? \
                 UNION ALL SELECT (SELECT MAX(at) FROM metric_fresh WHERE at < moments.at) FROM moments WHERE moments.at > ?) \
             SELECT f.series_id, MIN(f.at), {columns} FROM moments CROSS JOIN metric_fresh f ON f.at = moments.at AND f.series_id IN ({numbers}) \
             WHERE moments.at >= ? GROUP BY f.series_id"
        );
        found.extend(load(db, text, [to, from], &[from])?);
    }
    Ok(found
        .into_iter()
        .map(|(series, at, count, sum, min, max)| {
            let bucket = SampleBucket {
                at,
                count,
                sum,
                min,
                max,
            };
            (series, bucket)
        })
        .collect())
}

/// The buckets of a metric of all instances at a level between `from` (inclusive) and `to` (exclusive),
/// in no particular order, each with its instance. One statement for all series, because each costs
/// more than the few rows that it returns.
pub fn buckets_of_all(
    db: &mut Db,
    level: Resolution,
    metric_type: &str,
    (from, to): (i64, i64),
) -> QueryResult<Vec<(String, SampleBucket)>> {
    const NAMED: &str = "named AS MATERIALIZED (SELECT id, instance_id FROM metric_series \
         WHERE metric_type = ? AND instance_id IS NOT NULL)";
    type BucketColumns = (Text, (BigInt, BigInt, Double, Double, Double));
    let columns = if level == Resolution::Raw {
        "1, b.value, b.value, b.value"
    } else {
        "b.count, b.sum, b.min, b.max"
    };
    let text = format!(
        "WITH {NAMED} SELECT named.instance_id, b.at, {columns} FROM named CROSS JOIN {} b \
         ON b.series_id = named.id WHERE b.at >= ? AND b.at < ?",
        level.table()
    );
    let statement = CachedStatement::<BucketColumns>::new(text).text(metric_type);
    let mut found: Vec<(String, SampleBucket)> = statement.number(from).number(to).load(db)?;
    if level == Resolution::Raw {
        let text = format!(
            "WITH RECURSIVE {NAMED}, moments (at) AS ( \
                 SELECT MAX(at) FROM metric_fresh WHERE at < ? \
                 UNION ALL SELECT (SELECT MAX(at) FROM metric_fresh WHERE at < moments.at) FROM moments WHERE moments.at > ?) \
             SELECT named.instance_id, b.at, {columns} FROM moments CROSS JOIN named CROSS JOIN metric_fresh b \
             ON b.at = moments.at AND b.series_id = named.id WHERE moments.at >= ?"
        );
        let statement = CachedStatement::<BucketColumns>::new(text).text(metric_type);
        let fresh = statement.number(to).number(from).number(from);
        found.extend(fresh.load::<(String, SampleBucket)>(db)?);
    }
    Ok(found)
}

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Queryable)]
pub struct MetricSample {
    /// The time in seconds.
    pub at: i64,
    /// The value.
    pub value: f64,
}

impl From<MetricSample> for SampleBucket {
    fn from(MetricSample { at, value }: MetricSample) -> Self {
        Self {
            at,
            count: 1,
            sum: value,
            min: value,
            max: value,
        }
    }
}

/// The newest `most` samples of a series between `from` (inclusive) and `to` (exclusive) that are
/// still stored by time, newest first. The query walks back over the few moments in the table,
/// because the table contains all series.
pub(super) fn fresh(
    db: &mut Db,
    series: i64,
    from: i64,
    to: i64,
    most: i64,
) -> QueryResult<Vec<MetricSample>> {
    // The walk determines the order. An ORDER BY would walk to the end each time.
    let text = "WITH RECURSIVE moments (at) AS ( \
             SELECT MAX(at) FROM metric_fresh WHERE at < ? \
             UNION ALL SELECT (SELECT MAX(at) FROM metric_fresh WHERE at < moments.at) FROM moments WHERE moments.at > ?) \
         SELECT f.at, f.value FROM moments CROSS JOIN metric_fresh f ON f.at = moments.at AND f.series_id = ? WHERE moments.at >= ? LIMIT ?";
    CachedStatement::<(BigInt, Double)>::new(text)
        .number(to)
        .number(from)
        .number(series)
        .number(from)
        .number(most)
        .load(db)
}

/// The newest `most` samples of a series, newest first.
pub fn newest(db: &mut Db, series: i64, most: i64) -> QueryResult<Vec<MetricSample>> {
    let mut found = fresh(db, series, 0, i64::MAX, most)?;
    let left = most - i64::try_from(found.len()).unwrap_or(i64::MAX);
    if left > 0 {
        let text =
            "SELECT at, value FROM metric_samples WHERE series_id = ? ORDER BY at DESC LIMIT ?";
        let older: Vec<MetricSample> = CachedStatement::<(BigInt, Double)>::new(text)
            .number(series)
            .number(left)
            .load(db)?;
        found.extend(older);
    }
    Ok(found)
}

/// The oldest second for which a level has data of a series; `None` if it has none.
pub fn oldest(db: &mut Db, level: Resolution, series: i64) -> QueryResult<Option<i64>> {
    let text = format!("SELECT MIN(at) FROM {} WHERE series_id = ?", level.table());
    CachedStatement::<Nullable<BigInt>>::new(text)
        .number(series)
        .get_result(db)
}
