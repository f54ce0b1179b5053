//! Reads bytes of the logical stream by offset, across segment files that another process extends,
//! rotates and deletes.
//!
//! Must not know: records, levels, filters. Everything here is blocking.

use super::record::CELL;
use crate::keeper::level;
use crate::keeper::segment::{self, LogSegment};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The size of a read when reading forward.
pub const CHUNK: usize = 64 * 1024;

/// The available parts of the stream at one moment, as ranges of offsets without gaps, oldest first.
/// There is only one range unless a file in the middle was deleted.
#[derive(Debug)]
pub struct LogExtents {
    ranges: Vec<Range<u64>>,
}

impl LogExtents {
    /// Reads the list of files in `dir`; empty if it does not exist.
    pub fn look(dir: &Path) -> io::Result<Self> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for segment in segment::list(dir)? {
            match ranges.last_mut() {
                Some(last) if segment.base <= last.end => last.end = last.end.max(segment.end()),
                _ => ranges.push(segment.base..segment.end()),
            }
        }
        Ok(Self { ranges })
    }

    /// The oldest available offset; zero if there is no data.
    pub fn start(&self) -> u64 {
        self.ranges.first().map_or(0, |range| range.start)
    }

    /// The offset after the newest byte; zero if there is no data.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// The range that contains `at`, including its end.
    pub fn around(&self, at: u64) -> Option<Range<u64>> {
        self.ranges
            .iter()
            .find(|range| range.start <= at && at <= range.end)
            .cloned()
    }

    /// The newest range with bytes below `at`.
    pub fn below(&self, at: u64) -> Option<Range<u64>> {
        self.ranges
            .iter()
            .rfind(|range| range.start < at && !range.is_empty())
            .cloned()
    }

    /// The oldest range that starts above `at`.
    pub fn above(&self, at: u64) -> Option<Range<u64>> {
        self.ranges.iter().find(|range| range.start > at).cloned()
    }
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// The number of bytes, at least one.
    Data(usize),
    /// The bytes up to this offset are lost; reading continues there.
    Gap(u64),
    /// There is no more data now.
    End,
}

/// A read position in the stream. Keeps its file open, so that a deleted segment is still read to its
/// end.
#[derive(Debug)]
pub struct LogCursor {
    dir: PathBuf,
    at: u64,
    open: Option<(u64, File)>,
}

