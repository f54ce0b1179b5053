//! A job: one action on several instances, with the state and the result of each.

use schemars::JsonSchema;
use serde::Serialize;

use super::action::BulkActionKind;
use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};
use crate::keeper::machine::InstanceState;

/// Stage of a job.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum BulkStage {
    /// In progress.
    Running,
    /// Finished without failures.
    Done,
    /// Finished: at least one instance failed.
    Failed,
    /// Finished: canceled before all instances had their turn.
    Cancelled,
    /// jd-manager stopped before the job had finished.
    Interrupted,
}

impl BulkStage {
    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the job has finished.
    pub fn is_over(self) -> bool {
        self != Self::Running
    }
}

/// State of an instance in a job.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum BulkStepState {
    /// Waiting for its turn.
    Waiting,
    /// In progress.
    Running,
    /// Done.
    Done,
    /// The action does not apply to the instance.
    Skipped,
    /// Failed.
    Failed,
    /// Not begun: the job was canceled, or jd-manager stopped.
    Cancelled,
    /// jd-manager stopped during the action. It may have been completed.
    Unknown,
}

impl BulkStepState {
    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// As text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Cancelled => "not begun",
            other => other.as_str(),
        }
    }

    /// Whether the instance has its result.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// Whether it is as desired.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// The state of one instance in a job, and its result.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[schemars(rename = "BulkDone")]
pub struct BulkItemResult {
    /// Id of the instance.
    pub id: InstanceId,
    /// Name, if the instance exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// State of the instance in the job.
    pub state: BulkStepState,
    /// Whether the action succeeded or was correctly skipped.
    pub success: bool,
    /// Nothing to do for this instance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// State of the client after the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<InstanceState>,
    /// Result or error as text; empty while it waits.
    pub message: String,
}

impl BulkItemResult {
    /// An instance that waits for its turn.
    pub fn waiting(id: InstanceId, name: Option<String>) -> Self {
        Self::new(id, name, BulkStepState::Waiting, None, String::new())
    }

    /// An instance in a state.
    pub fn new(
        id: InstanceId,
        name: Option<String>,
        state: BulkStepState,
        status: Option<InstanceState>,
        message: String,
    ) -> Self {
        Self {
            id,
            name,
            state,
            success: state.is_good(),
            skipped: state == BulkStepState::Skipped,
            status,
            message,
        }
    }

    /// The same with another state.
    pub fn with(
        self,
        state: BulkStepState,
        status: Option<InstanceState>,
        message: String,
    ) -> Self {
        Self::new(self.id, self.name, state, status, message)
    }
}

/// A job, in progress or finished.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct BulkJob {
    /// Id of the job.
    pub id: JobId,
    /// The action.
    pub action: BulkActionKind,
    /// The action as text.
    pub title: String,
    /// Current stage.
    pub stage: BulkStage,
    /// Whether all instances that have their result succeeded or were correctly skipped.
    pub success: bool,
    /// Progress from 0 to 100.
    pub progress: u8,
    /// Status as text.
    pub message: String,
    /// Number of instances.
    pub total: usize,
    /// User or part of jd-manager that started it.
    pub actor: String,
    /// Start time.
    pub created_at: Timestamp,
    /// End time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// One result for each instance; empty in a list of jobs.
    pub results: Vec<BulkItemResult>,
}

impl BulkJob {
    /// A new job, which waits.
    pub fn new(
        action: BulkActionKind,
        title: String,
        actor: String,
        results: Vec<BulkItemResult>,
    ) -> Self {
        Self {
            id: JobId::random(),
            action,
            title,
            stage: BulkStage::Running,
            success: true,
            progress: 0,
            message: String::new(),
            total: results.len(),
            actor,
            created_at: Timestamp::now(),
            ended_at: None,
            results,
        }
        .counted()
    }

    /// The same with the values that follow from its results.
    pub fn counted(mut self) -> Self {
        self.recount();
        self
    }

    /// Updates the values that follow from its results. A finished job keeps its message.
    pub fn recount(&mut self) {
        let states: Vec<_> = self.results.iter().map(|one| (one.state, 1)).collect();
        self.set_counts(&states);
    }

