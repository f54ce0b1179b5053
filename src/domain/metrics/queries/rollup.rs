//! The statements that move samples to the table sorted by series, roll them up, and delete old data.
//! Each step takes a few milliseconds. Times are whole seconds since 1970 UTC.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::SqliteConnection as Db;
use strum::IntoEnumIterator;

use super::{MERGE, Resolution, WINDOW, floor, fresh, set_until, until};
use crate::domain::metrics::model::is_of_miner;
use crate::infra::db::statement::CachedStatement;

/// Seconds in a day.
const DAY: i64 = 86_400;
/// The approximate number of samples moved in one step.
const MOVED: i64 = 4_000;
/// The number of series whose hours and days are rolled up in one step; each has sixty minutes to
/// read.
const ROLLED: i64 = 64;

/// The moments of samples that are still stored by time, between two seconds. They are used to find
/// the few series of a step. Otherwise each step would read all samples, which are many at an
/// interval of one second.
const MOMENTS: &str = "moments (at) AS ( \
    SELECT MIN(at) FROM metric_fresh WHERE at >= ? \
    UNION ALL SELECT (SELECT MIN(at) FROM metric_fresh WHERE at > moments.at) FROM moments WHERE moments.at < ?)";

/// Series from this number to before that one.
#[derive(Clone, Copy, Debug)]
struct SeriesRange {
    from: i64,
    to: i64,
}

/// Moves some samples of a window that ended before `now` to the table sorted by series and rolls
/// them up to minutes; returns true if there may be more. It is one transaction, so nothing is
/// repeated or lost if jd-manager is killed.
pub fn move_to_series(db: &mut Db, now: i64) -> QueryResult<bool> {
    let open = floor(now, WINDOW);
    let oldest =
        CachedStatement::<Nullable<BigInt>>::new("SELECT MIN(at) FROM metric_fresh WHERE at < ?")
            .number(open);
    // Includes samples from the future, after the clock was set back. Any window will do.
    let future =
        CachedStatement::<Nullable<BigInt>>::new("SELECT MIN(at) FROM metric_fresh WHERE at >= ?")
            .number(open + WINDOW);
    let Some(oldest) = oldest
        .get_result::<Option<i64>>(db)?
        .or(future.get_result(db)?)
    else {
        return Ok(false);
    };
    let window = floor(oldest, WINDOW);
    let text = format!(
        "WITH RECURSIVE {MOMENTS} SELECT MIN((SELECT MIN(series_id) FROM metric_fresh f WHERE f.at = moments.at)), COUNT(*) \
         FROM moments WHERE at < ?"
    );
    let there = CachedStatement::<(Nullable<BigInt>, BigInt)>::new(text)
        .number(window)
        .number(window + WINDOW)
        .number(window + WINDOW);
    let (first, moments): (Option<i64>, i64) = there.get_result(db)?;
    let from = first.unwrap_or(0);
    let part = SeriesRange {
        from,
        to: from + (MOVED / moments.max(1)).max(1),
    };
    move_window(db, part, window, window + WINDOW)?;
    roll_up(db, Resolution::Minute, part, window, window + WINDOW)?;
    // A late window of an hour that was already rolled up.
    for level in [Resolution::Hour, Resolution::Day] {
        let bucket = floor(window, level.step());
        if bucket < until(db, level)? {
            roll_up(db, level, part, bucket, bucket + level.step())?;
        }
    }
    Ok(true)
}

