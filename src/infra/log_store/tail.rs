//! Pages through a log that another process extends and rotates: forward, backward, filtered, or as a
//! whole.
//!
//! Positions are sequence numbers, which are offsets in the stream, so no index is needed. Paging
//! forward starts reading at the number; paging backward reads blocks toward the start until there are
//! enough records. Everything is blocking: call it on a thread for blocking work. Must not know:
//! async, viewers, HTTP.

mod scan;
mod seek;
#[cfg(test)]
mod tests;

pub use scan::{LogChunks, RecordTexts};

use scan::{ChunkSource, RecordScan};

use super::filter::{LogFilter, LogMatcher};
use super::mask::{SecretMask, StreamMask};
use super::record::{LogParser, LogRecord, RawRecord, SHOWN_MAX, TEXT_MAX};
use super::stream::{LogCursor, LogExtents, LogReading, StreamPiece};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The maximum number of bytes to search for a page; then it is returned with
/// [`RecordPage::scanned_all`] false. More than a keeper keeps (five segments of 10 MiB), so usually
/// every search is complete.
pub const SEARCH_MAX: u64 = 64 * 1024 * 1024;

/// The number of bytes that are searched in each of several logs, at least.
const SEARCH_MIN: u64 = 4 * 1024 * 1024;
/// The maximum time to search for a page.
const SEARCH_TIME: Duration = Duration::from_secs(10);

/// The maximum number of message bytes on a page, not counting its first record. With markup for every
/// few letters a page is five times as long.
pub const PAGE_BYTES: usize = 256 * 1024;
/// The size of a record on a page without its message.
const RECORD_BYTES: usize = 64;

/// The limits of a page.
#[derive(Clone, Copy, Debug)]
struct PageBudget {
    /// Maximum bytes of a message, if there are other records.
    message: usize,
    /// Maximum bytes of all messages, not counting the first.
    page: usize,
    /// Maximum bytes to search.
    search: u64,
    /// Maximum time to search, for expressions that are slow.
    time: Duration,
}

const PAGE_BUDGET: PageBudget = PageBudget {
    message: SHOWN_MAX,
    page: PAGE_BYTES,
    search: SEARCH_MAX,
    time: SEARCH_TIME,
};

/// The block size for paging backward, doubled up to [`BLOCK_MAX`] until there are enough records.
const BLOCK_MIN: u64 = 32 * 1024;
const BLOCK_MAX: u64 = 1024 * 1024;

/// Consecutive records that match the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// Oldest first.
    pub records: Vec<LogRecord>,
    /// The argument of [`InstanceLog::before`] for the previous page: the sequence number of the first
    /// record, or the position reached by the search; `None` if there are no records here or before.
    pub first: Option<u64>,
    /// The argument of [`InstanceLog::after`] or of a follower for the next records. Also past
    /// searched records that did not match.
    pub last: u64,
    /// Whether there are older records before this page. When paging backward: older records that
    /// match the filter, as far as searched.
    pub more_before: bool,
    /// Whether requested records were deleted with the oldest segment.
    pub lost: bool,
    /// Whether the search reached the end of the available data. If not, there may be more records.
    pub scanned_all: bool,
    /// Whether there are fewer records than requested because their messages did not fit.
    pub is_full: bool,
}

/// The log of one instance: a directory of segment files. Cheap to create; keeps no file open.
#[derive(Clone, Debug)]
pub struct InstanceLog {
    dir: PathBuf,
    mask: SecretMask,
    room: PageBudget,
}

