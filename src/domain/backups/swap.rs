//! Replaces a data directory: by a rename, or, if the directory is a mount point, file by file in an order
//! that shows if it was interrupted.
//! The previous data is moved aside and never deleted.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::create::sync_dir;
use super::error::BackupError;
use crate::base::clock::Timestamp;
use crate::base::failpoint;

/// The new data directory, within the current one, during the replacement.
const WITHIN: &str = ".restoring";
/// A manager's lock file.
const LOCK: &str = "manager.lock";
/// Marker in a directory that a restore unpacks to. The restore holds a lock on it, so an unlocked
/// marker was left by a restore that was killed.
const MARKER: &str = ".restore.lock";

/// A data directory, locked so that no manager can use it.
#[must_use = "the lock is released when this value is dropped"]
pub struct DataDirLock {
    data_dir: PathBuf,
    /// It cannot be renamed (mount point).
    is_mount: bool,
    /// It exists and is not empty.
    is_used: bool,
    /// The lock that keeps managers out, if the directory exists.
    _lock: Option<File>,
}

impl DataDirLock {
    /// Inspects and locks a data directory.
    ///
    /// # Errors
    /// A manager or a keeper is running there.
    pub fn lock(data_dir: &Path) -> Result<Self, BackupError> {
        let entries = match fs::read_dir(data_dir) {
            Ok(entries) => entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<io::Result<Vec<_>>>(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        };
        let entries = entries.map_err(BackupError::at("read", data_dir))?;
        let is_used = entries
            .iter()
            .any(|name| name != WITHIN && name != "lost+found");
        let mut held = None;
        if is_used {
            let path = data_dir.join(LOCK);
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(BackupError::at("opened", &path))?;
            match lock.try_lock() {
                Ok(()) => held = Some(lock),
                Err(TryLockError::WouldBlock) => {
                    return Err(BackupError::refused(format!(
                        "jd-manager is running on {}. Stop it first.",
                        data_dir.display()
                    )));
                }
                Err(TryLockError::Error(e)) => return Err(BackupError::at("locked", &path)(e)),
            }
            if let Some(id) = kept(data_dir) {
                return Err(BackupError::refused(format!(
                    "The client of instance {id} is still running in {}: jd-manager was stopped with --on-shutdown leave, or was killed. Start jd-manager there and stop the instance first.",
                    data_dir.display()
                )));
            }
        }
        Ok(Self {
            data_dir: data_dir.to_owned(),
            is_mount: is_mount(data_dir),
            is_used,
            _lock: held,
        })
    }

    /// Whether there is data to move aside.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// Creates an empty directory, 0700, on the same file system. Files of restores that were
    /// killed are removed before.
    ///
    /// # Errors
    /// Another restore is running there; disk errors.
    pub fn staging(&self) -> Result<StagingDir, BackupError> {
        remove_stale_staging(&self.data_dir);
        let path = if self.is_mount {
            let path = self.data_dir.join(WITHIN);
            // Already partly moved: everything is restored again.
            if path.exists() && !path.join(MARKER).exists() {
                fs::remove_dir_all(&path).map_err(BackupError::at("removed", &path))?;
            }
            path
        } else {
            beside(&self.data_dir, &format!("restoring-{}", std::process::id()))
        };
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(BackupError::at("created", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let words = "exists because another restore is running there. If none is running, delete it.";
                Err(BackupError::refused(format!("{} {words}", path.display())))
            }
            Err(e) => Err(BackupError::at("created", &path)(e)),
            Ok(()) => StagingDir::write_marker(path),
        }
    }

    /// Moves the existing data aside and `staging` into its place. Returns the new path of the old data.
    pub fn replace(self, staging: &StagingDir) -> Result<Option<PathBuf>, BackupError> {
        let staging = staging.path();
        let stamp: String = Timestamp::now()
            .to_string()
            .chars()
            .filter(|c| !matches!(c, '-' | ':' | '.'))
            .collect();
        let aside = format!("before-restore-{stamp}");
        if self.is_mount {
            return self.replace_within(staging, &aside);
        }
        let old = self.is_used.then(|| beside(&self.data_dir, &aside));
        if let Some(old) = &old {
            fs::rename(&self.data_dir, old)
                .map_err(BackupError::at("moved aside", &self.data_dir))?;
        }
        failpoint::reach("restore.moved-aside");
        if let Err(e) = fs::rename(staging, &self.data_dir) {
            if let Some(old) = &old {
                let _ = fs::rename(old, &self.data_dir);
            }
            return Err(BackupError::at("moved into place", staging)(e));
        }
        let _ = fs::remove_file(self.data_dir.join(MARKER));
        sync_dir(&self.data_dir)?;
        Ok(old)
    }

    /// The same without renaming the directory itself. If this is interrupted, `.restoring` still
    /// exists, and a manager does not start.
    fn replace_within(self, staging: &Path, aside: &str) -> Result<Option<PathBuf>, BackupError> {
        let old = self.data_dir.join(aside);
        // From now on it is not removed automatically.
        let marker = staging.join(MARKER);
        fs::remove_file(&marker).map_err(BackupError::at("removed", &marker))?;
        let names = |dir: &Path| -> Result<Vec<_>, BackupError> {
            let all = fs::read_dir(dir).and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name()))
                    .collect::<io::Result<Vec<_>>>()
            });
            all.map_err(BackupError::at("read", dir))
        };
        if self.is_used {
            DirBuilder::new()
                .mode(0o700)
                .create(&old)
                .map_err(BackupError::at("created", &old))?;
            for name in names(&self.data_dir)? {
                let name_text = name.to_string_lossy();
                if name != WITHIN
                    && name != "lost+found"
                    && !name_text.starts_with("before-restore-")
                {
                    fs::rename(self.data_dir.join(&name), old.join(&name))
                        .map_err(BackupError::at("moved aside", &self.data_dir))?;
                }
            }
        }
        failpoint::reach("restore.moved-aside");
        for name in names(staging)? {
            fs::rename(staging.join(&name), self.data_dir.join(&name))
                .map_err(BackupError::at("moved into place", staging))?;
        }
        fs::remove_dir(staging).map_err(BackupError::at("removed", staging))?;
        File::open(&self.data_dir)
            .and_then(|dir| dir.sync_all())
            .map_err(BackupError::at("written", &self.data_dir))?;
        Ok(self.is_used.then_some(old))
    }
}

