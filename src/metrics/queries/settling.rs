//! Moving samples from the order of time into that of series, rolling them up, and forgetting what is too old: the statements, each a step that
//! takes some milliseconds. Times are whole seconds since 1970 UTC.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection as Db;

use super::{Level, MaybeNumber, Number, WINDOW, floor, fresh, set_until, until};

/// When what is too old was last forgotten, second; 0 if never.
pub fn forgotten(db: &mut Db) -> QueryResult<i64> {
    let found: Option<Number> =
        sql_query("SELECT until AS n FROM metric_marks WHERE level = 'forgotten'").get_result(db).optional()?;
    Ok(found.map_or(0, |found| found.n))
}

/// Stores that what is too old was forgotten at this second.
pub fn set_forgotten(db: &mut Db, at: i64) -> QueryResult<usize> {
    sql_query("INSERT OR REPLACE INTO metric_marks (level, until) VALUES ('forgotten', ?)").bind::<BigInt, _>(at).execute(db)
}

/// Moves one window of samples that is over at `now` into the order of series and rolls it up; true if there may be another. When none is
/// left, hours and days that are over are rolled up. Nothing is done twice and nothing is left out, whenever the manager is killed: it is
/// one transaction.
pub fn settle(db: &mut Db, now: i64) -> QueryResult<bool> {
    let open = floor(now, WINDOW);
    // Also those of the future: the clock was set back. Their window is as good as any other.
    let oldest: MaybeNumber = sql_query("SELECT MIN(at) AS n FROM metric_fresh WHERE at < ? OR at >= ?")
        .bind::<BigInt, _>(open)
        .bind::<BigInt, _>(open + WINDOW)
        .get_result(db)?;
    if let Some(oldest) = oldest.n {
        let window = floor(oldest, WINDOW);
        move_window(db, window, window + WINDOW)?;
        roll_up(db, Level::Minute, window, window + WINDOW)?;
        // A window of an hour that was rolled up before: it came late.
        for level in [Level::Hour, Level::Day] {
            let bucket = floor(window, level.step());
            if bucket < until(db, level)? {
                roll_up(db, level, bucket, bucket + level.step())?;
            }
        }
        return Ok(true);
    }
    set_until(db, Level::Raw, open)?;
    set_until(db, Level::Minute, open)?;
    for level in [Level::Hour, Level::Day] {
        let (done, over) = (until(db, level)?, floor(now, level.step()));
        // A year at most: what is older is gone or was never there.
        roll_up(db, level, done.max(over - 366 * 86_400), over)?;
        set_until(db, level, over)?;
    }
    Ok(false)
}

fn move_window(db: &mut Db, from: i64, to: i64) -> QueryResult<()> {
    sql_query(
        "INSERT OR REPLACE INTO metric_samples (series_id, at, value) \
         SELECT series_id, at, value FROM metric_fresh WHERE at >= ? AND at < ? ORDER BY series_id, at",
    )
    .bind::<BigInt, _>(from)
    .bind::<BigInt, _>(to)
    .execute(db)?;
    sql_query("DELETE FROM metric_fresh WHERE at >= ? AND at < ?").bind::<BigInt, _>(from).bind::<BigInt, _>(to).execute(db)?;
    Ok(())
}

/// Rolls the next finer level up, for all series, from `from` to before `to`.
fn roll_up(db: &mut Db, level: Level, from: i64, to: i64) -> QueryResult<()> {
    let Some(finer) = level.finer() else { return Ok(()) };
    if from >= to {
        return Ok(());
    }
    let values = if finer == Level::Raw {
        "COUNT(*), SUM(value), MIN(value), MAX(value)"
    } else {
        "SUM(s.count), SUM(s.sum), MIN(s.min), MAX(s.max)"
    };
    // By series, since that is the order of the table: without it every sample there is would be looked at.
    let statement = format!(
        "INSERT OR REPLACE INTO {into} (series_id, at, count, sum, min, max) \
         SELECT s.series_id, s.at - s.at % {step}, {values} FROM metric_series n \
         CROSS JOIN {source} s ON s.series_id = n.id AND s.at >= ? AND s.at < ? \
         GROUP BY s.series_id, s.at - s.at % {step}",
        into = level.table(),
        source = finer.table(),
        step = level.step(),
    );
    sql_query(statement).bind::<BigInt, _>(from).bind::<BigInt, _>(to).execute(db)?;
    Ok(())
}

/// Removes at most about `most` rows of a level older than `before`, of all series from number `after` on; returns the last series that was
/// looked at, none when all were.
pub fn forget(db: &mut Db, level: Level, before: i64, after: i64, most: i64) -> QueryResult<Option<i64>> {
    let mut left = most;
    let mut at = after;
    while left > 0 {
        let next: MaybeNumber =
            sql_query("SELECT MIN(id) AS n FROM metric_series WHERE id > ?").bind::<BigInt, _>(at).get_result(db)?;
        let Some(series) = next.n else { return Ok(None) };
        let statement = format!(
            "DELETE FROM {table} WHERE series_id = ?1 AND at IN (SELECT at FROM {table} WHERE series_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
            table = level.table()
        );
        let removed =
            sql_query(statement).bind::<BigInt, _>(series).bind::<BigInt, _>(before).bind::<BigInt, _>(left).execute(db)?;
        let removed = i64::try_from(removed).unwrap_or(i64::MAX);
        if removed < left {
            at = series;
        }
        left -= removed.max(1);
    }
    Ok(Some(at))
}

/// Removes at most about `most` rows of series whose instance is gone or that hold nothing any more; true when none is left.
pub fn forget_lost(db: &mut Db, most: i64) -> QueryResult<bool> {
    let lost: MaybeNumber = sql_query("SELECT MIN(id) AS n FROM metric_series WHERE instance_id IS NULL").get_result(db)?;
    let Some(series) = lost.n else { return Ok(true) };
    let mut left = most;
    for level in Level::ALL {
        let statement = format!(
            "DELETE FROM {table} WHERE series_id = ?1 AND at IN (SELECT at FROM {table} WHERE series_id = ?1 LIMIT ?2)",
            table = level.table()
        );
        let removed = sql_query(statement).bind::<BigInt, _>(series).bind::<BigInt, _>(left).execute(db)?;
        left -= i64::try_from(removed).unwrap_or(i64::MAX);
        if left <= 0 {
            return Ok(false);
        }
    }
    for sample in fresh(db, series, 0, i64::MAX)? {
        sql_query("DELETE FROM metric_fresh WHERE at = ? AND series_id = ?")
            .bind::<BigInt, _>(sample.at)
            .bind::<BigInt, _>(series)
            .execute(db)?;
    }
    sql_query("DELETE FROM metric_series WHERE id = ?").bind::<BigInt, _>(series).execute(db)?;
    Ok(false)
}

/// Removes a series that belongs to an instance but holds nothing at any level any more: a miner that left long ago.
pub fn forget_empty(db: &mut Db) -> QueryResult<usize> {
    sql_query(
        "DELETE FROM metric_series WHERE NOT EXISTS (SELECT 1 FROM metric_samples t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_minutes t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_hours t WHERE t.series_id = metric_series.id) \
         AND NOT EXISTS (SELECT 1 FROM metric_days t WHERE t.series_id = metric_series.id) \
         AND id NOT IN (SELECT series_id FROM metric_fresh)",
    )
    .execute(db)
}
