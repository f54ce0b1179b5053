//! The update pages, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

use super::health_gate::length;
use super::manager_release::ManagerRelease;
use super::model::{
    ClientManifest, ClientRelease, HealthGate, InstalledClient, JobStage, ReleaseAsset,
    ReleaseSkip, SwitchStep, UpdateJob,
};
use super::notes::ReleaseNotes;
use super::release_status::{ACTOR, ReleaseStatus};
use super::settings::UpdateSettings;
use crate::base::actor::actor_text;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::base::ids::{InstanceId, JobId};
use crate::domain::instances::{Instance, size_text};
use crate::view;
use crate::web::{ConfirmPage, ConfirmQuestion};

/// `/updates`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/show.html", blocks = ["main"])]
#[schemars(rename = "Updates")]
pub struct UpdatesPage {
    #[serde(skip)]
    pub(super) now: Timestamp,
    /// The program set with `--client`; none: clients are managed here.
    pub(super) fixed: Option<String>,
    /// Why no client is in use.
    pub(super) no_client: Option<String>,
    /// Status of releases.
    #[serde(flatten)]
    pub(super) news: ReleaseStatus,
    /// Why the last release check failed.
    pub(super) problem: Option<String>,
    /// Whether there is a newer jd-manager; absent without `manager_release_api`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manager: Option<ManagerRelease>,
    /// Installed clients, newest first.
    pub(super) installed: Vec<InstalledClient>,
    /// The version to roll back to.
    pub(super) previous: Option<String>,
    /// The job in progress.
    pub(super) job: Option<UpdateJob>,
    /// Past jobs, newest first.
    pub(super) history: Vec<UpdateJob>,
    /// Update settings.
    pub(super) settings: UpdateSettings,
    #[serde(skip)]
    pub(super) has_cargo: bool,
    #[serde(skip)]
    pub(super) errors: Vec<FieldError>,
}
view!(UpdatesPage { "main" => as_main });

impl UpdatesPage {
    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn headline(&self) -> String {
        match (&self.news.current, &self.news.latest) {
            (None, _) if !self.installed.is_empty() => "No client is in use".into(),
            (None, _) => "No client installed".into(),
            (Some(current), Some(latest)) if self.news.available => {
                format!("Client {current} in use, release {latest} available")
            }
            (Some(current), Some(_))
                if self.news.pending.is_none() && self.news.skipped.is_empty() =>
            {
                format!("Client {current} in use, no newer release known")
            }
            (Some(current), _) => format!("Client {current} is in use"),
        }
    }

    /// The release to install next.
    fn offer(&self) -> Option<&ClientRelease> {
        self.news
            .latest_release()
            .filter(|_| self.news.available && self.fixed.is_none())
    }

    /// Releases are known, but none can be installed.
    fn has_no_offer(&self) -> bool {
        self.news.latest.is_none() && !self.news.releases.is_empty()
    }

    fn is_offered(&self, release: &ClientRelease) -> bool {
        self.offer().is_some_and(|offer| offer.tag == release.tag)
    }

    fn is_skipped(&self, release: &ClientRelease) -> bool {
        self.news.skipped.iter().any(|skip| skip.tag == release.tag)
    }

    fn notes(&self, release: &ClientRelease) -> ReleaseNotes {
        ReleaseNotes::render(&release.notes)
    }

    /// The installed client of a release.
    fn installed_as(&self, release: &ClientRelease) -> Option<&str> {
        self.installed
            .iter()
            .find(|one| one.came_with(release))
            .map(|one| one.name.as_str())
    }

    fn error(&self, pointer: &str) -> Option<Cow<'_, str>> {
        self.errors
            .iter()
            .find(|e| e.pointer == pointer)
            .map(FieldError::page_text)
    }

    fn client_of(&self, release: &ClientRelease) -> String {
        release
            .client()
            .map_or_else(|| "–".into(), |client| client.to_string())
    }

    fn size(&self, bytes: &u64) -> String {
        size_text(*bytes)
    }

    /// The release to install again for the translator that an installed client lacks.
    fn translator_release(&self, client: &InstalledClient) -> Option<&str> {
        let release = self
            .news
            .releases
            .iter()
            .find(|release| client.came_with(release))?;
        let is_complete = |one: &InstalledClient| one.came_with(release) && !one.lacks_translator();
        let is_offered = self.fixed.is_none()
            && client.lacks_translator()
            && release.asset.is_ready()
            && !self.installed.iter().any(is_complete);
        is_offered.then_some(release.tag.as_str())
    }

    fn source(&self, manifest: &Option<ClientManifest>) -> String {
        match manifest {
            None => super::model::ClientOrigin::ByHand.words().into(),
            Some(ClientManifest { tag: Some(tag), .. }) => format!("release {tag}"),
            Some(manifest) => format!("{}: {}", manifest.origin.words(), manifest.from),
        }
    }
}

