//! The statements behind samples and their roll-ups. Times are whole seconds since 1970 UTC.
//!
//! Samples come in by time (`metric_fresh`) and are read by series (`metric_samples`): what is older than the present five minutes is
//! moved from the one to the other, and rolled up to minutes, hours and days on the way. So a round of all instances writes a handful of
//! pages instead of one for each series, which is what SD cards wear out by, and what is read costs the points that are returned.

pub mod present;
pub mod settling;
#[cfg(test)]
mod tests;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text};
use diesel::sqlite::SqliteConnection as Db;

use crate::ids::InstanceId;

/// Samples stay in the order of their time for so long, seconds.
pub const WINDOW: i64 = 300;

/// How fine something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each sample.
    Raw,
    /// A bucket a minute.
    Minute,
    /// A bucket an hour.
    Hour,
    /// A bucket a day (UTC).
    Day,
}

impl Level {
    /// All of them, finest first.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::Hour, Self::Day];

    /// The length of a bucket, seconds; 1 for raw samples.
    #[must_use]
    pub const fn step(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The next finer one.
    #[must_use]
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(Self::Raw),
            Self::Hour => Some(Self::Minute),
            Self::Day => Some(Self::Hour),
        }
    }

    /// The table that holds it; of raw samples the one that is in order of series.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw => "metric_samples",
            Self::Minute => "metric_minutes",
            Self::Hour => "metric_hours",
            Self::Day => "metric_days",
        }
    }
}

/// Several samples in one.
#[derive(Clone, Copy, Debug, PartialEq, QueryableByName)]
pub struct Bucket {
    /// Its first second.
    #[diesel(sql_type = BigInt)]
    pub at: i64,
    /// How many samples.
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// Their sum.
    #[diesel(sql_type = Double)]
    pub sum: f64,
    /// The least.
    #[diesel(sql_type = Double)]
    pub min: f64,
    /// The greatest.
    #[diesel(sql_type = Double)]
    pub max: f64,
}

impl Bucket {
    /// This one and another, of whatever times.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            at: self.at.min(other.at),
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// The mean; 0 without samples.
    #[must_use]
    pub fn average(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "counts of samples stay far below 2^52")]
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }
}

/// A row of `metric_series`.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Series {
    /// Its number.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// What it measures.
    #[diesel(sql_type = Text)]
    pub metric_type: String,
    /// Its values are increments.
    #[diesel(sql_type = Bool)]
    pub is_counter: bool,
}

/// All series of an instance, by name.
pub fn series_of(db: &mut Db, instance: InstanceId) -> QueryResult<Vec<Series>> {
    sql_query("SELECT id, metric_type, is_counter FROM metric_series WHERE instance_id = ? ORDER BY metric_type")
        .bind::<Text, _>(instance)
        .load(db)
}

/// One series of an instance.
pub fn series(db: &mut Db, instance: InstanceId, metric_type: &str) -> QueryResult<Option<Series>> {
    sql_query("SELECT id, metric_type, is_counter FROM metric_series WHERE instance_id = ? AND metric_type = ?")
        .bind::<Text, _>(instance)
        .bind::<Text, _>(metric_type)
        .get_result(db)
        .optional()
}

#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(super) n: i64,
}

#[derive(QueryableByName)]
pub(super) struct MaybeNumber {
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) n: Option<i64>,
}

/// The number of a series, made if it is new; none if the instance is gone.
pub fn series_id(db: &mut Db, instance: InstanceId, metric_type: &str, is_counter: bool) -> QueryResult<Option<i64>> {
    if let Some(known) = series(db, instance, metric_type)? {
        return Ok(Some(known.id));
    }
    let made: Option<Number> = sql_query(
        "INSERT INTO metric_series (instance_id, metric_type, is_counter) SELECT id, ?, ? FROM instances WHERE id = ? RETURNING id AS n",
    )
    .bind::<Text, _>(metric_type)
    .bind::<Bool, _>(is_counter)
    .bind::<Text, _>(instance)
    .get_result(db)
    .optional()?;
    Ok(made.map(|made| made.n))
}

/// Adds samples of one moment; a second one of the same series and second replaces the first.
pub fn insert(db: &mut Db, at: i64, samples: &[(i64, f64)]) -> QueryResult<usize> {
    // One statement however many there are: the list goes in as JSON, whose numbers are exact.
    let list = serde_json::to_string(samples).map_err(|e| diesel::result::Error::SerializationError(e.into()))?;
    sql_query("INSERT OR REPLACE INTO metric_fresh (at, series_id, value) SELECT ?, value ->> 0, value ->> 1 FROM json_each(?)")
        .bind::<BigInt, _>(at)
        .bind::<Text, _>(list)
        .execute(db)
}

/// What the counters of an instance stood at, as it was stored.
pub fn baseline(db: &mut Db, instance: InstanceId) -> QueryResult<Option<String>> {
    #[derive(QueryableByName)]
    struct State {
        #[diesel(sql_type = Text)]
        state: String,
    }
    let found: Option<State> = sql_query("SELECT state FROM metric_baselines WHERE instance_id = ?")
        .bind::<Text, _>(instance)
        .get_result(db)
        .optional()?;
    Ok(found.map(|found| found.state))
}

/// Stores what the counters of an instance stand at; nothing if the instance is gone.
pub fn set_baseline(db: &mut Db, instance: InstanceId, state: &str) -> QueryResult<usize> {
    sql_query("INSERT OR REPLACE INTO metric_baselines (instance_id, state) SELECT id, ? FROM instances WHERE id = ?")
        .bind::<Text, _>(state)
        .bind::<Text, _>(instance)
        .execute(db)
}

