//! Reading bytes of the logical stream by their offsets, across segment files that grow, follow one
//! another and are deleted by another process meanwhile.
//!
//! Must not know: records, levels, filters. Everything here blocks on the disk.

use super::record::CELL;
use crate::keeper::level;
use crate::keeper::segment::{self, LogSegment};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read at once when going forward.
pub const CHUNK: usize = 64 * 1024;

/// What was kept of the stream at one moment, as ranges of offsets without a hole, oldest first.
/// One range, unless somebody deleted a file in the middle.
#[derive(Debug)]
pub struct LogExtents {
    ranges: Vec<Range<u64>>,
}

impl LogExtents {
    /// Looks at the files in `dir`; nothing is kept if it does not exist.
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

    /// The oldest kept offset; zero if nothing is kept.
    pub fn start(&self) -> u64 {
        self.ranges.first().map_or(0, |range| range.start)
    }

    /// The offset just past the newest byte; zero if nothing is kept.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// The range in which `at` lies, its end included.
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

    /// The oldest range beginning above `at`.
    pub fn above(&self, at: u64) -> Option<Range<u64>> {
        self.ranges.iter().find(|range| range.start > at).cloned()
    }
}

/// What reading on found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// So many bytes, at least one.
    Data(usize),
    /// The bytes up to this offset are lost; reading goes on there.
    Gap(u64),
    /// There is nothing more at the moment.
    End,
}

/// A place in the stream from which to read on. Keeps the file it is in open, so that a segment
/// deleted meanwhile is still read to its end.
#[derive(Debug)]
pub struct LogCursor {
    dir: PathBuf,
    at: u64,
    open: Option<(u64, File)>,
}

impl LogCursor {
    /// Does not touch the disk yet.
    pub fn new(dir: &Path, at: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            at,
            open: None,
        }
    }

    /// The offset of the next byte to be read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether it has found a file to read from.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Goes to another offset.
    pub fn seek(&mut self, at: u64) -> io::Result<()> {
        self.at = at;
        if let Some((base, file)) = &self.open
            && (at < *base || at > base.saturating_add(file.metadata()?.len()))
        {
            self.open = None;
        }
        Ok(())
    }

    /// Whether a read would find something, as far as one `stat` of the open file and one of its
    /// successor tell. Reads no data and no directory: cheap enough for ten times a second. True if
    /// no file is open yet.
    pub fn is_behind(&self) -> io::Result<bool> {
        let Some((base, file)) = &self.open else {
            return Ok(true);
        };
        if base.saturating_add(file.metadata()?.len()) > self.at {
            return Ok(true);
        }
        Ok(*base != self.at && self.dir.join(segment::file_name(self.at)).try_exists()?)
    }

    /// Reads on. The end is told by the files' names; only [`LogCursor::survey`] sees that bytes
    /// are missing there.
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
            // A segment's successor begins where it ends, and once it exists the segment does not
            // grow any more.
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

    /// Looks at the directory for the file to go on with, then reads on.
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
                // Deleted since it was listed.
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

    /// The bytes of `range`. Fails with `NotFound` if they are not all there (any more).
    pub fn window(&mut self, range: Range<u64>) -> io::Result<Vec<u8>> {
        // Callers ask for a few cells at most.
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
                        "this part of the log has been rotated away",
                    ));
                }
            }
        }
        Ok(bytes)
    }

    /// The beginning of the line that `at` is in, or of the line that begins there. `extent` is the
    /// range around `at`.
    pub fn line_start(&mut self, extent: &Range<u64>, at: u64) -> io::Result<u64> {
        self.lines_back(extent, at, 0)
    }

    /// The offset from which on `count` newlines come before `at`, right after a newline or at the
    /// beginning of `extent`.
    pub fn lines_back(&mut self, extent: &Range<u64>, at: u64, count: u64) -> io::Result<u64> {
        self.search_back(extent, &mut { at }, count)
    }

    /// The same from `below` on, which goes down with the search: after a failure it is what is
    /// left to be searched.
    pub fn search_back(
        &mut self,
        extent: &Range<u64>,
        below: &mut u64,
        count: u64,
    ) -> io::Result<u64> {
        let mut left = count;
        // Lines are short as a rule.
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

    /// The end of the line that holds the byte before `at`, just past its newline; `end` if it has
    /// none before that.
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

    /// What the grid of [`CELL`]s says about the line that begins at `at`, from the cell it begins
    /// in and the one before.
    pub fn context(&mut self, extent: &Range<u64>, at: u64) -> io::Result<LineContext> {
        let cell = at / CELL * CELL;
        // One byte more, to see whether a line begins with the first cell.
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
        // The callers' offset lies in the extent, at most two cells above `from`.
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
    /// Where the last line with a header begins, the asked-for line included; none if there is none
    /// in these two cells.
    pub header: Option<u64>,
    /// Where the first line in the asked-for line's cell begins, if there is no header.
    pub first_in_cell: u64,
}

impl LineContext {
    /// The nearest offset at or before the asked-for line at which a record is known to begin.
    pub fn record_start(self) -> u64 {
        self.header.unwrap_or(self.first_in_cell)
    }
}

/// A piece of the stream.
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
    /// Reads from where `cursor` is to the offset `to`.
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

    /// The next piece; none at the end.
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
