//! The use cases of backups of a running manager: make one, list, give out, delete, and what is
//! wanted every night.

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
use crate::infra::db::Db;
use crate::infra::notices::ManagerNotices;

/// Where they are, in the data directory.
const DIR: &str = "backups";
/// Bytes of a backup that are sent at once.
const CHUNK: usize = 64 * 1024;
/// How a backup ended is written down again after this if the database cannot be written.
const RETRY: Duration = Duration::from_secs(10);

/// Everything that can be done with backups; cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups {
    db: Db,
    data_dir: Arc<Path>,
    /// The one that is being made, if there is one.
    making: Arc<Mutex<Option<BackupJob>>>,
    secrets: Option<SecretSource>,
    /// How the last ones of this manager ended. A full disk may keep that out of the database.
    ended: watch::Sender<BackupOutcomes>,
    stop: CancellationToken,
}

/// A backup that is there.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Backup {
    /// Its name, by which it is downloaded and deleted.
    pub name: String,
    /// What the name says.
    #[serde(flatten)]
    pub named: BackupName,
    /// Its size, bytes.
    pub size: u64,
}

/// A backup that is being made.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupMaking")]
pub struct BackupJob {
    /// What it will be called.
    pub name: String,
    /// How far it is.
    #[serde(flatten)]
    pub progress: BackupProgress,
}

/// All there is about backups.
#[derive(Clone, Debug)]
pub struct BackupOverview {
    /// Those that are there, newest first.
    pub backups: Vec<Backup>,
    /// The one that is being made.
    pub making: Option<BackupJob>,
    /// What is wanted every night.
    pub wanted: BackupSettings,
    /// How the last ones ended.
    pub last: BackupOutcomes,
    /// Where they are.
    pub dir: PathBuf,
}

impl Backups {
    /// Of this database and its data directory; none is begun after `stop`.
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

    /// The same, with the secrets of `source` hidden in backups without the key.
    pub fn hiding(self, source: SecretSource) -> Self {
        Self {
            secrets: Some(source),
            ..self
        }
    }

    fn dir(&self) -> PathBuf {
        self.data_dir.join(DIR)
    }

    /// All there is.
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

    /// What is wanted every night, and how the last ones ended.
    async fn state(&self) -> Result<(BackupSettings, BackupOutcomes)> {
        let (wanted, last) = self.db.read(state).await?;
        Ok((wanted, last.merged(self.ended.borrow().clone())))
    }

    /// Keeps the notices about failures that no success came after up to date, until the manager
    /// ends.
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
                    tracing::warn!(%error, "cannot show the results of the last backups on the overview")
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = ended.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Writes down how the last ones ended.
    async fn save_ended(&self) -> Result<()> {
        let ended = self.ended.borrow().clone();
        let save = self.db.write(move |c| {
            let last = state(c)?.1.merged(ended);
            queries::set_ended(c, &serde_json::to_string(&last).map_err(Error::internal)?)?;
            Ok(())
        });
        save.await
    }

    /// Writes it down as soon as the database can be written.
    async fn save_ended_with_retry(self) {
        while self.save_ended().await.is_err() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// Those that are there, newest first. What has another name than ours is none.
    pub async fn list(&self) -> Result<Vec<Backup>> {
        let dir = self.dir();
        tokio::task::spawn_blocking(move || list(&dir))
            .await
            .map_err(Error::internal)?
    }

    /// One of them.
    pub async fn get(&self, name: &str) -> Result<Backup> {
        let found = self.list().await?.into_iter().find(|one| one.name == name);
        found.ok_or_else(|| Error::not_found("backup", name))
    }

    /// Begins to make one; its name. How it ends is told by [`everything`](Self::everything).
    ///
    /// # Errors
    /// One is being made already.
    pub fn begin(&self, order: BackupRequest) -> Result<String> {
        let (name, work) = self.work(BackupKind::Manual, order)?;
        tokio::spawn(async move {
            if let Err(e) = work.await {
                tracing::error!(error = %e, "the manual backup failed");
            }
        });
        Ok(name)
    }

    /// Makes the one of this night and removes those of nights before that are too many.
    ///
    /// # Errors
    /// One is being made already; it could not be made. That is remembered.
    pub async fn nightly(&self) -> Result<String> {
        // The key lies beside the database anyway: who can read the one here can read the other.
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
            tracing::info!(
                backup = old.name,
                "deleting a nightly backup beyond the number to keep"
            );
        }
        Ok(name)
    }

    /// Whether the one of this night is to be made now.
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

    /// Takes the turn and says what is to be done.
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
                "Another backup is already running: {}. Wait until it has finished.",
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
        std::fs::create_dir_all(&dir).map_err(BackupError::at("created", &dir))?;
        remove_leftovers(&dir)?;
        let told = |progress: BackupProgress| {
            if let Some(making) = &mut *self.making.lock().unwrap_or_else(PoisonError::into_inner) {
                making.progress = progress;
            }
            !self.stop.is_cancelled()
        };
        make(&self.data_dir, order, to, &told).map(drop)
    }

    /// Deletes one.
    pub async fn delete(&self, name: &str) -> Result<Backup> {
        let backup = self.get(name).await?;
        let dir = self.dir();
        tokio::fs::remove_file(dir.join(&backup.name)).await?;
        // A power cut must not bring it back.
        tokio::fs::File::open(&dir).await?.sync_all().await?;
        Ok(backup)
    }

    /// One of them, to be sent.
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

    /// Changes what is wanted every night.
    ///
    /// # Errors
    /// Names every wrong member.
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
        // Those who follow failures look at the settings, too.
        self.ended.send_modify(|_| {});
        Ok(changed)
    }
}

/// Whoever makes one; the next may begin when it is dropped.
#[must_use = "it ends when it is dropped"]
struct BackupTurn(Arc<Mutex<Option<BackupJob>>>);

impl Drop for BackupTurn {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What cannot be read, of a newer version for instance, is as if it had never been said.
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

/// Removes what a manager that was killed left half made. The caller has the turn.
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
