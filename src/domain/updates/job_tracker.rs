//! The one update job that may be in progress. Its progress is visible to everyone, each step is
//! saved, and it can be canceled. Independent of the work itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::model::{JobStage, UpdateJob};
use super::queries;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::JobId;
use crate::infra::db::Db;

/// Minimum time between two progress updates.
const TELL: Duration = Duration::from_millis(200);
/// Number of stored jobs.
const REMEMBERED: i64 = 200;

/// Shows the job in progress; cheap to clone.
#[derive(Clone, Debug)]
pub struct JobTracker(Arc<JobTrackerInner>);

#[derive(Debug)]
struct JobTrackerInner {
    db: Db,
    told: watch::Sender<Option<UpdateJob>>,
    cancel: Mutex<Option<(JobId, CancellationToken)>>,
    /// Locked while a job starts, and by callers that must prevent that.
    beginning: Arc<tokio::sync::Mutex<()>>,
    stop: CancellationToken,
}

impl JobTracker {
    /// No job is in progress. `stop`: the manager stops and leaves the job in progress to the next
    /// one.
    pub fn new(db: Db, stop: CancellationToken) -> Self {
        Self(Arc::new(JobTrackerInner {
            db,
            told: watch::Sender::new(None),
            cancel: Mutex::default(),
            beginning: Arc::default(),
            stop,
        }))
    }

    /// Starts a job, or continues one of an earlier manager.
    ///
    /// # Errors
    /// Another job is in progress.
    pub async fn begin(&self, job: UpdateJob) -> Result<JobGuard> {
        let _beginning = self.0.beginning.lock().await;
        let mut busy = None;
        self.0.told.send_if_modified(|present| match present {
            Some(present) if !present.stage.is_over() => {
                busy = Some(present.title());
                false
            }
            _ => {
                *present = Some(job.clone());
                true
            }
        });
        if let Some(title) = busy {
            return Err(Error::Conflict(format!(
                "\"{title}\" is still in progress. Wait until it finishes, or cancel it."
            )));
        }
        let cancel = CancellationToken::new();
        *self.0.cancel.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((job.id, cancel.clone()));
        let ticket = JobGuard {
            board: self.clone(),
            cancel,
            job: Mutex::new(job),
            last: Mutex::new(None),
        };
        ticket.save().await?;
        let _ = self
            .0
            .db
            .write(|c| Ok(queries::prune_jobs(c, REMEMBERED)?))
            .await;
        Ok(ticket)
    }

    /// Prevents jobs from starting while the guard is held.
    pub async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.0.beginning.clone().lock_owned().await
    }

    /// The current or last job.
    pub fn present(&self) -> Option<UpdateJob> {
        self.0.told.borrow().clone()
    }

    /// The current or last job, as it changes.
    pub fn follow(&self) -> watch::Receiver<Option<UpdateJob>> {
        self.0.told.subscribe()
    }

    /// A job by id.
    pub async fn get(&self, id: JobId) -> Result<UpdateJob> {
        if let Some(job) = self.present().filter(|job| job.id == id) {
            return Ok(job);
        }
        self.0
            .db
            .read(move |c| Ok(queries::job(c, id)?))
            .await?
            .ok_or_else(|| Error::not_found("update job", id))
    }

    /// Cancels a job; it ends soon.
    ///
    /// # Errors
    /// It has finished.
    pub async fn cancel(&self, id: JobId) -> Result<UpdateJob> {
        let job = self.get(id).await?;
        if job.stage.is_over() {
            return Err(Error::Conflict(format!(
                "\"{}\" has already finished and cannot be canceled.",
                job.title()
            )));
        }
        if let Some((present, cancel)) =
            &*self.0.cancel.lock().unwrap_or_else(PoisonError::into_inner)
            && *present == id
        {
            cancel.cancel();
        }
        Ok(job)
    }

    /// Ensures that no job is in progress or starts while the guard is held.
    ///
    /// # Errors
    /// A job is in progress.
    pub async fn alone(&self) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let guard = self.0.beginning.lock().await;
        match self.present().filter(|job| !job.stage.is_over()) {
            Some(job) => Err(Error::Conflict(format!(
                "\"{}\" is in progress. Wait until it finishes, or cancel it.",
                job.title()
            ))),
            None => Ok(guard),
        }
    }
}

