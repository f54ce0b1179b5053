//! Reads a time range of a series at the cost of the points returned: whole days from the table of
//! days, the edges from finer tables.
//!
//! Each table is complete only up to its mark; newer data comes from the next finer table. The same
//! applies to data older than the first row of a coarser table. Times are whole seconds since 1970
//! UTC.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection as Db;
use std::collections::{BTreeMap, HashMap};

use super::model::is_of_miner;
use super::queries::{self, Resolution, SampleBucket, floor};
use crate::base::ids::InstanceId;

/// The maximum number of points returned. About five times as many rows are read.
pub const MOST_POINTS: i64 = 1000;
const MOST_ROWS: i64 = 5 * MOST_POINTS;
/// The maximum number of points of a line in a chart: one for every second pixel or so.
pub const CHART_POINTS: i64 = 400;

/// The second up to which each level is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupMarks {
    minutes: i64,
    hours: i64,
    days: i64,
}

impl RollupMarks {
    /// Reads the marks.
    pub fn read(db: &mut Db) -> QueryResult<Self> {
        let [minutes, hours, days] = [
            queries::until(db, Resolution::Minute)?,
            queries::until(db, Resolution::Hour)?,
            queries::until(db, Resolution::Day)?,
        ];
        Ok(Self {
            minutes,
            hours,
            days,
        })
    }

    fn of(self, level: Resolution) -> i64 {
        match level {
            Resolution::Raw => i64::MAX,
            Resolution::Minute => self.minutes,
            Resolution::Hour => self.hours,
            Resolution::Day => self.days,
        }
    }
}

/// A part of a time range and the level it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RangePiece {
    level: Resolution,
    from: i64,
    to: i64,
}

/// Splits the time from `from` to before `to` into parts, each from the coarsest level up to `level`
/// that contains it completely. Parts are in order, do not overlap and leave no gaps.
fn pieces(level: Resolution, from: i64, to: i64, marks: RollupMarks) -> Vec<RangePiece> {
    let mut pieces = Vec::new();
    cut(level, from, to, marks, &mut pieces);
    pieces
}

fn cut(level: Resolution, from: i64, to: i64, marks: RollupMarks, pieces: &mut Vec<RangePiece>) {
    if from >= to {
        return;
    }
    let Some(finer) = level.finer() else {
        pieces.push(RangePiece { level, from, to });
        return;
    };
    let whole_from = -floor(-from, level.step());
    let whole_to = floor(to.min(marks.of(level)), level.step());
    if whole_from < whole_to {
        cut(finer, from, whole_from, marks, pieces);
        pieces.push(RangePiece {
            level,
            from: whole_from,
            to: whole_to,
        });
        cut(finer, whole_to, to, marks, pieces);
    } else {
        cut(finer, from, to, marks, pieces);
    }
}

/// The interval between two samples of a miner, in seconds. An instance may have a thousand miners.
pub const MINER_STEP: i64 = 300;
/// How long the hours of a miner are kept, in seconds.
const MINER_HOURS: i64 = 90 * 86_400;

/// The interval between samples of a series, in seconds, if rounds are `interval` apart.
pub fn sample_step(metric_type: &str, interval: i64) -> i64 {
    if is_of_miner(metric_type) {
        interval.max(MINER_STEP)
    } else {
        interval
    }
}

/// How long each level is kept, in seconds. Days are kept forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw samples.
    pub raw: i64,
    /// Minutes.
    pub minutes: i64,
    /// Hours, and days of details.
    pub hours: i64,
}

impl Retention {
    /// Raw samples for this number of days, minutes for 30 days and hours for a year, or as long as
    /// raw samples if that is longer.
    pub fn raw_days(days: u32) -> Self {
        let days = i64::from(days);
        Self {
            raw: days * 86_400,
            minutes: days.max(30) * 86_400,
            hours: days.max(365) * 86_400,
        }
    }

    /// The retention of a series: the minutes of a miner are kept as long as raw samples, its hours
    /// for 90 days.
    pub fn of_series(self, metric_type: &str) -> Self {
        if is_of_miner(metric_type) {
            Self {
                minutes: self.raw,
                hours: self.hours.min(MINER_HOURS.max(self.raw)),
                ..self
            }
        } else {
            self
        }
    }
}

/// The spacing of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointSpacing {
    /// The coarsest level to read.
    pub level: Resolution,
    /// The interval in seconds.
    pub step: i64,
}

impl PointSpacing {
    /// The buckets of one level.
    pub const fn of(level: Resolution) -> Self {
        Self {
            level,
            step: level.step(),
        }
    }

