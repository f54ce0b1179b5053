//! The use cases of an installation: checks the request, starts the job, runs it and starts the
//! switch that follows.

pub mod pipeline;

use std::path::{Path, PathBuf};

use super::install::pipeline::fetch_into_store;
use super::job_tracker::JobGuard;
use super::model::{HealthGate, InstalledClient, JobStage, JobTask, TranslatorManifest, UpdateJob};
use super::queries;
use super::service::UpdateService;
use super::settings::key_of;
use super::source::{
    ClientSource, FromCargo, FromFile, FromRelease, ProgramFiles, SourceError, find_cargo,
};
use super::store::InstallResult;
use super::tags::{client_of_tag, is_name};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::failpoint;
use crate::domain::configs::ClientVersion;

/// An installation request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallRequest {
    /// A release by tag or client version; none: the latest that can be installed here.
    Release(Option<String>),
    /// A build from the cargo registry.
    Build(String),
    /// A file on this machine.
    File(PathBuf),
}

/// Options of an installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// Also install a release without a checksum.
    pub unverified: bool,
    /// Then switch the instances that follow the version in use.
    pub switch: bool,
}

impl UpdateService {
    /// Starts an installation.
    ///
    /// # Errors
    /// Unknown release, no file for this machine, no checksum although it is required, or another
    /// job is in progress.
    pub async fn install(
        &self,
        order: InstallRequest,
        with: InstallOptions,
        actor: &str,
    ) -> Result<UpdateJob> {
        self.check_managed()?;
        let (version, source): (String, Box<dyn ClientSource>) = match order {
            InstallRequest::Release(version) => {
                // The known releases may be old; if they cannot be refreshed now, they are used
                // anyway.
                if let Err(error) = self.check().await {
                    tracing::info!(%error, "cannot refresh the releases; installing from the known ones");
                }
                let release = self.release(version.as_deref()).await?;
                // A client of an earlier jd-manager can be installed again to get its translator.
                let has_all =
                    |one: &&InstalledClient| one.came_with(&release) && !one.lacks_translator();
                if let Some(InstalledClient { name, .. }) =
                    self.installed().await?.iter().find(has_all)
                {
                    return Err(Error::Conflict(format!(
                        "Release {} is already installed as {name}.",
                        release.tag
                    )));
                }
                if let Some(obstacle) = release.asset.obstacle() {
                    return Err(Error::Conflict(obstacle));
                }
                let key = key_of(&self.wanted().await?)?;
                if release.asset.sha256().is_none() && key.is_none() && !with.unverified {
                    return Err(Error::Conflict(format!(
                        "Release {} has no checksum for its file, so jd-manager cannot verify the download. Confirm that you want to install it \
                         anyway (accept_unverified), or build that version.",
                        release.tag
                    )));
                }
                (
                    release.tag.clone(),
                    Box::new(FromRelease {
                        fetcher: self.fetcher().clone(),
                        release,
                        key,
                    }),
                )
            }
            InstallRequest::Build(version) => {
                let version = version
                    .parse::<ClientVersion>()
                    .map_err(|e| Error::invalid("/version", format!("{e}.")))?;
                let cargo = find_cargo().ok_or_else(|| {
                    Error::Conflict(
                        "cargo is not installed on this machine. Install Rust with rustup, or install a release.".into(),
                    )
                })?;
                (version.to_string(), Box::new(FromCargo { version, cargo }))
            }
            InstallRequest::File(path) => {
                if !path.is_absolute() {
                    return Err(Error::invalid(
                        "/path",
                        "Enter the full path of the file, starting with a slash.",
                    ));
                }
                let shown = path.display().to_string();
                (
                    path.file_name()
                        .map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned()),
                    Box::new(FromFile {
                        path,
                        shown,
                        is_ours: false,
                        translator: None,
                    }),
                )
            }
        };
        let ticket = self
            .board()
            .begin(UpdateJob {
                then_switch: with.switch,
                ..UpdateJob::new(JobTask::Install, version, actor, Timestamp::now())
            })
            .await?;
        let job = ticket.job();
        let this = self.clone();
        tokio::spawn(async move { this.run_install(source, with, ticket).await });
        Ok(job)
    }

    /// Starts receiving files: returns the job and the path to write the client to. A translator is
    /// written to the same directory.
    ///
    /// # Errors
    /// Another job is in progress, or a disk error.
    pub async fn receive(&self, name: &str, actor: &str) -> Result<(JobGuard, PathBuf)> {
        self.check_managed()?;
        let ticket = self
            .board()
            .begin(UpdateJob::new(
                JobTask::Install,
                name,
                actor,
                Timestamp::now(),
            ))
            .await?;
        ticket
            .stage(JobStage::Downloading, format!("Receiving {name}."))
            .await?;
        let (store, id) = (self.store().clone(), ticket.job().id);
        let dir = tokio::task::spawn_blocking(move || store.incoming(id))
            .await
            .map_err(Error::internal)??;
        Ok((ticket, dir.join("received")))
    }

    /// Installs the received files.
    pub fn install_received(
        &self,
        ticket: JobGuard,
        files: ProgramFiles,
        shown: String,
        with: InstallOptions,
    ) -> UpdateJob {
        let (job, this) = (ticket.job(), self.clone());
        let source = FromFile {
            path: files.client,
            shown,
            is_ours: true,
            translator: files.translator,
        };
        tokio::spawn(async move { this.run_install(Box::new(source), with, ticket).await });
        job
    }

    /// Removes the received files.
    pub async fn remove_received(&self, file: &Path) {
        if let Some(dir) = file.parent().map(Path::to_owned) {
            let store = self.store().clone();
            let _ = tokio::task::spawn_blocking(move || store.prune_incoming(&dir)).await;
        }
    }

    async fn run_install(
        &self,
        source: Box<dyn ClientSource>,
        with: InstallOptions,
        ticket: JobGuard,
    ) {
        let (came, manifest, no_translator) =
            match fetch_into_store(self.store(), source.as_ref(), &ticket).await {
                Ok(came) => came,
                Err(SourceError::Stopped) => return,
                Err(SourceError::Cancelled) => {
                    return ticket
                        .end(JobStage::Cancelled, "Canceled. Nothing was installed.")
                        .await;
                }
                Err(SourceError::Failed { message, excerpt }) => {
                    ticket.show(|job| job.excerpt = excerpt);
                    ticket.end(JobStage::Failed, message).await;
                    return self.scan_store().await;
                }
            };
        drop(source);
        let (name, message) = match &came {
            InstallResult::New(name) => (
                name.clone(),
                installed_text(name, manifest.translator.as_ref()),
            ),
            InstallResult::Known(name) => (
                name.clone(),
                format!("The same program is already installed as {name}."),
            ),
        };
        let expected = manifest
            .tag
            .as_deref()
            .and_then(client_of_tag)
            .filter(|expected| expected.to_string() != manifest.client);
        let message = match expected {
            Some(expected) => format!(
                "{message} Release {} was expected to contain client {expected}. See the release notes.",
                manifest.tag.unwrap_or_default()
            ),
            None => message,
        };
        let message = if manifest.translator.is_none() && !no_translator.is_empty() {
            format!("{message} {no_translator}")
        } else {
            message
        };
        let actor = ticket.job().actor;
        self.finish_install(ticket, &name, message, with.switch, &actor)
            .await;
    }

    /// The end of an installation: the first client becomes the version in use, and instances are
    /// switched if requested.
    pub(super) async fn finish_install(
        &self,
        ticket: JobGuard,
        name: &str,
        said: String,
        then_switch: bool,
        actor: &str,
    ) {
        let mut message = said;
        let is_first = match self.set_first_in_use(name).await {
            Ok(is_first) => is_first,
            Err(error) => {
                tracing::error!(%error, "cannot set the first client as the version in use");
                false
            }
        };
        if is_first {
            message.push_str(" It is the first client, so it is now in use.");
        }
        self.scan_store().await;
        let mut next = None;
        if then_switch && !is_first {
            match self
                .switch_job(name, None, HealthGate::default(), JobTask::Switch, actor)
                .await
            {
                Ok(job) => next = Some(job),
                Err(error) => {
                    message.push_str(&format!(" Instances were not switched to it: {error}"))
                }
            }
        }
        // Saved before the installation ends: after a kill in between, the next manager continues
        // with it.
        if let Some(job) = next.clone()
            && let Err(error) = self
                .db()
                .write(move |c| Ok(queries::upsert_job(c, &job)?))
                .await
        {
            tracing::warn!(%error, "cannot save the switch that follows the installation");
        }
        ticket.show(|job| {
            job.installed = Some(name.to_owned());
            job.next = next.as_ref().map(|job| job.id);
        });
        ticket.end(JobStage::Installed, message).await;
        drop(ticket);
        failpoint::reach("install.concluded");
        if let Some(job) = next
            && let Err(error) = self.begin_switch(job).await
        {
            tracing::warn!(%error, client = %name, "the client is installed, but instances cannot be switched to it now");
        }
    }

    /// If no client is in use, uses this one. Returns whether that was the case.
    pub(super) async fn set_first_in_use(&self, name: &str) -> Result<bool> {
        let source = self.instances().source();
        if source
            .current()
            .is_some_and(|current| self.store().has(&current))
        {
            return Ok(false);
        }
        let (store, name) = (self.store().clone(), name.to_owned());
        tokio::task::spawn_blocking(move || store.set_in_use(&name))
            .await
            .map_err(Error::internal)??;
        failpoint::reach("install.first-in-use");
        Ok(true)
    }
}

fn installed_text(name: &str, translator: Option<&TranslatorManifest>) -> String {
    match translator {
        Some(translator) => format!(
            "Client {name} is installed with translator {}.",
            translator.version
        ),
        None => format!("Client {name} is installed."),
    }
}

/// Rejects an invalid version before any request is made.
///
/// # Errors
/// It cannot be a version.
pub fn check_version(version: &str) -> Result<()> {
    if is_name(version) {
        return Ok(());
    }
    Err(Error::invalid(
        "/version",
        "Enter a release tag (v0.8.0) or a client version (0.6.0).",
    ))
}
