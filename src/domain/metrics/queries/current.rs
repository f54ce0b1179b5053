//! Reads the current data of all instances, each kind in one statement.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double, Text};
use diesel::sqlite::SqliteConnection as Db;

use crate::base::ids::InstanceId;

/// The stored counter baselines of all instances.
pub fn baselines(db: &mut Db) -> QueryResult<Vec<(InstanceId, String)>> {
    #[derive(QueryableByName)]
    struct StoredFigure {
        #[diesel(sql_type = Text)]
        instance_id: InstanceId,
        #[diesel(sql_type = Text)]
        state: String,
    }
    let found: Vec<StoredFigure> =
        sql_query("SELECT instance_id, state FROM metric_baselines").load(db)?;
    Ok(found
        .into_iter()
        .map(|stored| (stored.instance_id, stored.state))
        .collect())
}

/// The total of one counter of every instance that has it.
pub fn counter_totals(db: &mut Db, counter: &str) -> QueryResult<Vec<(InstanceId, f64)>> {
    #[derive(QueryableByName)]
    struct CounterTotal {
        #[diesel(sql_type = Text)]
        instance_id: InstanceId,
        #[diesel(sql_type = Double)]
        total: f64,
    }
    // Data that is not valid JSON is rebuilt by the sampler.
    let found: Vec<CounterTotal> = sql_query(
        "SELECT instance_id, CAST(state ->> ('$.totals.' || ?) AS REAL) AS total FROM metric_baselines \
         WHERE json_valid(state) AND state ->> ('$.totals.' || ?) IS NOT NULL",
    )
    .bind::<Text, _>(counter)
    .bind::<Text, _>(counter)
    .load(db)?;
    Ok(found
        .into_iter()
        .map(|found| (found.instance_id, found.total))
        .collect())
}

/// The readings of all instances in the round of this second, without those of individual miners.
pub fn readings(db: &mut Db, at: i64) -> QueryResult<Vec<(InstanceId, String, f64)>> {
    #[derive(QueryableByName)]
    struct CurrentReading {
        #[diesel(sql_type = Text)]
        instance_id: InstanceId,
        #[diesel(sql_type = Text)]
        metric_type: String,
        #[diesel(sql_type = Double)]
        value: f64,
    }
    let found: Vec<CurrentReading> = sql_query(
        "SELECT n.instance_id, n.metric_type, f.value FROM metric_fresh f CROSS JOIN metric_series n ON n.id = f.series_id \
         WHERE f.at = ? AND n.instance_id IS NOT NULL AND n.is_counter = 0 AND instr(n.metric_type, ':') = 0",
    )
    .bind::<BigInt, _>(at)
    .load(db)?;
    Ok(found
        .into_iter()
        .map(|reading| (reading.instance_id, reading.metric_type, reading.value))
        .collect())
}
