//! Tests of the tables: moving, roll-ups and deletion do not change the data that is read.

use super::rollup;
use super::*;
use crate::domain::metrics::range::{self, PointSpacing, RollupMarks};
use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use proptest::prelude::*;
use strum::IntoEnumIterator;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// A Monday, 00:00 UTC.
const MONDAY: i64 = 1_763_942_400;

fn database() -> (Db, InstanceId) {
    let mut db = Db::establish(":memory:").unwrap();
    db.run_pending_migrations(MIGRATIONS).unwrap();
    db.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let instance = InstanceId::random();
    db.batch_execute(&format!(
        "INSERT INTO configurations (id, name, config_json, created_at, updated_at) VALUES ('c', 'c', '{{}}', 0, 0); \
         INSERT INTO instances (id, name, config_id, created_at, updated_at) VALUES ('{instance}', 'barn', 'c', 0, 0);"
    ))
    .unwrap();
    (db, instance)
}

fn settle(db: &mut Db, now: i64) {
    while rollup::move_to_series(db, now).unwrap() {}
    loop {
        let mut after = 0;
        while let Some(last) = rollup::advance(db, now, after).unwrap() {
            after = last;
        }
        if rollup::is_rolled(db, now).unwrap() {
            break;
        }
    }
}

fn whole(db: &mut Db, id: i64, from: i64, to: i64) -> Option<SampleBucket> {
    let marks = RollupMarks::read(db).unwrap();
    range::whole(db, marks, id, (from, to)).unwrap()
}

fn points(db: &mut Db, id: i64, from: i64, to: i64, spacing: PointSpacing) -> Vec<SampleBucket> {
    let marks = RollupMarks::read(db).unwrap();
    range::points(db, marks, id, (from, to), spacing).unwrap()
}

fn rows(db: &mut Db, sql: &str) -> i64 {
    CachedStatement::<BigInt>::new(format!("SELECT COUNT(*) FROM {sql}"))
        .get_result(db)
        .unwrap()
}

/// Count, sum, min and max of the samples in a time range.
fn naive(samples: &[(i64, f64)], from: i64, to: i64) -> Option<(i64, f64, f64, f64)> {
    let within: Vec<f64> = samples
        .iter()
        .filter(|(at, _)| (from..to).contains(at))
        .map(|(_, value)| *value)
        .collect();
    let first = *within.first()?;
    let count = i64::try_from(within.len()).unwrap();
    Some((
        count,
        within.iter().sum(),
        within.iter().copied().fold(first, f64::min),
        within.iter().copied().fold(first, f64::max),
    ))
}

fn told(bucket: &SampleBucket) -> (i64, f64, f64, f64) {
    (bucket.count, bucket.sum, bucket.min, bucket.max)
}

#[test]
fn a_day_is_moved_and_rolled_up_and_reads_the_same() {
    let (mut db, instance) = database();
    let id = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    let other = series_id(&mut db, instance, "miners", false)
        .unwrap()
        .unwrap();
    assert_eq!(
        series_id(&mut db, instance, "threads", false).unwrap(),
        Some(id)
    );
    let mut samples = Vec::new();
    let end = MONDAY + 90_000;
    for at in (MONDAY..end).step_by(10) {
        // A gap of one hour.
        if !(MONDAY + 7_000..MONDAY + 10_600).contains(&at) {
            let value = f64::from(u32::try_from(at % 97).unwrap());
            samples.push((at, value));
            insert(&mut db, at, &[(id, value), (other, 1.0)]).unwrap();
        }
        if at % WINDOW == 0 {
            settle(&mut db, at);
        }
    }
    assert!(
        rows(&mut db, "metric_fresh") <= 2 * WINDOW / 10,
        "only the present window is in order of time"
    );
    assert_eq!(
        rows(&mut db, "metrics"),
        2 * i64::try_from(samples.len()).unwrap(),
        "the view shows every sample once"
    );
    assert_eq!(rows(&mut db, "metric_days"), 2);
    for (from, to) in [
        (MONDAY, end),
        (MONDAY + 1, end - 1),
        (MONDAY + 5_555, MONDAY + 80_001),
        (end - 30, end),
        (0, i64::MAX / 2),
    ] {
        let all = whole(&mut db, id, from, to);
        assert_eq!(
            all.as_ref().map(told),
            naive(&samples, from, to),
            "{from}..{to}"
        );
    }
    for level in [Resolution::Minute, Resolution::Hour, Resolution::Day] {
        let points = points(&mut db, id, MONDAY, end, PointSpacing::of(level));
        for point in &points {
            assert_eq!(
                Some(told(point)),
                naive(&samples, point.at, point.at + level.step()),
                "{level:?} {}",
                point.at
            );
        }
        let is_whole = points.iter().map(|point| point.count).sum::<i64>()
            == i64::try_from(samples.len()).unwrap();
        assert!(
            is_whole || (level == Resolution::Minute && points.len() == 1000),
            "{level:?}: the newest thousand, or all"
        );
    }
    let gap = points(
        &mut db,
        id,
        MONDAY + 7_080,
        MONDAY + 10_560,
        PointSpacing::of(Resolution::Minute),
    );
    assert!(gap.is_empty(), "a gap has no points: {gap:?}");
    let last: Vec<i64> = newest(&mut db, id, 100)
        .unwrap()
        .iter()
        .map(|sample| sample.at)
        .collect();
    assert_eq!(
        last,
        (0..100).map(|n| end - 10 - n * 10).collect::<Vec<_>>()
    );
}

