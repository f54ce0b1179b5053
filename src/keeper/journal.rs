//! The keeper's journal, `events.jsonl`: every change of state with its time and reason, so that the history has no hole when
//! the manager was away. The keeper appends, the manager reads on from where it was.

use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::machine::{Exit, Reason, State};
use super::names;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// From this state
    pub from: State,
    /// to this one,
    pub to: State,
    /// because of this.
    pub reason: Reason,
    /// Who asked, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The client's process id: the one that was started, or the one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How the client ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The last ERROR line of the run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last warnings, errors and lines outside the client's format of a run that ended unasked, oldest first: what its cause is
    /// read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// Failures in a row, this one included.
    #[serde(default)]
    pub failures: u32,
    /// When the next try is due, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
}

/// The keeper's end.
#[derive(Debug)]
pub struct Writer {
    file: File,
    len: u64,
    /// Lines that could not be written yet, oldest first.
    waiting: VecDeque<Vec<u8>>,
}

/// So many lines wait at most; a disk that stays full for longer costs the oldest.
const WAITING: usize = 1000;

/// Room that is set aside behind the end of the journal, bytes: a stop is written down on a full disk, too.
const RESERVE: u64 = 64 * 1024;

impl Writer {
    /// Opens the journal of an instance. A line that was cut off when a keeper was killed is closed, so that the next one is whole.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).read(true).open(dir.join(names::JOURNAL))?;
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
        let journal = Self { file, len, waiting: VecDeque::new() };
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

    /// Appends an entry and has it on disk when it returns. One that cannot be written waits and goes before the next.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(super::protocol::line(entry));
        self.flush()
    }

    /// Something waits to be written.
    #[must_use]
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

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Nothing has been written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Whole entries from `offset` on, and the offset to go on from. Lines that cannot be read (cut off by a crash) are passed over; a
/// line without its end is left for the next time. A journal shorter than `offset` was begun anew and is read from its start.
///
/// # Errors
/// The file exists but cannot be read.
pub fn read_from(dir: &Path, offset: u64) -> io::Result<(Vec<Entry>, u64)> {
    let mut file = match File::open(dir.join(names::JOURNAL)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(e) => return Err(e),
    };
    let offset = if file.metadata()?.len() < offset { 0 } else { offset };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let entries = bytes[..whole].split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok((entries, offset + whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: i64) -> Entry {
        Entry {
            at,
            from: State::Stopped,
            to: State::Starting,
            reason: Reason::Asked,
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
        let mut journal = Writer::open(dir.path()).unwrap();
        journal.append(&entry(1)).unwrap();
        let (first, offset) = read_from(dir.path(), 0).unwrap();
        assert_eq!(first, [entry(1)]);
        assert_eq!(offset, journal.len());

        // The keeper is killed in the middle of a line; the next one goes on.
        std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join(names::JOURNAL))
            .unwrap()
            .write_all(b"{\"at\":2,\"fr")
            .unwrap();
        assert_eq!(read_from(dir.path(), offset).unwrap(), (vec![], offset));
        Writer::open(dir.path()).unwrap().append(&entry(3)).unwrap();
        let (rest, end) = read_from(dir.path(), offset).unwrap();
        assert_eq!(rest, [entry(3)]);
        assert_eq!(read_from(dir.path(), end).unwrap().0, []);
    }

    #[test]
    fn a_missing_or_shorter_journal_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_from(dir.path(), 99).unwrap(), (vec![], 0));
        Writer::open(dir.path()).unwrap().append(&entry(1)).unwrap();
        assert_eq!(read_from(dir.path(), 10_000).unwrap().0, [entry(1)]);
    }
}
