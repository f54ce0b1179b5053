//! Use cases of backups in a running manager: create, list, download, delete, and the settings of
//! nightly backups.

use axum::body::{Body, Bytes};
use diesel::SqliteConnection;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::create::{BackupProgress, BackupRequest, SecretSource, make};
use super::error::BackupError;
use super::naming::{BackupKind, BackupName};
use super::outcome::{BackupOutcome, BackupOutcomes, failure_notice};
use super::queries;
use super::settings::BackupSettings;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::files::create_private_dir;
use crate::infra::db::Db;
use crate::infra::notices::ManagerNotices;

/// The directory of backups in the data directory.
const DIR: &str = "backups";
/// Chunk size of downloads, bytes.
const CHUNK: usize = 64 * 1024;
/// Time until the next attempt to store a result if the database cannot be written.
const RETRY: Duration = Duration::from_secs(10);

/// The backup service; cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups {
    db: Db,
    data_dir: Arc<Path>,
    /// The running backup, if there is one.
    making: Arc<Mutex<Option<BackupJob>>>,
    secrets: Option<SecretSource>,
    /// Results of this manager's last backups. A full disk may prevent storing them in the database.
    ended: watch::Sender<BackupOutcomes>,
    stop: CancellationToken,
}

/// An existing backup.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Backup {
    /// The file name.
    pub name: String,
    /// The parts of the name.
    #[serde(flatten)]
    pub named: BackupName,
    /// The size in bytes.
    pub size: u64,
}

/// A running backup.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupMaking")]
pub struct BackupJob {
    /// The name of the new backup.
    pub name: String,
    /// The progress.
    #[serde(flatten)]
    pub progress: BackupProgress,
}

/// The state of backups.
#[derive(Clone, Debug)]
pub struct BackupOverview {
    /// The existing backups, newest first.
    pub backups: Vec<Backup>,
    /// The running backup.
    pub making: Option<BackupJob>,
    /// The settings of nightly backups.
    pub wanted: BackupSettings,
    /// Results of the last backups.
    pub last: BackupOutcomes,
    /// The directory.
    pub dir: PathBuf,
}

impl Backups {
    /// For this database and its data directory; starts no backup after `stop`.
    pub fn new(db: Db, data_dir: &Path, stop: CancellationToken) -> Self {
        Self {
            db,
            data_dir: data_dir.into(),
            making: Arc::default(),
            secrets: None,
            ended: watch::Sender::new(BackupOutcomes::default()),
            stop,
        }
    }

    /// The same, with the secrets of `source` masked in backups without the key.
    pub fn hiding(self, source: SecretSource) -> Self {
        Self {
            secrets: Some(source),
            ..self
        }
    }

    fn dir(&self) -> PathBuf {
        self.data_dir.join(DIR)
    }

    /// The state of backups.
    pub async fn everything(&self) -> Result<BackupOverview> {
        let (wanted, last) = self.state().await?;
        let making = self
            .making
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(BackupOverview {
            backups: self.list().await?,
            making,
            wanted,
            last,
            dir: self.dir(),
        })
    }

    /// The settings of nightly backups and the results of the last backups.
    async fn state(&self) -> Result<(BackupSettings, BackupOutcomes)> {
        let (wanted, last) = self.db.read(state).await?;
        Ok((wanted, last.merged(self.ended.borrow().clone())))
    }

