//! Reads records forward, and a log as text. Blocking.

use std::collections::VecDeque;
use std::io;

use super::super::filter::{LogFilter, LogMatcher};
use super::super::mask::StreamMask;
use super::super::record::{LogParser, RawRecord};
use super::super::stream::{CHUNK, LogReading, StreamPiece};
use crate::base::clock::Timestamp;

/// Reads records forward in chunks.
#[derive(Debug)]
pub(super) struct RecordScan {
    pub(super) reading: LogReading,
    pub(super) parser: LogParser,
    finished: bool,
}

impl RecordScan {
    pub(super) fn new(reading: LogReading, parser: LogParser) -> Self {
        Self {
            reading,
            parser,
            finished: false,
        }
    }

    /// Returns the records of the next chunk; false at the end.
    pub(super) fn step(&mut self, emit: &mut impl FnMut(RawRecord<'_>)) -> io::Result<bool> {
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

/// See `InstanceLog::texts`: the time and the text of each record, at most 64 KiB. Ends
/// after an error. Each step is blocking.
#[derive(Debug)]
pub struct RecordTexts {
    scan: RecordScan,
    filter: LogFilter,
    found: VecDeque<(Option<Timestamp>, Vec<u8>)>,
    has_more: bool,
}

impl RecordTexts {
    pub(super) fn new(scan: RecordScan, filter: LogFilter) -> Self {
        Self {
            scan,
            filter,
            found: VecDeque::new(),
            has_more: true,
        }
    }
}

impl Iterator for RecordTexts {
    type Item = io::Result<(Option<Timestamp>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let matcher = LogMatcher::of(&self.filter);
        while self.found.is_empty() && self.has_more {
            let found = &mut self.found;
            let step = self.scan.step(&mut |raw| {
                if matcher.wants(raw) {
                    found.push_back((raw.time(), raw.text().to_vec()));
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

/// See `InstanceLog::chunks`. Ends after an error.
#[derive(Debug)]
pub struct LogChunks(pub(super) Option<ChunkSource>);

#[derive(Debug)]
pub(super) enum ChunkSource {
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
