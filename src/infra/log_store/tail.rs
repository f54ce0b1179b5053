//! Pages through a log that another process extends and rotates: forward, backward, filtered, or as a
//! whole.
//!
//! Positions are sequence numbers, which are offsets in the stream, so no index is needed. Paging
//! forward starts reading at the number; paging backward reads blocks toward the start until there are
//! enough records. Everything is blocking: call it on a thread for blocking work. Must not know:
//! async, viewers, HTTP.

use super::filter::{LogFilter, LogMatcher};
use super::mask::{SecretMask, StreamMask};
use super::record::{LogParser, LogRecord, RawRecord, SHOWN_MAX, TEXT_MAX};
use super::stream::{CHUNK, LogCursor, LogExtents, LogReading, StreamPiece};
use crate::base::clock::Timestamp;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The maximum number of bytes to search for a page; then it is returned with
/// [`RecordPage::scanned_all`] false. More than a keeper keeps (five segments of 10 MiB), so usually
/// every search is complete.
pub const SEARCH_MAX: u64 = 64 * 1024 * 1024;

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
}

const PAGE_BUDGET: PageBudget = PageBudget {
    message: SHOWN_MAX,
    page: PAGE_BYTES,
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
        while more && !is_full && looked_at.saturating_sub(from) < SEARCH_MAX {
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
        Ok(RecordTexts {
            scan: view.records(view.start, view.end, LogParser::new(view.start)),
            filter,
            found: VecDeque::new(),
            has_more: true,
        })
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
        let is_overfull = |count: usize, bytes: usize| count > limit || (count > 1 && bytes > most);
        while !is_overfull(found.len(), bytes) && upper - reached < SEARCH_MAX {
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

/// Reads records forward in chunks.
#[derive(Debug)]
struct RecordScan {
    reading: LogReading,
    parser: LogParser,
    finished: bool,
}

impl RecordScan {
    fn new(reading: LogReading, parser: LogParser) -> Self {
        Self {
            reading,
            parser,
            finished: false,
        }
    }

    /// Returns the records of the next chunk; false at the end.
    fn step(&mut self, emit: &mut impl FnMut(RawRecord<'_>)) -> io::Result<bool> {
        if !self.finished {
            match self.reading.next()? {
                Some(StreamPiece::Bytes(bytes)) => self.parser.push(bytes, emit),
                Some(StreamPiece::Gap(to)) => self.parser.skip_to(to, emit),
                None => {
                    let at = self.parser.at();
                    self.parser.skip_to(at, emit);
                    self.finished = true;
                }
            }
        }
        Ok(!self.finished)
    }
}

/// See [`InstanceLog::texts`]: the time and the text of each record, at most [`TEXT_MAX`]. Ends
/// after an error. Each step is blocking.
#[derive(Debug)]
pub struct RecordTexts {
    scan: RecordScan,
    filter: LogFilter,
    found: VecDeque<(Option<Timestamp>, Vec<u8>)>,
    has_more: bool,
}

impl Iterator for RecordTexts {
    type Item = io::Result<(Option<Timestamp>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let matcher = LogMatcher::of(&self.filter);
        while self.found.is_empty() && self.has_more {
            let found = &mut self.found;
            let step = self.scan.step(&mut |raw| {
                if matcher.wants(raw) {
                    let at = std::str::from_utf8(raw.timestamp()).ok();
                    found.push_back((at.and_then(|at| at.parse().ok()), raw.text().to_vec()));
                }
            });
            match step {
                Ok(more) => self.has_more = more,
                Err(e) => {
                    self.has_more = false;
                    return Some(Err(e));
                }
            }
        }
        self.found.pop_front().map(Ok)
    }
}

/// See [`InstanceLog::chunks`]. Ends after an error.
#[derive(Debug)]
pub struct LogChunks(Option<ChunkSource>);

#[derive(Debug)]
enum ChunkSource {
    Bytes(LogReading, StreamMask),
    Records(Box<RecordScan>, LogFilter),
}

impl ChunkSource {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Bytes(reading, mask) => loop {
                let (clean, is_over) = match reading.next()? {
                    Some(StreamPiece::Bytes(bytes)) => (mask.push(bytes.to_vec()), false),
                    Some(StreamPiece::Gap(_)) => (mask.finish(), false),
                    None => (mask.finish(), true),
                };
                if is_over || !clean.is_empty() {
                    return Ok(Some(clean).filter(|clean| !clean.is_empty()));
                }
            },
            Self::Records(scan, filter) => {
                let matcher = LogMatcher::of(filter);
                let mut text = Vec::new();
                let mut more = true;
                while more && text.len() < CHUNK {
                    more = scan.step(&mut |raw| {
                        if matcher.wants(raw) {
                            text.extend_from_slice(raw.text());
                            text.push(b'\n');
                        }
                    })?;
                }
                Ok((!text.is_empty()).then_some(text))
            }
        }
    }
}

impl Iterator for LogChunks {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.0.as_mut()?.next().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::CELL;
    use super::super::test_writer::{SegmentWriter, T, line};
    use super::*;
    use crate::keeper::level::LogLevel;
    use crate::keeper::segment;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use strum::VariantArray;

    const ALL: LogFilter = LogFilter {
        min_level: None,
        text: None,
    };

    fn write(dir: &Path, base: u64, segment_len: u64, text: &[u8]) {
        SegmentWriter::new(dir, base, segment_len, usize::MAX).write(text);
    }

    /// A log without size limits for pages.
    fn roomy(dir: &Path) -> InstanceLog {
        InstanceLog {
            room: PageBudget {
                message: TEXT_MAX,
                page: usize::MAX,
            },
            ..InstanceLog::new(dir)
        }
    }

    /// The records of `text`, read in one pass from the start to the last newline.
    fn reference(base: u64, text: &[u8]) -> Vec<LogRecord> {
        let complete = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |last| last + 1);
        let mut found = Vec::new();
        let mut parser = LogParser::new(base);
        parser.push(&text[..complete], &mut |raw| {
            found.push(raw.to_record(TEXT_MAX))
        });
        parser.flush(&mut |raw| found.push(raw.to_record(TEXT_MAX)));
        found
    }

    fn forward(
        log: &InstanceLog,
        mut from: u64,
        filter: &LogFilter,
        limit: usize,
    ) -> Vec<LogRecord> {
        let mut found = Vec::new();
        loop {
            let page = log.after(from, filter, limit).unwrap();
            assert!(
                page.records.len() <= limit
                    && (page.last >= from || page.scanned_all)
                    && !page.lost
            );
            if let Some(first) = page.records.first() {
                assert_eq!(page.first, Some(first.seq));
            }
            found.extend(page.records);
            if page.scanned_all {
                assert_eq!(page.last, log.complete_end().unwrap());
                return found;
            }
            from = page.last;
        }
    }

    fn backward(log: &InstanceLog, filter: &LogFilter, limit: usize) -> Vec<LogRecord> {
        let mut pages = Vec::new();
        let mut page = log.last(filter, limit).unwrap();
        assert_eq!(page.last, log.complete_end().unwrap());
        loop {
            let more = page.more_before;
            assert!(
                page.records.len() <= limit
                    && (!more || page.records.len() == limit)
                    && more != page.scanned_all
            );
            pages.push(page.records);
            if !more {
                return pages.into_iter().rev().flatten().collect();
            }
            page = log.before(page.first.unwrap(), filter, limit).unwrap();
            assert!(!page.records.is_empty(), "more was promised");
        }
    }

    /// Lines of all kinds and lengths, many without a header, so that records cross blocks and cells.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let header = (0_usize..5, 0_usize..200).prop_map(|(level, length)| {
            format!(
                "{T} {:>5} jd_client_sv2::a: {}\n",
                LogLevel::VARIANTS[level],
                "m".repeat(length)
            )
            .into_bytes()
        });
        let bare = |longest: usize| {
            (1..longest).prop_map(|length| [vec![b'b'; length], b"\r\n".to_vec()].concat())
        };
        let lines = prop_oneof![
            6 => header,
            3 => bare(60),
            2 => bare(9_000),
            1 => bare(90_000),
            1 => Just(b"\n".to_vec()),
            1 => Just(b"thread 'x' (1) panicked at y:\n".to_vec()),
            1 => Just(format!("{T}  INFO jd_manager::keeper: a note\n").into_bytes()),
            1 => proptest::collection::vec(any::<u8>(), 0..300),
        ];
        let run = (lines, 1_usize..12).prop_map(|(line, times)| line.repeat(times));
        proptest::collection::vec(run, 0..30).prop_map(|runs| runs.concat())
    }

    fn some_filter() -> impl Strategy<Value = LogFilter> {
        let text = prop_oneof![
            Just(None),
            Just(Some(String::new())),
            Just(Some("SV2".to_owned())),
            Just(Some("Mm".to_owned())),
            Just(Some("ü".to_owned()))
        ];
        (proptest::option::of(0_usize..5), text).prop_map(|(level, text)| LogFilter {
            min_level: level.map(|l| LogLevel::VARIANTS[l]),
            text,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn paging_either_way_gives_every_record_once(
            text in stream(), base in prop_oneof![Just(0_u64), 0..3 * CELL], segment_len in 1_u64..60_000, limit in 1_usize..40, filter in some_filter()
        ) {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), base, segment_len, &text);
            let log = roomy(dir.path());
            let all = reference(base, &text);
            prop_assert_eq!(&forward(&log, log.start().unwrap(), &ALL, limit), &all);
            prop_assert_eq!(&backward(&log, &ALL, limit), &all);
            let wanted: Vec<_> = all.into_iter().filter(|r| filter.matches(r)).collect();
            prop_assert_eq!(&forward(&log, log.start().unwrap(), &filter, limit), &wanted);
            prop_assert_eq!(&backward(&log, &filter, limit), &wanted);
        }

        #[test]
        fn any_offset_divides_the_log(text in stream(), base in 0..3 * CELL, segment_len in 1_u64..60_000, at in any::<prop::sample::Index>()) {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), base, segment_len, &text);
            let log = roomy(dir.path());
            let all = reference(base, &text);
            let at = base + at.index(text.len() + 2) as u64;
            let older: Vec<_> = all.iter().filter(|r| r.seq < at).cloned().collect();
            prop_assert_eq!(log.before(at, &ALL, usize::MAX).unwrap().records, older);
            let newer = log.after(at, &ALL, usize::MAX).unwrap().records;
            // The rest of the record at the offset is a separate record (blank lines are none); the
            // others are the same.
            let rest: Vec<_> = all.iter().filter(|r| r.seq > at).cloned().collect();
            if newer.len() == rest.len() {
                prop_assert_eq!(newer.iter().skip(1).collect::<Vec<_>>(), rest.iter().skip(1).collect::<Vec<_>>());
                prop_assert_eq!(newer.first().map(|r| r.seq), rest.first().map(|r| r.seq));
            } else {
                prop_assert_eq!(&newer, &rest[1..]);
            }
            for limit in [1, 7] {
                prop_assert_eq!(&forward(&log, at, &ALL, limit), &newer);
            }
        }

        #[test]
        fn a_download_without_filter_is_the_bytes_and_with_one_the_lines(text in stream(), segment_len in 1_u64..60_000) {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), 5, segment_len, &text);
            let log = InstanceLog::new(dir.path());
            let mut copy = Vec::new();
            prop_assert_eq!(log.copy_to(ALL, &mut copy).unwrap(), text.len() as u64);
            prop_assert!(copy == text);
            let filter = LogFilter { min_level: Some(LogLevel::Warn), text: None };
            let mut lines = Vec::new();
            log.copy_to(filter.clone(), &mut lines).unwrap();
            let records = reference(0, &lines);
            let wanted: Vec<_> = reference(5, &text).into_iter().filter(|r| filter.matches(r)).collect();
            let warned = |records: &[LogRecord]| records.iter().filter(|r| r.timestamp.is_some()).map(|r| r.level).collect::<Vec<_>>();
            prop_assert_eq!(warned(&records), warned(&wanted));
        }
    }

    #[test]
    fn the_real_logs_are_paged_completely() {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jd-client/");
        for file in std::fs::read_dir(fixtures)
            .unwrap()
            .map(|f| f.unwrap().path())
        {
            let text = std::fs::read(&file).unwrap();
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), 0, 5_000, &text);
            let log = roomy(dir.path());
            let all = reference(0, &text);
            assert_eq!(forward(&log, 0, &ALL, 10), all);
            assert_eq!(backward(&log, &ALL, 10), all);
        }
    }

    #[test]
    fn a_log_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let log = InstanceLog::new(dir.path().join("never"));
        assert_eq!(
            (
                log.start().unwrap(),
                log.end().unwrap(),
                log.complete_end().unwrap()
            ),
            (0, 0, 0)
        );
        let empty = RecordPage {
            scanned_all: true,
            ..RecordPage::default()
        };
        assert_eq!(log.last(&ALL, 10).unwrap(), empty);
        assert_eq!(log.after(77, &ALL, 10).unwrap(), empty);
        assert_eq!(log.copy_to(ALL, &mut Vec::new()).unwrap(), 0);
    }

    #[test]
    fn offsets_before_the_oldest_segment_are_lost_and_future_ones_are_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::new(dir.path(), 0, 1_000, 2);
        writer.write((0..100).map(line).collect::<String>().as_bytes());
        let log = InstanceLog::new(dir.path());
        let start = log.start().unwrap();
        assert!(start > 0);
        let page = log.after(10, &ALL, 1).unwrap();
        assert!(page.lost && !page.more_before && !page.scanned_all);
        assert!(!log.after(start, &ALL, 1).unwrap().lost);
        let page = log.before(10, &ALL, 1).unwrap();
        assert!(page.lost && page.records.is_empty() && page.scanned_all);
        let page = log.after(u64::MAX, &ALL, 1).unwrap();
        assert_eq!(
            (page.records.len(), page.last, page.lost, page.scanned_all),
            (0, writer.end, false, true)
        );
        assert_eq!(
            log.after(writer.end - 1, &ALL, 1).unwrap().records[0].message,
            "99"
        );
    }

    #[test]
    fn a_file_missing_in_the_middle_is_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..60).map(line).collect();
        write(dir.path(), 0, 1_000, text.as_bytes());
        let segments = segment::list(dir.path()).unwrap();
        std::fs::remove_file(&segments[2].path).unwrap();
        let log = InstanceLog::new(dir.path());
        let page = log.after(0, &ALL, 1_000).unwrap();
        assert!(page.lost && page.scanned_all);
        let expected: Vec<_> = reference(0, text.as_bytes())
            .into_iter()
            .filter(|r| r.seq <= segments[2].base || r.seq > segments[3].base)
            .collect();
        assert_eq!(page.records, expected);
        assert_eq!(backward(&log, &ALL, 7), expected);
        // Inside the gap.
        assert_eq!(
            log.after(segments[2].base + 5, &ALL, 1).unwrap().records[0].seq,
            segments[3].base + line(0).len() as u64 + 1
        );
    }

    #[test]
    fn an_endless_line_is_paged_with_bounded_records() {
        let dir = tempfile::tempdir().unwrap();
        let text = [
            line("before").into_bytes(),
            vec![b'x'; 3_000_000],
            b"\n".to_vec(),
            line("after").into_bytes(),
            vec![b'y'; 500_000],
        ]
        .concat();
        write(dir.path(), 0, 1_000_000, &text);
        let log = roomy(dir.path());
        let all = reference(0, &text);
        assert_eq!(
            all.iter()
                .map(|r| r.omitted + r.message.len() as u64)
                .collect::<Vec<_>>(),
            [3_000_006 + 1, 5]
        );
        assert!(all[0].message.len() <= TEXT_MAX);
        assert_eq!(forward(&log, 0, &ALL, 1), all);
        // The incomplete line is the newest record.
        let mut with_last = backward(&log, &ALL, 1);
        let last = with_last.pop().unwrap();
        assert_eq!(
            (last.seq, last.omitted + last.message.len() as u64),
            (text.len() as u64, 500_000)
        );
        assert_eq!(with_last, all);
        assert_eq!(backward(&log, &ALL, 2).len(), 3);
        assert_eq!(log.complete_end().unwrap(), text.len() as u64 - 500_000);
    }

    #[test]
    fn reading_on_while_a_writer_appends_and_rotates_has_no_hole_and_no_repetition() {
        const LINES: u64 = 20_000;
        let dir = tempfile::tempdir().unwrap();
        let (done, reached) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let writer = {
            let (path, done, reached) = (
                dir.path().to_owned(),
                Arc::clone(&done),
                Arc::clone(&reached),
            );
            std::thread::spawn(move || {
                let mut writer = SegmentWriter::new(&path, 0, 20_000, 5);
                for n in 0..LINES {
                    // Never more than three segments ahead, so that nothing unread is deleted.
                    while writer.end > reached.load(Ordering::Relaxed) + 60_000 {
                        std::thread::yield_now();
                    }
                    // In two writes, so that incomplete lines are seen.
                    let line = line(n);
                    let cut = usize::try_from(n).unwrap() % line.len();
                    writer.write(&line.as_bytes()[..cut]);
                    writer.write(&line.as_bytes()[cut..]);
                }
                done.store(true, Ordering::Release);
            })
        };
        let log = InstanceLog::new(dir.path());
        let (mut at, mut count) = (0, 0_u64);
        loop {
            let finished = done.load(Ordering::Acquire);
            let page = log.after(at, &ALL, 100).unwrap();
            assert!(!page.lost);
            for record in page.records {
                assert_eq!(
                    (record.message, record.level),
                    (count.to_string(), LogLevel::Info)
                );
                count += 1;
            }
            at = page.last;
            reached.store(at, Ordering::Relaxed);
            if finished && page.scanned_all {
                break;
            }
        }
        writer.join().unwrap();
        assert_eq!(count, LINES);
        assert!(log.start().unwrap() > 0);
    }

    #[test]
    fn a_hasty_writer_deletes_what_is_being_read_and_pages_stay_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let writer = {
            let (path, done) = (dir.path().to_owned(), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut writer = SegmentWriter::new(&path, 0, 3_000, 3);
                for n in 0..20_000 {
                    writer.write(line(n).as_bytes());
                }
                done.store(true, Ordering::Release);
            })
        };
        let log = InstanceLog::new(dir.path());
        let (mut at, mut next) = (0, 0);
        // If the last bytes of a page are deleted while it is read, the page reports it. The gap is
        // visible at the first record of the next page.
        let mut gap = false;
        let numbers = |page: &RecordPage| {
            page.records
                .iter()
                .map(|r| r.message.parse::<u64>().unwrap())
                .collect::<Vec<_>>()
        };
        while !done.load(Ordering::Acquire) {
            let page = log.after(at, &ALL, 50).unwrap();
            gap |= page.lost;
            for n in numbers(&page) {
                assert!(
                    n == next || (n > next && gap),
                    "{n} after {next}, lost: {}",
                    page.lost
                );
                next = n + 1;
            }
            gap = page.lost || (gap && page.records.is_empty());
            at = page.last;
            let page = log.last(&ALL, 200).unwrap();
            assert!(numbers(&page).is_sorted_by(|a, b| a < b));
            let older = numbers(&log.before(page.first.unwrap_or(0), &ALL, 50).unwrap());
            assert!(
                older.is_sorted_by(|a, b| a < b)
                    && older.last() < numbers(&page).first().or(Some(&u64::MAX))
            );
            log.copy_to(ALL, &mut std::io::sink()).unwrap();
        }
        writer.join().unwrap();
    }

    /// Twenty lines of 60 kB and many short ones after them.
    fn wide(dir: &Path) -> InstanceLog {
        let long = (0..20).map(|n| line(format!("{n} {}", "w".repeat(60_000))));
        let text: String = long
            .chain((20..3_000).map(|n| line(format!("{n} short"))))
            .collect();
        write(dir, 0, 500_000, text.as_bytes());
        InstanceLog::new(dir)
    }

    #[test]
    fn a_page_has_room_for_so_many_bytes_and_the_next_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = wide(dir.path());
        let number = |record: &LogRecord| {
            record
                .message
                .split(' ')
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let size = |page: &RecordPage| page.records.iter().map(cost).sum::<usize>();
        let (mut forth, mut from) = (Vec::new(), 0);
        loop {
            let page = log.after(from, &ALL, 10_000).unwrap();
            assert!(
                size(&page) <= PAGE_BYTES + SHOWN_MAX + RECORD_BYTES && !page.records.is_empty()
            );
            forth.extend(page.records.iter().map(number));
            from = page.last;
            if page.scanned_all {
                break;
            }
        }
        assert_eq!(forth, (0..3_000).collect::<Vec<_>>());
        let (mut back, mut page) = (Vec::new(), log.last(&ALL, 10_000).unwrap());
        loop {
            assert!(size(&page) <= PAGE_BYTES && !page.records.is_empty());
            back.splice(0..0, page.records.iter().map(number));
            if !page.more_before {
                break;
            }
            page = log.before(page.first.unwrap(), &ALL, 10_000).unwrap();
        }
        assert_eq!(back, forth);
        // Each reports its omitted bytes, and is complete when requested alone.
        let first = &log.after(0, &ALL, 10).unwrap().records[0];
        assert_eq!(
            (first.message.len(), first.omitted),
            (SHOWN_MAX, 60_002 - SHOWN_MAX as u64)
        );
        let alone = &log.before(first.seq + 1, &ALL, 1).unwrap().records[0];
        assert_eq!(
            (alone.seq, alone.message.len(), alone.omitted),
            (first.seq, 60_002, 0)
        );
    }

    #[test]
    fn a_secret_is_in_no_page_and_no_download_and_is_found_by_no_search() {
        const KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
        let dir = tempfile::tempdir().unwrap();
        let mask = SecretMask::default();
        mask.add(KEY);
        let log = InstanceLog::new(dir.path()).masked(mask);
        let text: String = (0..3_000)
            .map(|n| line(format!("{n} {KEY} {}", "x ".repeat(n % 40))))
            .collect();
        write(dir.path(), 0, 50_000, text.as_bytes());
        let clean = text.replace(KEY, &"*".repeat(KEY.len()));
        assert_eq!(forward(&log, 0, &ALL, 70), reference(0, clean.as_bytes()));
        assert_eq!(backward(&log, &ALL, 70), reference(0, clean.as_bytes()));
        let mut copy = Vec::new();
        log.copy_to(ALL, &mut copy).unwrap();
        assert!(copy == clean.as_bytes());
        for part in [KEY, &KEY[..10], &KEY[20..30], "mkDLTB"] {
            let filter = LogFilter {
                min_level: None,
                text: Some(part.to_owned()),
            };
            assert_eq!(log.last(&filter, 10).unwrap().records, []);
            copy.clear();
            assert_eq!(log.copy_to(filter, &mut copy).unwrap(), 0);
        }
        let filter = LogFilter {
            min_level: None,
            text: Some("77 *".to_owned()),
        };
        assert_eq!(log.last(&filter, 100).unwrap().records.len(), 30);
    }

    /// A client that writes without newlines, faster than any reader.
    #[test]
    fn a_hasty_writer_without_newlines_breaks_no_reader() {
        let dir = tempfile::tempdir().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let writer = {
            let (path, done) = (dir.path().to_owned(), Arc::clone(&done));
            std::thread::spawn(move || {
                let piece = vec![b'x'; 50_000];
                let mut bases = VecDeque::new();
                for end in (0..).step_by(piece.len()) {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    if end % 200_000 == 0 {
                        bases.push_back(end);
                    }
                    let newest = path.join(segment::file_name(*bases.back().unwrap()));
                    std::fs::File::options()
                        .create(true)
                        .append(true)
                        .open(newest)
                        .unwrap()
                        .write_all(&piece)
                        .unwrap();
                    if bases.len() > 3 {
                        std::fs::remove_file(
                            path.join(segment::file_name(bases.pop_front().unwrap())),
                        )
                        .unwrap();
                    }
                }
            })
        };
        let log = InstanceLog::new(dir.path());
        let (mut is_shown, mut rounds) = (0, 0);
        let begun = std::time::Instant::now();
        // On a busy machine the writer may begin late.
        while rounds < 100 || is_shown == 0 && begun.elapsed().as_secs() < 30 {
            rounds += 1;
            let page = log.last(&ALL, 100).unwrap();
            is_shown += page.records.len();
            log.before(page.first.unwrap_or(1), &ALL, 10).unwrap();
            log.after(page.last, &ALL, 10).unwrap();
            log.lines_back(log.end().unwrap(), 50).unwrap();
            log.between(0, u64::MAX, 10, 1_000).unwrap();
            log.copy_to(ALL, &mut std::io::sink()).unwrap();
            super::super::count::count(dir.path(), 0, u64::MAX).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert!(is_shown > 0);
    }
}