/// `/updates/history`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/history.html", blocks = ["main"])]
#[schemars(rename = "JobHistory")]
pub struct HistoryPage {
    #[serde(skip)]
    pub(super) now: Timestamp,
    /// Past jobs, newest first.
    pub(super) history: Vec<UpdateJob>,
    /// `before` of the next older page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<JobId>,
    #[serde(skip)]
    pub(super) limit: u64,
}
view!(HistoryPage { "main" => as_main });

impl HistoryPage {
    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }
}

/// `/updates/jobs/{id}`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/job.html", blocks = ["main", "job"])]
#[schemars(rename = "JobInFull")]
pub struct JobPage {
    /// The job.
    #[serde(flatten)]
    pub(super) job: UpdateJob,
}
view!(JobPage { "main" => as_main, "job" => as_job });

impl JobPage {
    fn is_over(&self) -> bool {
        self.job.stage.is_over()
    }

    /// The user or part of jd-manager that started it, as text.
    fn started_text(&self) -> String {
        match self.job.actor.as_str() {
            ACTOR => "automatically".into(),
            actor => actor_text(actor).unwrap_or_default(),
        }
    }

    /// Progress as text.
    fn figures(&self) -> Option<String> {
        let done = self.job.bytes?;
        Some(match (self.job.stage, self.job.total) {
            (JobStage::Downloading, Some(total)) => {
                format!("{} of {}", size_text(done), size_text(total))
            }
            (JobStage::Downloading, None) => size_text(done),
            (JobStage::Building, Some(total)) => format!("{done} of {total} crates"),
            (JobStage::Switching, Some(total)) => format!("{done} of {total} instances"),
            _ => return None,
        })
    }

    fn steps(&self) -> &[SwitchStep] {
        self.job
            .switch
            .as_ref()
            .map_or(&[], |switch| switch.steps.as_slice())
    }

    fn origin_text(&self) -> Option<&str> {
        self.job
            .switch
            .as_ref()
            .and_then(|switch| switch.from.as_deref())
    }

    /// The class for the color of its stage.
    fn tone(&self) -> &'static str {
        match self.job.stage {
            JobStage::Failed | JobStage::RolledBack => "failed",
            JobStage::Cancelled => "stopped",
            stage if stage.is_good() => "running",
            _ => "starting",
        }
    }

    fn downtime(&self, step: &SwitchStep) -> Option<String> {
        let (down, own) = step.downtime_ms.zip(step.own_start_ms)?;
        Some(format!(
            "{}, including {} to start",
            length(down),
            length(own)
        ))
    }

    /// Some instances were switched, but the switch did not finish.
    fn is_halfway(&self) -> bool {
        let stayed = |switch: &super::model::VersionSwitch| {
            switch.is_for_all
                && switch
                    .steps
                    .iter()
                    .any(|step| step.state == super::model::StepState::Switched)
        };
        self.is_over()
            && self.job.stage != JobStage::Switched
            && self.job.switch.as_ref().is_some_and(stayed)
    }

    /// The version to roll back to after a successful switch.
    fn way_back(&self) -> Option<&str> {
        self.origin_text().filter(|_| {
            self.job.stage == JobStage::Switched
                && self.job.switch.as_ref().is_some_and(|s| s.is_for_all)
        })
    }
}

/// `GET /updates/install`: the confirmation page.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/install.html", blocks = ["main"])]
#[schemars(rename = "InstallQuestion")]
pub struct InstallPage {
    /// The release.
    pub(super) release: ClientRelease,
    /// Why it cannot be installed.
    pub(super) obstacle: Option<String>,
    /// The required signing key.
    pub(super) signed_by: Option<String>,
    /// There is a client in use to switch from.
    #[serde(skip)]
    pub(super) has_client: bool,
    pub(super) errors: Vec<FieldError>,
}
view!(InstallPage { "main" => as_main });

impl InstallPage {
    /// The file cannot be verified.
    fn is_unverified(&self) -> bool {
        self.release.asset.sha256().is_none() && self.signed_by.is_none()
    }

    fn notes(&self) -> ReleaseNotes {
        ReleaseNotes::render(&self.release.notes)
    }
}

/// `/updates/releases/{name}`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/release.html", blocks = ["main"])]
#[schemars(rename = "Release")]
pub struct ReleasePage {
    #[serde(skip)]
    pub(super) now: Timestamp,
    /// Clients are managed here: `--client` is not set.
    #[serde(skip)]
    pub(super) is_managed: bool,
    /// The release.
    #[serde(flatten)]
    pub(super) release: ClientRelease,
    /// Name of the installed client of this release.
    pub(super) installed: Option<String>,
    /// Why it cannot be installed on this machine.
    pub(super) obstacle: Option<String>,
    /// When and by whom it was skipped; null if it is not skipped.
    pub(super) skip: Option<ReleaseSkip>,
}
view!(ReleasePage { "main" => as_main });

