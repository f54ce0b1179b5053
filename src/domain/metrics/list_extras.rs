//! The metrics in lists of instances: average hashrate, shares of the last day, and a sparkline of
//! the last hours.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;

use super::average::{HOUR, RecentHashrate};
use super::counters::Samples;
use super::queries::{self, Resolution, SampleBucket};
use super::range::{self, PointSpacing, RollupMarks};
use crate::base::ids::InstanceId;
use crate::domain::instances::ListStats;
use crate::infra::chart::sparkline;

/// The time range and the interval of the sparkline, in seconds.
const SPARK: i64 = 6 * 3600;
const SPARK_STEP: i64 = 300;
/// The metrics of the last day: counters of shares, and the hashrate.
const DAILY: [&str; 4] = [
    "shares_accepted",
    "shares_rejected",
    "shares_acknowledged",
    "hashrate_measured",
];

/// The shares of the last day and the sparkline of the last six hours; `None` for an instance without
/// samples.
pub(super) fn draw(
    c: &mut SqliteConnection,
    id: InstanceId,
    now: i64,
) -> QueryResult<Option<ListStats>> {
    let marks = RollupMarks::read(c)?;
    let series = queries::series_ids(c, id, &DAILY)?;
    let [Some(_), Some(_), Some(_), hashrate] = series[..] else {
        return Ok(None);
    };
    let present: Vec<i64> = series.iter().copied().flatten().collect();
    let day = range::totals(c, marks, &present, (now - 86_400, now + 1))?;
    let of_day = |place: usize| day.get(&series[place]?);
    let count = |place: usize| of_day(place).map_or(0.0, |all| all.sum);
    let spark = match hashrate {
        Some(series) => {
            let spacing = PointSpacing {
                level: Resolution::Minute,
                step: SPARK_STEP,
            };
            let points = range::points(c, marks, series, (now - SPARK, now), spacing)?;
            let points: Vec<(i64, f64)> = points
                .iter()
                .map(|bucket| (bucket.at * 1000, bucket.average()))
                .collect();
            let is_drawn = points.len() > 1;
            if is_drawn {
                sparkline(
                    &points,
                    (now - SPARK) * 1000,
                    now * 1000,
                    SPARK_STEP * 1000,
                    112,
                    26,
                )
            } else {
                String::new()
            }
        }
        None => String::new(),
    };
    Ok(Some(ListStats {
        accepted: count(0),
        rejected: count(1),
        acknowledged: count(2),
        hashrate_24h: of_day(3).map(SampleBucket::average),
        spark,
        ..ListStats::default()
    }))
}

/// The hashrate of the last hour from stored samples. Stored samples are averages already, so the
/// average is smoother during the first ten minutes after jd-manager starts.
pub(super) fn recent_hashrate(
    c: &mut SqliteConnection,
    id: InstanceId,
    now: i64,
) -> QueryResult<RecentHashrate> {
    let mut recent = RecentHashrate::default();
    if let Some(series) = queries::series(c, id, "hashrate_measured")? {
        for sample in
            queries::buckets(c, Resolution::Raw, series.id, now - HOUR + 1, now + 1, HOUR)?
        {
            recent.push(sample.at, sample.sum);
        }
    }
    Ok(recent)
}

/// Counts the shares of a round of samples.
pub(super) fn update(glance: &mut Option<ListStats>, taken: &Samples) {
    let [accepted, rejected, acknowledged, _] = DAILY.map(|name| taken.get(name).copied());
    if glance.is_some()
        || [accepted, rejected, acknowledged]
            .iter()
            .any(Option::is_some)
    {
        let glance = glance.get_or_insert_default();
        glance.accepted += accepted.unwrap_or(0.0);
        glance.rejected += rejected.unwrap_or(0.0);
        glance.acknowledged += acknowledged.unwrap_or(0.0);
    }
}