    /// Updates the values that follow from the number of instances in each state.
    pub fn set_counts(&mut self, states: &[(BulkStepState, usize)]) {
        let over = states.iter().filter(|(state, _)| state.is_over());
        let count: usize = over.clone().map(|(_, count)| count).sum();
        self.success = over.clone().all(|(state, _)| state.is_good());
        self.total = states.iter().map(|(_, count)| count).sum();
        self.progress = match self.total {
            0 => 100,
            total => u8::try_from(count * 100 / total).unwrap_or(100),
        };
        if !self.stage.is_over() {
            self.message = format!("{count} of {} finished.", self.total);
        }
    }

    /// The same if its manager stopped before its end: what was in progress may have been completed, and
    /// the rest was not begun.
    pub fn interrupted(mut self) -> Self {
        self.interrupt();
        for step in &mut self.results {
            let (state, message) = match step.state {
                BulkStepState::Running => (
                    BulkStepState::Unknown,
                    "jd-manager stopped during this action. Check the events of the instance.",
                ),
                BulkStepState::Waiting => (
                    BulkStepState::Cancelled,
                    "jd-manager stopped before this action.",
                ),
                _ => continue,
            };
            *step = step.clone().with(state, None, message.into());
        }
        self.counted()
    }

    /// Its manager stopped before its end. Its results stay.
    pub fn interrupt(&mut self) {
        self.stage = BulkStage::Interrupted;
        self.message = "jd-manager stopped before all instances had their turn.".into();
    }

    /// The number of instances in a state.
    pub fn count(&self, state: BulkStepState) -> usize {
        self.results.iter().filter(|one| one.state == state).count()
    }

    /// The stage after the last instance, and its message.
    pub fn result(&self) -> (BulkStage, String) {
        let counts = [
            (BulkStepState::Done, "done"),
            (BulkStepState::Failed, "failed"),
            (BulkStepState::Skipped, "skipped"),
            (BulkStepState::Cancelled, "not begun"),
        ];
        let counts = counts.map(|(state, text)| (self.count(state), text));
        let told = counts
            .iter()
            .enumerate()
            .filter(|(at, (count, _))| *at == 0 || *count > 0)
            .map(|(_, (count, text))| format!("{count} {text}"));
        let message = format!("{}.", told.collect::<Vec<_>>().join(", "));
        let stage = match (counts[3].0, counts[1].0) {
            (1.., _) => BulkStage::Cancelled,
            (0, 1..) => BulkStage::Failed,
            (0, 0) => BulkStage::Done,
        };
        (stage, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(states: &[BulkStepState]) -> BulkJob {
        let result = |state: &BulkStepState| {
            BulkItemResult::new(InstanceId::random(), None, *state, None, String::new())
        };
        let results = states.iter().map(result).collect();
        BulkJob::new(BulkActionKind::Stop, "Stop".into(), "ada".into(), results)
    }

    #[test]
    fn a_job_counts_its_instances_and_one_failure_makes_it_fail() {
        use BulkStepState::{Cancelled, Done, Failed, Running, Skipped, Waiting};
        let half = job(&[Done, Skipped, Running, Waiting]);
        assert_eq!(
            (half.progress, half.success, half.message.as_str()),
            (50, true, "2 of 4 finished.")
        );
        for (states, stage, message) in [
            (vec![Done, Done], BulkStage::Done, "2 done."),
            (vec![Skipped], BulkStage::Done, "0 done, 1 skipped."),
            (
                vec![Done, Failed, Skipped],
                BulkStage::Failed,
                "1 done, 1 failed, 1 skipped.",
            ),
            (
                vec![Failed, Cancelled],
                BulkStage::Cancelled,
                "0 done, 1 failed, 1 not begun.",
            ),
            (vec![], BulkStage::Done, "0 done."),
        ] {
            assert_eq!(job(&states).result(), (stage, message.to_owned()));
        }
        assert_eq!(job(&[]).progress, 100);
    }

    #[test]
    fn a_job_of_a_killed_manager_claims_nothing() {
        use BulkStepState::{Cancelled, Done, Running, Unknown, Waiting};
        let job = job(&[Done, Running, Waiting]).interrupted();
        let states: Vec<_> = job.results.iter().map(|one| one.state).collect();
        assert_eq!(states, [Done, Unknown, Cancelled]);
        assert_eq!((job.stage, job.success), (BulkStage::Interrupted, false));
    }
}
