//! Tests across all tables of samples.

use diesel::connection::SimpleConnection;

use super::rollup::{RetentionEnd, advance, forget, move_to_series, prune_lost};
use super::*;
use crate::domain::metrics::range::{self, PointSpacing, RollupMarks};

const DAY: i64 = 86_400;
/// The start of a day.
const BEGIN: i64 = 20_000 * DAY;

/// A new database; series have numbers from 1 to `series`.
fn database(series: i64) -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    crate::infra::db::Db::open(dir.path()).unwrap();
    let mut db = Db::establish(dir.path().join(crate::infra::db::FILE).to_str().unwrap()).unwrap();
    let made = format!(
        "INSERT INTO configurations (id, name, description, config_json, created_at, updated_at) VALUES ('c', 'c', '', '{{}}', 0, 0);
         INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('i', 'i', 'c', 0, 0);
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {series})
         INSERT INTO metric_series (id, instance_id, metric_type, is_counter) SELECT n, 'i', 'm' || n, 0 FROM n;"
    );
    db.batch_execute(&made).unwrap();
    (dir, db)
}

/// Runs everything that is due at `now`; returns the number of steps.
fn move_all_to_series(db: &mut Db, now: i64) -> usize {
    let mut steps = 0;
    while move_to_series(db, now).unwrap() {
        steps += 1;
    }
    let mut after = 0;
    loop {
        while let Some(last) = advance(db, now, after).unwrap() {
            (after, steps) = (last, steps + 1);
        }
        if super::rollup::is_rolled(db, now).unwrap() {
            return steps;
        }
        after = 0;
    }
}

fn whole(db: &mut Db, series: i64, from: i64, to: i64) -> Option<SampleBucket> {
    let marks = RollupMarks::read(db).unwrap();
    range::whole(db, marks, series, (from, to)).unwrap()
}

fn points(
    db: &mut Db,
    series: i64,
    from: i64,
    to: i64,
    spacing: PointSpacing,
) -> Vec<SampleBucket> {
    let marks = RollupMarks::read(db).unwrap();
    range::points(db, marks, series, (from, to), spacing).unwrap()
}

fn all(count: i64) -> impl Iterator<Item = i64> {
    1..=count
}

#[test]
fn what_is_moved_in_many_steps_is_all_there_and_rolled_up() {
    let (_dir, mut db) = database(300);
    for at in (BEGIN - 7200..BEGIN + 20).step_by(20) {
        let samples: Vec<(i64, f64)> = all(300)
            .map(|series| (series, (series + at % 100) as f64))
            .collect();
        insert(&mut db, at, &samples).unwrap();
    }
    // A late sample: its window and hours are already rolled up.
    let steps = move_all_to_series(&mut db, BEGIN + 310);
    assert!(
        steps > 2 * 24,
        "24 windows of 300 series need more steps than {steps}"
    );
    insert(&mut db, BEGIN - 3595, &[(300, 1e6)]).unwrap();
    move_all_to_series(&mut db, BEGIN + 310);
    for series in [1, 64, 65, 299, 300] {
        let late = i64::from(series == 300);
        let hours = buckets(&mut db, Resolution::Hour, series, 0, i64::MAX, 100).unwrap();
        assert_eq!(
            hours
                .iter()
                .map(|hour| (hour.at, hour.count))
                .collect::<Vec<_>>(),
            [(BEGIN - 7200, 180), (BEGIN - 3600, 180 + late)]
        );
        let days = buckets(&mut db, Resolution::Day, series, 0, i64::MAX, 100).unwrap();
        assert_eq!(
            days.iter()
                .map(|day| (day.at, day.count))
                .collect::<Vec<_>>(),
            [(BEGIN - DAY, 360 + late)]
        );
        let all = whole(&mut db, series, 0, BEGIN + DAY).unwrap();
        assert_eq!((all.count, all.min), (361 + late, series as f64));
        assert_eq!(
            all.sum,
            buckets(&mut db, Resolution::Raw, series, 0, i64::MAX, 1000)
                .unwrap()
                .iter()
                .map(|one| one.sum)
                .sum::<f64>()
        );
    }
}

