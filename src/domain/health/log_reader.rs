//! Reads the log of one instance as it grows and derives the state of the client. Blocking.
//! Independent of the database.

use std::io;
use std::path::{Path, PathBuf};

use crate::infra::log_store::SecretMask;
use crate::infra::log_store::stream::{LogCursor, ReadStep};
use crate::keeper::segment;
use crate::programs::jd_client::diagnosis::ClientStatus;
use crate::programs::translator::diagnosis::TranslatorLogStatus;

/// Maximum bytes read of a line; the relevant part is in the first few hundred.
const LINE_MAX: usize = 4096;
/// Number of reads between two checks of the directory, in case files were deleted.
const LOOK_AROUND: u32 = 30;
/// Number of reads in which a first file is searched for after it is expected; later the regular
/// directory check finds it.
const EXPECTED: u32 = 60;

/// A state that is derived from the lines of a log.
pub trait LogState: Default {
    /// Takes the next line; returns whether a check is due.
    fn apply_line(&mut self, line: &[u8]) -> bool;
}

impl LogState for ClientStatus {
    fn apply_line(&mut self, line: &[u8]) -> bool {
        Self::apply_line(self, line)
    }
}

impl LogState for TranslatorLogStatus {
    fn apply_line(&mut self, line: &[u8]) -> bool {
        Self::apply_line(self, line)
    }
}

/// A read position in a log and the state derived up to there.
#[derive(Debug)]
pub struct HealthLogReader<State = ClientStatus> {
    dir: PathBuf,
    cursor: LogCursor,
    /// Start of the incomplete last line.
    line_start: u64,
    partial: Vec<u8>,
    /// Number of reads.
    turn: u32,
    /// Remaining reads in which a first file is searched for.
    expected: u32,
    mask: SecretMask,
    /// The last read stopped at its limit, not at the end of the log.
    is_behind: bool,
    /// The first read starts this many bytes before the end.
    tail: Option<u64>,
    /// The state derived from the log up to `line_start`.
    pub standing: State,
}

impl<State: LogState> HealthLogReader<State> {
    /// Starts at most `bytes` before the end of the log files of `dir`.
    pub fn tail(dir: &Path, bytes: u64) -> Self {
        Self {
            tail: Some(bytes),
            ..Self::new(dir, 0, State::default())
        }
    }

    /// Continues at `offset` in the log files of `dir`, for which `standing` is valid.
    pub fn new(dir: &Path, offset: u64, standing: State) -> Self {
        Self {
            dir: dir.to_owned(),
            cursor: LogCursor::new(dir, offset),
            line_start: offset,
            partial: Vec::new(),
            turn: 0,
            expected: 1,
            mask: SecretMask::default(),
            is_behind: false,
            tail: None,
            standing,
        }
    }

    /// The same, ignoring the secrets of `mask`: the derived state is shown to everyone.
    pub fn masked(self, mask: SecretMask) -> Self {
        Self { mask, ..self }
    }

    /// A client may have been started: searches for its log if there was none.
    pub fn find_log(&mut self) {
        self.expected = EXPECTED;
    }

    /// The offset up to which the log is processed, where another reader would continue.
    pub fn offset(&self) -> u64 {
        self.line_start
    }

