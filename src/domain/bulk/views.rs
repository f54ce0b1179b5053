//! The pages of jobs, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{BulkItemResult, BulkJob, BulkStage, BulkStepState};
use crate::base::actor::actor_text;
use crate::base::ids::JobId;
use crate::view;

/// Failures that the top of the page repeats.
const MOST_REPEATED: usize = 20;

/// `/jobs/{id}`, and the result of `POST /instances/actions`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "bulk/job.html", blocks = ["main", "job"])]
#[schemars(rename = "BulkResult")]
pub struct BulkJobPage {
    /// The job.
    #[serde(flatten)]
    pub(super) job: BulkJob,
    /// The number of its last change that the page shows.
    #[serde(skip)]
    pub(super) change: u64,
    /// Where the page returns to.
    #[serde(skip)]
    pub(super) back: String,
}
view!(BulkJobPage { "main" => as_main, "job" => as_job });

/// `GET /jobs`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "bulk/jobs.html", blocks = ["main"])]
#[schemars(rename = "BulkJobs")]
pub struct BulkJobsPage {
    /// The jobs without their results, newest first.
    jobs: Vec<BulkJob>,
    /// The number of all jobs.
    total: u64,
    /// The value of `offset` for the next page, if there are more jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    #[serde(skip)]
    limit: u64,
}
view!(BulkJobsPage { "main" => as_main });

impl BulkJobsPage {
    /// A part of all jobs: `(offset, limit)`, and their number.
    pub(super) fn new((jobs, total): (Vec<BulkJob>, u64), (offset, limit): (u64, u64)) -> Self {
        let end = offset.saturating_add(limit);
        Self {
            jobs,
            total,
            next: (end < total).then_some(end),
            limit,
        }
    }
}

impl BulkJob {
    /// The class for the color of its stage.
    fn tone(&self) -> &'static str {
        match self.stage {
            BulkStage::Running => "starting",
            BulkStage::Done => "running",
            BulkStage::Failed => "failed",
            BulkStage::Cancelled => "stopped",
            BulkStage::Interrupted => "warning",
        }
    }

    /// The stage as text.
    fn stage_text(&self) -> &'static str {
        match self.stage {
            BulkStage::Running => "in progress",
            BulkStage::Cancelled => "canceled",
            other => other.as_str(),
        }
    }

    fn started_text(&self) -> String {
        actor_text(&self.actor).unwrap_or_default()
    }
}

/// One instance of a job that changed, for an open page.
#[derive(Debug, Template)]
#[template(path = "bulk/step.html")]
pub(super) struct BulkStepRow<'a> {
    pub(super) at: usize,
    pub(super) step: &'a BulkItemResult,
}

impl BulkJobPage {
    fn title(&self) -> String {
        let (done, total) = (self.job.count(BulkStepState::Done), self.job.total);
        format!("{}: {done} of {total} done", self.job.title)
    }

    fn is_over(&self) -> bool {
        self.job.stage.is_over()
    }

    /// The instances without success by kind, as text; empty if there are none.
    fn others_text(&self) -> String {
        let counts = [
            ("Failed", BulkStepState::Failed),
            ("Unknown", BulkStepState::Unknown),
            ("Skipped", BulkStepState::Skipped),
            ("Not begun", BulkStepState::Cancelled),
        ];
        let counts = counts.map(|(text, state)| (text, self.job.count(state)));
        let told = counts.iter().filter(|(_, count)| *count > 0);
        let told = told.map(|(text, count)| format!("{text}: {count}."));
        told.collect::<Vec<_>>().join(" ")
    }

    /// The message of a job that did not have all its turns.
    fn stage_text(&self) -> Option<&str> {
        (self.job.stage == BulkStage::Interrupted).then_some(self.job.message.as_str())
    }

    fn has_waiting(&self) -> bool {
        self.job.count(BulkStepState::Waiting) > 0
    }

    /// The first failures, and the number of all.
    fn failures(&self) -> (Vec<&BulkItemResult>, usize) {
        let all = || self.job.results.iter();
        let has_failed = |one: &&BulkItemResult| one.state == BulkStepState::Failed;
        let first = all().filter(has_failed).take(MOST_REPEATED).collect();
        (first, all().filter(has_failed).count())
    }

    /// A few results are on the screen as they are.
    fn repeats_failures(&self) -> bool {
        self.job.total > MOST_REPEATED && self.failures().1 > 0
    }
}

impl BulkItemResult {
    /// The class for the color of its state.
    fn tone(&self) -> &'static str {
        match self.state {
            BulkStepState::Done => "running",
            BulkStepState::Failed => "failed",
            BulkStepState::Running => "starting",
            BulkStepState::Unknown => "warning",
            BulkStepState::Waiting | BulkStepState::Skipped | BulkStepState::Cancelled => "stopped",
        }
    }

    /// A deleted instance has no page.
    fn has_page(&self) -> bool {
        self.name.is_some() && (self.state != BulkStepState::Done || self.status.is_some())
    }
}

/// An action on several instances takes longer.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BulkStartResponse {
    /// Id of the job.
    pub(super) job: JobId,
    /// The result as text.
    pub(super) message: String,
}

/// A job is being canceled.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BulkCancelResponse {
    /// Id of the job.
    pub(super) job: JobId,
    /// The result as text.
    pub(super) message: String,
}