    /// The finest spacing with at most `most` points for a time range of `length` seconds, without
    /// reading many more rows. `sample` is the interval of samples, `age` is how long ago the range
    /// starts; both in seconds.
    pub fn for_stretch(length: i64, sample: i64, age: i64, keep: Retention, most: i64) -> Self {
        let sample = sample.max(1);
        let fits = |step: i64, rows: i64| length / step <= most && length / rows <= MOST_ROWS;
        if sample < 60 && fits(sample, sample) && age <= keep.raw {
            return Self {
                level: Resolution::Raw,
                step: sample,
            };
        }
        // Samples with longer intervals can be read from buckets, which limits the number of rows if
        // the interval was shorter before.
        let wide = floor(sample + 59, 60);
        let level = if wide % 3600 == 0 {
            Resolution::Hour
        } else {
            Resolution::Minute
        };
        if sample >= 60 && fits(wide, level.step()) && age <= keep.raw {
            return Self { level, step: wide };
        }
        for (level, steps) in [
            (Resolution::Minute, [1, 2, 5].as_slice()),
            (Resolution::Hour, &[1, 3, 6]),
            (Resolution::Day, &[1, 7, 30, 120]),
        ] {
            let is_kept = match level {
                Resolution::Minute => age <= keep.minutes,
                Resolution::Hour => age <= keep.hours,
                _ => true,
            };
            for times in steps {
                let step = level.step() * times;
                if is_kept && step >= sample && fits(step, level.step()) {
                    return Self { level, step };
                }
            }
        }
        Self {
            level: Resolution::Day,
            step: 365 * 86_400,
        }
    }
}

/// The buckets of a series from `from` to before `to` with this spacing, oldest first; the newest
/// thousand if there are more. There are no buckets without samples.
pub fn points(
    db: &mut Db,
    marks: RollupMarks,
    series: i64,
    (from, to): (i64, i64),
    spacing: PointSpacing,
) -> QueryResult<Vec<SampleBucket>> {
    // This number of rows gives at least a thousand complete points.
    let most = MOST_POINTS * (spacing.step / spacing.level.step()).max(1);
    let mut merged: BTreeMap<i64, SampleBucket> = BTreeMap::new();
    for piece in pieces(spacing.level, from, to, marks) {
        // The edges use finer levels and are short.
        let most = if piece.level == spacing.level {
            most
        } else {
            i64::MAX
        };
        for bucket in queries::buckets(db, piece.level, series, piece.from, piece.to, most)? {
            let at = floor(bucket.at, spacing.step);
            let bucket = SampleBucket { at, ..bucket };
            merged
                .entry(at)
                .and_modify(|known| *known = known.with(bucket))
                .or_insert(bucket);
        }
    }
    let over = merged
        .len()
        .saturating_sub(usize::try_from(MOST_POINTS).unwrap_or(1000));
    Ok(merged.into_values().skip(over).collect())
}

/// The buckets of a metric of all instances with this spacing, oldest first. The first bucket is whole,
/// so that a long time range is read from coarse tables only, except its end.
pub fn points_of_all(
    db: &mut Db,
    marks: RollupMarks,
    metric_type: &str,
    (from, to): (i64, i64),
    spacing: PointSpacing,
) -> QueryResult<BTreeMap<InstanceId, Vec<SampleBucket>>> {
    let mut merged: BTreeMap<(String, i64), SampleBucket> = BTreeMap::new();
    for piece in pieces(spacing.level, floor(from, spacing.step), to, marks) {
        let found = queries::buckets_of_all(db, piece.level, metric_type, (piece.from, piece.to))?;
        for (instance, bucket) in found {
            let at = floor(bucket.at, spacing.step);
            let bucket = SampleBucket { at, ..bucket };
            merged
                .entry((instance, at))
                .and_modify(|known| *known = known.with(bucket))
                .or_insert(bucket);
        }
    }
    let mut all: BTreeMap<InstanceId, Vec<SampleBucket>> = BTreeMap::new();
    for ((instance, _), bucket) in merged {
        if let Ok(id) = instance.parse() {
            all.entry(id).or_default().push(bucket);
        }
    }
    Ok(all)
}

/// A time range as one bucket; `None` without samples. Where finer data was already deleted, `from`
/// is moved back to the start of its bucket.
pub fn whole(
    db: &mut Db,
    marks: RollupMarks,
    series: i64,
    (from, to): (i64, i64),
) -> QueryResult<Option<SampleBucket>> {
    let mut from = from;
    for level in [Resolution::Minute, Resolution::Hour, Resolution::Day] {
        let finer_from = match level.finer() {
            Some(finer) => queries::oldest(db, finer, series)?,
            None => None,
        };
        let edge = floor(from, level.step());
        if finer_from.is_none_or(|oldest| oldest > from) && edge < marks.of(level) {
            from = edge;
        }
    }
    Ok(totals(db, marks, &[series], (from, to))?.remove(&series))
}

