//! Segment files: the layout of an instance's output stream on disk.
//!
//! The stream counts bytes since the instance was created. It is split into files `<base>.log`,
//! where `<base>` is the stream offset of the file's first byte as 20 decimal digits; the current
//! file is the one with the highest base and the only one that grows. Files are never renamed and
//! never change after a later one exists, so an offset always refers to the same byte. This module
//! must not know lines, levels, the writer, or when a new segment starts. It uses only the standard
//! library, because the keeper uses it, too.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Digits of a base in a file name: as many as the largest `u64` has, so that names sort like
/// offsets.
const DIGITS: usize = 20;
const SUFFIX: &str = ".log";

/// The name of the segment file whose first byte has the stream offset `base`:
/// `00000000000010485760.log`.
pub fn file_name(base: u64) -> String {
    format!("{base:020}{SUFFIX}")
}

/// The base in the name of a segment file; `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A segment file as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSegment {
    /// Stream offset of its first byte.
    pub base: u64,
    /// Its length in bytes. Grows if this is the current segment.
    pub len: u64,
    /// The path.
    pub path: PathBuf,
}

impl LogSegment {
    /// The stream offset just past its last byte, which is the base of the next segment.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.len)
    }
}

/// The segments in `dir`, oldest first; none if the directory does not exist. Other files are
/// ignored, and so are segments deleted in the meantime.
///
/// # Errors
/// The directory or a file in it cannot be read.
pub fn list(dir: &Path) -> io::Result<Vec<LogSegment>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut bases = Vec::new();
    for entry in entries {
        bases.extend(entry?.file_name().to_str().and_then(parse_file_name));
    }
    bases.sort_unstable();
    // Lengths only after all names are known: a segment is complete once a later one exists, so no
    // length read here is shorter than the distance to the next base while another process appends
    // and rotates.
    let mut segments = Vec::with_capacity(bases.len());
    for base in bases {
        let path = dir.join(OsStr::new(&file_name(base)));
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => segments.push(LogSegment {
                base,
                len: found.len(),
                path,
            }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_base_in_twenty_digits_and_nothing_else_is_a_segment() {
        for base in [0, 1, 10_485_760, u64::MAX] {
            assert_eq!(parse_file_name(&file_name(base)), Some(base));
        }
        assert_eq!(file_name(10_485_760), "00000000000010485760.log");
        for foreign in [
            "",
            ".log",
            "1.log",
            "0000000000000000000.log",
            "+0000000000000000001.log",
            "00000000000000000001.log.gz",
            "00000000000000000001",
            "99999999999999999999.log",
            "000000000000000000001.log",
        ] {
            assert_eq!(parse_file_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn segments_come_oldest_first_and_foreign_files_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list(&dir.path().join("missing")).unwrap(), []);
        for (name, text) in [
            (file_name(7), "rest"),
            (file_name(0), "seven b"),
            ("notes.txt".into(), "x"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        std::fs::create_dir(dir.path().join(file_name(3))).unwrap();
        let found = list(dir.path()).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|s| (s.base, s.len, s.end()))
                .collect::<Vec<_>>(),
            [(0, 7, 7), (7, 4, 11)]
        );
        assert_eq!(std::fs::read(&found[1].path).unwrap(), b"rest");
    }
}
