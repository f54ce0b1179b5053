//! A rollout and its hosts. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::JobId;
use crate::domain::updates::model::HealthGate;

/// Stage of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutStage {
    /// In progress.
    Running,
    /// Finished: all hosts have the version.
    Done,
    /// Stopped at a host that failed. It can be resumed there.
    Stopped,
    /// Canceled by a user. It can be resumed.
    Cancelled,
}

/// State of a host in a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RolloutState")]
pub enum RolloutStepState {
    /// Waiting for its turn.
    Waiting,
    /// In progress.
    Running,
    /// Done.
    Done,
    /// It had the version already.
    Skipped,
    /// Failed or rolled back.
    Failed,
}

impl RolloutStepState {
    /// As text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "in progress",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// Whether the next host can follow.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// A host in a rollout.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct RolloutStep {
    /// The name of the host.
    pub host: String,
    /// Its state.
    pub state: RolloutStepState,
    /// Progress or result as text.
    pub message: String,
    /// The update job on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The newest update job on the host before it was asked; `null`: it had none. Absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_after: Option<LastJob>,
}

/// The newest update job of a host at a time; none: it had no job yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LastJob(pub Option<JobId>);

/// A rollout.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Rollout {
    /// Its id.
    pub id: JobId,
    /// The client version or release tag.
    pub version: String,
    /// Its stage.
    pub stage: RolloutStage,
    /// User that started it.
    pub actor: String,
    /// Start time.
    pub created_at: Timestamp,
    /// End time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When an instance counts as healthy after its switch.
    pub gate: HealthGate,
    /// The hosts in their order.
    pub hosts: Vec<RolloutStep>,
}

impl Rollout {
    /// A rollout to these hosts, in this order.
    pub fn new(
        (version, gate): (String, HealthGate),
        hosts: Vec<String>,
        actor: String,
        now: Timestamp,
    ) -> Self {
        let step = |host| RolloutStep {
            host,
            state: RolloutStepState::Waiting,
            message: String::new(),
            job: None,
            asked_after: None,
        };
        Self {
            id: JobId::random(),
            version,
            gate,
            stage: RolloutStage::Running,
            actor,
            created_at: now,
            ended_at: None,
            hosts: hosts.into_iter().map(step).collect(),
        }
    }

    /// The place of the host whose turn it is; none: all have the version.
    pub fn next(&self) -> Option<usize> {
        self.hosts.iter().position(|step| !step.state.is_good())
    }

    /// The number of hosts that have the version.
    pub fn done(&self) -> usize {
        let is_good = |step: &&RolloutStep| step.state.is_good();
        self.hosts.iter().filter(is_good).count()
    }

    /// The same, resumed at the host that failed. A host that was asked is not asked again if it is
    /// still at it.
    #[must_use]
    pub fn resumed(mut self) -> Self {
        self.stage = RolloutStage::Running;
        self.ended_at = None;
        for step in &mut self.hosts {
            if step.state == RolloutStepState::Failed {
                step.state = RolloutStepState::Waiting;
                step.message.clear();
                step.job = None;
                step.asked_after = None;
            }
        }
        self
    }

    /// Ends it.
    pub fn end(&mut self, stage: RolloutStage, now: Timestamp) {
        self.stage = stage;
        self.ended_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_resumed_at_the_host_that_failed() {
        let hosts = ["attic", "barn", "cellar"].map(str::to_owned);
        let mut rollout = Rollout::new(
            ("0.6.0".into(), HealthGate::default()),
            hosts.into(),
            "ada".into(),
            Timestamp(1),
        );
        assert_eq!(rollout.next(), Some(0));
        rollout.hosts[0].state = RolloutStepState::Done;
        rollout.hosts[1].state = RolloutStepState::Failed;
        rollout.hosts[1].job = Some(JobId::random());
        rollout.end(RolloutStage::Stopped, Timestamp(2));
        assert_eq!((rollout.next(), rollout.done()), (Some(1), 1));
        let read: Rollout =
            serde_json::from_str(&serde_json::to_string(&rollout).unwrap()).unwrap();
        assert_eq!(read, rollout);
        let resumed = rollout.resumed();
        assert_eq!(
            (resumed.stage, resumed.ended_at),
            (RolloutStage::Running, None)
        );
        assert_eq!(resumed.next(), Some(1));
        assert_eq!(resumed.hosts[1].state, RolloutStepState::Waiting);
        assert_eq!(resumed.hosts[1].job, None);
    }
}
