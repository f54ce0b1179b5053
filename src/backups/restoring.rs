//! Restoring a backup: unpacked beside, checked in full, then put in its place. The archive is a stranger's until it is proven. Blocks.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::encryption::{MAGIC, Passphrase, opened};
use super::fault::Fault;
use super::manifest::{FILE, Manifest, is_member};
use super::queries;
use super::replacing::Place;
use crate::archive::{self, Limits, Unpacked};
use crate::db;
use crate::error::Error;
use crate::vault;

/// Files in a backup: several for each of thousands of instances.
const MOST_FILES: usize = 200_000;
/// Bytes in all: far more than a manager ever kept, and what a disk may still hold is a limit, too.
const MOST_BYTES: u64 = 1 << 40;

/// How it is to be restored.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// What opens it, if it is encrypted.
    pub passphrase: Option<Passphrase>,
    /// What is in the data directory is moved aside.
    pub force: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// Where what was there before is now.
    pub aside: Option<PathBuf>,
    /// How many instances ran, and stay stopped until somebody starts them or they have `autostart`.
    pub ran: usize,
    /// How many tokens of programs are valid again as they were.
    pub tokens: i64,
}

/// Whether only a passphrase opens this backup.
///
/// # Errors
/// It cannot be read.
pub fn is_encrypted(backup: &Path) -> Result<bool, Fault> {
    let mut head = Vec::new();
    let file = File::open(backup).map_err(Fault::at("read", backup))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(Fault::at("read", backup))?;
    Ok(head == MAGIC)
}

/// Restores a backup into `data_dir`. Nothing there is changed before all of the backup is unpacked and found right.
///
/// # Errors
/// The place is used; the backup is damaged, hostile, of a newer version, or does not open; the disk.
pub fn restore(backup: &Path, data_dir: &Path, way: &Way) -> Result<Restored, Fault> {
    let place = Place::hold(data_dir)?;
    if place.is_used() && !way.force {
        return Err(Fault::refused(format!(
            "{} is not empty. Restore into another directory with --data-dir, or say --force: what is there is then moved aside, not deleted.",
            data_dir.display()
        )));
    }
    let staging = Staging(place.staging()?);
    let manifest = unpack(backup, &staging.0, way)?;
    let database = staging.0.join(db::FILE);
    db::check_copy(&database).map_err(|e| Fault::refused(format!("This backup cannot be restored: {e}")))?;
    if manifest.holds_key {
        let fits = db::read_copy(&database, |c| vault::fits(&staging.0, c).map_err(Error::internal))?;
        if !fits {
            return Err(Fault::refused(
                "The key in this backup is not the one that its secrets were sealed with. Nothing was changed.",
            ));
        }
    }
    let (mut ran, mut tokens) = (0, 0);
    db::change_copy(&database, |c| {
        ran = queries::want_nothing(c)?;
        queries::end_sessions(c)?;
        tokens = queries::tokens(c)?;
        Ok(())
    })?;
    sync(&staging.0)?;
    let aside = place.replace(&staging.0)?;
    Ok(Restored { manifest, aside, ran, tokens })
}

/// A directory that goes unless it was renamed.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unpack(backup: &Path, into: &Path, way: &Way) -> Result<Manifest, Fault> {
    let encrypted = is_encrypted(backup)?;
    let mut file = File::open(backup).map_err(Fault::at("read", backup))?;
    file.rewind().map_err(Fault::at("read", backup))?;
    let input = BufReader::new(file);
    let room = rustix::fs::statvfs(into).map_or(MOST_BYTES, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let most = MOST_BYTES.min(room);
    let limits = Limits { file: most, all: most, entries: MOST_FILES };
    let unpacked = match (encrypted, &way.passphrase) {
        (false, _) => archive::unpack(input, into, limits, is_member)?,
        (true, Some(passphrase)) => archive::unpack(opened(input, passphrase)?, into, limits, is_member)?,
        (true, None) => return Err(Fault::refused("The backup is encrypted: its passphrase is needed.")),
    };
    check(into, &unpacked)
}

fn check(into: &Path, unpacked: &[Unpacked]) -> Result<Manifest, Fault> {
    let path = into.join(FILE);
    if !unpacked.iter().any(|one| one.path == FILE) {
        return Err(Fault::refused(format!("This is no backup of jd-manager's, or its end is missing: it holds no {FILE}.")));
    }
    let manifest = Manifest::read(&fs::read(&path).map_err(Fault::at("read", &path))?)?;
    manifest.check(unpacked)?;
    fs::remove_file(&path).map_err(Fault::at("removed", &path))?;
    Ok(manifest)
}

/// Everything below a directory is on the disk when this returns.
fn sync(dir: &Path) -> Result<(), Fault> {
    for entry in fs::read_dir(dir).map_err(Fault::at("read", dir))? {
        let path = entry.map_err(Fault::at("read", dir))?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Fault::at("written", &path))?;
        }
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Fault::at("written", dir))
}

#[cfg(test)]
mod tests;