impl InstanceLog {
    /// The log of the directory `dir`, which may not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            mask: SecretMask::default(),
            room: PAGE_BUDGET,
        }
    }

    /// The same, with the secrets of `mask` masked.
    pub fn masked(self, mask: SecretMask) -> Self {
        Self { mask, ..self }
    }

    /// The same as one of `count` logs of a view: for a page, all together search about as much as one
    /// alone.
    pub fn as_one_of(mut self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        self.room.search = (SEARCH_MAX / u64::from(count)).max(SEARCH_MIN);
        self.room.time = SEARCH_TIME / count;
        self
    }

    /// The directory of the segment files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The oldest available offset; zero if there is no data.
    pub fn start(&self) -> io::Result<u64> {
        Ok(LogExtents::look(&self.dir)?.start())
    }

    /// The offset after the newest byte, which may be in the middle of a line; zero if there is no
    /// data.
    pub fn end(&self) -> io::Result<u64> {
        Ok(LogExtents::look(&self.dir)?.end())
    }

    /// The offset after the newest complete line, where following starts.
    pub fn complete_end(&self) -> io::Result<u64> {
        self.look().map(|view| view.end)
    }

    /// The oldest `limit` records with a sequence number above `seq`, or fewer if they do not fit. An
    /// offset inside a record returns the rest of its lines, an offset inside a line the whole line;
    /// an offset in the future counts as the end.
    pub fn after(&self, seq: u64, filter: &LogFilter, limit: usize) -> io::Result<RecordPage> {
        let mut view = self.look()?;
        let from = view.align(seq)?;
        let matcher = LogMatcher::of(filter);
        let mut scan = view.scan(from)?;
        let mut page = RecordPage {
            last: from,
            lost: from > seq,
            more_before: from > view.start,
            ..RecordPage::default()
        };
        let mut looked_at = from;
        let (mut room, longest) = (self.room.page, self.room.of_message(limit));
        let (mut more, mut is_full) = (limit > 0, limit == 0);
        let begun = Instant::now();
        while more
            && !is_full
            && looked_at.saturating_sub(from) < self.room.search
            && begun.elapsed() < self.room.time
        {
            more = scan.step(&mut |raw| {
                if !is_full {
                    looked_at = raw.seq();
                    if matcher.wants(raw) {
                        let record = raw.to_record(longest);
                        room = room.saturating_sub(cost(&record));
                        page.records.push(record);
                        is_full = page.records.len() == limit || room == 0;
                    }
                }
            })?;
        }
        page.lost |= scan.reading.lost();
        page.scanned_all = (!more && !is_full) || looked_at == view.end;
        page.is_full = is_full && page.records.len() < limit && !page.scanned_all;
        page.last = if page.scanned_all {
            view.end
        } else {
            looked_at
        };
        let nothing_here = page.more_before.then(|| from.saturating_add(1));
        page.first = page.records.first().map(|first| first.seq).or(nothing_here);
        Ok(page)
    }

    /// The newest `limit` records with a sequence number below `seq`, or fewer if they do not fit. At
    /// the end of the log, an incomplete line that is too long to be shown completely counts as a
    /// record.
    pub fn before(&self, seq: u64, filter: &LogFilter, limit: usize) -> io::Result<RecordPage> {
        let mut view = self.look()?;
        let upper = if seq > view.end {
            view.end
        } else if seq <= view.start {
            return Ok(RecordPage {
                last: seq,
                lost: view.start > 0,
                scanned_all: true,
                ..RecordPage::default()
            });
        } else if let Some(extent) = view.extents.around(seq) {
            // The line that contains the byte before `seq` decides whether a record ends below it.
            match view.cursor.line_end(seq, extent.end) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => view.start,
                end => end?,
            }
        } else {
            seq
        };
        let matcher = LogMatcher::of(filter);
        let longest = self.room.of_message(limit);
        let endless = if seq > view.extents.end() {
            view.endless_line(&matcher, longest)?
        } else {
            None
        };
        let mut page = view.newest(upper, seq, &matcher, limit, endless)?;
        page.last = match page.records.last() {
            _ if seq > view.end => view.end,
            Some(last) => last.seq,
            None => seq,
        };
        Ok(page)
    }

    /// The newest `limit` records.
    pub fn last(&self, filter: &LogFilter, limit: usize) -> io::Result<RecordPage> {
        self.before(u64::MAX, filter, limit)
    }

    /// The whole available log as plain text, in chunks of about 64 KiB: without a filter the original
    /// bytes, otherwise the lines of matching records (each cut at [`TEXT_MAX`]). Lines appended
    /// meanwhile are not included. Each step is blocking.
    pub fn chunks(&self, filter: LogFilter) -> io::Result<LogChunks> {
        let view = self.look()?;
        Ok(LogChunks(Some(if filter.is_everything() {
            ChunkSource::Bytes(
                view.read(view.start, view.extents.end()),
                StreamMask::new(self.mask.clone()),
            )
        } else {
            ChunkSource::Records(
                Box::new(view.records(view.start, view.end, LogParser::new(view.start))),
                filter,
            )
        })))
    }

    /// The matching records of the whole available log, oldest first, as in
    /// [`InstanceLog::chunks`].
    pub fn texts(&self, filter: LogFilter) -> io::Result<RecordTexts> {
        let view = self.look()?;
        let scan = view.records(view.start, view.end, LogParser::new(view.start));
        Ok(RecordTexts::new(scan, filter))
    }

    /// Writes the output of [`InstanceLog::chunks`]; returns the number of bytes.
    ///
    /// # Errors
    /// The files cannot be read or `writer` fails.
    pub fn copy_to(&self, filter: LogFilter, writer: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        for chunk in self.chunks(filter)? {
            let chunk = chunk?;
            writer.write_all(&chunk)?;
            written += chunk.len() as u64;
        }
        Ok(written)
    }

    /// The records that end above `from` and up to `to`, both at line ends, limited to `limit` records
    /// or `max_bytes` of text; at least one if there is one.
    pub(super) fn between(
        &self,
        from: u64,
        to: u64,
        limit: usize,
        max_bytes: usize,
    ) -> io::Result<RecordRange> {
        let mut view = self.look()?;
        view.end = view.end.min(to);
        let from = view.align(from)?;
        let mut scan = view.scan(from)?;
        let mut found = RecordRange {
            records: Vec::new(),
            from,
            until: view.end,
            lines: 0,
        };
        let (mut bytes, mut full, mut more) = (0, false, true);
        while more && !full {
            more = scan.step(&mut |raw| {
                full = full || found.records.len() >= limit || bytes >= max_bytes;
                if !full {
                    let record = raw.to_record(SHOWN_MAX);
                    bytes += cost(&record);
                    (found.until, found.lines) = (raw.seq(), raw.lines());
                    found.records.push(record);
                }
            })?;
        }
        if !full {
            (found.until, found.lines) = (view.end.max(from), scan.parser.lines());
        }
        Ok(found)
    }

    /// The number of lines that end above `from` and up to `to`, and whether all of them could be
    /// counted.
    pub(super) fn count_lines(&self, from: u64, to: u64) -> io::Result<(u64, bool)> {
        let mut reading = LogReading::new(LogCursor::new(&self.dir, from), to);
        let mut lines = 0;
        while let Some(piece) = reading.next()? {
            if let StreamPiece::Bytes(bytes) = piece {
                lines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            }
        }
        Ok((lines, !reading.lost()))
    }

    /// The start of the last lines up to `to`, at most `count`, if possible at a header.
    pub(super) fn lines_back(&self, to: u64, count: u64) -> io::Result<u64> {
        let mut view = self.look()?;
        let Some(extent) = view.extents.around(to) else {
            return Ok(to);
        };
        let from = match view.cursor.lines_back(&extent, to, count) {
            // Being deleted right now: start at the oldest available data.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                LogExtents::look(&self.dir)?.start().min(to)
            }
            from => from?,
        };
        let mut scan = view.records(from, to, LogParser::new(from));
        let mut begin = None;
        let mut more = true;
        while more && begin.is_none() {
            more = scan.step(&mut |raw| {
                if begin.is_none() && raw.has_timestamp() {
                    begin = Some(raw.start());
                }
            })?;
        }
        Ok(begin.unwrap_or(from))
    }

    /// A cursor and a parser after the newest complete line, for continuous reading.
    pub(super) fn open_end(&self) -> io::Result<(LogCursor, LogParser)> {
        let mut view = self.look()?;
        let parser = view.parser(view.end)?.masked(self.mask.clone());
        let mut cursor = view.cursor;
        cursor.seek(view.end)?;
        Ok((cursor, parser))
    }

    /// The current state of the log. If files are deleted during the search for the start of the
    /// newest line, that line starts with the oldest available byte.
    fn look(&self) -> io::Result<LogView> {
        let mut extents = LogExtents::look(&self.dir)?;
        let mut cursor = LogCursor::new(&self.dir, 0);
        let (mut below, mut tries) = (extents.end(), 1000);
        let end = loop {
            // Everything up to `below` was deleted; the rest is newer and is not searched.
            let Some(newest) = extents.around(below) else {
                break extents.start();
            };
            match cursor.search_back(&newest, &mut below, 0) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries > 0 => {
                    extents = LogExtents::look(&self.dir)?
                }
                end => break end?,
            }
            tries -= 1;
        };
        let (dir, mask) = (self.dir.clone(), self.mask.clone());
        Ok(LogView {
            dir,
            mask,
            room: self.room,
            start: extents.start(),
            end,
            extents,
            cursor,
        })
    }
}

