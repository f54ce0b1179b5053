//! Parses the bytes of the stream into records, the entries of the log.
//!
//! A record is a line with a header and the following lines without one: panics, backtraces, TOML
//! errors. The client writes lines without a header only to standard error, and only for
//! configuration errors and panics. Therefore a record that starts with such a line is an error. A
//! note of the keeper is a single line; the next line starts a new record.
//!
//! The start of a record depends only on the bytes of the stream and not on where reading started, so
//! that paging backward and forward agree. This also applies to endless text without headers, because
//! such text is cut on a fixed grid of [`CELL`]s and not at a distance from its first line: a line
//! without a header starts a new record if it is the first to start in its cell and the last header
//! started two or more cells before. Reading two cells is enough to decide this. Independent of files,
//! segments, viewers.

use super::ansi;
use super::mask::{self, SecretMask};
use crate::base::clock::Timestamp;
use crate::keeper::level::{self, KEEPER_TARGET, LogLevel};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::ops::Range;

/// The maximum number of bytes kept of a line, and of a record with its header. The rest is only
/// counted.
pub const TEXT_MAX: usize = 64 * 1024;

/// The maximum number of bytes of a message in a list. A record requested alone is shown up to
/// [`TEXT_MAX`].
pub const SHOWN_MAX: usize = 4 * 1024;

/// The grid, in bytes of the stream, on which text without headers is cut. Two cells and a line of
/// 8 KiB make [`TEXT_MAX`], so that records of ordinary lines are never truncated.
pub const CELL: u64 = 28 * 1024;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LogRecord {
    /// Stream offset after the last byte of the record, where the next record starts.
    pub seq: u64,
    /// The time in RFC 3339 as the process wrote it; absent without a header.
    pub timestamp: Option<String>,
    /// The level from the header; `ERROR` without a header.
    pub level: LogLevel,
    /// The module that wrote the record; absent if not named.
    pub target: Option<String>,
    /// The text after the header, lines joined by newlines, without blank lines at the end. It may
    /// contain terminal escapes, which [`ansi`] handles; serialized without them.
    #[serde(serialize_with = "without_escapes")]
    #[schemars(with = "String")]
    pub message: String,
    /// The number of bytes omitted at the end of `message` because it is too long; absent if none.
    #[serde(rename = "omitted_bytes", skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn without_escapes<S: Serializer>(message: &str, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&ansi::plain(message))
}

/// A record in the buffer of the parser, before copying: most records are only counted or filtered
/// out.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    pending: &'a PartialRecord,
}

impl<'a> RawRecord<'a> {
    /// See [`LogRecord::seq`].
    pub fn seq(self) -> u64 {
        self.pending.seq
    }

    /// Stream offset of the first byte of the record.
    pub fn start(self) -> u64 {
        self.pending.start
    }

    /// Whether it starts with a line in the format of the log, and not with the text of a panic or
    /// another error.
    pub fn has_timestamp(self) -> bool {
        !self.pending.header.timestamp.is_empty()
    }

    /// See [`LogRecord::timestamp`]; empty if there is none.
    pub fn timestamp(self) -> &'a [u8] {
        &self.pending.text[self.pending.header.timestamp.clone()]
    }

    /// The time of `timestamp`, if it is valid.
    pub fn time(self) -> Option<Timestamp> {
        std::str::from_utf8(self.timestamp()).ok()?.parse().ok()
    }

    /// See [`LogRecord::level`].
    pub fn level(self) -> LogLevel {
        self.pending.header.level
    }

    /// The number of lines up to and including the last line of this record.
    pub fn lines(self) -> u64 {
        self.pending.lines
    }

    /// Header and message as written, at most [`TEXT_MAX`] bytes, without carriage returns and
    /// newline at the end of lines.
    pub fn text(self) -> &'a [u8] {
        self.pending.text.trim_ascii_end()
    }

    /// The message; not necessarily UTF-8.
    pub fn message(self) -> &'a [u8] {
        self.text()
            .get(self.pending.header.message..)
            .unwrap_or_default()
    }

    /// See [`LogRecord::target`]; empty if there is none.
    pub fn target(self) -> &'a [u8] {
        &self.pending.text[self.pending.header.target.clone()]
    }

    /// Copies the record with at most `longest` bytes of the message; bytes that are not UTF-8 become
    /// U+FFFD.
    pub fn to_record(self, longest: usize) -> LogRecord {
        let ascii = |range: &Range<usize>| {
            (!range.is_empty())
                .then(|| String::from_utf8_lossy(&self.pending.text[range.clone()]).into_owned())
        };
        let whole = self.message();
        let mut message = &whole[..whole.len().min(longest)];
        if (self.pending.dropped > 0 || message.len() < whole.len())
            && let Some(last) = message.utf8_chunks().last()
        {
            // The cut may be inside a character.
            message = &message[..message.len() - last.invalid().len()];
        }
        LogRecord {
            seq: self.pending.seq,
            timestamp: ascii(&self.pending.header.timestamp),
            level: self.pending.header.level,
            target: ascii(&self.pending.header.target),
            message: String::from_utf8_lossy(message).into_owned(),
            omitted: self.pending.dropped + (whole.len() - message.len()) as u64,
        }
    }
}

