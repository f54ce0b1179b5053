//! The client's output on disk: one endless stream of bytes, split into files named after the
//! offset of their first byte.
//!
//! Files are never renamed: a position in the stream stays valid, so readers can use it to page and
//! to resume. A full disk loses output but never stops the client: lost bytes are counted and
//! logged as soon as writing works again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::keeper::segment;

/// The fraction by which a file may exceed its size, so its last line can end in the same file.
const GRACE: u64 = 16;

/// The writer of an instance's log.
#[derive(Debug)]
pub struct LogFile {
    dir: PathBuf,
    file: File,
    /// Offset of the present file's first byte.
    base: u64,
    /// Bytes in the present file.
    len: u64,
    segment_bytes: u64,
    segments: usize,
    /// Bytes that could not be written since the last success.
    lost: u64,
    /// The stream ends in the middle of a line.
    mid_line: bool,
}

impl LogFile {
    /// Continues at the end of the stream. If a killed keeper left an incomplete line, it is
    /// closed.
    ///
    /// # Errors
    /// The directory or the file cannot be created.
    pub fn open(dir: &Path, segment_bytes: u64, segments: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let base = segment::list(dir)?.last().map_or(0, |last| last.base);
        let mut file = open(dir, base)?;
        let len = file.metadata()?.len();
        let mut log = Self {
            dir: dir.into(),
            base,
            len,
            segment_bytes,
            segments: segments.max(1),
            lost: 0,
            mid_line: false,
            file: open(dir, base)?,
        };
        if len > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(len - 1))?;
            file.read_exact(&mut last)?;
            log.mid_line = last != *b"\n";
            log.close_line();
        }
        Ok(log)
    }

    /// Sets new sizes. They apply from the next file.
    pub fn set_sizes(&mut self, segment_bytes: u64, segments: usize) {
        self.segment_bytes = segment_bytes;
        self.segments = segments.max(1);
    }

    /// The offset after the last byte.
    pub fn end(&self) -> u64 {
        self.base + self.len
    }

    /// Appends output of the client.
    pub fn write(&mut self, mut bytes: &[u8]) {
        while self.len + bytes.len() as u64 > self.segment_bytes {
            // Cut behind the last line that still fits. A line that began in this file may end in
            // it if it does so soon; one that goes on is cut where the file is full, so that output
            // without newlines stays within its files, too.
            let room = usize::try_from(self.segment_bytes.saturating_sub(self.len))
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let grace = self
                .segment_bytes
                .saturating_add(self.segment_bytes / GRACE)
                .saturating_sub(self.len);
            let grace = usize::try_from(grace).unwrap_or(usize::MAX);
            let cut = match bytes[..room].iter().rposition(|b| *b == b'\n') {
                Some(at) => at + 1,
                None if self.len > 0 && !self.mid_line => 0,
                None => match bytes[..grace.min(bytes.len())]
                    .iter()
                    .position(|b| *b == b'\n')
                {
                    Some(at) => at + 1,
                    None if bytes.len() <= grace => break,
                    None => grace,
                },
            };
            self.append(&bytes[..cut]);
            bytes = &bytes[cut..];
            if !self.cut() {
                break;
            }
            if bytes.is_empty() {
                return;
            }
        }
        self.append(bytes);
    }

    /// Appends a line of the keeper, in the client's format so it is read like any other line.
    pub fn note(&mut self, level: &str, text: &str) {
        self.close_line();
        let now = jiff::Timestamp::now();
        self.write(format!("{now:.6} {level:>5} jd_manager::keeper: {text}\n").as_bytes());
    }

    /// Closes an unfinished line of a client.
    pub fn close_line(&mut self) {
        if self.mid_line {
            self.append(b"\n");
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.lost > 0 {
            let now = jiff::Timestamp::now();
            let note = format!(
                "{now:.6}  WARN jd_manager::keeper: {} bytes of output could not be written to disk\n",
                self.lost
            );
            let start: &[u8] = if self.mid_line { b"\n" } else { b"" };
            if self.put(&[start, note.as_bytes()].concat()).is_err() {
                self.lost += bytes.len() as u64;
                return;
            }
            self.lost = 0;
        }
        match self.put(bytes) {
            Ok(()) => {}
            Err(written) => self.lost += (bytes.len() - written) as u64,
        }
    }

    /// Writes; the error is the number of bytes written before the failure.
    fn put(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(n) => {
                    done += n;
                    self.len += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if done > 0 {
            self.mid_line = bytes[done - 1] != b'\n';
        }
        if done == bytes.len() {
            Ok(())
        } else {
            Err(done)
        }
    }

    /// Starts the next file and deletes files beyond the number to keep; false if no file can be
    /// created now. Then the old file continues to grow.
    fn cut(&mut self) -> bool {
        if self.len == 0 {
            return false;
        }
        let base = self.end();
        let opened = open(&self.dir, base)
            .or_else(|_| std::fs::create_dir_all(&self.dir).and_then(|()| open(&self.dir, base)));
        let Ok(file) = opened else { return false };
        (self.file, self.base, self.len) = (file, base, 0);
        if let Ok(files) = segment::list(&self.dir) {
            for old in files.iter().rev().skip(self.segments) {
                let _ = std::fs::remove_file(&old.path);
            }
        }
        true
    }
}

fn open(dir: &Path, base: u64) -> io::Result<File> {
    File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(dir.join(segment::file_name(base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(dir: &Path) -> (u64, String) {
        let files = segment::list(dir).unwrap();
        let mut next = files[0].base;
        let mut text = String::new();
        for file in &files {
            assert_eq!(file.base, next, "a hole between files");
            let part = std::fs::read_to_string(&file.path).unwrap();
            next += part.len() as u64;
            text += &part;
        }
        (files[0].base, text)
    }

    #[test]
    fn files_are_cut_between_lines_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(dir.path(), 100, 3).unwrap();
        let mut all = String::new();
        for n in 0..200 {
            let line = format!("line {n}\n");
            all += &line;
            log.write(line.as_bytes());
        }
        let files = segment::list(dir.path()).unwrap();
        assert_eq!(files.len(), 3);
        for file in &files {
            let text = std::fs::read_to_string(&file.path).unwrap();
            assert!(
                text.len() <= 100 && text.ends_with('\n') && text.starts_with("line "),
                "{text:?}"
            );
        }
        let (base, text) = content(dir.path());
        assert_eq!(text, all[usize::try_from(base).unwrap()..]);
        assert_eq!(log.end(), all.len() as u64);
    }

    #[test]
    fn one_write_over_many_files_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(dir.path(), 64, 1000).unwrap();
        let all: String = (0..500)
            .map(|n| format!("{n} {}\n", "x".repeat(n % 150)))
            .collect();
        for piece in all.as_bytes().chunks(777) {
            log.write(piece);
        }
        assert_eq!(content(dir.path()), (0, all));
    }

    #[test]
    fn a_line_without_end_is_bounded_by_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(dir.path(), 1000, 2).unwrap();
        for _ in 0..500 {
            log.write(&[b'x'; 100]);
        }
        let files = segment::list(dir.path()).unwrap();
        assert!(
            files.len() <= 2 && files.iter().all(|file| file.len <= 1000 + 1000 / GRACE),
            "{files:?}"
        );
        assert_eq!(log.end(), 50_000);
        // However it is written, and whatever comes between.
        let mut log = LogFile::open(dir.path(), 1000, 2).unwrap();
        let mut end = log.end();
        for (n, size) in [3000, 1, 999, 1062, 1063, 64, 7000, 130]
            .into_iter()
            .cycle()
            .take(400)
            .enumerate()
        {
            let mut piece = vec![b'x'; size];
            if n % 5 == 0 {
                piece[size / 2] = b'\n';
            }
            log.write(&piece);
            end += size as u64;
            let files = segment::list(dir.path()).unwrap();
            assert!(
                files.len() <= 2 && files.iter().all(|file| file.len <= 1000 + 1000 / GRACE),
                "{files:?}"
            );
            assert_eq!(files.last().unwrap().end(), end);
        }
    }

    #[test]
    fn without_its_directory_it_makes_a_new_one_or_grows_on() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let mut log = LogFile::open(&logs, 100, 3).unwrap();
        log.write(b"one\n");
        std::fs::remove_dir_all(&logs).unwrap();
        for n in 0..50 {
            log.write(format!("line {n}\n").as_bytes());
        }
        assert!(content(&logs).1.ends_with("line 49\n"));
        // A file where the directory should be: nothing can be made there.
        std::fs::remove_dir_all(&logs).unwrap();
        std::fs::write(&logs, "").unwrap();
        for n in 0..50 {
            log.write(format!("line {n}\n").as_bytes());
        }
        assert!(log.end() > 500);
    }

    #[test]
    fn it_goes_on_where_it_was_and_closes_a_cut_off_line() {
        let dir = tempfile::tempdir().unwrap();
        LogFile::open(dir.path(), 1000, 2)
            .unwrap()
            .write(b"whole\nhal");
        let mut log = LogFile::open(dir.path(), 1000, 2).unwrap();
        log.note("INFO", "started");
        let (_, text) = content(dir.path());
        assert!(
            text.starts_with("whole\nhal\n")
                && text.ends_with(" INFO jd_manager::keeper: started\n"),
            "{text:?}"
        );
    }
}
