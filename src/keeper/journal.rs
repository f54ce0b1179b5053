//! The keeper's journal, `events.jsonl`: every change of state with its time and reason, so the
//! history has no gap if the manager was not running. The keeper appends; the manager continues
//! reading where it stopped.
//!
//! Offsets count the bytes of all entries ever written. When the journal is long, the keeper drops
//! the oldest entries that the manager has confirmed. The file then begins with a header that
//! contains the offset of its first entry. So an offset in the database stays correct, even if
//! keeper or manager are killed at any time: the shorter file replaces the longer one with a
//! rename.

use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::machine::{ChangeReason, InstanceState, ProcessExit};
use super::names;
use crate::base::files::open_regular;

/// Whose state an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ManagedProgram {
    /// The client. An entry of an older keeper is about it.
    #[default]
    Client,
    /// The client's translator.
    Translator,
}

impl ManagedProgram {
    /// As written in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn is_client(&self) -> bool {
        *self == Self::Client
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// Whose state changed.
    #[serde(default, skip_serializing_if = "ManagedProgram::is_client")]
    pub program: ManagedProgram,
    /// The previous state.
    pub from: InstanceState,
    /// The new state.
    pub to: InstanceState,
    /// The reason.
    pub reason: ChangeReason,
    /// The actor who requested the change, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Its process id: the one that was started, or the one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the run that exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last warnings, errors and lines outside the client's format of a run that exited
    /// unexpectedly, oldest first. The cause is derived from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// Failures in a row, including this one.
    #[serde(default)]
    pub failures: u32,
    /// When the next retry is due, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
}

/// The length at which a journal is shortened, in bytes.
pub const LONG: u64 = 64 * 1024;
/// The length that is kept although the manager has confirmed it, in bytes: after a power failure
/// the database may be slightly older.
const KEPT: u64 = 32 * 1024;
/// The length from which last lines are no longer stored, in bytes. A journal reaches it only if
/// no manager reads it for a long time.
const FULL: u64 = 8 * 1024 * 1024;
/// The file that replaces the journal.
const DRAFT: &str = "events.jsonl.new";

/// The first line of a shortened journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct JournalHeader {
    /// The offset of the first entry.
    base: u64,
}

/// The maximum length of a header, in bytes.
const HEADER_MAX: usize = 32;

/// The mapping of offsets to positions in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JournalLayout {
    /// The offset of the first entry.
    base: u64,
    /// The position of the first entry in the file.
    head: u64,
}

impl JournalLayout {
    fn of(file: &File) -> io::Result<Self> {
        let mut start = [0; HEADER_MAX];
        let mut filled = 0;
        while filled < start.len() {
            match file.read_at(&mut start[filled..], filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let line = start[..filled]
            .iter()
            .position(|b| *b == b'\n')
            .map(|end| &start[..end]);
        let header = line.and_then(|line| {
            Some((
                line.len() as u64 + 1,
                serde_json::from_slice::<JournalHeader>(line).ok()?,
            ))
        });
        Ok(header.map_or_else(Self::default, |(head, header)| Self {
            base: header.base,
            head,
        }))
    }

    fn offset(self, position: u64) -> u64 {
        position.saturating_sub(self.head).saturating_add(self.base)
    }

    fn position(self, offset: u64) -> u64 {
        offset.saturating_sub(self.base).saturating_add(self.head)
    }
}

/// The keeper's side of the journal.
#[derive(Debug)]
pub struct JournalWriter {
    dir: PathBuf,
    file: File,
    layout: JournalLayout,
    /// Length of the file.
    len: u64,
    /// Lines that could not be written yet, oldest first.
    waiting: VecDeque<Vec<u8>>,
}

/// The maximum number of waiting lines. If the disk stays full for longer, the oldest are lost.
const WAITING: usize = 1000;

/// The space reserved after the end of the journal, in bytes, so a stop can be recorded on a full
/// disk.
const RESERVE: u64 = 64 * 1024;

impl JournalWriter {
    /// Opens the journal of an instance. If a killed keeper left an incomplete line, the line is
    /// closed, so the next line is complete.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(dir.join(names::JOURNAL))?;
        let layout = JournalLayout::of(&file)?;
        let mut len = file.metadata()?.len();
        if len > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(len - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                len += 1;
            }
        }
        let journal = Self {
            dir: dir.into(),
            file,
            layout,
            len,
            waiting: VecDeque::new(),
        };
        journal.reserve();
        Ok(journal)
    }