impl LogCursor {
    /// A cursor at this offset. Does not access the disk yet.
    pub fn new(dir: &Path, at: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            at,
            open: None,
        }
    }

    /// The offset of the next byte to read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether a file is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Moves to another offset.
    pub fn seek(&mut self, at: u64) -> io::Result<()> {
        self.at = at;
        if let Some((base, file)) = &self.open
            && (at < *base || at > base.saturating_add(file.metadata()?.len()))
        {
            self.open = None;
        }
        Ok(())
    }

    /// Whether a read would find data, based on `stat` of the open file and of its successor. Reads no
    /// data and no directory: cheap enough for ten times a second. True if no file is open yet.
    pub fn is_behind(&self) -> io::Result<bool> {
        let Some((base, file)) = &self.open else {
            return Ok(true);
        };
        if base.saturating_add(file.metadata()?.len()) > self.at {
            return Ok(true);
        }
        Ok(*base != self.at && self.dir.join(segment::file_name(self.at)).try_exists()?)
    }

    /// Continues reading. The end follows from the file names; only [`LogCursor::survey`] detects
    /// missing bytes.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<ReadStep> {
        loop {
            let Some((base, file)) = &self.open else {
                return self.survey(buffer);
            };
            match file.read_at(buffer, self.at - base) {
                Ok(0) => {}
                Ok(length) => {
                    self.at += length as u64;
                    return Ok(ReadStep::Data(length));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            // The successor of a segment starts where the segment ends. Once it exists, the segment
            // no longer grows.
            if *base == self.at {
                return Ok(ReadStep::End);
            }
            match File::open(self.dir.join(segment::file_name(self.at))) {
                Ok(next) => self.open = Some((self.at, next)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(ReadStep::End),
                Err(e) => return Err(e),
            }
        }
    }

    /// Finds the next file in the directory and continues reading.
    pub fn survey(&mut self, buffer: &mut [u8]) -> io::Result<ReadStep> {
        loop {
            let segments = segment::list(&self.dir)?;
            let holds = |s: &&LogSegment| s.base <= self.at && self.at < s.end();
            let (segment, gap) = if let Some(found) = segments.iter().find(holds) {
                (found, false)
            } else if let Some(later) = segments.iter().find(|s| s.base > self.at) {
                (later, true)
            } else if let Some(current) = segments.last().filter(|s| s.end() == self.at) {
                (current, false)
            } else {
                return Ok(ReadStep::End);
            };
            match File::open(&segment.path) {
                Ok(file) => self.open = Some((segment.base, file)),
                // Deleted after it was listed.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            }
            if gap {
                self.at = segment.base;
                return Ok(ReadStep::Gap(self.at));
            }
            if segment.end() == self.at {
                return Ok(ReadStep::End);
            }
            return self.read(buffer);
        }
    }

    /// The bytes of `range`. Fails with `NotFound` if some are missing.
    pub fn window(&mut self, range: Range<u64>) -> io::Result<Vec<u8>> {
        // Callers request only a few cells.
        let mut bytes = vec![
            0;
            usize::try_from(range.end.saturating_sub(range.start))
                .map_err(io::Error::other)?
        ];
        self.seek(range.start)?;
        let mut filled = 0;
        while filled < bytes.len() {
            let step = match self.read(&mut bytes[filled..])? {
                ReadStep::End => self.survey(&mut bytes[filled..])?,
                step => step,
            };
            match step {
                ReadStep::Data(length) => filled += length,
                ReadStep::Gap(_) | ReadStep::End => {
                    return Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        "this part of the log was deleted by rotation",
                    ));
                }
            }
        }
        Ok(bytes)
    }

    /// The start of the line that contains or starts at `at`. `extent` is the range around `at`.
    pub fn line_start(&mut self, extent: &Range<u64>, at: u64) -> io::Result<u64> {
        self.lines_back(extent, at, 0)
    }

    /// The offset with `count` newlines between it and `at`, right after a newline or at the start of
    /// `extent`.
    pub fn lines_back(&mut self, extent: &Range<u64>, at: u64, count: u64) -> io::Result<u64> {
        self.search_back(extent, &mut { at }, count)
    }

    /// The same from `below` on, which decreases during the search: after an error it marks the rest
    /// to search.
    pub fn search_back(
        &mut self,
        extent: &Range<u64>,
        below: &mut u64,
        count: u64,
    ) -> io::Result<u64> {
        let mut left = count;
        // Lines are usually short.
        let mut step = 1024;
        while *below > extent.start {
            let from = below.saturating_sub(step).max(extent.start);
            let window = self.window(from..*below)?;
            for newline in memchr::memrchr_iter(b'\n', &window) {
                if left == 0 {
                    return Ok(from + newline as u64 + 1);
                }
                left -= 1;
            }
            *below = from;
            step = CHUNK as u64;
        }
        Ok(extent.start)
    }

    /// The end of the line that contains the byte before `at`, after its newline; `end` if there is no
    /// newline before.
    pub fn line_end(&mut self, at: u64, end: u64) -> io::Result<u64> {
        let mut from = at.saturating_sub(1);
        while from < end {
            let to = end.min(from + CHUNK as u64);
            let window = self.window(from..to)?;
            if let Some(newline) = window.iter().position(|b| *b == b'\n') {
                return Ok(from + newline as u64 + 1);
            }
            from = to;
        }
        Ok(end)
    }

    /// The context of the line that starts at `at` in the grid of [`CELL`]s: its cell and the cell
    /// before.
    pub fn context(&mut self, extent: &Range<u64>, at: u64) -> io::Result<LineContext> {
        let cell = at / CELL * CELL;
        // One more byte, to check whether a line starts with the first cell.
        let from = cell.saturating_sub(CELL + 1).max(extent.start);
        let window = self.window(from..extent.end.min(at + level::PREFIX as u64))?;
        let mut context = LineContext {
            header: None,
            first_in_cell: at,
        };
        let begins = |offset: usize| {
            offset
                .checked_sub(1)
                .map_or(from == extent.start, |before| window[before] == b'\n')
        };
        // The offset of the caller is in the extent, at most two cells above `from`.
        let last = usize::try_from(at - from).map_err(io::Error::other)?;
        for offset in (0..=last).rev().filter(|offset| begins(*offset)) {
            let line = window[offset..]
                .split(|b| *b == b'\n')
                .next()
                .unwrap_or_default();
            if level::level_of_line(line).is_some() {
                context.header = Some(from + offset as u64);
                break;
            }
            if from + offset as u64 >= cell {
                context.first_in_cell = from + offset as u64;
            }
        }
        Ok(context)
    }
}

/// See [`LogCursor::context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineContext {
    /// The start of the last line with a header, including the requested line; `None` if there is none
    /// in these two cells.
    pub header: Option<u64>,
    /// The start of the first line in the cell of the requested line, if there is no header.
    pub first_in_cell: u64,
}

impl LineContext {
    /// The nearest offset at or before the requested line at which a record starts.
    pub fn record_start(self) -> u64 {
        self.header.unwrap_or(self.first_in_cell)
    }
}

/// A chunk of the stream.
#[derive(Debug)]
pub enum StreamPiece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// The bytes up to this offset are lost.
    Gap(u64),
}

/// Reads forward to a fixed offset.
#[derive(Debug)]
pub struct LogReading {
    cursor: LogCursor,
    to: u64,
    buffer: Vec<u8>,
    lost: bool,
}

impl LogReading {
    /// Reads from the position of `cursor` to the offset `to`.
    pub fn new(cursor: LogCursor, to: u64) -> Self {
        Self {
            cursor,
            to,
            buffer: Vec::new(),
            lost: false,
        }
    }

    /// Whether bytes were missing so far.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// The next chunk; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<StreamPiece<'_>>> {
        let left = usize::try_from(self.to.saturating_sub(self.cursor.at()))
            .unwrap_or(CHUNK)
            .min(CHUNK);
        if left == 0 {
            return Ok(None);
        }
        if self.buffer.len() < left {
            self.buffer.resize(left, 0);
        }
        let room = &mut self.buffer[..left];
        let step = match self.cursor.read(room)? {
            ReadStep::End => self.cursor.survey(room)?,
            step => step,
        };
        self.lost |= !matches!(step, ReadStep::Data(_));
        Ok(match step {
            ReadStep::Data(length) => Some(StreamPiece::Bytes(&self.buffer[..length])),
            ReadStep::Gap(to) if to < self.to => Some(StreamPiece::Gap(to)),
            ReadStep::Gap(_) | ReadStep::End => None,
        })
    }
}
