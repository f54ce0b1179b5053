//! An update job: its progress and its instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};

/// How far a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum JobStage {
    /// About to begin.
    Queued,
    /// The file comes in.
    Downloading,
    /// cargo builds it.
    Building,
    /// Digest and signature are compared.
    Verifying,
    /// The client is taken out of the archive.
    Unpacking,
    /// It is asked for its version.
    Testing,
    /// Instances go over to it.
    Switching,
    /// Done: it is installed.
    Installed,
    /// Done: it is in use.
    Switched,
    /// Done: it did not work, and what was before is back.
    RolledBack,
    /// Not done.
    Failed,
    /// Not done, as somebody wished.
    Cancelled,
}

impl JobStage {
    /// Nothing happens any more.
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Installed | Self::Switched | Self::RolledBack | Self::Failed | Self::Cancelled
        )
    }

    /// It came out as it was meant.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Installed | Self::Switched)
    }

    /// The word programs get.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Queued => "waiting",
            Self::RolledBack => "rolled back",
            Self::Cancelled => "canceled",
            other => other.as_str(),
        }
    }
}

/// What a piece of work is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum JobTask {
    /// Bringing a client into the store.
    Install,
    /// Taking instances to another installed client.
    Switch,
    /// The same, back to an earlier one.
    Rollback,
}

impl JobTask {
    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Install => "Install",
            Self::Switch => "Switch to",
            Self::Rollback => "Roll back to",
        }
    }
}

/// A piece of work on clients, under way or over.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct UpdateJob {
    /// Which.
    pub id: JobId,
    /// What for.
    pub task: JobTask,
    /// The version that was asked for.
    pub version: String,
    /// How far it is.
    pub stage: JobStage,
    /// 0 to 100; none: that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// What is the case, for people.
    pub message: String,
    /// What is there of the download, bytes; of a build, crates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What there will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The name in the store of what it installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<String>,
    /// What belongs to its end: the last lines of a build, the log of an instance that did not come
    /// up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<String>,
    /// Instances are to be switched to what it installs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub then_switch: bool,
    /// The work that followed on it: the switch to what was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
    /// Of a switch: who, from where, how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<VersionSwitch>,
}

impl UpdateJob {
    /// One that is about to begin.
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

    /// In a few words: `Install v0.8.0`.
    pub fn title(&self) -> String {
        format!("{} {}", self.task.title(), self.version)
    }
}

/// Instances on their way from one version to another.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct VersionSwitch {
    /// The version in use before; none: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version in use changes, for all that are not pinned; otherwise the chosen ones are
    /// pinned to the new one.
    pub is_for_all: bool,
    /// How an instance shows that it has come up well.
    pub gate: HealthGate,
    /// The instances, in their order; the first that runs goes ahead of the others.
    pub steps: Vec<SwitchStep>,
}

/// How an instance shows that it has come up well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct HealthGate {
    /// It serves miners within so many seconds
    pub ready_within_s: u64,
    /// and then, for so many seconds, stays up and no check becomes unhealthy that was not before.
    pub watch_s: u64,
}

impl Default for HealthGate {
    /// A client that waits for pools that are out of reach takes up to half a minute
    /// (`jd_client_sv2` 0.6.0: three attempts for each upstream, some seconds each); what the first
    /// minutes do not show, self-healing and alerts do.
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
    /// Which.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: StepState,
    /// The version its client had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Checks that were unhealthy before, which are not the new version's fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ailing: Vec<String>,
    /// When its restart was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// How long it did not serve miners, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
    /// How much of it the new client needed from its start until it served miners, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_start_ms: Option<u64>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// An earlier switch of all that did not come to its end left it pinned; after this one it
    /// follows the version in use again.
    #[serde(default)]
    pub unpin: bool,
}

/// How far an instance is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Its turn is yet to come.
    Waiting,
    /// It runs the new version and is watched.
    Trying,
    /// It runs the new version.
    Switched,
    /// It did not run: its next start is with the new version.
    Resting,
    /// It is on its way back to the version before.
    GoingBack,
    /// It is back on the version before.
    WentBack,
    /// It should be back and could not be restarted.
    Stuck,
    /// It was left as it is.
    LeftAlone,
}

impl StepState {
    /// For people.
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