/// Rolls up hours and days that ended before `now`, at most one day, for some series after number
/// `after`. Returns the last series, or `None` when all are done. Call this when [`move_to_series`]
/// has nothing left, repeatedly with the same `now` until [`is_rolled`]. An interrupted roll-up
/// starts again.
pub fn advance(db: &mut Db, now: i64, after: i64) -> QueryResult<Option<i64>> {
    let text =
        "SELECT MAX(id) FROM (SELECT id FROM metric_series WHERE id > ? ORDER BY id LIMIT ?)";
    let last: Option<i64> = CachedStatement::<Nullable<BigInt>>::new(text)
        .number(after)
        .number(ROLLED)
        .get_result(db)?;
    for level in [Resolution::Hour, Resolution::Day] {
        let (done, over) = due(db, level, now)?;
        match last {
            Some(last) => roll_up(
                db,
                level,
                SeriesRange {
                    from: after + 1,
                    to: last + 1,
                },
                done,
                over,
            )?,
            None => _ = set_until(db, level, over)?,
        }
    }
    if last.is_none() {
        let open = floor(now, WINDOW);
        set_until(db, Resolution::Raw, open)?;
        set_until(db, Resolution::Minute, open)?;
    }
    Ok(last)
}

/// The next range of a level to roll up.
fn due(db: &mut Db, level: Resolution, now: i64) -> QueryResult<(i64, i64)> {
    let end = floor(now, level.step());
    let done = match until(db, level)? {
        // The first roll-up ever. The search reads everything, which is little at that time.
        0 => {
            let oldest =
                CachedStatement::<Nullable<BigInt>>::new("SELECT MIN(at) FROM metric_minutes")
                    .get_result::<Option<i64>>(db)?;
            oldest
                .map_or(end, |oldest| floor(oldest, level.step()))
                .min(end)
        }
        // The clock was ahead and has been corrected: new samples are rolled up again.
        ahead if ahead > end => end,
        done => done,
    };
    Ok((done, end.min(done + DAY)))
}

/// Whether all hours and days that ended before `now` are rolled up.
pub fn is_rolled(db: &mut Db, now: i64) -> QueryResult<bool> {
    Ok(until(db, Resolution::Hour)? >= floor(now, 3600)
        && until(db, Resolution::Day)? >= floor(now, DAY))
}

fn move_window(db: &mut Db, part: SeriesRange, from: i64, to: i64) -> QueryResult<()> {
    let which = "at IN (SELECT at FROM moments WHERE at < ?) AND series_id >= ? AND series_id < ?";
    let moved = format!(
        "WITH RECURSIVE {MOMENTS} INSERT INTO metric_samples (series_id, at, value) \
         SELECT series_id, at, value FROM metric_fresh WHERE {which} ORDER BY series_id, at \
         ON CONFLICT (series_id, at) {MERGE}"
    );
    for text in [
        moved,
        format!("WITH RECURSIVE {MOMENTS} DELETE FROM metric_fresh WHERE {which}"),
    ] {
        let statement = CachedStatement::<()>::new(text)
            .number(from)
            .number(to)
            .number(to);
        statement.number(part.from).number(part.to).execute(db)?;
    }
    Ok(())
}

/// Rolls up the next finer level for some of the series, from `from` to before `to`.
fn roll_up(
    db: &mut Db,
    level: Resolution,
    part: SeriesRange,
    from: i64,
    to: i64,
) -> QueryResult<()> {
    let Some(finer) = level.finer() else {
        return Ok(());
    };
    if from >= to {
        return Ok(());
    }
    let values = if finer == Resolution::Raw {
        "COUNT(*), SUM(value), MIN(value), MAX(value)"
    } else {
        "SUM(s.count), SUM(s.sum), MIN(s.min), MAX(s.max)"
    };
    // By series, because the table is sorted by series; otherwise every sample would be read. A
    // bucket whose data is partly deleted is not replaced: a wrong clock must not overwrite correct
    // data.
    let statement = format!(
        "INSERT INTO {into} (series_id, at, count, sum, min, max) \
         SELECT s.series_id, s.at - s.at % {step}, {values} FROM metric_series n \
         CROSS JOIN {source} s ON s.series_id = n.id AND s.at >= ? AND s.at < ? WHERE n.id >= ? AND n.id < ? \
         GROUP BY s.series_id, s.at - s.at % {step} \
         ON CONFLICT (series_id, at) DO UPDATE SET count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max \
         WHERE excluded.count >= count",
        into = level.table(),
        source = finer.table(),
        step = level.step(),
    );
    CachedStatement::<()>::new(statement)
        .number(from)
        .number(to)
        .number(part.from)
        .number(part.to)
        .execute(db)?;
    Ok(())
}

