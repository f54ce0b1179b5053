//! Restoring a backup: unpacked beside, checked in full, then put in its place. The archive is a
//! stranger's until it is proven. Blocks.

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

/// Files in a backup: several for each of thousands of instances.
const MOST_FILES: usize = 200_000;
/// Bytes in all: far more than a manager ever kept, and what a disk may still hold is a limit, too.
const MOST_BYTES: u64 = 1 << 40;

/// How it is to be restored.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// What opens it, if it is encrypted.
    pub passphrase: Option<BackupPassphrase>,
    /// What is in the data directory is moved aside.
    pub force: bool,
}

/// What a restore does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStage {
    /// The backup is read and unpacked.
    Unpacking,
    /// What came out is checked.
    Checking,
    /// What came out is written to the disk.
    Syncing,
}

/// How far a restore is.
#[derive(Clone, Copy, Debug)]
pub struct RestoreProgress {
    /// What it does.
    pub stage: RestoreStage,
    /// Files that were unpacked.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the backup that were read.
    pub read: u64,
    /// Bytes of the backup.
    pub size: u64,
}

/// Is told of each step, and says whether to go on.
type Observer<'o> = &'o dyn Fn(RestoreProgress) -> bool;

/// What was restored.
#[derive(Debug)]
pub struct RestoreSummary {
    /// What the backup said of itself.
    pub manifest: BackupManifest,
    /// Where what was there before is now.
    pub aside: Option<PathBuf>,
    /// How many instances ran, and stay stopped until somebody starts them or they have
    /// `autostart`.
    pub ran: usize,
    /// How many tokens of programs are valid again as they were.
    pub tokens: i64,
}

/// Whether only a passphrase opens this backup.
pub fn is_encrypted(backup: &Path) -> Result<bool, BackupError> {
    let mut head = Vec::new();
    let file = File::open(backup).map_err(BackupError::at("read", backup))?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(BackupError::at("read", backup))?;
    Ok(head == MAGIC)
}

/// Restores a backup into `data_dir`. Nothing there is changed before all of the backup is unpacked
/// and found right. Ends without a change if `observer` says so before that.
///
/// # Errors
/// The place is used; the backup is damaged, hostile, of a newer version, or does not open; the
/// disk; it was interrupted.
pub fn restore(
    backup: &Path,
    data_dir: &Path,
    way: &RestoreOptions,
    observer: Observer<'_>,
) -> Result<RestoreSummary, BackupError> {
    let place = DataDirLock::lock(data_dir)?;
    if place.is_used() && !way.force {
        return Err(BackupError::refused(format!(
            "{} is not empty. Restore to another directory with --data-dir, or use --force. With --force, the existing data is moved aside, not deleted.",
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

/// Keeps how far a restore is, and asks whether to go on.
struct RestoreWatch<'o> {
    progress: Cell<RestoreProgress>,
    observer: Observer<'o>,
}

impl RestoreWatch<'_> {
    /// The fault if it is not to go on.
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

/// The backup as it is read.
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
        let words = format!("{FILE} in it is too large for {} files", unpacked.len());
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
