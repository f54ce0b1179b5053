//! The use cases of updates: list, install, switch, roll back and remove clients, and continue the
//! work of the previous manager.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::job_tracker::JobTracker;
use super::manager_release::ManagerReleaseCheck;
use super::model::{
    ClientOrigin, ClientRelease, ClientUser, InUse, InstalledClient, JobStage, JobTask, UpdateJob,
};
use super::queries::{self, KnownRelease};
use super::settings::UpdateSettings;
use super::store::ClientStore;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::JobId;
use crate::domain::configs::ClientVersion;
use crate::domain::health::HealthService;
use crate::domain::instances::{Instance, InstanceService};
use crate::domain::logs::LogService;
use crate::infra::db::Db;
use crate::infra::download::Fetcher;
use crate::infra::notices::ManagerNotices;
use crate::infra::verify::sha256;

/// The use cases of updates; cheap to clone.
#[derive(Clone, Debug)]
pub struct UpdateService(Arc<UpdateServiceInner>);

#[derive(Debug)]
struct UpdateServiceInner {
    db: Db,
    health: HealthService,
    logs: LogService,
    store: ClientStore,
    base: String,
    fetcher: Fetcher,
    manager: Option<ManagerReleaseCheck>,
    token_file: Option<PathBuf>,
    board: JobTracker,
    notices: ManagerNotices,
    stop: CancellationToken,
    checking: tokio::sync::Mutex<()>,
}

/// The release API and the token for it.
#[derive(Clone, Debug)]
pub struct ReleaseSource {
    /// The base address of the release API.
    pub base: String,
    /// File with the token.
    pub token_file: Option<PathBuf>,
    /// The base address of the release API of jd-manager itself; none: it is not asked.
    pub manager: Option<String>,
}

/// The client in use.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ClientInUse {
    /// Client version.
    pub version: String,
    /// Name in the store; absent if set with `--client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tag of its release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Path of the program.
    pub path: PathBuf,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Source of the client.
    pub source: ClientOrigin,
    /// The translator of this client; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorInUse>,
}