/// The directory that a backup is unpacked to. It is deleted on drop unless it was renamed.
#[derive(Debug)]
pub struct StagingDir {
    path: PathBuf,
    marker: File,
}

impl StagingDir {
    fn write_marker(path: PathBuf) -> Result<Self, BackupError> {
        let at = path.join(MARKER);
        let marker = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&at)
            .map_err(BackupError::at("created", &at))?;
        marker
            .try_lock()
            .map_err(|e| BackupError::at("locked", &at)(e.into()))?;
        Ok(Self { path, marker })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the directory with one sync of the file system: syncing thousands of files would take a
    /// minute one by one.
    pub fn sync(&self) -> Result<(), BackupError> {
        rustix::fs::syncfs(&self.marker)
            .map_err(|e| BackupError::at("written", &self.path)(e.into()))
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        // Without its marker it is already being moved, and the rest of it is needed.
        if self.path.join(MARKER).exists() {
            let _ = remove_staging(&self.path);
        }
    }
}

/// Removes a staging directory, its marker last: a partly removed one is still recognized.
fn remove_staging(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == MARKER {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir_all(path)
}

/// Removes files that killed restores to `data_dir` left next to it and in it: they contain a
/// secret key. A running restore is not changed.
pub fn remove_stale_staging(data_dir: &Path) {
    let Some(name) = data_dir.file_name() else {
        return;
    };
    let parent = data_dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let beginning = format!("{}.restoring-", name.to_string_lossy());
    let is_staging =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&beginning);
    let beside = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_staging)
        .map(|entry| entry.path());
    for path in beside.chain([data_dir.join(WITHIN)]) {
        let is_ours = path
            .symlink_metadata()
            .is_ok_and(|it| it.is_dir() && it.uid() == rustix::process::geteuid().as_raw());
        if !is_ours {
            continue;
        }
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        match File::options()
            .write(true)
            .custom_flags(flags)
            .open(path.join(MARKER))
            .map(|marker| (marker.try_lock(), marker))
        {
            Ok((Ok(()), _marker)) => match remove_staging(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "removed the files of an interrupted restore")
                }
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove the files of an interrupted restore")
                }
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound && path != data_dir.join(WITHIN) => {
                tracing::warn!(path = %path.display(), "left behind by a restore in an earlier version; it may contain a secret key, so delete it");
            }
            // A restore is running there, or its files are already being moved.
            _ => {}
        }
    }
}

/// Checks whether an interrupted restore left a data directory partly replaced.
///
/// # Errors
/// It did; the message has the fix.
pub fn check_for_half_restored(data_dir: &Path) -> Result<(), BackupError> {
    if data_dir.join(WITHIN).exists() {
        return Err(BackupError::refused(format!(
            "A restore into {} was interrupted. Restore the backup again with --force. The previous data is in before-restore-… in that directory.",
            data_dir.display()
        )));
    }
    Ok(())
}

