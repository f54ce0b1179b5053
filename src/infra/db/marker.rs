//! The file with the number of the last confirmed change, so that jd-manager detects lost changes at
//! its start.
//!
//! The database counts confirmed changes in `user_version`, in the transaction of each change. This
//! file contains the same number and is written after the commit, so it is never ahead of an intact
//! database. If it is ahead at the start, confirmed changes were lost: the write-ahead log was removed
//! or damaged, or someone replaced the database with an older one.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::files::open_regular;

/// The file's name in the data directory.
pub const MARKER_FILE: &str = "jd-manager.changes";
/// The length of the file. A file with another length is not from jd-manager.
const LENGTH: usize = 128;
/// How long jd-manager reports lost changes.
const SHOWN_FOR: Duration = Duration::from_secs(7 * 86_400);

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
    /// The number of changes in the file that this process has not seen yet.
    ahead: i64,
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
    /// Compares the file in `data_dir` with the number of `changes` in the database.
    pub(super) fn open(data_dir: &Path, changes: i64) -> Self {
        let path = data_dir.join(MARKER_FILE);
        let now = Timestamp::now();
        let old = read(&path).unwrap_or_default();
        let lost = if old.changes > changes {
            Some(LostChanges {
                count: old.changes - changes,
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
            marker.set(changes);
            marker.sync();
        }
        marker
    }

    /// The changes lost before the file was opened.
    pub(super) fn lost(&self) -> Option<LostChanges> {
        self.lost
    }

    /// The confirmed changes of other processes. Reads 128 bytes that are in the cache of the
    /// system, so it may be used without a thread for blocking work.
    pub(super) fn foreign(&self) -> ForeignChanges {
        // The file first: a change of this process is known before it is in the file.
        let in_file = self.read_number();
        ForeignChanges {
            found: self.found.load(Ordering::Acquire),
            ahead: in_file
                .saturating_sub(self.known.load(Ordering::Acquire))
                .max(0),
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
        let mut text = [0; LENGTH];
        match file.read_exact_at(&mut text, 0) {
            Ok(()) => serde_json::from_slice(&text).map_or(0, |read: MarkerContent| read.changes),
            Err(_) => 0,
        }
    }

    /// Writes the number of the last confirmed change. A failure does not affect the change.
    pub(super) fn set(&self, changes: i64) {
        if self.known.swap(changes, Ordering::AcqRel) < changes - 1 {
            self.found.fetch_add(1, Ordering::AcqRel);
        }
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut write = || -> io::Result<File> {
            let open = || {
                open_regular(
                    &self.path,
                    File::options()
                        .create(true)
                        .truncate(false)
                        .write(true)
                        .mode(0o600),
                )
            };
            let file = file.take().map_or_else(open, Ok)?;
            let mut text = serde_json::to_vec(&MarkerContent {
                changes,
                lost: self.lost,
            })?;
            text.resize(LENGTH - 1, b' ');
            text.push(b'\n');
            file.write_all_at(&text, 0)?;
            Ok(file)
        };
        match write() {
            Ok(written) => *file = Some(written),
            Err(error) => {
                tracing::debug!(%error, file = MARKER_FILE, "could not write the number of the last change")
            }
        }
    }

    /// Syncs the file to disk.
    pub(super) fn sync(&self) {
        let file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Err(error)) = file.as_ref().map(File::sync_data) {
            tracing::debug!(%error, file = MARKER_FILE, "could not sync the number of the last change");
        }
    }
}

/// A missing or unreadable file is ignored.
fn read(path: &Path) -> Option<MarkerContent> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() != LENGTH as u64 {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_that_lacks_confirmed_changes_has_lost_some() {
        let dir = tempfile::tempdir().unwrap();
        let marker = ChangeMarker::open(dir.path(), 3);
        assert_eq!(marker.lost(), None, "there was no marker");
        marker.set(4);
        marker.set(5);
        marker.sync();
        // If killed between a commit and its mark, the database is one ahead.
        for changes in [5, 6] {
            assert_eq!(ChangeMarker::open(dir.path(), changes).lost(), None);
        }
        let lost = ChangeMarker::open(dir.path(), 2).lost().unwrap();
        assert_eq!(lost.count, 3);
        let again = ChangeMarker::open(dir.path(), 2);
        assert_eq!(again.lost(), Some(lost), "still said after another start");
        again.set(3);
        assert_eq!(ChangeMarker::open(dir.path(), 3).lost(), Some(lost));
    }

    #[test]
    fn only_changes_of_another_process_are_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let one = ChangeMarker::open(dir.path(), 3);
        let none = one.foreign();
        one.set(4);
        one.set(5);
        assert_eq!(one.foreign(), none, "its own changes");
        let other = ChangeMarker::open(dir.path(), 5);
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
            assert_eq!(ChangeMarker::open(dir.path(), 1).lost(), None);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        ChangeMarker::open(dir.path(), 1).set(2);
    }
}