/// The record being collected. Its buffer is reused.
#[derive(Debug)]
struct PartialRecord {
    open: bool,
    start: u64,
    seq: u64,
    lines: u64,
    /// Positions in `text`.
    header: level::HeaderRanges,
    text: Vec<u8>,
    /// The number of bytes that did not fit.
    dropped: u64,
}

/// Parses records from chunks of any size. Buffers at most twice [`TEXT_MAX`] bytes.
#[derive(Debug)]
pub struct LogParser {
    /// Stream offset of the next byte.
    at: u64,
    /// Stream offset of the line being collected.
    line_start: u64,
    /// The number of complete lines so far.
    lines: u64,
    /// The start of an incomplete line, as far as it fits.
    partial: Vec<u8>,
    /// The number of bytes of that line that did not fit.
    dropped: u64,
    /// The next bytes may be the rest of a line, or of a secret in it.
    is_cut: bool,
    mask: SecretMask,
    /// The cell in which the last header started; `None` if irrelevant.
    anchor: Option<u64>,
    pending: PartialRecord,
}

impl LogParser {
    /// A parser for the bytes from stream offset `at` on, which must be the start of a line.
    pub fn new(at: u64) -> Self {
        Self {
            at,
            line_start: at,
            lines: 0,
            partial: Vec::new(),
            dropped: 0,
            is_cut: true,
            mask: SecretMask::default(),
            anchor: None,
            pending: PartialRecord {
                open: false,
                start: at,
                seq: at,
                lines: 0,
                header: level::HeaderRanges {
                    timestamp: 0..0,
                    level: LogLevel::Error,
                    target: 0..0,
                    message: 0,
                },
                text: Vec::new(),
                dropped: 0,
            },
        }
    }

    /// The same, with the secrets of `mask` masked.
    pub fn masked(self, mask: SecretMask) -> Self {
        Self { mask, ..self }
    }

    /// The same, if the last header before `at` starts at stream offset `header`.
    pub fn after_header(at: u64, header: u64) -> Self {
        Self {
            anchor: Some(header / CELL),
            ..Self::new(at)
        }
    }

    /// Stream offset of the next expected byte.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Stream offset of the end of the complete part: after the last newline.
    pub fn complete(&self) -> u64 {
        self.line_start
    }

    /// Whether a record of complete lines waits for its continuation.
    pub fn has_pending(&self) -> bool {
        self.pending.open
    }

    /// The number of complete lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Parses the next bytes and returns the records that are complete.
    pub fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(RawRecord<'_>)) {
        if self.mask.finds_in(bytes) {
            let mut clean = bytes.to_vec();
            self.mask.cover(&mut clean);
            self.split(&clean, emit);
        } else {
            self.split(bytes, emit);
        }
    }