#[test]
fn the_newest_are_found_in_either_order_and_only_so_many_of_them() {
    let (_dir, mut db) = database(2);
    for at in (BEGIN..BEGIN + 1000).step_by(10) {
        insert(&mut db, at, &[(1, at as f64)]).unwrap();
    }
    insert(&mut db, BEGIN + 500, &[(2, 7.0)]).unwrap();
    move_all_to_series(&mut db, BEGIN + 999);
    let seconds = |found: Vec<MetricSample>| {
        found
            .iter()
            .map(|sample| sample.at - BEGIN)
            .collect::<Vec<_>>()
    };
    assert_eq!(seconds(newest(&mut db, 1, 2).unwrap()), [990, 980]);
    // Ten samples are still stored by time.
    assert_eq!(
        seconds(fresh(&mut db, 1, 0, i64::MAX, 99).unwrap()),
        (90..100).rev().map(|n| n * 10).collect::<Vec<_>>()
    );
    assert_eq!(
        seconds(fresh(&mut db, 1, BEGIN + 920, BEGIN + 940, 99).unwrap()),
        [930, 920]
    );
    assert_eq!(
        seconds(fresh(&mut db, 1, 0, BEGIN + 900, 99).unwrap()),
        [0; 0]
    );
    assert_eq!(
        seconds(newest(&mut db, 1, 12).unwrap()),
        (88..100).rev().map(|n| n * 10).collect::<Vec<_>>()
    );
    assert_eq!(seconds(newest(&mut db, 2, 12).unwrap()), [500]);
    let found = buckets(&mut db, Resolution::Raw, 1, BEGIN + 20, BEGIN + 960, 8).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|bucket| bucket.at - BEGIN)
            .collect::<Vec<_>>(),
        (88..96).map(|n| n * 10).collect::<Vec<_>>()
    );
}

#[test]
fn a_long_stretch_in_short_buckets_is_the_newest_thousand_of_them() {
    let (_dir, mut db) = database(1);
    for at in (BEGIN..BEGIN + DAY).step_by(30) {
        insert(&mut db, at, &[(1, 1.0)]).unwrap();
    }
    move_all_to_series(&mut db, BEGIN + DAY - 90);
    let found = points(
        &mut db,
        1,
        0,
        BEGIN + DAY,
        PointSpacing::of(Resolution::Minute),
    );
    assert_eq!((found.len(), found[0].at), (1000, BEGIN + DAY - 60_000));
    assert!(
        found.iter().all(|minute| minute.count == 2),
        "each of them is whole"
    );
    let found = points(
        &mut db,
        1,
        0,
        BEGIN + DAY,
        PointSpacing {
            level: Resolution::Minute,
            step: 120,
        },
    );
    assert_eq!((found.len(), found[0].count), (720, 4));
}

#[test]
fn forgetting_goes_on_where_it_stopped() {
    let (_dir, mut db) = database(3);
    for at in (BEGIN..BEGIN + 900).step_by(10) {
        insert(
            &mut db,
            at,
            &all(3).map(|series| (series, 1.0)).collect::<Vec<_>>(),
        )
        .unwrap();
    }
    move_all_to_series(&mut db, BEGIN + 900);
    let mut after = 0;
    let mut steps = 0;
    let end = RetentionEnd {
        of_instance: BEGIN + 600,
        of_miner: BEGIN + 600,
    };
    while let Some(last) = forget(&mut db, Resolution::Raw, end, after, 50).unwrap() {
        (after, steps) = (last, steps + 1);
    }
    assert!((3..8).contains(&steps), "{steps}");
    for series in all(3) {
        assert_eq!(
            oldest(&mut db, Resolution::Raw, series).unwrap(),
            Some(BEGIN + 600)
        );
        assert_eq!(
            whole(&mut db, series, 0, BEGIN + 900).unwrap().count,
            90,
            "its minutes are still there"
        );
    }
    db.batch_execute("PRAGMA foreign_keys = ON; DELETE FROM instances")
        .unwrap();
    while !prune_lost(&mut db, 50).unwrap() {}
    let left = CachedStatement::<BigInt>::new(
        "SELECT (SELECT COUNT(*) FROM metric_samples) + (SELECT COUNT(*) FROM metric_series)",
    );
    assert_eq!(left.get_result::<i64>(&mut db).unwrap(), 0);
}