/// Up to which second a level is complete; 0 if nothing is known.
pub fn until(db: &mut Db, level: Level) -> QueryResult<i64> {
    let found: Option<Number> = sql_query("SELECT until AS n FROM metric_marks WHERE level = ?")
        .bind::<Text, _>(level.table())
        .get_result(db)
        .optional()?;
    Ok(found.map_or(0, |found| found.n))
}

pub(super) fn set_until(db: &mut Db, level: Level, until: i64) -> QueryResult<usize> {
    sql_query("INSERT OR REPLACE INTO metric_marks (level, until) VALUES (?, ?)")
        .bind::<Text, _>(level.table())
        .bind::<BigInt, _>(until)
        .execute(db)
}

/// `at` rounded down to a multiple of `step`, both in seconds.
#[must_use]
pub const fn floor(at: i64, step: i64) -> i64 {
    at - at.rem_euclid(step)
}

/// A level's buckets of a series from `from` to before `to`, in buckets of `step` seconds, oldest first.
pub fn buckets(db: &mut Db, level: Level, series: i64, from: i64, to: i64, step: i64) -> QueryResult<Vec<Bucket>> {
    let table = level.table();
    let statement = match (level, step) {
        (Level::Raw, 1) => format!(
            "SELECT at, 1 AS count, value AS sum, value AS min, value AS max FROM {table} WHERE series_id = ? AND at >= ? AND at < ? ORDER BY at"
        ),
        (Level::Raw, _) => format!(
            "SELECT at - at % {step} AS at, COUNT(*) AS count, SUM(value) AS sum, MIN(value) AS min, MAX(value) AS max FROM {table} \
             WHERE series_id = ? AND at >= ? AND at < ? GROUP BY at - at % {step} ORDER BY 1"
        ),
        (level, step) if step <= level.step() => {
            format!("SELECT at, count, sum, min, max FROM {table} WHERE series_id = ? AND at >= ? AND at < ? ORDER BY at")
        }
        _ => format!(
            "SELECT at - at % {step} AS at, SUM(count) AS count, SUM(sum) AS sum, MIN(min) AS min, MAX(max) AS max FROM {table} \
             WHERE series_id = ? AND at >= ? AND at < ? GROUP BY at - at % {step} ORDER BY 1"
        ),
    };
    let mut found: Vec<Bucket> =
        sql_query(statement).bind::<BigInt, _>(series).bind::<BigInt, _>(from).bind::<BigInt, _>(to).load(db)?;
    if level == Level::Raw {
        for sample in fresh(db, series, from, to)? {
            let bucket = Bucket { at: floor(sample.at, step), count: 1, sum: sample.value, min: sample.value, max: sample.value };
            match found.last_mut() {
                Some(last) if last.at == bucket.at => *last = last.with(bucket),
                _ => found.push(bucket),
            }
        }
    }
    Ok(found)
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, QueryableByName)]
pub struct Sample {
    /// When, seconds.
    #[diesel(sql_type = BigInt)]
    pub at: i64,
    /// How much.
    #[diesel(sql_type = Double)]
    pub value: f64,
}

/// Samples of a series that are still in order of time. They are found by jumping from moment to moment: the table holds all series.
pub(super) fn fresh(db: &mut Db, series: i64, from: i64, to: i64) -> QueryResult<Vec<Sample>> {
    sql_query(
        "WITH RECURSIVE moments (at) AS ( \
             SELECT MIN(at) FROM metric_fresh WHERE at >= ? \
             UNION ALL SELECT (SELECT MIN(at) FROM metric_fresh WHERE at > moments.at) FROM moments WHERE moments.at IS NOT NULL) \
         SELECT f.at, f.value FROM moments CROSS JOIN metric_fresh f ON f.at = moments.at AND f.series_id = ? WHERE moments.at < ? ORDER BY 1",
    )
    .bind::<BigInt, _>(from)
    .bind::<BigInt, _>(series)
    .bind::<BigInt, _>(to)
    .load(db)
}

/// The newest `limit` samples of a series, newest first.
pub fn newest(db: &mut Db, series: i64, limit: i64) -> QueryResult<Vec<Sample>> {
    let mut found = fresh(db, series, 0, i64::MAX)?;
    found.reverse();
    let rest = limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
    if rest > 0 {
        let older: Vec<Sample> = sql_query("SELECT at, value FROM metric_samples WHERE series_id = ? ORDER BY at DESC LIMIT ?")
            .bind::<BigInt, _>(series)
            .bind::<BigInt, _>(rest)
            .load(db)?;
        found.extend(older);
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The newest second before `before` at which a series has a sample.
pub fn newest_before(db: &mut Db, series: i64, before: i64) -> QueryResult<Option<i64>> {
    let settled: MaybeNumber = sql_query("SELECT MAX(at) AS n FROM metric_samples WHERE series_id = ? AND at < ?")
        .bind::<BigInt, _>(series)
        .bind::<BigInt, _>(before)
        .get_result(db)?;
    let newest = fresh(db, series, 0, before)?.last().map(|sample| sample.at);
    Ok(settled.n.max(newest))
}

/// The oldest second of which a level still holds something of a series; none if it holds nothing.
pub fn oldest(db: &mut Db, level: Level, series: i64) -> QueryResult<Option<i64>> {
    let found: MaybeNumber = sql_query(format!("SELECT MIN(at) AS n FROM {} WHERE series_id = ?", level.table()))
        .bind::<BigInt, _>(series)
        .get_result(db)?;
    Ok(found.n)
}