impl ReleasePage {
    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn notes(&self) -> ReleaseNotes {
        ReleaseNotes::render(&self.release.notes)
    }
}

/// Text of a release for pages.
impl ClientRelease {
    fn client_text(&self) -> String {
        self.client().map_or_else(
            || "unknown until installed".into(),
            |client| client.to_string(),
        )
    }

    fn file_text(&self) -> &str {
        match &self.asset {
            ReleaseAsset::Ready { name, .. } | ReleaseAsset::Uploading { name } => name,
            ReleaseAsset::Missing { .. } => "none for this machine",
        }
    }

    fn size_text(&self) -> String {
        self.asset.size().map_or_else(|| "–".into(), size_text)
    }
}

/// `GET /updates/switch`: the confirmation page.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "updates/switch.html", blocks = ["main"])]
#[schemars(rename = "SwitchQuestion")]
pub struct SwitchPage {
    /// The new version.
    pub(super) version: String,
    /// The version in use.
    pub(super) from: Option<String>,
    /// All instances, those to switch first.
    pub(super) instances: Vec<Instance>,
    /// Instances left pinned by an earlier switch, which will follow the version in use again.
    pub(super) held: Vec<InstanceId>,
    /// The new version is the previous one.
    pub(super) is_rollback: bool,
    /// Why instances that follow the version in use cannot be switched.
    pub(super) obstacle: Option<String>,
    /// When an instance counts as healthy.
    pub(super) gate: HealthGate,
    pub(super) errors: Vec<FieldError>,
}
view!(SwitchPage { "main" => as_main });

impl SwitchPage {
    fn is_in_use(&self) -> bool {
        self.from.as_deref() == Some(&self.version)
    }

    fn followers(&self) -> impl Iterator<Item = &Instance> {
        let goes = |instance: &&Instance| {
            (instance.client_version.is_none() && !self.is_in_use())
                || self.held.contains(&instance.id)
        };
        self.instances.iter().filter(goes)
    }

    /// There are instances to switch with the version in use.
    fn has_all(&self) -> bool {
        !self.is_in_use() || !self.held.is_empty()
    }

    /// Running instances that a restart would also give configuration changes.
    fn outdated(&self) -> Vec<&str> {
        self.instances
            .iter()
            .filter(|instance| instance.is_outdated())
            .map(|instance| instance.name.as_str())
            .collect()
    }

    fn title(&self) -> String {
        let version = &self.version;
        match (self.is_in_use(), self.is_rollback) {
            (true, _) => format!("Client {version} is in use"),
            (false, true) => format!("Roll back to client {version}?"),
            (false, false) => format!("Switch to client {version}?"),
        }
    }

    fn running_followers(&self) -> usize {
        self.followers()
            .filter(|instance| instance.status.has_client())
            .count()
    }
}

/// An installed client to remove.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ClientRemoval {
    /// The client.
    #[serde(flatten)]
    client: InstalledClient,
    /// Why it cannot be removed.
    obstacle: Option<String>,
}

/// `GET /updates/installed/{name}/delete`: the confirmation page.
pub(super) fn remove_page(
    client: InstalledClient,
    obstacle: Option<String>,
) -> ConfirmPage<ClientRemoval> {
    let name = &client.name;
    let lost = || {
        let again = way_back(&client);
        let deleted = if client.translator {
            "client and its translator"
        } else {
            "program"
        };
        format!(
            "This deletes the {deleted}. Instances can no longer be rolled back to this version. {again}"
        )
    };
    let action = || {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let address = format!("/updates/installed/{encoded}/delete");
        (address, format!("Remove {name}"))
    };
    let question = ConfirmQuestion {
        title: format!("Remove client {name}?"),
        nav: "updates",
        texts: vec![obstacle.clone().unwrap_or_else(lost)],
        action: obstacle.is_none().then(action),
        back: "/updates".into(),
        ..ConfirmQuestion::default()
    };
    ConfirmPage::new(ClientRemoval { client, obstacle }, question)
}

/// How to install it again.
fn way_back(client: &InstalledClient) -> String {
    match &client.manifest {
        Some(manifest) => manifest.tag.as_ref().map_or_else(
            || format!("Source: {}.", manifest.from),
            |tag| {
                format!(
                    "You can install it again from release {tag} as long as that release is available."
                )
            },
        ),
        None => "It was added manually. jd-manager cannot install it again.".into(),
    }
}