impl JobTracker {
    /// Saves the result of a job as soon as possible: without it, the next manager would see an
    /// unfinished job.
    fn write_soon(&self, job: UpdateJob) {
        let this = self.clone();
        let write = async move {
            loop {
                let job = job.clone();
                if this
                    .0
                    .db
                    .write(move |c| Ok(queries::upsert_job(c, &job)?))
                    .await
                    .is_ok()
                {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = this.0.stop.cancelled() => return,
                }
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(write);
        }
    }
}

/// The right to run the current job, which ends when this is dropped.
///
/// It owns its job, and the board shows a copy: after the end, the board may already show the next
/// job, which late changes of this one must not affect.
#[must_use = "the job ends when this value is dropped"]
#[derive(Debug)]
pub struct JobGuard {
    board: JobTracker,
    /// A user canceled it.
    pub cancel: CancellationToken,
    job: Mutex<UpdateJob>,
    last: Mutex<Option<Instant>>,
}

impl JobGuard {
    /// The current job.
    pub fn job(&self) -> UpdateJob {
        self.job
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Canceled when the manager stops; the next one continues the job.
    pub fn stop(&self) -> &CancellationToken {
        &self.board.0.stop
    }

    /// Sets the next stage.
    ///
    /// # Errors
    /// It cannot be saved.
    pub async fn stage(&self, stage: JobStage, message: impl Into<String>) -> Result<()> {
        let message = message.into();
        self.change(|job| {
            (job.stage, job.message) = (stage, message);
            (job.progress, job.bytes, job.total) = (None, None, None);
        })
        .await
    }

    /// Sets the progress of the current stage.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        let is_end = total == Some(done);
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_end && last.is_some_and(|at| at.elapsed() < TELL) {
                return;
            }
            *last = Some(Instant::now());
        }
        self.show(|job| {
            let percent = total
                .filter(|total| *total > 0)
                .map(|total| (done.min(total) * 100 / total).min(100));
            job.progress = percent.and_then(|percent| u8::try_from(percent).ok());
            (job.bytes, job.total) = (Some(done), total);
        });
    }

    /// Changes what is shown, without saving it. A finished job does not change.
    pub fn show(&self, change: impl FnOnce(&mut UpdateJob)) {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        if job.stage.is_over() {
            return;
        }
        change(&mut job);
        self.publish(&job);
    }

    /// Shows the job on the board, unless the board already shows another one.
    fn publish(&self, job: &UpdateJob) {
        self.board.0.told.send_if_modified(|present| match present {
            Some(present) if present.id == job.id => {
                present.clone_from(job);
                true
            }
            _ => false,
        });
    }

    /// Changes the job and saves it.
    ///
    /// # Errors
    /// It cannot be saved; the change is shown anyway.
    pub async fn change(&self, change: impl FnOnce(&mut UpdateJob)) -> Result<()> {
        self.show(change);
        self.save().await
    }

    /// Ends the job. The first end counts. It is saved before it is shown, so the next job starts
    /// after it.
    pub async fn end(&self, stage: JobStage, message: impl Into<String>) {
        let message = message.into();
        let ended = {
            let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            if job.stage.is_over() {
                return;
            }
            (job.stage, job.message) = (stage, message);
            job.ended_at = Some(Timestamp::now());
            if stage.is_good() {
                job.progress = Some(100);
            }
            job.clone()
        };
        tracing::info!(job = %ended.title(), stage = stage.as_str(), "{}", ended.message);
        if let Err(error) = self.save().await {
            tracing::error!(%error, "cannot save the result of an update job; retrying every second");
            self.board.write_soon(ended.clone());
        }
        self.publish(&ended);
    }

