//! The file with the number of the last confirmed change, so that jd-manager detects lost changes at
//! its start.
//!
//! The database counts confirmed changes in `user_version`, in the transaction of each change. This
//! file contains the same number and is written after the commit, so it is never ahead of an intact
//! database. If it is ahead at the start, confirmed changes were lost: the write-ahead log was removed
//! or damaged, or someone replaced the database with an older one.
//!
//! Several processes write the file, not always in the order of their commits. Each one locks it and
//! leaves a higher number as it is.

use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock::Timestamp;
use crate::base::files::open_regular;

/// The file's name in the data directory.
pub const MARKER_FILE: &str = "jd-manager.changes";
/// The length of the file. A file with another length is not from jd-manager.
const LENGTH: usize = 128;
/// How long jd-manager reports lost changes.
const SHOWN_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Maximum wait for another process that locks the file; it may be suspended.
const LOCK: Duration = Duration::from_secs(1);

/// Confirmed changes that the database no longer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LostChanges {
    /// The number of changes.
    pub count: i64,
    /// When jd-manager noticed the loss.
    pub noticed_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct MarkerContent {
    changes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<LostChanges>,
}

/// Identifies the confirmed changes of other processes. Two equal values, the second read after a
/// confirmed change of another process, do not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignChanges {
    /// How often this process found such changes while it wrote.
    found: u64,
    /// The number in the file if this process has not seen it while it wrote; otherwise 0.
    unseen: i64,
}

/// The open file.
pub(super) struct ChangeMarker {
    path: PathBuf,
    lost: Option<LostChanges>,
    file: Mutex<Option<File>>,
    /// The same file for reading, without the mutex: a write may wait for the disk.
    reader: OnceLock<File>,
    /// The number of the last change that this process knows.
    known: AtomicI64,
    /// How often a change of another process came between two of this process.
    found: AtomicU64,
}

impl ChangeMarker {
    /// Compares the file in `data_dir` with the number of changes in the database, which `count` reads.
    /// The file is read first: a change that another process confirms in between is not lost.
    ///
    /// # Errors
    /// Errors of `count`.
    pub(super) fn open<E>(
        data_dir: &Path,
        count: impl FnOnce() -> Result<i64, E>,
    ) -> Result<Self, E> {
        let path = data_dir.join(MARKER_FILE);
        let now = Timestamp::now();
        let old = read_locked(&path);
        let changes = count()?;
        let lost = if old.changes > changes {
            Some(LostChanges {
                count: old.changes.saturating_sub(changes),
                noticed_at: now,
            })
        } else {
            old.lost
                .filter(|lost| now.since(lost.noticed_at) < SHOWN_FOR)
        };
        let marker = Self {
            path,
            lost,
            file: Mutex::default(),
            reader: OnceLock::new(),
            known: AtomicI64::new(changes),
            found: AtomicU64::new(0),
        };
        // A database without a marker gets one with its first change.
        if lost.is_some() || old.lost.is_some() {
            marker.replace(changes, old.changes);
            marker.sync();
        }
        Ok(marker)
    }

    /// The changes lost before the file was opened.
    pub(super) fn lost(&self) -> Option<LostChanges> {
        self.lost
    }

    /// The confirmed changes of other processes. Reads 128 bytes that are in the cache of the
    /// system, so it may be used without a thread for blocking work.
    pub(super) fn foreign(&self) -> ForeignChanges {
        // In the reverse order of writing: what is in the file is known, and what is known is found.
        let in_file = self.read_number();
        let known = self.known.load(Ordering::Acquire);
        ForeignChanges {
            found: self.found.load(Ordering::Acquire),
            unseen: if in_file > known { in_file } else { 0 },
        }
    }

    /// The number in the file; 0 if there is none, or if it is being written.
    fn read_number(&self) -> i64 {
        let file = match self.reader.get() {
            Some(file) => file,
            None => match open_regular(&self.path, File::options().read(true)) {
                Ok(file) => self.reader.get_or_init(|| file),
                Err(_) => return 0,
            },
        };
        read(file).changes
    }

    /// Writes the number of the last confirmed change, unless another process has already written
    /// that of a later one. A failure does not affect the change.
    pub(super) fn set(&self, changes: i64) {
        self.replace(changes, changes);
    }

    /// The same, but also lowers the number `from`.
    fn replace(&self, changes: i64, from: i64) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            open_regular(
                &self.path,
                File::options()
                    .create(true)
                    .truncate(false)
                    .read(true)
                    .write(true)
                    .mode(0o600),
            )
        };
        let opened = file.take().map_or_else(open, Ok);
        let mut in_file = 0;
        if let Ok(opened) = &opened {
            lock(opened);
            in_file = read(opened).changes;
        }
        let is_later = in_file > changes && in_file != from;
        let latest = if is_later { in_file } else { changes };
        if is_later || self.known.load(Ordering::Acquire) < changes.saturating_sub(1) {
            self.found.fetch_add(1, Ordering::AcqRel);
        }
        self.known.store(latest, Ordering::Release);
        let written = opened.and_then(|opened| {
            if !is_later {
                self.write(&opened, changes)?;
            }
            let _ = opened.unlock();
            Ok(opened)
        });
        match written {
            Ok(written) => *file = Some(written),
            Err(error) => {
                tracing::debug!(%error, file = MARKER_FILE, "could not write the number of the last change")
            }
        }
    }

    fn write(&self, file: &File, changes: i64) -> io::Result<()> {
        let mut text = serde_json::to_vec(&MarkerContent {
            changes,
            lost: self.lost,
        })?;
        text.resize(LENGTH - 1, b' ');
        text.push(b'\n');
        file.write_all_at(&text, 0)
    }

    /// Syncs the file to disk.
    pub(super) fn sync(&self) {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = file.as_ref().map(File::sync_data) {
            tracing::debug!(%error, file = MARKER_FILE, "could not sync the number of the last change");
        }
    }
}