    /// Keeps the notices about failures without a later success up to date, until the manager
    /// stops.
    pub async fn follow_failures(self, notices: ManagerNotices) {
        let mut ended = self.ended.subscribe();
        loop {
            match self.state().await {
                Ok((wanted, last)) => {
                    let failures = last.failures(&wanted);
                    for kind in [BackupKind::Nightly, BackupKind::Manual] {
                        match failures.iter().find(|(failed, _)| *failed == kind) {
                            Some((_, ended)) => notices.set(failure_notice(kind, ended)),
                            None => notices.clear(kind.notice_id()),
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot show the results of the last backups in the list of instances")
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = ended.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Stores the results of the last backups.
    async fn save_ended(&self) -> Result<()> {
        let ended = self.ended.borrow().clone();
        let save = self.db.write(move |c| {
            let last = state(c)?.1.merged(ended);
            queries::set_ended(c, &serde_json::to_string(&last).map_err(Error::internal)?)?;
            Ok(())
        });
        save.await
    }

    /// Stores the results as soon as the database can be written.
    async fn save_ended_with_retry(self) {
        while self.save_ended().await.is_err() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// The existing backups, newest first. Files with other names are ignored.
    pub async fn list(&self) -> Result<Vec<Backup>> {
        let dir = self.dir();
        tokio::task::spawn_blocking(move || list(&dir))
            .await
            .map_err(Error::internal)?
    }

    /// A backup by name.
    pub async fn get(&self, name: &str) -> Result<Backup> {
        let found = self.list().await?.into_iter().find(|one| one.name == name);
        found.ok_or_else(|| Error::not_found("backup", name))
    }

    /// Starts a backup and returns its name. For the result see [`everything`](Self::everything).
    ///
    /// # Errors
    /// Another backup is running.
    pub fn begin(&self, order: BackupRequest) -> Result<String> {
        let (name, work) = self.work(BackupKind::Manual, order)?;
        tokio::spawn(async move {
            if let Err(e) = work.await {
                tracing::error!(error = %e, "the manual backup failed");
            }
        });
        Ok(name)
    }

    /// Creates the nightly backup and deletes the oldest ones beyond the number to keep.
    ///
    /// # Errors
    /// Another backup is running, or the backup failed. The failure is stored.
    pub async fn nightly(&self) -> Result<String> {
        // The key is in the data directory anyway: anyone who can read the backup can read the key.
        let (name, work) = self.work(
            BackupKind::Nightly,
            BackupRequest {
                with_key: true,
                ..BackupRequest::default()
            },
        )?;
        work.await?;
        let keep = usize::try_from(self.db.read(state).await?.0.keep).unwrap_or(usize::MAX);
        let nightly: Vec<Backup> = self
            .list()
            .await?
            .into_iter()
            .filter(|one| one.named.kind == BackupKind::Nightly)
            .collect();
        for old in nightly.into_iter().skip(keep) {
            tokio::fs::remove_file(self.dir().join(&old.name)).await?;
            tracing::info!(backup = old.name, "deleted an old nightly backup");
        }
        Ok(name)
    }

    /// Whether the nightly backup is due now.
    pub async fn is_due(&self, now: Timestamp) -> Result<bool> {
        let wanted = self.db.read(state).await?.0;
        let newest = self
            .list()
            .await?
            .into_iter()
            .find(|one| one.named.kind == BackupKind::Nightly);
        let hour = u8::try_from(now.minute_of_day() / 60).unwrap_or_default();
        Ok(wanted.is_due(now, hour, newest.map(|one| one.named.created_at)))
    }

    /// Acquires the turn and returns the task.
    fn work(
        &self,
        kind: BackupKind,
        order: BackupRequest,
    ) -> Result<(String, impl Future<Output = Result<()>> + Send + use<>)> {
        let named = BackupName {
            kind,
            created_at: Timestamp::now(),
            holds_key: order.with_key,
            with_logs: order.with_logs,
            encrypted: order.passphrase.is_some(),
        };
        let name = named.to_string();
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = &*making {
            return Err(Error::Conflict(format!(
                "Another backup is already running: {}. Wait until it finishes.",
                other.name
            )));
        }
        *making = Some(BackupJob {
            name: name.clone(),
            progress: BackupProgress::default(),
        });
        drop(making);
        let turn = BackupTurn(self.making.clone());
        let order = BackupRequest {
            secrets: self.secrets,
            ..order
        };
        let (this, told) = (self.clone(), name.clone());
        let work = async move {
            let worker = this.clone();
            let path = this.dir().join(&told);
            let packed = tokio::task::spawn_blocking(move || worker.pack(&order, &path)).await;
            let result = packed.unwrap_or_else(|e| {
                Err(BackupError::Io {
                    what: "The backup failed".into(),
                    cause: std::io::Error::other(e),
                })
            });
            let ended = BackupOutcome {
                at: Timestamp::now(),
                name: result.is_ok().then(|| told.clone()),
                error: result.as_ref().err().map(BackupError::text),
            };
            this.ended.send_modify(|last| {
                *match kind {
                    BackupKind::Manual => &mut last.manual,
                    BackupKind::Nightly => &mut last.nightly,
                } = Some(ended);
            });
            if this.save_ended().await.is_err() {
                tokio::spawn(this.save_ended_with_retry());
            }
            drop(turn);
            result?;
            tracing::info!(backup = told, "backup created");
            Ok(())
        };
        Ok((name, work))
    }

    fn pack(&self, order: &BackupRequest, to: &Path) -> Result<(), BackupError> {
        let dir = self.dir();
        create_private_dir(&dir).map_err(BackupError::at("created", &dir))?;
        remove_leftovers(&dir)?;
        let told = |progress: BackupProgress| {
            if let Some(making) = &mut *self.making.lock().unwrap_or_else(PoisonError::into_inner) {
                making.progress = progress;
            }
            !self.stop.is_cancelled()
        };
        make(&self.data_dir, order, to, &told).map(drop)
    }

    /// Deletes a backup.
    pub async fn delete(&self, name: &str) -> Result<Backup> {
        let backup = self.get(name).await?;
        let dir = self.dir();
        tokio::fs::remove_file(dir.join(&backup.name)).await?;
        // A power failure must not undo the deletion.
        tokio::fs::File::open(&dir).await?.sync_all().await?;
        Ok(backup)
    }

    /// Opens a backup for download.
    pub async fn body(&self, name: &str) -> Result<(Backup, Body)> {
        let backup = self.get(name).await?;
        let file = tokio::fs::File::open(self.dir().join(&backup.name)).await?;
        let chunks = stream::try_unfold(file, |mut file| async move {
            let mut chunk = vec![0; CHUNK];
            let n = file.read(&mut chunk).await?;
            chunk.truncate(n);
            Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(chunk), file)))
        });
        Ok((backup, Body::from_stream(chunks)))
    }

    /// Changes the settings of nightly backups.
    ///
    /// # Errors
    /// Names every invalid field.
    pub async fn change(&self, body: serde_json::Value, is_form: bool) -> Result<BackupSettings> {
        let changed = self
            .db
            .write(move |c| {
                let wanted = state(c)?.0.changed(body, is_form)?;
                queries::set_settings(
                    c,
                    &serde_json::to_string(&wanted).map_err(Error::internal)?,
                )?;
                Ok(wanted)
            })
            .await?;
        // Watchers of failures also depend on the settings.
        self.ended.send_modify(|_| {});
        Ok(changed)
    }
}

/// The turn to create a backup; the next one can start when this is dropped.
#[must_use = "the turn ends when this value is dropped"]
struct BackupTurn(Arc<Mutex<Option<BackupJob>>>);

impl Drop for BackupTurn {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Unreadable state, for example from a newer version, is ignored.
fn state(c: &mut SqliteConnection) -> Result<(BackupSettings, BackupOutcomes)> {
    let (settings, ended) = queries::state(c)?;
    Ok((
        serde_json::from_str(&settings).unwrap_or_default(),
        serde_json::from_str(&ended).unwrap_or_default(),
    ))
}

fn list(dir: &Path) -> Result<Vec<Backup>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (Ok(named), Ok(file)) = (name.parse::<BackupName>(), entry.metadata()) else {
            continue;
        };
        if file.is_file() {
            found.push(Backup {
                name,
                named,
                size: file.len(),
            });
        }
    }
    found.sort_by(|one, other| {
        (other.named.created_at, &other.name).cmp(&(one.named.created_at, &one.name))
    });
    Ok(found)
}

/// Removes unfinished files of a manager that was killed. The caller has the turn.
fn remove_leftovers(dir: &Path) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(dir).map_err(BackupError::at("read", dir))? {
        let path = entry.map_err(BackupError::at("read", dir))?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let is_draft = [".part", ".db", ".db-journal"].iter().any(|ending| {
            name.strip_prefix('.')
                .and_then(|rest| rest.strip_suffix(ending))
                .is_some_and(|rest| rest.parse::<BackupName>().is_ok())
        });
        if is_draft {
            std::fs::remove_file(&path).map_err(BackupError::at("removed", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