/// A sibling path of a directory.
fn beside(dir: &Path, ending: &str) -> PathBuf {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    dir.with_file_name(format!("{name}.{ending}"))
}

/// An instance with a running keeper.
fn kept(data_dir: &Path) -> Option<String> {
    let entries = fs::read_dir(data_dir.join("instances")).ok()?;
    let is_held = |dir: &Path| {
        let lock = File::open(dir.join("keeper.lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    };
    entries
        .flatten()
        .find(|entry| is_held(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Whether this directory is a mount point.
fn is_mount(dir: &Path) -> bool {
    let Ok(dir) = dir.canonicalize() else {
        return false;
    };
    let Ok(table) = fs::read_to_string("/proc/self/mountinfo") else {
        return false;
    };
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|at| Path::new(&unescaped(at)) == dir)
}

/// Decodes escapes such as `\040` as the kernel writes them.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_within_a_mount_is_filled_file_by_file_and_seen_to_be_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("old"), "old").unwrap();
        let place = || DataDirLock {
            is_mount: true,
            ..DataDirLock::lock(&data).unwrap()
        };
        let staging = place().staging().unwrap();
        fs::write(staging.path().join("new"), "new").unwrap();
        assert!(
            check_for_half_restored(&data)
                .unwrap_err()
                .to_string()
                .contains("--force")
        );
        let old = place().replace(&staging).unwrap().unwrap();
        check_for_half_restored(&data).unwrap();
        assert_eq!(fs::read_to_string(old.join("old")).unwrap(), "old");
        assert_eq!(fs::read_to_string(data.join("new")).unwrap(), "new");
        assert!(!data.join("old").exists() && old.starts_with(&data));
    }

    #[test]
    fn a_place_is_renamed_and_what_was_there_is_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let place = DataDirLock::lock(&data).unwrap();
        assert!(!place.is_used());
        let staging = place.staging().unwrap();
        fs::write(staging.path().join("one"), "one").unwrap();
        assert_eq!(place.replace(&staging).unwrap(), None);
        let place = DataDirLock::lock(&data).unwrap();
        assert!(place.is_used());
        let again = DataDirLock::lock(&data);
        assert!(
            again.is_err_and(|e| e.to_string().contains("is running on")),
            "it is held"
        );
        let staging = place.staging().unwrap();
        fs::write(staging.path().join("two"), "two").unwrap();
        let old = place.replace(&staging).unwrap().unwrap();
        assert!(
            old.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("data.before-restore-")
        );
        assert!(
            old.join("one").exists() && data.join("two").exists() && !data.join("one").exists()
        );
        assert!(!is_mount(&data) && is_mount(Path::new("/proc")));
        assert_eq!(unescaped("/a\\040b\\134c"), "/a b\\c");
    }
    #[test]
    fn what_a_killed_restore_left_is_removed_and_one_at_work_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let left = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("instances/a")).unwrap();
            fs::write(path.join("secrets.key"), "key").unwrap();
            path
        };
        let (stale, foreign) = (left("data.restoring-1"), left("other.restoring-1"));
        let unmarked = left("data.restoring-2");
        for path in [&stale, &foreign] {
            fs::write(path.join(MARKER), "").unwrap();
        }
        std::os::unix::fs::symlink(&foreign, dir.path().join("data.restoring-3")).unwrap();
        let at_work = DataDirLock::lock(&data).unwrap().staging().unwrap();
        assert!(!stale.exists(), "the next restore removes it");
        assert!(foreign.join("secrets.key").exists() && unmarked.join("secrets.key").exists());
        remove_stale_staging(&data);
        assert!(at_work.path().join(MARKER).exists(), "it is locked");
        let refused = DataDirLock::lock(&data)
            .unwrap()
            .staging()
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("another restore is running there"),
            "{refused}"
        );
        let path = at_work.path().to_owned();
        drop(at_work);
        assert!(!path.exists());
        // Within a mount: while the marker exists, nothing has been changed yet.
        fs::create_dir(&data).unwrap();
        let place = || DataDirLock {
            is_mount: true,
            ..DataDirLock::lock(&data).unwrap()
        };
        std::mem::forget(place().staging().unwrap());
        fs::write(data.join(WITHIN).join("secrets.key"), "key").unwrap();
        assert!(place().staging().is_err(), "it is locked");
        left("data/.restoring");
        fs::remove_file(data.join(WITHIN).join(MARKER)).unwrap();
        remove_stale_staging(&data);
        assert!(
            check_for_half_restored(&data).is_err(),
            "without its marker it is half in its place"
        );
        fs::write(data.join(WITHIN).join(MARKER), "").unwrap();
        remove_stale_staging(&data);
        check_for_half_restored(&data).unwrap();
    }
}
