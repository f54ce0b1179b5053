//! Restores a backup: unpacks it next to the data directory, checks everything, then swaps. The archive
//! is untrusted until it is checked. Blocks.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::encryption::{BackupPassphrase, MAGIC, opened};
use super::error::BackupError;
use super::manifest::{self, BackupManifest, FILE, is_member};
use super::queries;
use super::swap::DataDirLock;
use crate::base::error::Error;
use crate::base::failpoint;
use crate::domain::vault;
use crate::infra::archive::{self, ArchiveLimits, ArchiveMember};
use crate::infra::db;

/// Maximum number of files: several for each of thousands of instances.
const MOST_FILES: usize = 200_000;
/// Maximum total bytes: far more than any manager stores. The free disk space is a further limit.
const MOST_BYTES: u64 = 1 << 40;

/// Options of a restore.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The passphrase, if the backup is encrypted.
    pub passphrase: Option<BackupPassphrase>,
    /// Move existing data aside.
    pub force: bool,
}

/// The current step of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStage {
    /// Reading and unpacking the backup.
    Unpacking,
    /// Checking the unpacked files.
    Checking,
    /// Syncing the unpacked files to disk.
    Syncing,
}

/// Progress of a restore.
#[derive(Clone, Copy, Debug)]
pub struct RestoreProgress {
    /// The current step.
    pub stage: RestoreStage,
    /// Unpacked files.
    pub files: u64,
    /// Unpacked bytes.
    pub bytes: u64,
    /// Bytes of the backup read so far.
    pub read: u64,
    /// Size of the backup in bytes.
    pub size: u64,
}

/// Receives each step and returns whether to continue.
type Observer<'o> = &'o dyn Fn(RestoreProgress) -> bool;

/// The result of a restore.
#[derive(Debug)]
pub struct RestoreSummary {
    /// The backup's manifest.
    pub manifest: BackupManifest,
    /// The directory with the previous data.
    pub aside: Option<PathBuf>,
    /// The number of instances that were running. They stay stopped until someone starts them or they
    /// have `autostart`.
    pub ran: usize,
    /// The number of API tokens that are valid again.
    pub tokens: i64,
}

/// Whether this backup is encrypted with a passphrase.
pub fn is_encrypted(backup: &Path) -> Result<bool, BackupError> {
    let mut head = Vec::new();
    let file = File::open(backup).map_err(BackupError::at("read", backup))?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(BackupError::at("read", backup))?;
    Ok(head == MAGIC)
}

/// Restores a backup to `data_dir`. Nothing there is changed before the whole backup is unpacked and
/// checked. Canceled without a change if `observer` says so before that.
///
/// # Errors
/// The directory is in use; the backup is damaged, malicious, of a newer version, or cannot be
/// decrypted; disk errors; interrupted.
pub fn restore(
    backup: &Path,
    data_dir: &Path,
    way: &RestoreOptions,
    observer: Observer<'_>,
) -> Result<RestoreSummary, BackupError> {
    let place = DataDirLock::lock(data_dir)?;
    if place.is_used() && !way.force {
        return Err(BackupError::refused(format!(
            "{} is not empty. Restore to another directory with --data-dir, or use --force. With --force, existing data is moved aside, not deleted.",
            data_dir.display()
        )));
    }
    let staging = place.staging()?;
    let size = fs::metadata(backup)
        .map_err(BackupError::at("read", backup))?
        .len();
    let progress = RestoreProgress {
        stage: RestoreStage::Unpacking,
        files: 0,
        bytes: 0,
        read: 0,
        size,
    };
    let watch = RestoreWatch {
        progress: Cell::new(progress),
        observer,
    };
    let manifest = unpack(backup, staging.path(), way, &watch)
        .map_err(|fault| watch.interruption().unwrap_or(fault))?;
    failpoint::reach("restore.unpacked");
    watch.enter(RestoreStage::Checking)?;
    let database = staging.path().join(db::FILE);
    db::check_copy(&database)
        .map_err(|e| BackupError::refused(format!("This backup cannot be restored: {e}")))?;
    if manifest.holds_key {
        let fits = db::read_copy(&database, |c| {
            vault::fits(staging.path(), c).map_err(Error::internal)
        })?;
        if !fits {
            return Err(BackupError::refused(
                "The key in this backup does not match its encrypted secrets. Nothing was changed.",
            ));
        }
    }
    let (mut ran, mut tokens) = (0, 0);
    db::change_copy(&database, |c| {
        ran = queries::clear_desired(c)?;
        queries::end_sessions(c)?;
        tokens = queries::tokens(c)?;
        Ok(())
    })?;
    watch.enter(RestoreStage::Syncing)?;
    staging.sync()?;
    watch.enter(RestoreStage::Syncing)?;
    let aside = place.replace(&staging)?;
    Ok(RestoreSummary {
        manifest,
        aside,
        ran,
        tokens,
    })
}