    /// The log has more data than one read takes: `standing` is an earlier state.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Reads new data, at most about `most` bytes; returns whether a check is due.
    ///
    /// # Errors
    /// The files cannot be read; data read before that counts.
    pub fn read(&mut self, buffer: &mut [u8], most: usize) -> io::Result<bool> {
        if let Some(bytes) = self.tail {
            let files = segment::list(&self.dir)?;
            self.tail = None;
            let end = files.last().map_or(0, segment::LogSegment::end);
            self.line_start = end.saturating_sub(bytes);
            self.cursor = LogCursor::new(&self.dir, self.line_start);
        }
        let (mut has_changed, mut read) = (false, 0);
        self.is_behind = false;
        self.turn = self.turn.wrapping_add(1);
        let looks_around = self.turn.is_multiple_of(LOOK_AROUND);
        // An instance that was never started has no log; its directory is not read repeatedly.
        let is_idle = !self.cursor.is_open() && self.expected == 0;
        if !looks_around && (is_idle || !self.cursor.is_behind()?) {
            return Ok(false);
        }
        self.expected = self.expected.saturating_sub(1);
        let mut is_first = looks_around;
        while read < most {
            let step = if std::mem::take(&mut is_first) {
                self.cursor.survey(buffer)?
            } else {
                self.cursor.read(buffer)?
            };
            match step {
                ReadStep::Data(length) => {
                    read += length;
                    self.mask.cover(&mut buffer[..length]);
                    has_changed |= self.take(&buffer[..length]);
                }
                ReadStep::Gap(to) => {
                    self.partial.clear();
                    self.line_start = to;
                }
                ReadStep::End => {
                    if looks_around && read == 0 && self.is_beyond_the_end()? {
                        // The files were deleted, and a new log has begun.
                        *self = Self::new(&self.dir, 0, State::default()).masked(self.mask.clone());
                        return Ok(true);
                    }
                    break;
                }
            }
        }
        self.is_behind = read >= most;
        Ok(has_changed)
    }

