//! Test support: writes a log like the keeper, in segments that start at line ends, and deletes the
//! oldest.

use crate::keeper::segment;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

pub const T: &str = "2026-11-22T21:28:39.731870Z";

/// A line with a header and `message`.
pub fn line(message: impl std::fmt::Display) -> String {
    format!("{T}  INFO jd_client_sv2::channel_manager: {message}\n")
}

pub struct SegmentWriter {
    dir: PathBuf,
    segment_len: u64,
    kept: usize,
    current: Option<(u64, File)>,
    bases: VecDeque<u64>,
    pub end: u64,
}

impl SegmentWriter {
    /// Starts at stream offset `base`; a new segment starts at the first line end after `segment_len`
    /// bytes.
    pub fn new(dir: &Path, base: u64, segment_len: u64, kept: usize) -> Self {
        Self {
            dir: dir.to_owned(),
            segment_len,
            kept,
            current: None,
            bases: VecDeque::new(),
            end: base,
        }
    }

    /// Appends `text`, split into segments at line ends.
    pub fn write(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|b| *b == b'\n') {
            if self.current.is_none() {
                let file = File::create_new(self.dir.join(segment::file_name(self.end))).unwrap();
                self.current = Some((self.end, file));
                self.bases.push_back(self.end);
                if self.bases.len() > self.kept {
                    let oldest = self.bases.pop_front().unwrap();
                    std::fs::remove_file(self.dir.join(segment::file_name(oldest))).unwrap();
                }
            }
            let (base, file) = self.current.as_mut().unwrap();
            file.write_all(line).unwrap();
            self.end += line.len() as u64;
            if self.end - *base >= self.segment_len && line.ends_with(b"\n") {
                self.current = None;
            }
        }
    }
}