/// The content of the file; 0 changes if it is not from jd-manager.
fn read(file: &File) -> MarkerContent {
    // One byte more, to notice a longer file.
    let mut text = [0; LENGTH + 1];
    match file.read_at(&mut text, 0) {
        Ok(LENGTH) => serde_json::from_slice(&text[..LENGTH]).unwrap_or_default(),
        _ => MarkerContent::default(),
    }
}

/// The same while no process writes it; 0 changes if there is no file.
fn read_locked(path: &Path) -> MarkerContent {
    let Ok(file) = open_regular(path, File::options().read(true)) else {
        return MarkerContent::default();
    };
    lock(&file);
    read(&file)
}

/// Waits until no other process locks the file. Without the lock, because that process is suspended
/// or the file system has no locks, the number may be too low until the next change.
fn lock(file: &File) {
    let begun = Instant::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && begun.elapsed() < LOCK {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn open(dir: &tempfile::TempDir, changes: i64) -> ChangeMarker {
        let Ok(marker) = ChangeMarker::open(dir.path(), || Ok::<_, Infallible>(changes));
        marker
    }

    #[test]
    fn only_a_database_that_lacks_confirmed_changes_has_lost_some() {
        let dir = tempfile::tempdir().unwrap();
        let marker = open(&dir, 3);
        assert_eq!(marker.lost(), None, "there was no marker");
        marker.set(4);
        marker.set(5);
        marker.sync();
        // If killed between a commit and its mark, the database is one ahead.
        for changes in [5, 6] {
            assert_eq!(open(&dir, changes).lost(), None);
        }
        let lost = open(&dir, 2).lost().unwrap();
        assert_eq!(lost.count, 3);
        let again = open(&dir, 2);
        assert_eq!(again.lost(), Some(lost), "still said after another start");
        again.set(3);
        assert_eq!(open(&dir, 3).lost(), Some(lost));
    }

    #[test]
    fn only_changes_of_another_process_are_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let one = open(&dir, 3);
        let none = one.foreign();
        one.set(4);
        one.set(5);
        assert_eq!(one.foreign(), none, "its own changes");
        let other = open(&dir, 5);
        let before = other.foreign();
        one.set(6);
        let noticed = other.foreign();
        assert_ne!(noticed, before);
        assert_eq!(other.foreign(), noticed, "nothing new");
        one.set(7);
        assert_ne!(other.foreign(), noticed);
        // Its own change after them: they stay noticed, even if the file has its number.
        other.set(8);
        let after = other.foreign();
        assert_ne!(after, before);
        other.set(9);
        assert_eq!(other.foreign(), after);
        assert_ne!(one.foreign(), none);
    }

    #[test]
    fn a_late_write_of_an_earlier_change_does_not_lower_the_number() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (open(&dir, 3), open(&dir, 3));
        // `one` commits change 4 and `other` change 5, but `other` writes first.
        other.set(5);
        let before = one.foreign();
        one.set(4);
        let after = one.foreign();
        assert_ne!(after, before);
        assert_eq!(read_locked(&one.path).changes, 5);
        // Each later change of `other` has a value that was never seen.
        other.set(6);
        assert!(![before, after].contains(&one.foreign()));
        assert_eq!(open(&dir, 5).lost().unwrap().count, 1);
    }

    #[test]
    fn a_change_during_the_start_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let running = open(&dir, 4);
        running.set(5);
        let count = || {
            running.set(6);
            Ok::<_, Infallible>(5)
        };
        let Ok(starting) = ChangeMarker::open(dir.path(), count);
        assert_eq!(starting.lost(), None);
        assert_eq!(read_locked(&running.path).changes, 6);
    }

    #[test]
    fn the_lock_of_a_suspended_process_delays_a_write_but_does_not_prevent_it() {
        let dir = tempfile::tempdir().unwrap();
        let marker = open(&dir, 3);
        marker.set(4);
        let suspended = File::open(&marker.path).unwrap();
        suspended.lock().unwrap();
        marker.set(5);
        assert_eq!(read(&suspended).changes, 5);
    }

    #[test]
    fn a_file_of_something_else_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MARKER_FILE);
        for text in [
            String::new(),
            "9".repeat(LENGTH),
            "{\"changes\":7}".into(),
            " ".repeat(LENGTH),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(open(&dir, 1).lost(), None);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        open(&dir, 1).set(2);
    }
}