    fn split(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(RawRecord<'_>)) {
        while let Some(length) = through_newline(bytes) {
            let (line, rest) = bytes.split_at(length);
            bytes = rest;
            self.at += length as u64;
            let line = &line[..length - 1];
            if self.partial.is_empty() && !self.is_cut {
                self.line(line, 0, emit);
            } else {
                self.append(line);
                self.end_partial(emit);
            }
        }
        self.at += bytes.len() as u64;
        self.append(bytes);
    }

    /// Returns the record that waits for its continuation. If lines without a header follow, they
    /// become a separate record. An incomplete line keeps waiting.
    pub fn flush(&mut self, emit: &mut impl FnMut(RawRecord<'_>)) {
        if self.pending.open {
            self.pending.open = false;
            emit(RawRecord {
                pending: &self.pending,
            });
        }
    }

    /// The stream continues at offset `to` after a gap: ends the current line and record.
    pub fn skip_to(&mut self, to: u64, emit: &mut impl FnMut(RawRecord<'_>)) {
        if !self.partial.is_empty() {
            // Mask the first part of a secret, because the rest is missing.
            self.mask.cover_end(&mut self.partial);
            self.end_partial(emit);
        }
        self.flush(emit);
        (self.at, self.line_start, self.anchor, self.is_cut) = (to, to, None, true);
    }

    /// Keeps a part of an incomplete line, as far as it fits. A secret that starts within [`TEXT_MAX`]
    /// is kept completely, to be masked.
    fn append(&mut self, piece: &[u8]) {
        let room = (TEXT_MAX + mask::LONGEST)
            .saturating_sub(self.partial.len())
            .min(piece.len());
        self.partial.extend_from_slice(&piece[..room]);
        self.dropped += (piece.len() - room) as u64;
    }

    fn end_partial(&mut self, emit: &mut impl FnMut(RawRecord<'_>)) {
        let mut partial = std::mem::take(&mut self.partial);
        self.mask.cover(&mut partial);
        if std::mem::take(&mut self.is_cut) {
            self.mask.cover_start(&mut partial);
        }
        let dropped = std::mem::take(&mut self.dropped);
        self.line(&partial, dropped, emit);
        partial.clear();
        self.partial = partial;
    }

    /// A line from `line_start` to `at`, without `dropped` bytes at its end.
    fn line(&mut self, line: &[u8], dropped: u64, emit: &mut impl FnMut(RawRecord<'_>)) {
        let start = std::mem::replace(&mut self.line_start, self.at);
        self.lines += 1;
        let dropped = dropped + line.len().saturating_sub(TEXT_MAX) as u64;
        let line = if dropped > 0 {
            &line[..line.len().min(TEXT_MAX)]
        } else {
            trim_returns(line)
        };
        let cell = start / CELL;
        if let Some(header) = level::parts(line) {
            self.flush(emit);
            self.anchor = Some(cell);
            let is_note = line[header.target.clone()] == *KEEPER_TARGET.as_bytes();
            self.open(start, header, line, dropped);
            if is_note {
                self.flush(emit);
            }
            return;
        }
        let new_cell =
            cell > self.pending.start / CELL && self.anchor.is_none_or(|anchor| cell >= anchor + 2);
        if self.pending.open && new_cell {
            self.flush(emit);
        }
        if self.pending.open {
            self.pending.seq = self.at;
            self.pending.lines = self.lines;
            self.pending.append(b"\n");
            self.pending.append(line);
            self.pending.dropped += dropped;
        } else if !line.trim_ascii().is_empty() {
            self.open(
                start,
                level::HeaderRanges {
                    timestamp: 0..0,
                    level: LogLevel::Error,
                    target: 0..0,
                    message: 0,
                },
                line,
                dropped,
            );
        }
    }

    fn open(&mut self, start: u64, header: level::HeaderRanges, line: &[u8], dropped: u64) {
        let pending = &mut self.pending;
        (pending.open, pending.start, pending.seq, pending.lines) =
            (true, start, self.at, self.lines);
        pending.header = header;
        pending.dropped = 0;
        pending.text.clear();
        pending.append(line);
        pending.dropped += dropped;
    }
}

impl PartialRecord {
    /// Adds text as far as it fits; nothing more once some was omitted.
    fn append(&mut self, text: &[u8]) {
        let room = if self.dropped > 0 {
            0
        } else {
            TEXT_MAX - self.text.len()
        };
        let taken = text.len().min(room);
        self.text.extend_from_slice(&text[..taken]);
        self.dropped += (text.len() - taken) as u64;
    }
}

/// The number of bytes up to and including the first newline. `skip_until` finds it with `memchr` of
/// the C library.
fn through_newline(bytes: &[u8]) -> Option<usize> {
    let length = std::io::BufRead::skip_until(&mut &*bytes, b'\n').unwrap_or(0);
    (length > 0 && bytes[length - 1] == b'\n').then_some(length)
}

/// A line without trailing carriage returns.
fn trim_returns(line: &[u8]) -> &[u8] {
    let kept = line
        .iter()
        .rposition(|b| *b != b'\r')
        .map_or(0, |last| last + 1);
    &line[..kept]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jd-client/");

    fn records(mut parser: LogParser, pieces: &[&[u8]]) -> Vec<LogRecord> {
        let mut found = Vec::new();
        let mut emit = |raw: RawRecord<'_>| found.push(raw.to_record(TEXT_MAX));
        for piece in pieces {
            parser.push(piece, &mut emit);
        }
        parser.flush(&mut emit);
        found
    }

    fn of(text: &str) -> Vec<LogRecord> {
        records(LogParser::new(0), &[text.as_bytes()])
    }

    const T: &str = "2026-11-22T21:28:39.731870Z";

    #[test]
    fn a_real_panic_is_kept_together() {
        let text = std::fs::read(format!("{FIXTURES}refresh0_panic.log")).unwrap();
        let found = records(LogParser::new(0), &[&text]);
        let errors: Vec<_> = found
            .iter()
            .filter(|r| r.level == LogLevel::Error)
            .collect();
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0]
                .message
                .ends_with("http_server.rs:253:32:\n`period` must be non-zero.")
        );
        assert_eq!(
            errors[0].target.as_deref(),
            Some("stratum_apps::config_helpers::logging")
        );
        assert!(
            errors[1]
                .message
                .starts_with("Backtrace:    0: stratum_apps")
                && errors[1].message.ends_with("clone3.S:81:0")
        );
        assert_eq!(errors[1].message.lines().count(), 25);
        assert_eq!(found.last().unwrap().seq, text.len() as u64);
        assert_eq!(
            found.len(),
            text.split(|b| *b == b'\n')
                .filter(|line| line.starts_with(b"2026-"))
                .count()
        );
    }

    #[test]
    fn every_line_of_the_real_logs_is_in_a_record_with_target_and_timestamp() {
        let mut seen = 0;
        for file in std::fs::read_dir(FIXTURES)
            .unwrap()
            .map(|f| f.unwrap().path())
        {
            if file.extension().is_some_and(|e| e == "log") {
                let text = std::fs::read_to_string(&file).unwrap();
                for record in of(&text) {
                    assert!(
                        record.target.is_some()
                            && record.timestamp.is_some()
                            && record.omitted == 0,
                        "{record:?}"
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen > 300, "{seen}");
    }

    #[test]
    fn configuration_errors_and_panics_on_standard_error_are_errors() {
        let text = std::fs::read_to_string(format!("{FIXTURES}config_errors.txt")).unwrap();
        let mut count = 0;
        for case in text.split("[stderr]\n").skip(1) {
            let case = &case[..case.find("rc=").unwrap()];
            let found = of(&format!(
                "{T}  INFO {KEEPER_TARGET}: started the client\n{case}{T}  WARN {KEEPER_TARGET}: ended\n"
            ));
            assert_eq!(
                found.iter().map(|r| r.level).collect::<Vec<_>>(),
                [LogLevel::Info, LogLevel::Error, LogLevel::Warn],
                "{case}"
            );
            assert_eq!(found[1].message, case.trim());
            count += 1;
        }
        assert!(count > 30, "{count}");
    }

    #[test]
    fn a_panic_on_standard_error_is_no_part_of_the_line_before() {
        let found = of(&format!(
            "{T}  INFO a: up\n\nthread 'main' (7) panicked at x.rs:1:2:\nno\nnote: see\n{T}  INFO a: on\n"
        ));
        assert_eq!(
            found
                .iter()
                .map(|r| (r.level, r.message.as_str()))
                .collect::<Vec<_>>(),
            [
                (LogLevel::Info, "up"),
                (
                    LogLevel::Error,
                    "thread 'main' (7) panicked at x.rs:1:2:\nno\nnote: see"
                ),
                (LogLevel::Info, "on")
            ]
        );
    }

    #[test]
    fn json_has_these_fields_and_no_escapes() {
        let found = of(&format!("{T}  INFO a::b: \x1b[3mup\x1b[0m\r\n"));
        assert_eq!(
            serde_json::to_string(&found[0]).unwrap(),
            format!(
                r#"{{"seq":52,"timestamp":"{T}","level":"INFO","target":"a::b","message":"up"}}"#
            )
        );
        assert_eq!(found[0].message, "\x1b[3mup\x1b[0m");
        let bare = of("no header \n");
        assert_eq!(
            serde_json::to_string(&bare[0]).unwrap(),
            r#"{"seq":11,"timestamp":null,"level":"ERROR","target":null,"message":"no header"}"#
        );
    }

    #[test]
    fn an_incomplete_line_waits_and_late_lines_become_their_own_record() {
        let mut parser = LogParser::new(0);
        let mut found = Vec::new();
        let first = format!("{T}  WARN a: one\ntwo\nthr");
        parser.push(first.as_bytes(), &mut |raw| {
            found.push(raw.to_record(TEXT_MAX))
        });
        assert!(found.is_empty() && parser.has_pending());
        assert_eq!(
            (parser.complete(), parser.at()),
            (first.len() as u64 - 3, first.len() as u64)
        );
        parser.flush(&mut |raw| found.push(raw.to_record(TEXT_MAX)));
        assert_eq!(
            (found[0].seq, found[0].message.as_str()),
            (first.len() as u64 - 3, "one\ntwo")
        );
        parser.push(b"ee\n", &mut |raw| found.push(raw.to_record(TEXT_MAX)));
        parser.flush(&mut |raw| found.push(raw.to_record(TEXT_MAX)));
        assert_eq!(
            (found[1].level, found[1].message.as_str(), found[1].seq),
            (LogLevel::Error, "three", first.len() as u64 + 3)
        );
        // Continuing after the first record gives the same second one.
        assert_eq!(
            records(LogParser::new(found[0].seq), &[b"three\n"]),
            found[1..]
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        let found = records(LogParser::new(0), &[b"\xff\xfe ok\r\n"]);
        assert_eq!(found[0].message, "\u{fffd}\u{fffd} ok");
    }

    #[test]
    fn an_endless_line_is_bounded_and_counted() {
        let mut parser = LogParser::new(0);
        let head = format!("{T} DEBUG a: ");
        parser.push(head.as_bytes(), &mut |_| unreachable!());
        let piece = "é".repeat(5_000);
        for _ in 0..1_000 {
            parser.push(piece.as_bytes(), &mut |_| unreachable!());
            assert!(parser.partial.capacity() <= 2 * TEXT_MAX + 128);
        }
        let mut found = Vec::new();
        parser.push(b"\nafter\n", &mut |raw| found.push(raw.to_record(TEXT_MAX)));
        parser.flush(&mut |raw| found.push(raw.to_record(TEXT_MAX)));
        let end = (head.len() + 1_000 * piece.len() + 1) as u64;
        assert_eq!((found[0].seq, found[0].level), (end, LogLevel::Debug));
        assert_eq!(
            found[0].omitted + found[0].message.len() as u64,
            1_000 * piece.len() as u64
        );
        assert!(
            found[0].message.len() > TEXT_MAX - 100 && found[0].message.chars().all(|c| c == 'é')
        );
        assert_eq!(
            (found[1].seq, found[1].message.as_str()),
            (end + 6, "after")
        );
        assert_eq!(parser.lines(), 2);
    }

    #[test]
    fn a_message_is_shown_up_to_a_limit_and_the_rest_is_counted() {
        let text = format!("{T}  INFO a: {}\n{T}  INFO a: short\n", "é".repeat(3_000));
        let mut parser = LogParser::new(0);
        let mut found = Vec::new();
        let mut emit = |raw: RawRecord<'_>| {
            found.push((raw.to_record(SHOWN_MAX + 1), raw.to_record(TEXT_MAX)))
        };
        parser.push(text.as_bytes(), &mut emit);
        parser.flush(&mut emit);
        let (cut, whole) = &found[0];
        assert_eq!(
            (cut.message.len(), cut.omitted),
            (SHOWN_MAX, 6_000 - SHOWN_MAX as u64),
            "no character is cut in two"
        );
        assert_eq!((whole.message.len(), whole.omitted), (6_000, 0));
        assert!(
            serde_json::to_string(cut)
                .unwrap()
                .ends_with(r#","omitted_bytes":1904}"#)
        );
        assert_eq!(found[1].0, found[1].1);
    }

    #[test]
    fn secrets_are_covered_wherever_pieces_and_limits_cut_them() {
        const KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
        let mask = SecretMask::default();
        mask.add(KEY);
        let stars = "*".repeat(KEY.len());
        let text = format!(
            "{T}  INFO a: key {KEY} end\n  {KEY}\n{T}  WARN a: {}{KEY}\n",
            "x ".repeat(TEXT_MAX / 2 - 30)
        );
        for size in [1, 7, 60, 50_000, text.len()] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let found = records(LogParser::new(0).masked(mask.clone()), &pieces);
            assert_eq!(
                found[0].message,
                format!("key {stars} end\n  {stars}"),
                "{size}"
            );
            assert!(
                found[1].omitted == 26
                    && found[1].message.ends_with(&format!("x {}", "*".repeat(23))),
                "{size}: {} {:?}",
                found[1].omitted,
                &found[1].message[found[1].message.len() - 60..]
            );
            assert_eq!(found[1].seq, text.len() as u64);
        }
        // Reading starts inside a key, and a gap is inside another one.
        let mut parser = LogParser::new(0).masked(mask);
        let mut found = Vec::new();
        let mut emit = |raw: RawRecord<'_>| found.push(raw.to_record(TEXT_MAX).message);
        parser.push(
            format!("{} one\ntwo {}", &KEY[20..], &KEY[..20]).as_bytes(),
            &mut emit,
        );
        parser.skip_to(1000, &mut emit);
        parser.push(format!("{} three\n", &KEY[30..]).as_bytes(), &mut emit);
        parser.flush(&mut emit);
        assert_eq!(
            found,
            [
                format!("{} one\ntwo {}", "*".repeat(29), "*".repeat(20)),
                format!("{} three", "*".repeat(19))
            ]
        );
    }

    #[test]
    fn endless_lines_without_header_are_cut_into_bounded_records_and_none_is_lost() {
        let head = format!("{T}  INFO a: begin\n");
        let lines: String = (0..40_000).map(|n| format!("line {n}\n")).collect();
        let found = of(&(head + &lines));
        assert!(
            found.len() > 10
                && found
                    .iter()
                    .all(|r| r.omitted == 0 && r.message.len() <= TEXT_MAX)
        );
        assert!(
            found[0].level == LogLevel::Info
                && found[1..].iter().all(|r| r.level == LogLevel::Error)
        );
        let all: Vec<_> = found.iter().flat_map(|r| r.message.lines()).collect();
        assert_eq!(all[1..].join("\n"), lines.trim_end());
    }

    #[test]
    fn a_lost_part_of_the_stream_ends_line_and_record() {
        let mut parser = LogParser::new(0);
        let mut found = Vec::new();
        let mut emit = |raw: RawRecord<'_>| found.push(raw.to_record(TEXT_MAX));
        parser.push(b"one\ntw", &mut emit);
        parser.skip_to(100, &mut emit);
        parser.push(b"three\n", &mut emit);
        parser.flush(&mut emit);
        assert_eq!(
            found
                .iter()
                .map(|r| (r.seq, r.message.as_str()))
                .collect::<Vec<_>>(),
            [(6, "one\ntw"), (106, "three")]
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in proptest::collection::vec(line(), 0..60), cuts in proptest::collection::vec(1_usize..50, 1..20)) {
            let text = text.concat();
            let mut pieces = Vec::new();
            let mut rest = text.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            prop_assert_eq!(records(LogParser::new(0), &pieces), records(LogParser::new(0), &[&text]));
        }
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => "[a-z ]{0,30}".prop_map(|m| format!("{T}  INFO a::b: {m}\n").into_bytes()),
            1 => Just(format!("{T}  INFO {KEEPER_TARGET}: note\n").into_bytes()),
            1 => Just(b"thread 'x' panicked at y\r\n".to_vec()),
            2 => proptest::collection::vec(any::<u8>(), 0..40),
            1 => Just(b"\n".to_vec()),
        ]
    }
}