/// The second before which rows are deleted.
#[derive(Clone, Copy, Debug)]
pub struct RetentionEnd {
    /// For series of an instance.
    pub of_instance: i64,
    /// For series of a miner.
    pub of_miner: i64,
}

/// Removes about `most` rows of a level older than `before`, for all series after number `after`.
/// Returns the last series processed, or `None` when all are done. Days are deleted only for details
/// (a miner, a reason, a check), because new details may keep appearing.
pub fn forget(
    db: &mut Db,
    level: Resolution,
    before: RetentionEnd,
    after: i64,
    most: i64,
) -> QueryResult<Option<i64>> {
    let mut left = most;
    let mut at = after;
    let next = match level {
        Resolution::Day => {
            "SELECT id, metric_type FROM metric_series WHERE id > ? AND instr(metric_type, ':') > 0 ORDER BY id LIMIT 1"
        }
        Resolution::Raw | Resolution::Minute | Resolution::Hour => {
            "SELECT id, metric_type FROM metric_series WHERE id > ? ORDER BY id LIMIT 1"
        }
    };
    while left > 0 {
        let next = CachedStatement::<(BigInt, Text)>::new(next).number(at);
        let Some((series, name)) = next.get_result::<(i64, String)>(db).optional()? else {
            return Ok(None);
        };
        let before = if is_of_miner(&name) {
            before.of_miner
        } else {
            before.of_instance
        };
        let statement = format!(
            "DELETE FROM {table} WHERE series_id = ? AND at IN (SELECT at FROM {table} WHERE series_id = ? AND at < ? ORDER BY at LIMIT ?)",
            table = level.table()
        );
        let removed = CachedStatement::<()>::new(statement)
            .number(series)
            .number(series)
            .number(before)
            .number(left)
            .execute(db)?;
        let removed = i64::try_from(removed).unwrap_or(i64::MAX);
        if removed < left {
            at = series;
        }
        left -= removed.max(1);
    }
    Ok(Some(at))
}

/// Removes about `most` rows of series that are empty or whose instance was deleted; returns true
/// when none are left.
pub fn prune_lost(db: &mut Db, most: i64) -> QueryResult<bool> {
    let lost = CachedStatement::<Nullable<BigInt>>::new(
        "SELECT MIN(id) FROM metric_series WHERE instance_id IS NULL",
    );
    let Some(series) = lost.get_result::<Option<i64>>(db)? else {
        return Ok(true);
    };
    let mut left = most;
    for level in Resolution::iter() {
        let statement = format!(
            "DELETE FROM {table} WHERE series_id = ? AND at IN (SELECT at FROM {table} WHERE series_id = ? LIMIT ?)",
            table = level.table()
        );
        let removed = CachedStatement::<()>::new(statement)
            .number(series)
            .number(series)
            .number(left)
            .execute(db)?;
        left -= i64::try_from(removed).unwrap_or(i64::MAX);
        if left <= 0 {
            return Ok(false);
        }
    }
    for sample in fresh(db, series, 0, i64::MAX, i64::MAX)? {
        let text = "DELETE FROM metric_fresh WHERE at = ? AND series_id = ?";
        CachedStatement::<()>::new(text)
            .number(sample.at)
            .number(series)
            .execute(db)?;
    }
    CachedStatement::<()>::new("DELETE FROM metric_series WHERE id = ?")
        .number(series)
        .execute(db)?;
    Ok(false)
}

/// Removes series of existing instances that have no data at any level, such as old miners.
pub fn prune_empty(db: &mut Db) -> QueryResult<usize> {
    CachedStatement::<()>::new(
        "DELETE FROM metric_series WHERE NOT EXISTS (SELECT 1 FROM metric_samples t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_minutes t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_hours t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_days t WHERE t.series_id = metric_series.id) \
         AND id NOT IN (SELECT series_id FROM metric_fresh)",
    )
    .execute(db)
}