#[test]
fn a_clock_that_is_set_back_and_forward_loses_nothing() {
    let (mut db, instance) = database();
    let id = series_id(&mut db, instance, "shares_accepted", true)
        .unwrap()
        .unwrap();
    let put = |db: &mut Db, at: i64| {
        insert(db, at, &[(id, 1.0)]).unwrap();
        settle(db, at);
    };
    for at in (MONDAY..MONDAY + 7200).step_by(10) {
        put(&mut db, at);
    }
    // One day forward and back again.
    for at in (MONDAY + 86_400..MONDAY + 87_000)
        .step_by(10)
        .chain((MONDAY + 7200..MONDAY + 14_400).step_by(10))
    {
        put(&mut db, at);
    }
    settle(&mut db, MONDAY + 14_400);
    let all = whole(&mut db, id, 0, MONDAY + 2 * 86_400).unwrap();
    assert_eq!((all.count, all.sum), (1440 + 60, 1500.0));
    // One hour into the past: late samples are rolled up again.
    for at in (MONDAY + 3605..MONDAY + 7205).step_by(10) {
        put(&mut db, at);
    }
    settle(&mut db, MONDAY + 14_400);
    let hour = points(
        &mut db,
        id,
        MONDAY + 3600,
        MONDAY + 7200,
        PointSpacing::of(Resolution::Hour),
    );
    assert_eq!(
        hour.iter().map(|point| point.count).collect::<Vec<_>>(),
        [720]
    );
}

#[test]
fn increments_of_one_second_add_up_and_readings_replace_each_other() {
    let (mut db, instance) = database();
    let counter = series_id(&mut db, instance, "shares_accepted", true)
        .unwrap()
        .unwrap();
    let gauge = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    for _ in 0..2 {
        // Exactly one hour back, so that the same seconds come again: once while they are fresh,
        // once after they were moved.
        for at in (MONDAY..MONDAY + 3600).step_by(10) {
            insert(&mut db, at, &[(counter, 1.0), (gauge, 4.0)]).unwrap();
            insert(&mut db, at, &[(counter, 2.0), (gauge, 5.0)]).unwrap();
        }
        settle(&mut db, MONDAY + 4000);
    }
    assert_eq!(
        whole(&mut db, counter, MONDAY, MONDAY + 3600).unwrap().sum,
        360.0 * 6.0
    );
    let threads = whole(&mut db, gauge, MONDAY, MONDAY + 3600).unwrap();
    assert_eq!((threads.count, threads.sum), (360, 360.0 * 5.0));
}

/// The same second for series of instances and of miners.
fn both(before: i64) -> rollup::RetentionEnd {
    rollup::RetentionEnd {
        of_instance: before,
        of_miner: before,
    }
}

#[test]
fn minutes_of_miners_are_deleted_earlier() {
    let (mut db, instance) = database();
    let samples: Vec<MetricWrite> = [
        "miner_hashrate:rig@192.0.2.7",
        "miner_shares_accepted:rig@192.0.2.7",
    ]
    .map(|name| MetricWrite {
        instance,
        metric_type: name.into(),
        value: 2.0,
    })
    .into();
    let other = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    for at in (MONDAY..MONDAY + 86_400).step_by(300) {
        write_samples(&mut db, at, &samples).unwrap();
        insert(&mut db, at, &[(other, 1.0)]).unwrap();
    }
    settle(&mut db, MONDAY + 86_400);
    let ends = rollup::RetentionEnd {
        of_instance: MONDAY,
        of_miner: MONDAY + 43_200,
    };
    let mut after = 0;
    while let Some(next) = rollup::forget(&mut db, Resolution::Minute, ends, after, 50).unwrap() {
        after = next;
    }
    let miner = series(&mut db, instance, "miner_shares_accepted:rig@192.0.2.7")
        .unwrap()
        .unwrap();
    assert!(miner.is_counter);
    assert_eq!(
        [miner.id, other].map(|id| oldest(&mut db, Resolution::Minute, id).unwrap()),
        [Some(MONDAY + 43_200), Some(MONDAY)]
    );
    // Its hours are whole.
    let day = points(
        &mut db,
        miner.id,
        MONDAY,
        MONDAY + 86_400,
        PointSpacing::of(Resolution::Hour),
    );
    assert_eq!(day.iter().map(|hour| hour.sum).sum::<f64>(), 576.0);
}

