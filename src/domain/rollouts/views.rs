//! The pages of rollouts, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{Rollout, RolloutStage, RolloutStep, RolloutStepState};
use crate::base::actor::actor_text;
use crate::base::ids::JobId;
use crate::domain::access::views::FormInput;
use crate::view;

/// `GET /rollouts`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "rollouts/list.html", blocks = ["main"])]
#[schemars(rename = "Rollouts")]
pub struct RolloutsPage {
    /// Newest first.
    pub(super) rollouts: Vec<Rollout>,
    /// The hosts to choose from.
    #[serde(skip)]
    pub(super) hosts: Vec<String>,
    #[serde(skip)]
    pub(super) again: FormInput,
}
view!(RolloutsPage { "main" => as_main });

impl RolloutsPage {
    fn is_idle(&self) -> bool {
        let is_running = |one: &Rollout| one.stage == RolloutStage::Running;
        !self.rollouts.iter().any(is_running)
    }
}

/// `GET /rollouts/{id}`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "rollouts/show.html", blocks = ["main", "rollout"])]
#[schemars(rename = "RolloutDetails")]
pub struct RolloutPage {
    /// The rollout.
    #[serde(flatten)]
    pub(super) rollout: Rollout,
}
view!(RolloutPage { "main" => as_main, "rollout" => as_rollout });

impl Rollout {
    fn title(&self) -> String {
        format!(
            "{} on {} of {} hosts",
            self.version,
            self.done(),
            self.hosts.len()
        )
    }

    fn is_running(&self) -> bool {
        self.stage == RolloutStage::Running
    }

    fn can_resume(&self) -> bool {
        matches!(self.stage, RolloutStage::Stopped | RolloutStage::Cancelled)
    }

    fn stage_text(&self) -> &'static str {
        match self.stage {
            RolloutStage::Running => "in progress",
            RolloutStage::Done => "done",
            RolloutStage::Stopped => "stopped",
            RolloutStage::Cancelled => "canceled",
        }
    }

    /// The state of an instance whose shape and color it has.
    fn shape(&self) -> &'static str {
        match self.stage {
            RolloutStage::Running => "starting",
            RolloutStage::Done => "running",
            RolloutStage::Stopped => "failed",
            RolloutStage::Cancelled => "stopped",
        }
    }

    fn started_text(&self) -> String {
        actor_text(&self.actor).unwrap_or_default()
    }
}

impl RolloutStep {
    fn shape(&self) -> &'static str {
        match self.state {
            RolloutStepState::Waiting => "stopped",
            RolloutStepState::Running => "starting",
            RolloutStepState::Done | RolloutStepState::Skipped => "running",
            RolloutStepState::Failed => "failed",
        }
    }
}

/// The response to a rollout that was started, resumed or canceled.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RolloutResponse {
    /// Id of the rollout.
    pub rollout: JobId,
    /// The result as text.
    pub message: String,
}