    fn reserve(&self) {
        // The journal works without reserved space, if the file system does not support it or is
        // full.
        let _ = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.len, RESERVE);
    }

    /// Releases the reserved space, because nothing more will be written.
    pub fn release(&self) {
        let _ = self.file.set_len(self.len);
    }

    /// Appends an entry. It is on disk when this returns. An entry that cannot be written waits and
    /// is written before the next entry.
    pub fn append(&mut self, entry: &JournalEntry) -> io::Result<()> {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(if self.len < FULL {
            super::protocol::line(entry)
        } else {
            super::protocol::line(&JournalEntry {
                last_error: None,
                trouble: Vec::new(),
                ..entry.clone()
            })
        });
        self.flush()
    }

    /// Whether entries are waiting to be written.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes the waiting entries.
    ///
    /// # Errors
    /// The disk is full or gone. Entries that were not written still wait.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            if let Err(e) = self.file.write_all(line) {
                // An incomplete line would break the next line.
                let _ = self.file.set_len(self.len);
                return Err(e);
            }
            self.len += line.len() as u64;
            self.waiting.pop_front();
        }
        self.reserve();
        self.file.sync_data()
    }

    /// The manager has all entries before `offset` in its database: drops the oldest entries of a
    /// long journal. If this fails, the journal does not change.
    pub fn drop_ingested(&mut self, offset: u64) {
        if self.len >= LONG && offset <= self.end() {
            // The next confirmation tries again.
            let _ = self.shorten(offset.min(self.end().saturating_sub(KEPT)));
        }
    }

    /// Drops the entries that end at or before `offset`.
    fn shorten(&mut self, offset: u64) -> io::Result<()> {
        if offset <= self.layout.base {
            return Ok(());
        }
        // Start one byte earlier to see whether an entry begins there.
        let from = self.layout.position(offset) - 1;
        let mut rest = Vec::new();
        self.file.seek(SeekFrom::Start(from))?;
        (&self.file).take(self.len - from).read_to_end(&mut rest)?;
        let Some(cut) = rest.iter().position(|b| *b == b'\n').map(|at| at + 1) else {
            return Ok(());
        };
        let base = self.layout.offset(from + cut as u64);
        let path = self.dir.join(DRAFT);
        let _ = std::fs::remove_file(&path);
        let mut draft = File::options()
            .create_new(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(&path)?;
        let header = super::protocol::line(&JournalHeader { base });
        let written = draft
            .write_all(&header)
            .and_then(|()| draft.write_all(&rest[cut..]))
            .and_then(|()| draft.sync_all())
            .and_then(|()| std::fs::rename(&path, self.dir.join(names::JOURNAL)));
        if let Err(e) = written {
            let _ = std::fs::remove_file(&path);
            return Err(e);
        }
        self.len = (header.len() + rest.len() - cut) as u64;
        (self.file, self.layout) = (
            draft,
            JournalLayout {
                base,
                head: header.len() as u64,
            },
        );
        self.reserve();
        File::open(&self.dir)?.sync_all()
    }

    /// The offset after the last entry.
    pub fn end(&self) -> u64 {
        self.layout.offset(self.len)
    }
}