/// Tracks the progress and asks whether to continue.
struct RestoreWatch<'o> {
    progress: Cell<RestoreProgress>,
    observer: Observer<'o>,
}

impl RestoreWatch<'_> {
    /// The error if the restore is canceled.
    fn interruption(&self) -> Option<BackupError> {
        let goes_on = (self.observer)(self.progress.get());
        (!goes_on)
            .then(|| BackupError::refused("The restore was interrupted. Nothing was changed."))
    }

    fn enter(&self, stage: RestoreStage) -> Result<(), BackupError> {
        self.progress.set(RestoreProgress {
            stage,
            ..self.progress.get()
        });
        self.interruption().map_or(Ok(()), Err)
    }
}

/// Reader of the backup file.
struct WatchedFile<'w> {
    file: File,
    watch: &'w RestoreWatch<'w>,
}

impl Read for WatchedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        let progress = self.watch.progress.get();
        self.watch.progress.set(RestoreProgress {
            read: progress.read + n as u64,
            ..progress
        });
        self.watch
            .interruption()
            .map_or(Ok(n), |fault| Err(io::Error::other(fault)))
    }
}

fn unpack(
    backup: &Path,
    into: &Path,
    way: &RestoreOptions,
    watch: &RestoreWatch<'_>,
) -> Result<BackupManifest, BackupError> {
    let encrypted = is_encrypted(backup)?;
    let file = File::open(backup).map_err(BackupError::at("read", backup))?;
    let input = BufReader::new(WatchedFile { file, watch });
    let room = rustix::fs::statvfs(into).map_or(MOST_BYTES, |disk| {
        disk.f_bavail.saturating_mul(disk.f_frsize)
    });
    let most = MOST_BYTES.min(room);
    let limits = ArchiveLimits {
        file: most,
        all: most,
        entries: MOST_FILES,
    };
    let largest = |name: &str| {
        is_member(name).then_some(if name == FILE {
            manifest::LARGEST
        } else {
            u64::MAX
        })
    };
    let on_file = |unpacked: &ArchiveMember| {
        let progress = watch.progress.get();
        watch.progress.set(RestoreProgress {
            files: progress.files + 1,
            bytes: progress.bytes + unpacked.size,
            ..progress
        });
    };
    let unpacked = match (encrypted, &way.passphrase) {
        (false, _) => archive::unpack(input, into, limits, largest, on_file)?,
        (true, Some(passphrase)) => {
            archive::unpack(opened(input, passphrase)?, into, limits, largest, on_file)?
        }
        (true, None) => {
            return Err(BackupError::refused(
                "The backup is encrypted. Enter its passphrase.",
            ));
        }
    };
    check(into, &unpacked)
}

fn check(into: &Path, unpacked: &[ArchiveMember]) -> Result<BackupManifest, BackupError> {
    let path = into.join(FILE);
    let Some(found) = unpacked.iter().find(|one| one.path == FILE) else {
        return Err(BackupError::refused(format!(
            "This file is not a jd-manager backup, or it is incomplete: it contains no {FILE}."
        )));
    };
    if found.size > manifest::largest_for(unpacked.len()) {
        let words = format!("its {FILE} is too large for {} files", unpacked.len());
        return Err(BackupError::refused(format!(
            "This file is not a valid backup: {words}."
        )));
    }
    let manifest = BackupManifest::read(&fs::read(&path).map_err(BackupError::at("read", &path))?)?;
    manifest.check(unpacked)?;
    fs::remove_file(&path).map_err(BackupError::at("removed", &path))?;
    Ok(manifest)
}

#[cfg(test)]
mod tests;