impl PageBudget {
    /// The limits for a page of `limit` records.
    fn of_message(self, limit: usize) -> usize {
        if limit == 1 { TEXT_MAX } else { self.message }
    }
}

/// The size of a record on a page.
fn cost(record: &LogRecord) -> usize {
    record.message.len() + RECORD_BYTES
}

/// The result of [`InstanceLog::between`].
#[derive(Debug)]
pub(super) struct RecordRange {
    pub records: Vec<LogRecord>,
    /// Where reading started: above the requested offset if that was deleted.
    pub from: u64,
    /// The offset up to which `records` is complete.
    pub until: u64,
    /// The number of lines between the two.
    pub lines: u64,
}

/// A snapshot of the log.
struct LogView {
    dir: PathBuf,
    mask: SecretMask,
    room: PageBudget,
    extents: LogExtents,
    /// The oldest available offset.
    start: u64,
    /// The offset after the newest complete line, or an earlier end.
    end: u64,
    cursor: LogCursor,
}

impl LogView {
    /// The offset at which to start reading the records after `seq`: the start of a line.
    fn align(&mut self, seq: u64) -> io::Result<u64> {
        if seq >= self.end {
            return Ok(self.end);
        }
        match self.extents.around(seq) {
            Some(extent) => match self.cursor.line_start(&extent, seq) {
                // Being deleted right now: the scan will find the gap.
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(seq),
                start => start,
            },
            None => Ok(self
                .extents
                .above(seq)
                .map_or(self.end, |extent| extent.start)),
        }
    }

