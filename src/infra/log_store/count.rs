//! Reads the beginning of each line in a part of the log, and counts the lines by level for times when
//! no keeper counted them. Blocking; keeps only a chunk of a file in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::keeper::level::{KEEPER_TARGET, LogLevel, header};
use crate::keeper::segment;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
/// The number of bytes of a line that are read: header and target.
const HEAD: usize = 256;

/// The number of lines by level, without lines of the keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// The count of each level, in the order of [`LogLevel`].
    pub by_level: [u64; 5],
    /// Lines in another format.
    pub other: u64,
    /// The offset after the last counted line, in bytes.
    pub until: u64,
}

/// Counts the complete lines that start between `from` (inclusive) and `to` (exclusive). Deleted parts
/// are skipped.
///
/// # Errors
/// The files cannot be read.
pub fn count(dir: &Path, from: u64, to: u64) -> io::Result<LineCounts> {
    let mut counts = LineCounts::default();
    counts.until = read_heads(dir, from, to, |head| counts.line(head))?;
    Ok(counts)
}

/// Passes on the first 256 bytes of each complete line that starts between `from` (inclusive) and
/// `to` (exclusive), without its line break. Deleted parts are skipped. Returns the offset after the
/// last line, from which the next call continues.
///
/// # Errors
/// The files cannot be read.
pub fn read_heads(dir: &Path, from: u64, to: u64, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut until = from;
    let mut head = Vec::with_capacity(HEAD);
    let mut piece = vec![0; PIECE];
    for file in segment::list(dir)?
        .into_iter()
        .filter(|file| file.end() > from && file.base < to)
    {
        let begin = from.max(file.base);
        let mut reader = match File::open(&file.path) {
            Ok(reader) => reader,
            // Deleted after it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        reader.seek(SeekFrom::Start(begin - file.base))?;
        let mut at = begin;
        let mut line_start = begin;
        head.clear();
        'file: loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let mut rest = &piece[..read];
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                if line_start >= to {
                    break 'file;
                }
                append(&mut head, &rest[..end]);
                each(&head);
                head.clear();
                at += end as u64 + 1;
                line_start = at;
                until = at;
                rest = &rest[end + 1..];
            }
            append(&mut head, rest);
            at += rest.len() as u64;
        }
    }
    Ok(until)
}

fn append(head: &mut Vec<u8>, bytes: &[u8]) {
    let room = HEAD.saturating_sub(head.len()).min(bytes.len());
    head.extend_from_slice(&bytes[..room]);
}

impl LineCounts {
    fn line(&mut self, head: &[u8]) {
        match header(head) {
            Some(header) if header.target == KEEPER_TARGET => {}
            Some(header) => self.by_level[header.level as usize] += 1,
            None => self.other += 1,
        }
    }

    /// The number of lines of a level.
    pub fn of(&self, level: LogLevel) -> u64 {
        self.by_level[level as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_level_over_several_files_and_the_keepers_own_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let log = include_str!("../../../tests/data/jd-client/tp_unreachable.log");
        let note = "2026-11-22T21:28:39.731870Z  WARN jd_manager::keeper: the client ended\n";
        let first = format!("{log}{note}");
        std::fs::write(dir.path().join(segment::file_name(1000)), &first).unwrap();
        let base = 1000 + first.len() as u64;
        std::fs::write(
            dir.path().join(segment::file_name(base)),
            format!("{log}bare\nhalf a li"),
        )
        .unwrap();

        let all = count(dir.path(), 0, u64::MAX).unwrap();
        let plain = log.lines().filter(|line| line.contains(" INFO ")).count() as u64;
        assert_eq!(
            (all.of(LogLevel::Info), all.of(LogLevel::Error), all.other),
            (2 * plain, 6, 1)
        );
        assert_eq!(
            all.until,
            base + log.len() as u64 + 5,
            "the unfinished line waits"
        );
        // Two steps give the same result as one, for any boundary.
        for cut in [0, 1000, 1500, base, base + 300] {
            let one = count(dir.path(), 0, cut).unwrap();
            let two = count(dir.path(), one.until, u64::MAX).unwrap();
            let sum: Vec<u64> = one
                .by_level
                .iter()
                .zip(two.by_level)
                .map(|(a, b)| a + b)
                .collect();
            assert_eq!(
                (sum, one.other + two.other, two.until),
                (all.by_level.to_vec(), all.other, all.until),
                "{cut}"
            );
        }
        assert_eq!(
            count(&dir.path().join("none"), 7, u64::MAX).unwrap(),
            LineCounts {
                until: 7,
                ..LineCounts::default()
            }
        );
    }
}