/// The limit that the documentation of metrics states.
#[test]
fn a_miner_needs_less_than_forty_kilobytes_a_day() {
    const MINERS: i64 = 20;
    let (mut db, instance) = database();
    let size = |db: &mut Db| {
        db.batch_execute("VACUUM").unwrap();
        CachedStatement::<BigInt>::new(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        )
        .get_result::<i64>(db)
        .unwrap()
    };
    let before = size(&mut db);
    for at in (MONDAY..MONDAY + 86_400).step_by(300) {
        let samples: Vec<MetricWrite> = (0..MINERS)
            .flat_map(|miner| ["miner_hashrate", "miner_shares_accepted"].map(|name| (miner, name)))
            .map(|(miner, name)| MetricWrite {
                instance,
                metric_type: format!("{name}:acct.rig{miner:02}@192.0.2.{miner}"),
                value: 1e12 + (at * miner) as f64 / 7.0,
            })
            .collect();
        write_samples(&mut db, at, &samples).unwrap();
    }
    settle(&mut db, MONDAY + 86_400 + 300);
    let each = (size(&mut db) - before) / MINERS;
    assert!((10_000..40_000).contains(&each), "{each} bytes");
}

#[test]
fn names_that_never_end_do_not_fill_the_database() {
    let (mut db, instance) = database();
    for round in 0..7 {
        let samples: Vec<MetricWrite> = (0..2_000)
            .map(|number| MetricWrite {
                instance,
                metric_type: format!("miner_hashrate:rig{}", round * 2_000 + number),
                value: 1.0,
            })
            .collect();
        write_samples(&mut db, MONDAY + round, &samples).unwrap();
    }
    assert_eq!(rows(&mut db, "metric_series"), 12_000);
    // Known miners go on, and an instance that is gone has none.
    let gone = InstanceId::random();
    let more = [(instance, "rig1"), (instance, "new"), (gone, "rig1")].map(|(instance, name)| {
        MetricWrite {
            instance,
            metric_type: format!("miner_hashrate:{name}"),
            value: 1.0,
        }
    });
    write_samples(&mut db, MONDAY + 20, &more).unwrap();
    assert_eq!(rows(&mut db, "metric_series"), 12_000);
    let first = series(&mut db, instance, "miner_hashrate:rig1")
        .unwrap()
        .unwrap();
    assert_eq!(newest(&mut db, first.id, 5).unwrap().len(), 2);
}

#[test]
fn a_wrong_clock_makes_no_bucket_smaller() {
    let (mut db, instance) = database();
    let id = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    for at in (MONDAY..MONDAY + 2 * 86_400).step_by(60) {
        insert(&mut db, at, &[(id, 1.0)]).unwrap();
    }
    settle(&mut db, MONDAY + 2 * 86_400);
    for level in [Resolution::Raw, Resolution::Minute] {
        rollup::forget(&mut db, level, both(MONDAY + 86_400), 0, 10_000).unwrap();
    }
    // Years back, then into deleted time, then correct again.
    for now in [
        MONDAY - 2000 * 86_400,
        MONDAY + 5000,
        MONDAY + 2 * 86_400 + 60,
    ] {
        insert(&mut db, now, &[(id, 1.0)]).unwrap();
        settle(&mut db, now + 600);
    }
    let days = points(
        &mut db,
        id,
        MONDAY,
        MONDAY + 2 * 86_400,
        PointSpacing::of(Resolution::Day),
    );
    assert_eq!(
        days.iter().map(|day| day.count).collect::<Vec<_>>(),
        [1440, 1440]
    );
}

#[test]
fn what_is_too_old_goes_in_steps_and_days_stay() {
    let (mut db, instance) = database();
    let id = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    for at in (MONDAY..MONDAY + 3 * 86_400).step_by(600) {
        insert(&mut db, at, &[(id, 2.0)]).unwrap();
    }
    settle(&mut db, MONDAY + 3 * 86_400);
    let before = MONDAY + 2 * 86_400;
    for level in [Resolution::Raw, Resolution::Minute, Resolution::Hour] {
        let (mut steps, mut after) = (0, 0);
        while let Some(next) = rollup::forget(&mut db, level, both(before), after, 50).unwrap() {
            (after, steps) = (next, steps + 1);
            assert!(steps < 100, "it never ends");
        }
        assert!(
            level == Resolution::Hour || steps >= 5,
            "{level:?} in small steps: {steps}"
        );
        assert_eq!(
            oldest(&mut db, level, id).unwrap(),
            Some(before),
            "{level:?}"
        );
    }
    assert_eq!(rows(&mut db, "metric_days"), 3);
    // The range starts with a whole day, because finer data was deleted.
    let all = whole(&mut db, id, MONDAY + 90_000, MONDAY + 3 * 86_400).unwrap();
    assert_eq!(all.count, 2 * 144);
}