/// The complete entries from `offset`, and the offset to continue from. Unreadable lines (cut off
/// by a crash) are skipped; an incomplete last line is left for the next call. A journal that does
/// not reach `offset` is a new journal and is read from its start, as is a journal whose entries at
/// `offset` were dropped.
///
/// # Errors
/// The file exists but cannot be read.
pub fn read_from(dir: &Path, offset: u64) -> io::Result<(Vec<JournalEntry>, u64)> {
    let mut file = match open_regular(&dir.join(names::JOURNAL), File::options().read(true)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(e) => return Err(e),
    };
    let layout = JournalLayout::of(&file)?;
    let is_there = (layout.base..=layout.offset(file.metadata()?.len())).contains(&offset);
    let offset = if is_there { offset } else { layout.base };
    file.seek(SeekFrom::Start(layout.position(offset)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let entries = bytes[..whole]
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    Ok((entries, offset + whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(at: i64) -> JournalEntry {
        JournalEntry {
            at,
            program: ManagedProgram::Client,
            from: InstanceState::Stopped,
            to: InstanceState::Starting,
            reason: ChangeReason::Asked,
            actor: None,
            pid: None,
            exit: None,
            last_error: None,
            trouble: Vec::new(),
            failures: 0,
            retry_at: None,
        }
    }

    #[test]
    fn entries_are_read_once_and_a_cut_off_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = JournalWriter::open(dir.path()).unwrap();
        journal.append(&entry(1)).unwrap();
        let (first, offset) = read_from(dir.path(), 0).unwrap();
        assert_eq!(first, [entry(1)]);
        assert_eq!(offset, journal.end());

        // The keeper is killed in the middle of a line; the next keeper continues.
        std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join(names::JOURNAL))
            .unwrap()
            .write_all(b"{\"at\":2,\"fr")
            .unwrap();
        assert_eq!(read_from(dir.path(), offset).unwrap(), (vec![], offset));
        JournalWriter::open(dir.path())
            .unwrap()
            .append(&entry(3))
            .unwrap();
        let (rest, end) = read_from(dir.path(), offset).unwrap();
        assert_eq!(rest, [entry(3)]);
        assert_eq!(read_from(dir.path(), end).unwrap().0, []);
    }

    #[test]
    fn a_missing_or_shorter_journal_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_from(dir.path(), 99).unwrap(), (vec![], 0));
        JournalWriter::open(dir.path())
            .unwrap()
            .append(&entry(1))
            .unwrap();
        assert_eq!(read_from(dir.path(), 10_000).unwrap().0, [entry(1)]);
    }

    /// An entry of about `kib` KiB.
    fn large(at: i64, kib: usize) -> JournalEntry {
        JournalEntry {
            trouble: vec!["x".repeat(kib * 1024)],
            ..entry(at)
        }
    }

    #[test]
    fn a_long_journal_is_shortened_to_what_may_be_needed_again() {
        let dir = tempfile::tempdir().unwrap();
        let size = || {
            std::fs::metadata(dir.path().join(names::JOURNAL))
                .unwrap()
                .len()
        };
        let mut journal = JournalWriter::open(dir.path()).unwrap();
        let mut read = 0;
        for at in 0..200 {
            journal.append(&large(at, 5)).unwrap();
            let (entries, end) = read_from(dir.path(), read).unwrap();
            assert_eq!((entries.len(), entries[0].at, end), (1, at, journal.end()));
            read = end;
            journal.drop_ingested(read);
            assert!(size() < LONG + 6 * 1024, "{}", size());
        }
        assert!(
            journal.end() > 1_000_000,
            "offsets go on: {}",
            journal.end()
        );
        // A reader that is some entries behind still finds them.
        let (entries, _) = read_from(dir.path(), read - 20 * 1024).unwrap();
        assert_eq!(entries.last().unwrap().at, 199);
        assert!(entries.len() >= 3);
        // Unconfirmed entries stay, but the size of their last lines is limited.
        for at in 200..500 {
            journal.append(&large(at, 60)).unwrap();
        }
        assert!(size() < FULL + 200 * 1024, "{}", size());
        assert_eq!(read_from(dir.path(), read).unwrap().0.len(), 300);
    }

    /// Events of a journal, its keeper and its manager.
    #[derive(Clone, Debug)]
    enum Step {
        /// The keeper writes an entry of this many KiB.
        Append(usize),
        /// The manager reads more and stores it.
        Ingest,
        /// The manager reads more and is killed before it stores anything.
        IngestKilled,
        /// The manager confirms the stored entries.
        Confirm,
        /// An old confirmation arrives.
        ConfirmOld,
        /// The keeper is killed, perhaps within a line or while it shortens the journal, and a new
        /// keeper starts.
        Kill { half_line: bool, draft: bool },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0_usize..12).prop_map(Step::Append),
            3 => Just(Step::Ingest),
            1 => Just(Step::IngestKilled),
            3 => Just(Step::Confirm),
            1 => Just(Step::ConfirmOld),
            1 => (any::<bool>(), any::<bool>()).prop_map(|(half_line, draft)| Step::Kill { half_line, draft }),
        ];
        prop::collection::vec(step, 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_entry_is_ingested_once_whoever_is_killed_when(steps in steps()) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = JournalWriter::open(dir.path()).unwrap();
            let (mut written, mut stored, mut offset, mut former) = (0, Vec::new(), 0, 0);
            for step in steps.into_iter().chain([Step::Ingest]) {
                match step {
                    Step::Append(kib) => {
                        journal.append(&large(written, kib)).unwrap();
                        written += 1;
                    }
                    Step::Ingest => {
                        let (entries, end) = read_from(dir.path(), offset).unwrap();
                        stored.extend(entries.iter().map(|entry| entry.at));
                        (former, offset) = (offset, end);
                        // Keeper and manager have the same offsets.
                        prop_assert_eq!(offset, journal.end());
                    }
                    Step::IngestKilled => {
                        read_from(dir.path(), offset).unwrap();
                    }
                    Step::Confirm => journal.drop_ingested(offset),
                    Step::ConfirmOld => journal.drop_ingested(former),
                    Step::Kill { half_line, draft } => {
                        drop(journal);
                        if half_line {
                            let mut file = File::options().append(true).open(dir.path().join(names::JOURNAL)).unwrap();
                            file.write_all(b"{\"at\":2,\"fr").unwrap();
                        }
                        if draft {
                            std::fs::write(dir.path().join(DRAFT), "{\"base\":77}\n{\"at\":").unwrap();
                        }
                        journal = JournalWriter::open(dir.path()).unwrap();
                    }
                }
            }
            prop_assert_eq!(stored, (0..written).collect::<Vec<_>>());
        }
    }
}
