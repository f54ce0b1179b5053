//! An update job: its progress and its instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};

/// Stage of an update job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum JobStage {
    /// Waiting to start.
    Queued,
    /// The file is being downloaded or received.
    Downloading,
    /// cargo is building it.
    Building,
    /// Checksum and signature are being verified.
    Verifying,
    /// The archive is being unpacked.
    Unpacking,
    /// The client is being run once to get its version.
    Testing,
    /// Instances are being switched.
    Switching,
    /// Finished: installed.
    Installed,
    /// Finished: in use.
    Switched,
    /// Finished: the new client was not healthy, and the previous one is back.
    RolledBack,
    /// Finished: failed.
    Failed,
    /// Finished: canceled.
    Cancelled,
}

impl JobStage {
    /// Whether the job has finished.
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Installed | Self::Switched | Self::RolledBack | Self::Failed | Self::Cancelled
        )
    }

    /// Whether the job succeeded.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Installed | Self::Switched)
    }

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// As text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Queued => "waiting",
            Self::RolledBack => "rolled back",
            Self::Cancelled => "canceled",
            other => other.as_str(),
        }
    }
}

/// Type of an update job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum JobTask {
    /// Install a client.
    Install,
    /// Switch instances to another client.
    Switch,
    /// Roll instances back to an earlier client.
    Rollback,
}

impl JobTask {
    /// As text.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Install => "Install",
            Self::Switch => "Switch to",
            Self::Rollback => "Roll back to",
        }
    }
}

/// An update job, in progress or finished.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct UpdateJob {
    /// Id of the job.
    pub id: JobId,
    /// Type of the job.
    pub task: JobTask,
    /// The requested version.
    pub version: String,
    /// Current stage.
    pub stage: JobStage,
    /// Progress from 0 to 100; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// Status as text.
    pub message: String,
    /// Bytes downloaded or crates built so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Total bytes or crates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// User or part of jd-manager that started it.
    pub actor: String,
    /// Start time.
    pub created_at: Timestamp,
    /// End time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Name of the client it installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<String>,
    /// Last lines of a failed build, or the log of an instance that was not healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
    /// Switch instances after the installation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub then_switch: bool,
    /// Id of the switch that follows an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
    /// The instances and progress of a switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<VersionSwitch>,
}

impl UpdateJob {
    /// A new job.
    pub fn new(task: JobTask, version: impl Into<String>, actor: &str, now: Timestamp) -> Self {
        Self {
            id: JobId::random(),
            task,
            version: version.into(),
            stage: JobStage::Queued,
            progress: None,
            message: "Waiting to start.".into(),
            bytes: None,
            total: None,
            actor: actor.to_owned(),
            created_at: now,
            ended_at: None,
            installed: None,
            excerpt: Vec::new(),
            then_switch: false,
            next: None,
            switch: None,
        }
    }

    /// Title, for example `Install v0.8.0`.
    pub fn title(&self) -> String {
        format!("{} {}", self.task.title(), self.version)
    }
}

/// A switch of instances to another version.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct VersionSwitch {
    /// The previous version in use; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Changes the version in use for all instances that are not pinned. Otherwise the selected
    /// instances are pinned.
    pub is_for_all: bool,
    /// When an instance counts as healthy.
    pub gate: HealthGate,
    /// The instances in order; the first running one is switched first.
    pub steps: Vec<SwitchStep>,
}

/// When an instance counts as healthy after a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct HealthGate {
    /// Time limit for it to be running, in seconds.
    pub ready_within_s: u64,
    /// How long it must then stay up without new unhealthy checks, in seconds.
    pub watch_s: u64,
}

impl Default for HealthGate {
    /// A client that waits for unreachable pools takes up to half a minute (`jd_client_sv2` 0.6.0:
    /// three attempts per upstream, several seconds each). Later problems are left to automatic
    /// fixes and alerts.
    fn default() -> Self {
        Self {
            ready_within_s: 90,
            watch_s: 20,
        }
    }
}

/// One instance of a switch.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct SwitchStep {
    /// Id of the instance.
    pub id: InstanceId,
    /// Name of the instance.
    pub name: String,
    /// Status.
    pub state: StepState,
    /// Previous client version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Checks that were already unhealthy before the switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailing: Vec<String>,
    /// Time of its restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Downtime in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
    /// Part of the downtime that the new client needed to start, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_start_ms: Option<u64>,
    /// Result as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// Left pinned by an earlier unfinished switch; follows the version in use again after this
    /// one.
    #[serde(default)]
    pub unpin: bool,
}

/// Status of an instance in a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Waiting.
    Waiting,
    /// Running the new version and being checked.
    Trying,
    /// Switched to the new version.
    Switched,
    /// Not running: the next start will use the new version.
    Resting,
    /// Rolling back to the previous version.
    GoingBack,
    /// Rolled back to the previous version.
    WentBack,
    /// The rollback failed: it could not be restarted.
    Stuck,
    /// Not changed.
    LeftAlone,
}

impl StepState {
    /// As text.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Trying => "testing",
            Self::Switched => "switched",
            Self::Resting => "not running",
            Self::GoingBack => "rolling back",
            Self::WentBack => "rolled back",
            Self::Stuck => "rollback failed",
            Self::LeftAlone => "not changed",
        }
    }
}
