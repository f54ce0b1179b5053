//! The keeper's journal, `events.jsonl`: every change of state with its time and reason, so that
//! the history has no hole when the manager was away. The keeper appends, the manager reads on from
//! where it was.
//!
//! Offsets count the bytes of all entries ever written. When the journal is long, the keeper drops
//! the oldest entries that the manager has confirmed. The file then begins with a header that says
//! at which offset its first entry is. So an offset in the database stays right whoever is killed
//! when: the shorter file replaces the longer one by a rename, and neither side has to note it.

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
    /// The translator beside it.
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
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Whose state changed.
    #[serde(default, skip_serializing_if = "ManagedProgram::is_client")]
    pub program: ManagedProgram,
    /// From this state
    pub from: InstanceState,
    /// to this one,
    pub to: InstanceState,
    /// because of this.
    pub reason: ChangeReason,
    /// Who asked, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Its process id: the one that was started, or the one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last warnings, errors and lines outside the client's format of a run that ended unasked,
    /// oldest first: what its cause is read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// Failures in a row, this one included.
    #[serde(default)]
    pub failures: u32,
    /// When the next try is due, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
}

/// A journal of this length is shortened, bytes.
pub const LONG: u64 = 64 * 1024;
/// So much of it stays, although the manager has confirmed it: after a power failure its database
/// may be some moments older, bytes.
const KEPT: u64 = 32 * 1024;
/// A journal that nobody reads for so long that it reaches this length takes no more last words,
/// bytes.
const FULL: u64 = 8 * 1024 * 1024;
/// The file that takes the journal's place.
const DRAFT: &str = "events.jsonl.new";

/// The first line of a shortened journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct JournalHeader {
    /// The offset of the first entry.
    base: u64,
}

/// Bytes of the longest header.
const HEADER_MAX: usize = 32;

/// Where offsets are in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JournalLayout {
    /// The offset of the first entry.
    base: u64,
    /// Where the first entry is in the file.
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

/// The keeper's end.
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

/// So many lines wait at most; a disk that stays full for longer costs the oldest.
const WAITING: usize = 1000;

/// Room that is set aside behind the end of the journal, bytes: a stop is written down on a full
/// disk, too.
const RESERVE: u64 = 64 * 1024;

impl JournalWriter {
    /// Opens the journal of an instance. A line that was cut off when a keeper was killed is
    /// closed, so that the next one is whole.
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
        // The journal works without, on a file system that cannot do this or has no room for it.
        let _ = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.len, RESERVE);
    }

    /// Gives back the room that was set aside: nothing more will be written.
    pub fn release(&self) {
        let _ = self.file.set_len(self.len);
    }

    /// Appends an entry and has it on disk when it returns. One that cannot be written waits and
    /// goes before the next.
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

    /// Something waits to be written.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The disk is full or gone; what was not written still waits.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            if let Err(e) = self.file.write_all(line) {
                // Half a line would spoil the next one.
                let _ = self.file.set_len(self.len);
                return Err(e);
            }
            self.len += line.len() as u64;
            self.waiting.pop_front();
        }
        self.reserve();
        self.file.sync_data()
    }

    /// The manager has everything below `offset` in its database: drops the oldest entries of a
    /// long journal. If that fails, the journal stays as it is.
    pub fn drop_ingested(&mut self, offset: u64) {
        if self.len >= LONG && offset <= self.end() {
            // A later confirmation leads here again.
            let _ = self.shorten(offset.min(self.end().saturating_sub(KEPT)));
        }
    }

    /// Drops the entries that end at or before `offset`.
    fn shorten(&mut self, offset: u64) -> io::Result<()> {
        if offset <= self.layout.base {
            return Ok(());
        }
        // From the byte before, to see whether an entry begins there.
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

    /// The offset behind the last entry.
    pub fn end(&self) -> u64 {
        self.layout.offset(self.len)
    }
}

/// Whole entries from `offset` on, and the offset to go on from. Lines that cannot be read (cut off
/// by a crash) are passed over; a line without its end is left for the next time. A journal that
/// does not reach to `offset` was begun anew and is read from its start; so is one whose entries at
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

        // The keeper is killed in the middle of a line; the next one goes on.
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
        // One who is some entries behind still finds them.
        let (entries, _) = read_from(dir.path(), read - 20 * 1024).unwrap();
        assert_eq!(entries.last().unwrap().at, 199);
        assert!(entries.len() >= 3);
        // What nobody has confirmed stays, but its last words have a bound.
        for at in 200..500 {
            journal.append(&large(at, 60)).unwrap();
        }
        assert!(size() < FULL + 200 * 1024, "{}", size());
        assert_eq!(read_from(dir.path(), read).unwrap().0.len(), 300);
    }

    /// What happens to a journal, its keeper and its manager.
    #[derive(Clone, Debug)]
    enum Step {
        /// The keeper writes an entry of so many KiB.
        Append(usize),
        /// The manager reads on and stores what it read.
        Ingest,
        /// The manager reads on and is killed before it stores anything.
        IngestKilled,
        /// The manager confirms what is stored.
        Confirm,
        /// A confirmation of some time ago arrives.
        ConfirmOld,
        /// The keeper is killed, perhaps within a line or while it shortens the journal, and a new
        /// one comes.
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
                        // What the keeper says and what the manager reads are the same numbers.
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
