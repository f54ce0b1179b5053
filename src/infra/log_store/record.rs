//! Records: what a person calls one entry of the log, made from the bytes of the stream.
//!
//! A record is a line with a header and the lines after it without one: panics, backtraces, TOML
//! errors. The client writes lines without a header only to its standard error, and there only
//! configuration errors and panics, so a record that begins with such a line is an error. A note of
//! the keeper is one line: what follows it begins a record of its own.
//!
//! Where records begin depends only on the bytes of the stream and never on where reading began, so
//! that paging backward and forward agree. That holds for endless text without headers too, because
//! such text is cut on a fixed grid of [`CELL`]s and not at a distance from its first line: a line
//! without header begins a new record if it is the first to begin in its cell and the last header
//! began two or more cells before. To know that, no more than two cells need to be looked at. Must
//! not know: files, segments, viewers.

use super::ansi;
use super::mask::{self, SecretMask};
use crate::keeper::level::{self, KEEPER_TARGET, LogLevel};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::ops::Range;

/// Most bytes kept of one line, and of one record with its header; the rest is counted but not
/// kept.
pub const TEXT_MAX: usize = 64 * 1024;

/// Most bytes of a record's message that are shown beside others. A record that is asked for alone
/// is shown up to [`TEXT_MAX`].
pub const SHOWN_MAX: usize = 4 * 1024;

/// The grid, in bytes of the stream, on which text without headers is cut. Two cells and a line of
/// 8 KiB make [`TEXT_MAX`], so that records of ordinary lines are never truncated.
pub const CELL: u64 = 28 * 1024;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LogRecord {
    /// Stream offset just past the record's last byte: reading on after it gives the next record.
    pub seq: u64,
    /// RFC 3339 as the process wrote it; none if the record has no header.
    pub timestamp: Option<String>,
    /// From the header; `ERROR` if there is none.
    pub level: LogLevel,
    /// The module that spoke; none if the record names none.
    pub target: Option<String>,
    /// The text after the header, its lines joined by newlines, blank ones at the end left out. It
    /// may hold terminal escapes, which [`ansi`] handles; serialised without them.
    #[serde(serialize_with = "without_escapes")]
    #[schemars(with = "String")]
    pub message: String,
    /// How many bytes are missing at the end of `message`, because it is too long to be shown here;
    /// absent if none are.
    #[serde(rename = "omitted_bytes", skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn without_escapes<S: Serializer>(message: &str, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&ansi::plain(message))
}

/// A record in the parser's buffer, before anything is copied: most are only counted or filtered
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

    /// Stream offset of the record's first byte.
    pub fn start(self) -> u64 {
        self.pending.start
    }

    /// Whether it begins with a line in the log's format, and not with the bare text of a panic or
    /// another error.
    pub fn has_timestamp(self) -> bool {
        !self.pending.header.timestamp.is_empty()
    }

    /// See [`LogRecord::level`].
    pub fn level(self) -> LogLevel {
        self.pending.header.level
    }

    /// How many lines the parser has been given up to and with the last line of this record.
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

    /// Copies it out, at most `longest` bytes of the message; bytes that are not UTF-8 become
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
            // The cut may have gone through a character.
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

/// The record being collected. Its buffer is used again for the next.
#[derive(Debug)]
struct PartialRecord {
    open: bool,
    start: u64,
    seq: u64,
    lines: u64,
    /// Positions in `text`.
    header: level::HeaderRanges,
    text: Vec<u8>,
    /// Bytes for which there was no room.
    dropped: u64,
}

/// Makes records of bytes given in pieces of any size. Holds at most two times [`TEXT_MAX`] bytes.
#[derive(Debug)]
pub struct LogParser {
    /// Stream offset of the next byte.
    at: u64,
    /// Stream offset of the line being collected.
    line_start: u64,
    /// Lines ended so far.
    lines: u64,
    /// The beginning of a line whose end has not come yet, as far as there is room.
    partial: Vec<u8>,
    /// Bytes of that line for which there was no room.
    dropped: u64,
    /// What comes next may be the rest of a line, or of a secret in it.
    is_cut: bool,
    mask: SecretMask,
    /// The cell in which the last header began; none if that is not known to matter.
    anchor: Option<u64>,
    pending: PartialRecord,
}

impl LogParser {
    /// A parser for the bytes from stream offset `at` on, which must be the beginning of a line.
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

    /// The same, with the secrets of `mask` covered.
    pub fn masked(self, mask: SecretMask) -> Self {
        Self { mask, ..self }
    }

    /// The same, when the last header before `at` is known to begin at stream offset `header`.
    pub fn after_header(at: u64, header: u64) -> Self {
        Self {
            anchor: Some(header / CELL),
            ..Self::new(at)
        }
    }

    /// Stream offset of the next byte it expects.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Stream offset where the complete part ends: just past the last newline.
    pub fn complete(&self) -> u64 {
        self.line_start
    }

    /// Whether a record of complete lines waits for its continuation.
    pub fn has_pending(&self) -> bool {
        self.pending.open
    }

    /// How many lines have ended.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes the next bytes and gives the records that are known to have ended.
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

    /// Gives the record that waits for its continuation. Should lines without header follow, they
    /// become a record of their own. An incomplete line goes on waiting for its end.
    pub fn flush(&mut self, emit: &mut impl FnMut(RawRecord<'_>)) {
        if self.pending.open {
            self.pending.open = false;
            emit(RawRecord {
                pending: &self.pending,
            });
        }
    }

    /// The stream goes on at offset `to`, what lies between is lost: ends the line and the record
    /// that are being collected.
    pub fn skip_to(&mut self, to: u64, emit: &mut impl FnMut(RawRecord<'_>)) {
        if !self.partial.is_empty() {
            // A secret that came in part is covered before the rest is missed.
            self.mask.cover_end(&mut self.partial);
            self.end_partial(emit);
        }
        self.flush(emit);
        (self.at, self.line_start, self.anchor, self.is_cut) = (to, to, None, true);
    }

    /// Keeps a piece of an incomplete line, as far as there is room. A secret that begins within
    /// [`TEXT_MAX`] is kept whole, to be covered.
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
    /// Adds text as far as there is room; nothing more once some had to be left out.
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

/// How many bytes there are up to and with the first newline. `skip_until` finds it with the C
/// library's `memchr`.
fn through_newline(bytes: &[u8]) -> Option<usize> {
    let length = std::io::BufRead::skip_until(&mut &*bytes, b'\n').unwrap_or(0);
    (length > 0 && bytes[length - 1] == b'\n').then_some(length)
}

/// A line without the carriage returns at its end.
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
        // Reading on after the first record gives the same second one.
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
        // Reading begins within a key, and a gap comes within another.
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