/// The same for several series at the cost of one, by series, for a range whose finest data is
/// still stored. Series without samples are left out.
pub fn totals(
    db: &mut Db,
    marks: RollupMarks,
    series: &[i64],
    (from, to): (i64, i64),
) -> QueryResult<HashMap<i64, SampleBucket>> {
    let mut all: HashMap<i64, SampleBucket> = HashMap::new();
    if series.is_empty() {
        return Ok(all);
    }
    for piece in pieces(Resolution::Day, from, to, marks) {
        for (id, bucket) in queries::totals(db, piece.level, series, (piece.from, piece.to))? {
            all.entry(id)
                .and_modify(|known| *known = known.with(bucket))
                .or_insert(bucket);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400;

    fn for_stretch(length: i64, sample: i64, age: i64) -> PointSpacing {
        PointSpacing::for_stretch(length, sample, age, Retention::raw_days(7), MOST_POINTS)
    }

    #[test]
    fn long_stretches_come_from_the_coarse_tables_and_edges_from_the_fine_ones() {
        let marks = RollupMarks {
            minutes: 10 * DAY + 7200 + 300,
            hours: 10 * DAY + 7200,
            days: 10 * DAY,
        };
        let cut = pieces(Resolution::Day, DAY + 30, 10 * DAY + 7200 + 400, marks);
        let levels: Vec<Resolution> = cut.iter().map(|piece| piece.level).collect();
        use Resolution::{Day, Hour, Minute, Raw};
        assert_eq!(levels, [Raw, Minute, Hour, Day, Hour, Minute, Raw]);
        assert_eq!(
            cut[3],
            RangePiece {
                level: Day,
                from: 2 * DAY,
                to: 10 * DAY
            }
        );
    }

    #[test]
    fn spacings_give_at_most_a_thousand_points() {
        for length in (1..10 * 365)
            .map(|days| days * DAY)
            .chain((1..5000).map(|minutes| minutes * 60))
        {
            let spacing = for_stretch(length, 10, length);
            assert!(
                length / spacing.step <= MOST_POINTS,
                "{length}: {spacing:?}"
            );
            assert!(
                length / spacing.level.step().max(10) <= MOST_ROWS,
                "{length}: {spacing:?}"
            );
        }
        assert_eq!(
            for_stretch(3600, 10, 3600),
            PointSpacing {
                level: Resolution::Raw,
                step: 10
            }
        );
        assert_eq!(
            for_stretch(DAY, 10, DAY),
            PointSpacing {
                level: Resolution::Minute,
                step: 120
            }
        );
        // Samples with an interval of one hour; older ones may have an interval of ten seconds.
        assert_eq!(
            for_stretch(7 * DAY, 3600, 7 * DAY),
            PointSpacing::of(Resolution::Hour)
        );
        assert_eq!(
            for_stretch(DAY, 250, DAY),
            PointSpacing {
                level: Resolution::Minute,
                step: 300
            }
        );
        // An hour of last month: its raw samples were deleted.
        assert_eq!(
            for_stretch(3600, 10, 20 * DAY),
            PointSpacing::of(Resolution::Minute)
        );
    }

    #[test]
    fn charts_have_fewer_points_of_round_intervals() {
        let steps = [3600, 6 * 3600, DAY, 7 * DAY, 30 * DAY, 365 * DAY].map(|length| {
            let keep = Retention::raw_days(7);
            PointSpacing::for_stretch(length, 10, length, keep, CHART_POINTS).step
        });
        assert_eq!(steps, [10, 60, 300, 3600, 3 * 3600, DAY]);
    }

    proptest! {
        #[test]
        fn pieces_follow_one_another_without_gap_or_overlap(
            from in 0..40 * DAY, length in 0..40 * DAY, days in 0i64..60, hours in 0i64..30, windows in 0i64..14
        ) {
            let marks = RollupMarks { days: days * DAY, hours: days * DAY + hours * 3600, minutes: days * DAY + hours * 3600 + windows * 300 };
            let cut = pieces(Resolution::Day, from, from + length, marks);
            let mut at = from;
            for piece in &cut {
                prop_assert_eq!(piece.from, at);
                prop_assert!(piece.to > piece.from && piece.to <= marks.of(piece.level).max(piece.from));
                prop_assert_eq!((piece.from % piece.level.step(), piece.to % piece.level.step()), (0, 0));
                at = piece.to;
            }
            prop_assert_eq!(at, from + length);
            prop_assert!(cut.len() <= 7, "{:?}", cut);
        }
    }
}
