//! The uptime of an instance in a time range. The time before its creation does not count.

use super::chart_options::ChartOptions;
use super::service::MetricService;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::Result;
use crate::base::ids::InstanceId;

/// The uptime of an instance in a time range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningShare {
    /// Percent.
    pub percent: f64,
    /// The start of the time range: not before the instance was created.
    pub since: Timestamp,
}

impl MetricService {
    /// The uptime of an instance in the last `hours`.
    pub async fn uptime(&self, id: InstanceId, hours: u64, now: Timestamp) -> Result<RunningShare> {
        let from = Timestamp(
            now.0.saturating_sub(
                i64::try_from(hours)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(3_600_000),
            ),
        );
        self.uptime_within(id, from, now).await
    }

    /// The uptime in any past time range.
    pub async fn uptime_within(
        &self,
        id: InstanceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<RunningShare> {
        let instance = self.instance(id).await?;
        let since = from.max(instance.created_at);
        let whole = to.since(since);
        if whole.is_zero() {
            return Ok(RunningShare {
                percent: 0.0,
                since,
            });
        }
        let running = self.instances.running_time(id, since, to).await?;
        Ok(RunningShare {
            percent: (100.0 * running.as_secs_f64() / whole.as_secs_f64()).clamp(0.0, 100.0),
            since,
        })
    }
}

impl RunningShare {
    fn percent_text(&self) -> String {
        if self.percent >= 99.995 {
            "100%".to_owned()
        } else {
            format!("{:.2}%", self.percent)
        }
    }

    /// The share and its time range, up to `now`: `99.96% of 30 d 0 h`.
    pub fn brief_text(&self, now: Timestamp) -> String {
        let length = human_duration(now.since(self.since));
        format!("{} of {length}", self.percent_text())
    }

    /// A sentence that names the time range. `None` if the instance was created after it.
    pub fn text(&self, choice: &ChartOptions) -> Option<String> {
        let since = self.since;
        if since >= choice.to {
            return None;
        }
        let share = self.percent_text();
        Some(match (since > choice.from, choice.range.is_empty()) {
            (true, true) => {
                format!(
                    "Running for {share} of the time from its creation ({}) to {}.",
                    since.local(),
                    choice.to.local()
                )
            }
            (true, false) => format!(
                "Up {share} of the time since it was created ({} ago).",
                human_duration(choice.to.since(since))
            ),
            (false, true) => format!("Running for {share} of the time from {}.", choice.words()),
            (false, false) => format!("Running for {share} of {}.", choice.words()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_before_an_instance_was_created_is_not_claimed() {
        let hours = |number: i64| Timestamp(number * 3_600_000);
        let choice = ChartOptions {
            range: "6h",
            interval: "",
            from: hours(10),
            to: hours(16),
            born: Timestamp(0),
            rejected: None,
        };
        let text = |percent, since| RunningShare { percent, since }.text(&choice);
        assert_eq!(
            text(99.96, Timestamp(hours(16).0 - 120_000)).unwrap(),
            "Up 99.96% of the time since it was created (2 min ago)."
        );
        assert_eq!(
            text(100.0, hours(10)).unwrap(),
            "Running for 100% of the last 6 hours."
        );
        assert_eq!(text(0.0, hours(17)), None);
    }
}
