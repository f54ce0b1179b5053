//! The history of health checks, and recent counters.

use std::time::Duration;
use strum::IntoEnumIterator;

use super::model::{HealthCheck, HealthGrade};
use super::queries::{self, HealthCheckRow};
use super::service::{HealthService, NO_CHANGE};
use super::snapshot::{RecentCounts, WINDOW};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;

impl HealthService {
    /// Past results of an instance, newest first. `before`: only rows with a smaller id.
    pub async fn history(
        &self,
        id: InstanceId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<HealthCheckRow>> {
        self.0.instances.get(id).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0
            .db
            .read(move |c| Ok(queries::history(c, id, before.unwrap_or(i64::MAX), limit)?))
            .await
    }

    /// The worst grade of all checks in each of `cells` equal parts between `from` and `to`; parts
    /// without data are unknown.
    pub async fn strip(
        &self,
        id: InstanceId,
        from: Timestamp,
        to: Timestamp,
        cells: usize,
    ) -> Result<Vec<HealthGrade>> {
        let before = Timestamp(
            from.0
                .saturating_sub(i64::try_from(2 * NO_CHANGE.as_millis()).unwrap_or(0)),
        );
        let found = self
            .0
            .db
            .read(move |c| Ok(queries::grades_since(c, id, before)?))
            .await?;
        Ok(strip(&found, from, to, cells))
    }

    /// Recent counters of an instance.
    pub(super) async fn count(&self, instance: &Instance, now: Timestamp) -> Result<RecentCounts> {
        let id = instance.id;
        let Some(started) = instance.start_time.map(Timestamp) else {
            return Ok(RecentCounts::default());
        };
        let before = |span: Duration| {
            Timestamp(now.0 - i64::try_from(span.as_millis()).unwrap_or(0)).max(started)
        };
        let (lately, hour) = (before(WINDOW), Duration::from_secs(3600));
        let last_hour = before(hour);
        let wanted = [
            ("log_errors", lately),
            ("log_warnings", lately),
            ("log_infos", lately),
            ("log_debugs", lately),
            ("log_others", lately),
            ("shares_accepted", lately),
            ("shares_accepted", last_hour),
            ("shares_rejected", last_hour),
            ("shares_acknowledged", last_hour),
            ("shares_refused", last_hour),
        ];
        let sums = self.0.metrics.sums(id, wanted, now).await?;
        let [
            errors,
            warnings,
            infos,
            debugs,
            others,
            accepted,
            accepted_hour,
            rejected_hour,
            acknowledged_hour,
            refused_hour,
        ] = sums;
        let hour_ago = Timestamp(now.0 - 3_600_000);
        let retries = self.0.instances.retries(id, hour_ago, now).await?;
        let then = Timestamp(now.0 - 6 * 3_600_000);
        let memory_before = match then > started.after(hour) {
            true => {
                let around = (Timestamp(then.0 - 600_000), then);
                self.0
                    .metrics
                    .summary(id, "memory_bytes".into(), around.0, around.1)
                    .await?
                    .map(|all| all.avg)
            }
            false => None,
        };
        let lines = errors + warnings + infos + debugs + others;
        Ok(RecentCounts {
            errors,
            lines,
            accepted,
            accepted_hour,
            rejected_hour,
            acknowledged_hour,
            refused_hour,
            retries,
            memory_before,
        })
    }
}

/// The worst grade in each part of a time range. A row is valid until the next row of its check,
/// but at most twice the interval in which rows are written.
fn strip(
    found: &[(Timestamp, HealthCheck, HealthGrade)],
    from: Timestamp,
    to: Timestamp,
    cells: usize,
) -> Vec<HealthGrade> {
    let mut worst = vec![HealthGrade::Unknown; cells];
    let whole = to.0.saturating_sub(from.0).max(1);
    let count = i64::try_from(cells).unwrap_or(i64::MAX);
    for check in HealthCheck::iter() {
        let rows: Vec<_> = found.iter().filter(|(_, of, _)| *of == check).collect();
        for (place, (begun, _, grade)) in rows.iter().enumerate() {
            let ended = rows
                .get(place + 1)
                .map_or(to, |next| next.0)
                .min(begun.after(2 * NO_CHANGE))
                .min(to);
            let cell = |at: Timestamp| {
                usize::try_from((at.0 - from.0).max(0).saturating_mul(count) / whole).unwrap_or(0)
            };
            if ended < from || *begun > to {
                continue;
            }
            let last = cell(Timestamp(ended.0 - 1))
                .max(cell(*begun))
                .min(cells.saturating_sub(1));
            for grade_there in worst.iter_mut().take(last + 1).skip(cell(*begun)) {
                *grade_there = (*grade_there).max(*grade);
            }
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_shows_the_worst_of_each_part_and_what_is_not_known_as_such() {
        use HealthCheck::{Disk, Upstream};
        use HealthGrade::{Healthy, Unhealthy, Unknown, Warning};
        let hour = 3_600_000;
        let at = |hours: f64| Timestamp(100 * hour + (hours * 3_600_000.0) as i64);
        let found = [
            (at(-1.0), Upstream, Healthy),
            (at(0.0), Disk, Healthy),
            (at(1.0), Upstream, Unhealthy),
            (at(1.5), Upstream, Healthy),
            (at(2.0), Disk, Warning),
        ];
        let cells = strip(&found, at(0.0), at(6.0), 6);
        assert_eq!(
            cells,
            [Healthy, Unhealthy, Warning, Warning, Unknown, Unknown]
        );
        assert_eq!(strip(&[], at(0.0), at(6.0), 3), [Unknown; 3]);
        assert_eq!(strip(&found, at(0.0), at(6.0), 0), []);
    }
}