#[test]
fn a_deleted_instance_leaves_nothing_and_others_keep_theirs() {
    let (mut db, instance) = database();
    let id = series_id(&mut db, instance, "threads", false)
        .unwrap()
        .unwrap();
    for at in (MONDAY..MONDAY + 7200).step_by(10) {
        insert(&mut db, at, &[(id, 2.0)]).unwrap();
    }
    settle(&mut db, MONDAY + 7000);
    set_baseline(&mut db, instance, "{}").unwrap();
    db.batch_execute("DELETE FROM instances").unwrap();
    assert_eq!(rows(&mut db, "metrics"), 0, "at once");
    let mut steps = 0;
    while !rollup::prune_lost(&mut db, 100).unwrap() {
        steps += 1;
        assert!(steps < 100, "it never ends");
    }
    for table in [
        "metric_series",
        "metric_fresh",
        "metric_samples",
        "metric_minutes",
        "metric_hours",
        "metric_baselines",
    ] {
        assert_eq!(rows(&mut db, table), 0, "{table}");
    }
    assert_eq!(
        series_id(&mut db, instance, "threads", false).unwrap(),
        None
    );
    assert_eq!(set_baseline(&mut db, instance, "{}").unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// The sums over any time range match the samples, regardless of order and roll-ups.
    #[test]
    fn any_stretch_reads_as_it_was_written(
        steps in prop::collection::vec((1i64..4000, -1e6..1e6f64, any::<bool>()), 1..80),
        (from, length) in (0i64..200_000, 0i64..200_000)
    ) {
        let (mut db, instance) = database();
        let id = series_id(&mut db, instance, "x", false).unwrap().unwrap();
        let (mut at, mut samples) = (MONDAY, Vec::new());
        for (step, value, settles) in steps {
            at += step;
            let value = value.round();
            samples.push((at, value));
            insert(&mut db, at, &[(id, value)]).unwrap();
            if settles {
                settle(&mut db, at);
            }
        }
        let (from, to) = (MONDAY + from, MONDAY + from + length);
        let all = whole(&mut db, id, from, to);
        prop_assert_eq!(all.as_ref().map(told), naive(&samples, from, to));
        for level in Resolution::iter() {
            let points = points(&mut db, id, from, to, PointSpacing::of(level));
            let expected = naive(&samples, from, to).map_or(0, |all| all.0);
            prop_assert_eq!(points.iter().map(|point| point.count).sum::<i64>(), expected);
            prop_assert!(points.is_sorted_by_key(|point| point.at));
        }
    }
}

/// Miners come and go with new names; their data is deleted after a year, data of the instance is kept.
#[test]
fn days_of_details_are_forgotten_and_days_of_the_whole_are_not() {
    let (mut db, instance) = database();
    let mut made = Vec::new();
    for name in ["miners", "miner_hashrate:old.rig", "miner_hashrate:new.rig"] {
        made.push(series_id(&mut db, instance, name, false).unwrap().unwrap());
    }
    let day = |db: &mut Db, series: i64, at: i64| {
        let text = "INSERT INTO metric_days (series_id, at, count, sum, min, max) VALUES (?, ?, 1, 1, 1, 1)";
        CachedStatement::<()>::new(text)
            .number(series)
            .number(at)
            .execute(db)
            .unwrap();
    };
    day(&mut db, made[0], MONDAY);
    day(&mut db, made[1], MONDAY);
    day(&mut db, made[2], MONDAY);
    day(&mut db, made[2], MONDAY + 400 * 86_400);
    let mut after = 0;
    while let Some(next) = rollup::forget(
        &mut db,
        Resolution::Day,
        both(MONDAY + 365 * 86_400),
        after,
        1,
    )
    .unwrap()
    {
        after = next;
    }
    let left = |db: &mut Db, series| oldest(db, Resolution::Day, series).unwrap();
    assert_eq!(left(&mut db, made[0]), Some(MONDAY));
    assert_eq!(
        (left(&mut db, made[1]), left(&mut db, made[2])),
        (None, Some(MONDAY + 400 * 86_400))
    );
    assert_eq!(
        rollup::prune_empty(&mut db).unwrap(),
        1,
        "the series without a sample is gone"
    );
}