/// The translator of the client in use.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TranslatorInUse {
    /// Translator version; absent if jd-manager did not install it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Path of the program.
    pub path: PathBuf,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl UpdateService {
    /// Sends no request yet.
    ///
    /// # Errors
    /// The address of the release API is invalid.
    pub fn new(
        db: Db,
        health: HealthService,
        logs: LogService,
        place: ReleaseSource,
        notices: ManagerNotices,
        stop: CancellationToken,
    ) -> std::result::Result<Self, String> {
        let store = ClientStore::new(health.instances().source().store().to_owned());
        let fetcher = Fetcher::new(&place.base)?;
        let board = JobTracker::new(db.clone(), stop.clone());
        let manager = place
            .manager
            .as_deref()
            .map(ManagerReleaseCheck::new)
            .transpose()?;
        let ReleaseSource {
            base, token_file, ..
        } = place;
        let checking = tokio::sync::Mutex::default();
        Ok(Self(Arc::new(UpdateServiceInner {
            db,
            health,
            logs,
            store,
            base,
            fetcher,
            manager,
            token_file,
            board,
            notices,
            stop,
            checking,
        })))
    }

    pub(super) fn notices(&self) -> &ManagerNotices {
        &self.0.notices
    }

    pub(super) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(super) fn health(&self) -> &HealthService {
        &self.0.health
    }

    pub(super) fn logs(&self) -> &LogService {
        &self.0.logs
    }

    /// The service of the instances.
    pub fn instances(&self) -> &InstanceService {
        self.0.health.instances()
    }

    pub(super) fn store(&self) -> &ClientStore {
        &self.0.store
    }

    pub(super) fn base(&self) -> &str {
        &self.0.base
    }

    pub(super) fn fetcher(&self) -> &Fetcher {
        &self.0.fetcher
    }

    /// The check for a newer jd-manager, if it is configured.
    pub(super) fn manager(&self) -> Option<&ManagerReleaseCheck> {
        self.0.manager.as_ref()
    }

    pub(super) fn checking(&self) -> &tokio::sync::Mutex<()> {
        &self.0.checking
    }

    pub(super) fn board(&self) -> &JobTracker {
        &self.0.board
    }

    /// Canceled when the manager stops.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The token for the release API. Read each time, so a changed token takes effect immediately.
    pub(super) async fn token(&self) -> Option<String> {
        let path = self.0.token_file.as_ref()?;
        match tokio::fs::read_to_string(path).await {
            Ok(text) => Some(text.trim().to_owned()).filter(|token| !token.is_empty()),
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "cannot read the token for the release API; continuing without it");
                None
            }
        }
    }

    /// The current or last job, as it changes.
    pub fn follow(&self) -> watch::Receiver<Option<UpdateJob>> {
        self.0.board.follow()
    }

    /// The job in progress.
    pub fn present(&self) -> Option<UpdateJob> {
        self.0.board.present().filter(|job| !job.stage.is_over())
    }

    /// A job by id.
    pub async fn job(&self, id: JobId) -> Result<UpdateJob> {
        self.0.board.get(id).await
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// It has finished, or the id is unknown.
    pub async fn cancel(&self, id: JobId) -> Result<UpdateJob> {
        self.0.board.cancel(id).await
    }

    /// Past jobs, newest first.
    pub async fn history(&self, limit: i64) -> Result<Vec<UpdateJob>> {
        self.0.db.read(move |c| Ok(queries::jobs(c, limit)?)).await
    }

    /// At most `limit` jobs before `before`, fewer if they are long, newest first; and whether
    /// there are more. `is_brief`: without the instances of a switch and the log lines.
    pub async fn history_part(
        &self,
        before: Option<JobId>,
        limit: usize,
        is_brief: bool,
    ) -> Result<(Vec<UpdateJob>, bool)> {
        self.0
            .db
            .read(move |c| Ok(queries::jobs_part(c, before, limit, is_brief)?))
            .await
    }

    /// Finished jobs, newest first. Includes the last one before it is saved.
    pub(super) async fn finished(&self) -> Vec<UpdateJob> {
        let mut jobs = self.history(200).await.unwrap_or_default();
        if let Some(present) = self.board().present() {
            jobs.retain(|job| job.id != present.id);
            jobs.insert(0, present);
        }
        jobs.retain(|job| job.stage.is_over());
        jobs
    }

    /// At most `limit` known releases and clients, fewer if their notes are long, newest first; and
    /// whether there are more. `before`: only those with a smaller id.
    pub async fn all(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<KnownRelease>, bool)> {
        self.0
            .db
            .read(move |c| Ok(queries::known_part(c, before, limit)?))
            .await
    }

    /// The update settings.
    pub async fn wanted(&self) -> Result<UpdateSettings> {
        let (_, settings) = self.0.db.read(|c| Ok(queries::state(c)?)).await?;
        Ok(serde_json::from_str(&settings).unwrap_or_default())
    }

    /// Saves the update settings.
    pub async fn set_wanted(&self, wanted: &UpdateSettings) -> Result<()> {
        let text = serde_json::to_string(wanted).map_err(Error::internal)?;
        self.0
            .db
            .write(move |c| Ok(queries::set_settings(c, &text)?))
            .await?;
        Ok(())
    }

    /// The program set with `--client`, used for all versions; none: clients are managed here.
    pub fn fixed(&self) -> Option<&Path> {
        self.instances().source().fixed()
    }

    /// Rejects update jobs while `--client` is set.
    pub(super) fn check_managed(&self) -> Result<()> {
        match self.fixed() {
            None => Ok(()),
            Some(path) => Err(Error::Conflict(format!(
                "jd-manager was started with the client {} and runs no other client. Start it without --client (JD_MANAGER_CLIENT, or client in the \
                 settings file) to install and switch clients here.",
                path.display()
            ))),
        }
    }

    /// The client in use, as needed for the comparison with releases.
    pub(super) async fn in_use(&self) -> Option<InUse> {
        let program = self.instances().client().await.ok()?;
        let store = self.store().clone();
        let tag = match program.name {
            Some(name) => tokio::task::spawn_blocking(move || store.manifest(&name))
                .await
                .ok()?
                .and_then(|manifest| manifest.tag),
            None => None,
        };
        Some(InUse {
            tag,
            client: program.version,
        })
    }

    /// The client in use.
    ///
    /// # Errors
    /// There is none, or it cannot run here.
    pub async fn version(&self) -> Result<ClientInUse> {
        let program = self.instances().client().await?;
        let (store, path, name) = (
            self.store().clone(),
            program.path.clone(),
            program.name.clone(),
        );
        let translator = program.translator.map(|translator| translator.path);
        let read = tokio::task::spawn_blocking(move || {
            let manifest = name.as_deref().and_then(|name| store.manifest(name));
            let translator = match translator {
                Some(path) => Some(TranslatorInUse {
                    version: manifest
                        .as_ref()
                        .and_then(|one| one.translator.as_ref())
                        .filter(|_| store.is_installed(&path))
                        .map(|one| one.version.clone()),
                    sha256: sha256(&path)?,
                    path,
                }),
                None => None,
            };
            Ok::<_, std::io::Error>((sha256(&path)?, translator, manifest))
        });
        let (sha256, translator, manifest) = read.await.map_err(Error::internal)??;
        let source = match (&program.name, &manifest) {
            (None, _) => ClientOrigin::Setting,
            (Some(_), None) => ClientOrigin::ByHand,
            (Some(_), Some(manifest)) => manifest.origin,
        };
        let tag = manifest.and_then(|manifest| manifest.tag);
        Ok(ClientInUse {
            version: program.version.to_string(),
            name: program.name,
            tag,
            path: program.path,
            sha256,
            source,
            translator,
        })
    }

    /// The installed clients, newest first, with the instances that use them.
    pub async fn installed(&self) -> Result<Vec<InstalledClient>> {
        let store = self.store().clone();
        let read = move || -> std::io::Result<Vec<_>> {
            let found = store.list()?.into_iter();
            Ok(found
                .map(|(name, manifest)| (store.has_translator(&name), name, manifest))
                .collect())
        };
        let found = tokio::task::spawn_blocking(read)
            .await
            .map_err(Error::internal)??;
        let current = self.instances().source().current();
        let instances = self.instances().list().await?;
        let mut installed: Vec<InstalledClient> = found
            .into_iter()
            .map(|(translator, name, manifest)| {
                let users = instances
                    .iter()
                    .filter_map(|instance| user(instance, &name))
                    .collect();
                InstalledClient {
                    in_use: current.as_deref() == Some(&name),
                    instances: users,
                    name,
                    manifest,
                    translator,
                }
            })
            .collect();
        installed.sort_by_key(|one| {
            std::cmp::Reverse((
                one.name.parse::<ClientVersion>().ok(),
                one.manifest.as_ref().map(|m| m.installed_at),
            ))
        });
        Ok(installed)
    }

    /// Name of the installed client of a release.
    pub(super) async fn installed_as(&self, release: &ClientRelease) -> Result<Option<String>> {
        let mut installed = self.installed().await?.into_iter();
        Ok(installed
            .find(|one| one.came_with(release))
            .map(|one| one.name))
    }

    /// The installed client that was in use before the current one, or else the next older one;
    /// none if there is none. Never one that was rolled back.
    pub async fn previous(&self) -> Result<Option<String>> {
        let current = self.instances().source().current();
        let store = self.store().clone();
        let jobs = self.history(100).await?;
        let before = jobs
            .into_iter()
            .filter(|job| job.stage == JobStage::Switched && job.task == JobTask::Switch)
            .find_map(|job| {
                let switch = job.switch.filter(|switch| switch.is_for_all)?;
                switch
                    .from
                    .filter(|_| current.as_deref() == Some(&job.version))
            });
        let before = tokio::task::spawn_blocking(move || before.filter(|name| store.has(name)))
            .await
            .map_err(Error::internal)?;
        if before.is_some() || current.is_none() {
            return Ok(before);
        }
        let number = |name: &str| name.parse::<ClientVersion>().ok();
        let present = current.as_deref().and_then(number);
        let older = self
            .installed()
            .await?
            .into_iter()
            .filter(|one| !one.in_use && number(&one.name) < present)
            .map(|one| one.name);
        Ok(older.max_by_key(|name| number(name)))
    }

    /// Removes an installed client.
    ///
    /// # Errors
    /// Unknown name, or the client is in use.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let _alone = self.board().alone().await?;
        let found = self
            .installed()
            .await?
            .into_iter()
            .find(|one| one.name == name);
        let found = found.ok_or_else(|| Error::not_found("installed client", name))?;
        if let Some(obstacle) = found.obstacle() {
            return Err(Error::Conflict(obstacle));
        }
        let (store, name) = (self.store().clone(), name.to_owned());
        tokio::task::spawn_blocking(move || store.remove(&name))
            .await
            .map_err(Error::internal)??;
        self.scan_store().await;
        Ok(())
    }

    /// Saves which clients are installed, and shows news.
    pub(super) async fn scan_store(&self) {
        let look = async {
            let store = self.store().clone();
            let found = tokio::task::spawn_blocking(move || store.list())
                .await
                .map_err(Error::internal)??;
            let rows: Vec<(String, String, Option<Timestamp>)> = found
                .into_iter()
                .map(|(name, manifest)| match manifest {
                    Some(manifest) => (
                        manifest.tag.unwrap_or(name),
                        manifest.from,
                        Some(manifest.installed_at),
                    ),
                    None => (name, String::new(), None),
                })
                .collect();
            self.0
                .db
                .write(move |c| Ok(queries::set_installed(c, &rows, Timestamp::now())?))
                .await?;
            self.tell(&self.news().await?).await;
            Ok::<(), Error>(())
        };
        if let Err(error) = look.await {
            tracing::warn!(%error, "cannot save the list of installed clients");
        }
    }
}

fn user(instance: &Instance, name: &str) -> Option<ClientUser> {
    let pinned = instance.client_version.as_deref() == Some(name);
    let running = instance.running_version.as_deref() == Some(name);
    let tried = instance.trial_version.as_deref() == Some(name);
    (pinned || running || tried).then(|| ClientUser {
        id: instance.id,
        name: instance.name.clone(),
        pinned,
        running,
    })
}