    async fn save(&self) -> Result<()> {
        let job = self.job();
        self.board
            .0
            .db
            .write(move |c| Ok(queries::upsert_job(c, &job)?))
            .await
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        let job = self.job.get_mut().unwrap_or_else(PoisonError::into_inner);
        // When the manager stops, the next one continues it.
        if self.board.0.stop.is_cancelled() {
            return;
        }
        if !job.stage.is_over() {
            // Left behind because of a bug.
            (job.stage, job.ended_at) = (JobStage::Failed, Some(Timestamp::now()));
            job.message = "Internal error in jd-manager. See its log for the cause.".into();
        } else if self
            .board
            .present()
            .is_none_or(|present| present.id != job.id || present.stage.is_over())
        {
            return;
        }
        // Also reached if the task was dropped while it saved the result.
        let ended = job.clone();
        self.publish(&ended);
        self.board.write_soon(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::JobTask;
    use super::*;

    fn board(dir: &tempfile::TempDir) -> JobTracker {
        JobTracker::new(Db::open(dir.path()).unwrap(), CancellationToken::new())
    }

    fn install(version: &str) -> UpdateJob {
        UpdateJob::new(JobTask::Install, version, "test", Timestamp::now())
    }

    #[tokio::test]
    async fn a_late_change_of_an_ended_job_changes_neither_it_nor_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let board = board(&dir);
        let first = board.begin(install("first")).await.unwrap();
        let id = first.job().id;
        first.stage(JobStage::Unpacking, "unpacking").await.unwrap();
        first.end(JobStage::Failed, "it is not a file").await;
        first.progress(5, Some(10));
        first.stage(JobStage::Unpacking, "late").await.unwrap();
        first.end(JobStage::Installed, "late").await;
        let shown = board.present().unwrap();
        assert_eq!(
            (
                shown.id,
                shown.stage,
                shown.message.as_str(),
                shown.progress
            ),
            (id, JobStage::Failed, "it is not a file", None)
        );

        let second = board.begin(install("second")).await.unwrap();
        second
            .stage(JobStage::Unpacking, "unpacking")
            .await
            .unwrap();
        first.progress(10, Some(10));
        first.stage(JobStage::Testing, "late").await.unwrap();
        drop(first);
        let shown = board.present().unwrap();
        assert_eq!(
            (shown.version.as_str(), shown.stage, shown.ended_at),
            ("second", JobStage::Unpacking, None)
        );
        let stored = board.get(id).await.unwrap();
        assert_eq!(
            (stored.stage, stored.message.as_str()),
            (JobStage::Failed, "it is not a file")
        );
        assert!(stored.ended_at.is_some());
    }

    #[tokio::test]
    async fn a_write_that_comes_after_the_end_does_not_reopen_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let board = board(&dir);
        let ticket = board.begin(install("0.6.0")).await.unwrap();
        let before = ticket.job();
        ticket.end(JobStage::Cancelled, "cancelled").await;
        board
            .0
            .db
            .write(move |c| Ok(queries::upsert_job(c, &before)?))
            .await
            .unwrap();
        let unfinished = board
            .0
            .db
            .read(|c| Ok(queries::unfinished(c)?))
            .await
            .unwrap();
        assert_eq!(unfinished, []);
    }

    #[tokio::test]
    async fn a_dropped_job_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let board = board(&dir);
        drop(board.begin(install("0.6.0")).await.unwrap());
        let shown = board.present().unwrap();
        assert!(
            shown.stage == JobStage::Failed && shown.ended_at.is_some(),
            "{shown:?}"
        );
    }

    /// As in a busy manager: the next job starts as soon as the previous one is shown as finished,
    /// while that one still ends and reports progress from other threads.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn every_job_of_many_in_a_row_keeps_its_own_end() {
        let dir = tempfile::tempdir().unwrap();
        let board = board(&dir);
        let mut ids = Vec::new();
        for turn in 0..200 {
            let ticket = Arc::new(board.begin(install(&turn.to_string())).await.unwrap());
            let id = ticket.job().id;
            ids.push(id);
            let reporters: Vec<_> = (0..3)
                .map(|_| {
                    let ticket = ticket.clone();
                    tokio::spawn(async move {
                        for done in 0..20 {
                            ticket.progress(done, Some(done));
                            let _ = ticket.stage(JobStage::Unpacking, "unpacking").await;
                        }
                    })
                })
                .collect();
            let ending = tokio::spawn(async move { ticket.end(JobStage::Failed, "done").await });
            let mut changes = board.follow();
            let shown = changes
                .wait_for(|job| job.as_ref().is_some_and(|job| job.ended_at.is_some()))
                .await
                .unwrap()
                .clone()
                .unwrap();
            assert_eq!((shown.id, shown.stage), (id, JobStage::Failed));
            if turn % 10 == 0 {
                ending.await.unwrap();
                for reporter in reporters {
                    reporter.await.unwrap();
                }
            }
        }
        for id in ids {
            let job = board.get(id).await.unwrap();
            assert_eq!(
                (job.stage, job.message.as_str(), job.ended_at.is_some()),
                (JobStage::Failed, "done", true)
            );
        }
    }
}