    /// The newest file ends before this position.
    fn is_beyond_the_end(&self) -> io::Result<bool> {
        let newest = segment::list(&self.dir)?
            .last()
            .map(segment::LogSegment::end);
        Ok(newest.is_some_and(|end| end < self.cursor.at()))
    }

    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_changed = false;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.partial.is_empty() {
                has_changed |= self.standing.apply_line(&line[..line.len().min(LINE_MAX)]);
                self.line_start += end as u64 + 1;
            } else {
                self.hold(line);
                self.mask.cover(&mut self.partial);
                self.mask.cover_end(&mut self.partial);
                has_changed |= self.standing.apply_line(&self.partial);
                self.partial.clear();
                self.line_start = self.cursor.at() - bytes.len() as u64;
            }
        }
        if !bytes.is_empty() {
            self.hold(bytes);
        }
        has_changed
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LOG: &str =
        include_str!("../../../tests/data/jd-client/pool_shares_then_fallback_to_solo.log");

    fn file(dir: &Path, base: u64) -> std::path::PathBuf {
        dir.join(crate::keeper::segment::file_name(base))
    }

    /// The state derived from a log does not depend on the size of the reads or on interruptions.
    #[test]
    fn a_log_read_in_pieces_by_several_readers_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = ClientStatus::default();
        for line in LOG.lines() {
            whole.apply_line(line.as_bytes());
        }
        let (mut offset, mut standing, mut written) = (0, ClientStatus::default(), 0_usize);
        for (round, piece) in [1_000, 77, 5_003, 64, 30_001, usize::MAX]
            .into_iter()
            .enumerate()
        {
            let end = LOG.len().min(written.saturating_add(piece));
            let mut text = fs::read(file(dir.path(), 0)).unwrap_or_default();
            text.extend_from_slice(&LOG.as_bytes()[written..end]);
            fs::write(file(dir.path(), 0), text).unwrap();
            written = end;
            let mut reader = HealthLogReader::new(dir.path(), offset, standing);
            let mut buffer = vec![0; 100 + 900 * round];
            while reader.offset() < LOG[..end].rfind('\n').map_or(0, |at| at as u64 + 1) {
                reader.read(&mut buffer, 512).unwrap();
            }
            // As it is stored between two managers.
            offset = reader.offset();
            standing =
                serde_json::from_str(&serde_json::to_string(&reader.standing).unwrap()).unwrap();
        }
        assert_eq!(offset, LOG.len() as u64);
        assert_eq!(standing, whole);
    }

    #[test]
    fn a_reader_is_behind_until_it_has_read_to_the_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(file(dir.path(), 0), LOG).unwrap();
        let mut reader = HealthLogReader::new(dir.path(), 0, ClientStatus::default());
        let mut buffer = vec![0; 512];
        let mut readings = 0;
        while reader.offset() < LOG.len() as u64 {
            reader.read(&mut buffer, 4096).unwrap();
            readings += 1;
            assert_eq!(reader.is_behind(), readings <= LOG.len() / 4096);
        }
        reader.read(&mut buffer, 4096).unwrap();
        assert!(readings > 3 && !reader.is_behind());
    }

    /// A user deletes log files to free disk space.
    #[test]
    fn a_log_whose_files_were_removed_is_read_from_its_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = HealthLogReader::new(
            dir.path(),
            90_000,
            ClientStatus {
                blocks: 3,
                ..ClientStatus::default()
            },
        );
        let mut buffer = vec![0; 8192];
        fs::write(file(dir.path(), 0), LOG).unwrap();
        for _ in 0..=2 * LOOK_AROUND {
            reader.read(&mut buffer, usize::MAX).unwrap();
        }
        assert_eq!(reader.offset(), LOG.len() as u64);
        assert_eq!(reader.standing.blocks, 0);
    }

    #[test]
    fn a_log_that_does_not_exist_is_looked_for_when_it_is_expected_and_otherwise_rarely() {
        let dir = tempfile::tempdir().unwrap();
        let mut buffer = vec![0; 8192];
        let mut reader = HealthLogReader::new(dir.path(), 0, ClientStatus::default());
        assert!(
            !reader.read(&mut buffer, usize::MAX).unwrap(),
            "there is none"
        );
        fs::write(file(dir.path(), 0), LOG).unwrap();
        for _ in 2..LOOK_AROUND {
            reader.read(&mut buffer, usize::MAX).unwrap();
            assert_eq!(
                reader.offset(),
                0,
                "the directory was looked at though nobody expects anything there"
            );
        }
        assert!(
            reader.read(&mut buffer, usize::MAX).unwrap(),
            "found after a while all the same"
        );
        assert_eq!(reader.offset(), LOG.len() as u64);
        // The log of a started client is found immediately.
        let mut reader =
            HealthLogReader::new(&dir.path().join("later"), 0, ClientStatus::default());
        reader.read(&mut buffer, usize::MAX).unwrap();
        reader.find_log();
        reader.read(&mut buffer, usize::MAX).unwrap();
        fs::create_dir(dir.path().join("later")).unwrap();
        fs::write(file(&dir.path().join("later"), 0), LOG).unwrap();
        assert!(reader.read(&mut buffer, usize::MAX).unwrap());
    }

    #[test]
    fn a_tail_starts_near_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = HealthLogReader::<ClientStatus>::tail(dir.path(), 100);
        let mut buffer = vec![0; 512];
        assert!(!reader.read(&mut buffer, usize::MAX).unwrap());
        fs::write(file(dir.path(), 0), LOG).unwrap();
        let mut reader = HealthLogReader::<ClientStatus>::tail(dir.path(), 5_000);
        reader.read(&mut buffer, usize::MAX).unwrap();
        assert_eq!(reader.offset(), LOG.len() as u64);
        assert!(reader.standing.heard.is_some() && reader.standing.began.is_none());
        let mut whole = HealthLogReader::<ClientStatus>::tail(dir.path(), 1 << 30);
        whole.read(&mut buffer, usize::MAX).unwrap();
        assert!(whole.standing.began.is_some());
    }

    #[test]
    fn lines_without_end_are_bounded_and_what_was_dropped_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(file(dir.path(), 0), vec![b'x'; 1 << 20]).unwrap();
        let mut reader = HealthLogReader::new(dir.path(), 0, ClientStatus::default());
        let mut buffer = vec![0; 8192];
        assert!(!reader.read(&mut buffer, usize::MAX).unwrap());
        assert!(reader.partial.len() <= LINE_MAX);
        assert_eq!(reader.offset(), 0);
        // The oldest file is gone, and reading continues with the next.
        let later = 2 << 20;
        let line = LOG
            .lines()
            .find(|line| line.contains("Trying upstream 1 of 1"))
            .unwrap();
        fs::write(file(dir.path(), later), format!("{line}\n")).unwrap();
        fs::remove_file(file(dir.path(), 0)).unwrap();
        let mut has_changed = false;
        for _ in 0..=LOOK_AROUND {
            has_changed |= reader.read(&mut buffer, usize::MAX).unwrap();
        }
        assert!(has_changed);
        assert_eq!(reader.offset(), later + line.len() as u64 + 1);
    }
}
