//! The metrics in lists of instances: average hashrate, shares of the last day, and a sparkline of
//! the last hours.

use diesel::QueryResult;
use diesel::sqlite::SqliteConnection;

use super::average::{HOUR, RecentHashrate};
use super::counters::Samples;
use super::queries::{self, Resolution};
use super::range::{self, PointSpacing, RollupMarks};
use crate::base::ids::InstanceId;
use crate::domain::instances::ListStats;
use crate::infra::chart::sparkline;

/// The time range and the interval of the sparkline, in seconds.
const SPARK: i64 = 6 * 3600;
const SPARK_STEP: i64 = 300;
/// The counters of the last day.
const COUNTED: [&str; 3] = ["shares_accepted", "shares_rejected", "shares_acknowledged"];

/// The shares of the last day and the sparkline of the last six hours; `None` for an instance without
/// samples.
pub(super) fn draw(
    c: &mut SqliteConnection,
    id: InstanceId,
    now: i64,
) -> QueryResult<Option<ListStats>> {
    let marks = RollupMarks::read(c)?;
    let mut counts = [0.0; 3];
    for (count, name) in counts.iter_mut().zip(COUNTED) {
        let Some(series) = queries::series(c, id, name)? else {
            return Ok(None);
        };
        *count =
            range::whole(c, marks, series.id, (now - 86_400, now + 1))?.map_or(0.0, |all| all.sum);
    }
    let mut hashrate_24h = None;
    let spark = match queries::series(c, id, "hashrate_measured")? {
        Some(series) => {
            let day = range::whole(c, marks, series.id, (now - 86_400, now + 1))?;
            hashrate_24h = day.map(|day| day.average());
            let spacing = PointSpacing {
                level: Resolution::Minute,
                step: SPARK_STEP,
            };
            let points = range::points(c, marks, series.id, (now - SPARK, now), spacing)?;
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
        accepted: counts[0],
        rejected: counts[1],
        acknowledged: counts[2],
        hashrate_24h,
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
    let counts = COUNTED.map(|name| taken.get(name).copied());
    if glance.is_some() || counts.iter().any(Option::is_some) {
        let glance = glance.get_or_insert_default();
        glance.accepted += counts[0].unwrap_or(0.0);
        glance.rejected += counts[1].unwrap_or(0.0);
        glance.acknowledged += counts[2].unwrap_or(0.0);
    }
}
