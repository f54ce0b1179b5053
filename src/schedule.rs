//! Calendar jobs: what is to be done at a time of day, on `tokio-cron-scheduler`.
//!
//! The library starts a job again while it still runs and leaves jobs running at its end; here a job that still runs is not started again,
//! and all of them end with the manager. For work every few seconds an interval is the better tool. Knows no domain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

/// The jobs of one running manager.
pub struct Schedule {
    jobs: JobScheduler,
    stop: CancellationToken,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule")
    }
}

impl Schedule {
    /// A schedule without jobs; everything ends with `stop`.
    ///
    /// # Errors
    /// The library could not be set up.
    pub async fn new(stop: CancellationToken) -> Result<Self, JobSchedulerError> {
        Ok(Self { jobs: JobScheduler::new().await?, stop })
    }

    /// Does `work` whenever `cron` (seconds, minutes, hours, days, months, days of the week; UTC) says so. A time that comes while it still
    /// runs is passed over.
    ///
    /// # Errors
    /// The text is no cron expression.
    pub async fn at<F, W>(&self, cron: &str, name: &'static str, work: F) -> Result<(), JobSchedulerError>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let running = Arc::new(AtomicBool::new(false));
        let stop = self.stop.clone();
        let job = Job::new_async(cron, move |_, _| {
            let (running, stop) = (running.clone(), stop.clone());
            let is_free = !running.swap(true, Ordering::AcqRel);
            let work = is_free.then(&work);
            Box::pin(async move {
                let Some(work) = work else {
                    tracing::warn!(job = name, "still running from the time before, passed over");
                    return;
                };
                // Freed also when it is cancelled or panics.
                let _free = Freed(running);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = work => {}
                }
            })
        })?;
        self.jobs.add(job).await.map(drop)
    }

    /// Begins; ends with the manager.
    ///
    /// # Errors
    /// The library could not be started.
    pub async fn start(self) -> Result<(), JobSchedulerError> {
        self.jobs.start().await?;
        let Self { mut jobs, stop } = self;
        tokio::spawn(async move {
            stop.cancelled().await;
            let _ = jobs.shutdown().await;
        });
        Ok(())
    }
}

struct Freed(Arc<AtomicBool>);

impl Drop for Freed {
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
        let schedule = Schedule::new(stop.clone()).await.unwrap();
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (begun.clone(), ended.clone());
        schedule
            .at("* * * * * *", "test", move || {
                let (begun, ended) = counts.clone();
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2600)).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            })
            .await
            .unwrap();
        assert!(schedule.at("not a time", "test", || async {}).await.is_err());
        schedule.start().await.unwrap();
        while ended.load(Ordering::SeqCst) < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1, "seconds that came while it ran were passed over");
        while begun.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)), (2, 1), "the second was cut off, no third came");
    }
}