    /// A parser for reading from `at`, the start of a line, that returns the same records as one that
    /// started earlier.
    fn parser(&mut self, at: u64) -> io::Result<LogParser> {
        let Some(extent) = self.extents.around(at) else {
            return Ok(LogParser::new(at));
        };
        match self.cursor.context(&extent, at) {
            Ok(context) => Ok(context.header.map_or(LogParser::new(at), |header| {
                LogParser::after_header(at, header)
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(LogParser::new(at)),
            Err(e) => Err(e),
        }
    }

    /// Reads the bytes from `from` to `to`.
    fn read(&self, from: u64, to: u64) -> LogReading {
        LogReading::new(LogCursor::new(&self.dir, from), to)
    }

    /// Reads the records from `from`, the start of a line, to `self.end`.
    fn scan(&mut self, from: u64) -> io::Result<RecordScan> {
        let parser = self.parser(from)?;
        Ok(self.records(from, self.end, parser))
    }

    /// Reads the records from `from` to `to`.
    fn records(&self, from: u64, to: u64, parser: LogParser) -> RecordScan {
        RecordScan::new(self.read(from, to), parser.masked(self.mask.clone()))
    }

    /// The incomplete line as a record, if it is longer than a record can be.
    fn endless_line(
        &self,
        matcher: &LogMatcher<'_>,
        longest: usize,
    ) -> io::Result<Option<LogRecord>> {
        let end = self.extents.end();
        if end.saturating_sub(self.end) <= TEXT_MAX as u64 {
            return Ok(None);
        }
        // Only the part that can be shown is read.
        let until = self.end.saturating_add(2 * TEXT_MAX as u64).min(end);
        let mut scan = self.records(self.end, until, LogParser::new(self.end));
        let mut found = None;
        let mut emit =
            |raw: RawRecord<'_>| found = matcher.wants(raw).then(|| raw.to_record(longest));
        while scan.step(&mut emit)? {}
        Ok(found.map(|record| LogRecord {
            seq: end,
            omitted: record.omitted + (end - until),
            ..record
        }))
    }

    /// The newest `limit` matching records that end below `below` and at or before the line end
    /// `upper`, followed by `last`. Fewer if they do not fit.
    fn newest(
        &mut self,
        upper: u64,
        below: u64,
        matcher: &LogMatcher<'_>,
        limit: usize,
        last: Option<LogRecord>,
    ) -> io::Result<RecordPage> {
        let mut found: VecDeque<LogRecord> = last.into_iter().collect();
        let mut bytes: usize = found.iter().map(cost).sum();
        let (longest, most) = (self.room.of_message(limit), self.room.page);
        let mut reached = upper;
        let mut span = BLOCK_MIN;
        let mut scanned_all = false;
        let begun = Instant::now();
        let is_overfull = |count: usize, bytes: usize| count > limit || (count > 1 && bytes > most);
        while !is_overfull(found.len(), bytes)
            && upper - reached < self.room.search
            && begun.elapsed() < self.room.time
        {
            let Some(extent) = self.extents.below(reached) else {
                scanned_all = true;
                break;
            };
            let to = reached.min(extent.end);
            match self.block(&extent, to, span) {
                Ok((from, mut scan)) => {
                    let mut block: VecDeque<LogRecord> = VecDeque::new();
                    let mut emit = |raw: RawRecord<'_>| {
                        if raw.seq() < below && matcher.wants(raw) {
                            let record = raw.to_record(longest);
                            bytes += cost(&record);
                            block.push_back(record);
                            // One record more than fits, to know whether there is one.
                            while let Some(oldest) = block.front().map(cost)
                                && is_overfull(block.len() - 1 + found.len(), bytes - oldest)
                            {
                                block.pop_front();
                                bytes -= oldest;
                            }
                        }
                    };
                    while scan.step(&mut emit)? {}
                    block.append(&mut found);
                    found = block;
                    reached = from;
                }
                // Older data was deleted in the meantime.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    scanned_all = true;
                    break;
                }
                Err(e) => return Err(e),
            }
            span = (span * 2).min(BLOCK_MAX);
        }
        let overfull = is_overfull(found.len(), bytes);
        if overfull {
            found.pop_front();
        }
        let first = match found.front() {
            Some(first) if overfull || scanned_all => Some(first.seq),
            _ if overfull => Some(below),
            _ => (!scanned_all).then(|| reached.saturating_add(1)),
        };
        Ok(RecordPage {
            is_full: overfull && found.len() < limit,
            records: found.into(),
            first,
            last: below,
            more_before: !scanned_all,
            lost: false,
            scanned_all: scanned_all && !overfull,
        })
    }

    /// The records from about `span` bytes before `to` up to `to`, and their start.
    fn block(&mut self, extent: &Range<u64>, to: u64, span: u64) -> io::Result<(u64, RecordScan)> {
        let about = to.saturating_sub(span).max(extent.start);
        let line = self.cursor.line_start(extent, about)?;
        let from = if line == extent.start {
            line
        } else {
            self.cursor.context(extent, line)?.record_start()
        };
        Ok((from, self.records(from, to, LogParser::new(from))))
    }
}
