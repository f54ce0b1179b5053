//! Jobs at a time of day, based on `tokio-cron-scheduler`.
//!
//! The library starts a job again while it is still running and leaves jobs running when it stops.
//! Here a running job is not started again, and all jobs stop with jd-manager. Use an interval for
//! work every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

/// The delay of nightly work after the start, for machines that are off at night. By then the clock is
/// right and the clients are running.
const AFTER_START: Duration = Duration::from_secs(3600);

/// The jobs of a running manager.
pub struct JobSchedule {
    jobs: JobScheduler,
    stop: CancellationToken,
    /// The delay before nightly work runs for the first time.
    after_start: Duration,
}

impl std::fmt::Debug for JobSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JobSchedule")
    }
}

impl JobSchedule {
    /// A schedule without jobs; all jobs end with `stop`.
    pub async fn new(stop: CancellationToken) -> Result<Self, JobSchedulerError> {
        Self::with_delay(stop, AFTER_START).await
    }

    /// The same with another delay after the start for nightly work.
    pub async fn with_delay(
        stop: CancellationToken,
        after_start: Duration,
    ) -> Result<Self, JobSchedulerError> {
        Ok(Self {
            jobs: JobScheduler::new().await?,
            stop,
            after_start,
        })
    }

    /// Runs `work` at the times of `cron` (seconds, minutes, hours, days, months, days of the week;
    /// UTC), and once, one hour after the start. `work` never runs twice at the same time: if it is still
    /// running, the time is skipped.
    ///
    /// # Errors
    /// The text is not a cron expression.
    pub async fn nightly<F, W>(
        &self,
        cron: &str,
        name: &'static str,
        work: F,
    ) -> Result<(), JobSchedulerError>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        self.recurring(cron, self.after_start, name, work).await
    }

    /// Like [`JobSchedule::nightly`], with another delay for the run after the start.
    ///
    /// # Errors
    /// The text is not a cron expression.
    pub async fn recurring<F, W>(
        &self,
        cron: &str,
        after_start: Duration,
        name: &'static str,
        work: F,
    ) -> Result<(), JobSchedulerError>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let recurring = Arc::new(RecurringJob {
            name,
            work,
            is_running: AtomicBool::new(false),
            stop: self.stop.clone(),
        });
        let late = recurring.clone();
        let job = Job::new_async(cron, move |_, _| {
            let recurring = recurring.clone();
            Box::pin(async move { recurring.run().await })
        })?;
        self.jobs.add(job).await?;
        tokio::spawn(async move {
            if late
                .stop
                .run_until_cancelled(tokio::time::sleep(after_start))
                .await
                .is_some()
            {
                late.run().await;
            }
        });
        Ok(())
    }

    /// Starts the schedule. It stops with jd-manager.
    ///
    /// # Errors
    /// The library could not be started.
    pub async fn start(self) -> Result<(), JobSchedulerError> {
        self.jobs.start().await?;
        let Self { mut jobs, stop, .. } = self;
        tokio::spawn(async move {
            stop.cancelled().await;
            let _ = jobs.shutdown().await;
        });
        Ok(())
    }
}

/// Work that never runs twice at the same time and stops with jd-manager.
struct RecurringJob<F> {
    name: &'static str,
    work: F,
    is_running: AtomicBool,
    stop: CancellationToken,
}

impl<F, W> RecurringJob<F>
where
    F: Fn() -> W,
    W: Future<Output = ()>,
{
    async fn run(&self) {
        if self.is_running.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                job = self.name,
                "previous run is still in progress; skipping this one"
            );
            return;
        }
        // Also reset if the work is canceled or panics.
        let _running = RunningFlag(&self.is_running);
        self.stop.run_until_cancelled((self.work)()).await;
    }
}

struct RunningFlag<'f>(&'f AtomicBool);

impl Drop for RunningFlag<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_runs_when_it_is_time_never_twice_at_once_and_not_after_the_end() {
        let stop = CancellationToken::new();
        let schedule = JobSchedule::new(stop.clone()).await.unwrap();
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (begun.clone(), ended.clone());
        schedule
            .nightly("* * * * * *", "test", move || {
                let (begun, ended) = counts.clone();
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2600)).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            })
            .await
            .unwrap();
        assert!(
            schedule
                .nightly("not a time", "test", || async {})
                .await
                .is_err()
        );
        schedule.start().await.unwrap();
        while ended.load(Ordering::SeqCst) < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(
            begun.load(Ordering::SeqCst),
            1,
            "seconds that came while it ran were passed over"
        );
        while begun.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(
            (begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)),
            (2, 1),
            "the second was cut off, no third came"
        );
    }
    /// The schedule is never started, so no job runs.
    #[tokio::test(flavor = "multi_thread")]
    async fn nightly_work_is_also_done_once_some_time_after_the_start_unless_the_manager_has_ended()
    {
        let count = |of: &Arc<AtomicUsize>| {
            let of = of.clone();
            move || {
                let of = of.clone();
                async move {
                    of.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let (stop, runs, cut_off) = (CancellationToken::new(), Arc::default(), Arc::default());
        assert_eq!(
            JobSchedule::new(stop.clone()).await.unwrap().after_start,
            Duration::from_secs(3600)
        );
        let delay = Duration::from_millis(300);
        let schedule = JobSchedule::with_delay(stop.clone(), delay).await.unwrap();
        schedule
            .nightly("0 10 4 * * *", "test", count(&runs))
            .await
            .unwrap();
        schedule
            .recurring("0 10 4 * * *", delay * 3, "test", count(&cut_off))
            .await
            .unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 0, "not at once");
        while runs.load(Ordering::SeqCst) < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        tokio::time::sleep(delay * 4).await;
        assert_eq!(
            (runs.load(Ordering::SeqCst), cut_off.load(Ordering::SeqCst)),
            (1, 0)
        );
    }
}
