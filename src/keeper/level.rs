//! The level of a log line, read from the client's format and never from the text of a message.
//!
//! The format is the `Full` one of `tracing-subscriber`, which every `jd_client_sv2` writes
//! (checked on 0.6.0): `2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::channel_manager: message
//! key=value`, with the level right-aligned to five columns, colors only if its output is a
//! terminal, and at `trace` spans such as `task{file=…}:` before the target. In addition, the first
//! line of a panic, as Rust's standard library prints it to standard error, counts as a header of
//! level `ERROR`: it may follow any other line and is not a part of that line's message.
//! This module must not know records of several lines, or files. It does not allocate, because the
//! keeper needs the level of every line it writes.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The number of bytes of a line that are searched for timestamp and level; with colors they need
/// about 60.
pub const PREFIX: usize = 128;

/// The target of the lines that the keeper itself adds to the client's log: start and exit notes,
/// one line each.
pub const KEEPER_TARGET: &str = "jd_manager::keeper";

/// The level of a log line. Ordered: `Error` is the highest. Names are case-insensitive.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "UPPERCASE", ascii_case_insensitive)]
#[strum(parse_err_ty = UnknownLevel, parse_err_fn = refuse_level)]
pub enum LogLevel {
    /// Every step, spans included.
    Trace,
    /// For debugging.
    Debug,
    /// Normal operation.
    Info,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

impl LogLevel {
    /// The name in the log, in JSON and in queries: `TRACE` … `ERROR`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"TRACE" => Some(Self::Trace),
            b"DEBUG" => Some(Self::Debug),
            b"INFO" => Some(Self::Info),
            b"WARN" => Some(Self::Warn),
            b"ERROR" => Some(Self::Error),
            _ => None,
        }
    }
}

/// The text is not the name of a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log level: use one of TRACE, DEBUG, INFO, WARN, ERROR")]
pub struct UnknownLevel;

fn refuse_level(_: &str) -> UnknownLevel {
    UnknownLevel
}

impl schemars::JsonSchema for LogLevel {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], "description": "The level of a log line." })
    }
}

impl Serialize for LogLevel {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// Accepts a name in any case.
impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The part of a line before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineHeader<'a> {
    /// RFC 3339 as written, e.g. `2026-11-22T21:28:39.731870Z`; empty for the first line of a
    /// panic.
    pub timestamp: &'a str,
    /// The line's level.
    pub level: LogLevel,
    /// The module, e.g. `jd_client_sv2::jdc_runtime`; empty if the line has none.
    pub target: &'a str,
    /// The position of the message in the line, in bytes; the line's length if there is no message.
    pub message: usize,
}

/// Splits a line (without its newline); `None` if it does not begin with a timestamp and a level or
/// like a panic.
///
/// A single span without fields before the target (`span: target: message`) cannot be
/// distinguished from a target and counts as one; the client's own spans have fields.
pub fn header(line: &[u8]) -> Option<LineHeader<'_>> {
    let parts = parts(line)?;
    // Both ranges were matched byte by byte against ASCII.
    let ascii = |range: Range<usize>| std::str::from_utf8(&line[range]).unwrap_or_default();
    Some(LineHeader {
        timestamp: ascii(parts.timestamp),
        level: parts.level,
        target: ascii(parts.target),
        message: parts.message,
    })
}

/// The level of a line (without its newline); `None` exactly when [`header`] gives none. Looks at
/// no more than the first [`PREFIX`] bytes, and for lines as the client writes them only at fixed
/// positions.
pub fn level_of_line(line: &[u8]) -> Option<LogLevel> {
    prefix(line).map(|(_, level, _)| level)
}

/// A [`LineHeader`] as positions in the line; a part that is missing is an empty range.
#[derive(Debug)]
pub(crate) struct HeaderRanges {
    pub timestamp: Range<usize>,
    pub level: LogLevel,
    pub target: Range<usize>,
    pub message: usize,
}

pub(crate) fn parts(line: &[u8]) -> Option<HeaderRanges> {
    let (timestamp, level, after) = prefix(line)?;
    let text = skip_spaces(line, after);
    let (target, message) = if timestamp.is_empty() {
        None
    } else {
        target(line, text)
    }
    .unwrap_or((0..0, text));
    Some(HeaderRanges {
        timestamp,
        level,
        target,
        message,
    })
}

/// Timestamp, level, and the position after the level.
fn prefix(line: &[u8]) -> Option<(Range<usize>, LogLevel, usize)> {
    // A timestamp with six decimals in UTC, a space, the level in five columns.
    if let Some(head) = line.get(..33)
        && head[26] == b'Z'
        && head[27] == b' '
        && ends_word(line, 33)
    {
        let word = head[28..33].strip_prefix(b" ").unwrap_or(&head[28..33]);
        if let Some(level) = LogLevel::from_word(word)
            && is_date_and_time(&head[..19])
            && head[19] == b'.'
            && head[20..26].iter().all(u8::is_ascii_digit)
        {
            return Some((0..27, level, 33));
        }
    }
    let head = &line[..line.len().min(PREFIX)];
    if begins_panic(head) {
        Some((0..0, LogLevel::Error, 0))
    } else {
        loose_prefix(head)
    }
}

/// `thread 'main' (2679) panicked at src/main.rs:33:18:`; the number is there since Rust 1.91.
fn begins_panic(line: &[u8]) -> bool {
    const PANICKED: &[u8] = b" panicked at ";
    line.starts_with(b"thread '")
        && line
            .windows(PANICKED.len())
            .any(|window| window == PANICKED)
}

/// The same with any number of decimals, an offset instead of `Z`, and colors around timestamp and
/// level.
fn loose_prefix(line: &[u8]) -> Option<(Range<usize>, LogLevel, usize)> {
    let start = skip_colours(line, 0);
    let mut at = start + 19;
    if !is_date_and_time(line.get(start..at)?) {
        return None;
    }
    if line.get(at) == Some(&b'.') {
        let digits = line[at + 1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        at += 1 + digits;
    }
    at += match line.get(at)? {
        b'Z' => 1,
        b'+' | b'-' => {
            let [a, b, b':', c, d] = line.get(at + 1..at + 6)? else {
                return None;
            };
            if ![a, b, c, d].into_iter().all(u8::is_ascii_digit) {
                return None;
            }
            6
        }
        _ => return None,
    };
    let timestamp = start..at;
    let mut spaces = 0;
    loop {
        at = skip_colours(line, at);
        if line.get(at) != Some(&b' ') {
            break;
        }
        at += 1;
        spaces += 1;
    }
    if spaces == 0 {
        return None;
    }
    let letters = line[at..]
        .iter()
        .take_while(|b| b.is_ascii_uppercase())
        .count();
    let level = LogLevel::from_word(&line[at..at + letters])?;
    at = skip_colours(line, at + letters);
    ends_word(line, at).then_some((timestamp, level, at))
}

/// Whether a word may end before `at`. A carriage return at the end of a line does not belong to
/// the text.
fn ends_word(line: &[u8], at: usize) -> bool {
    line.get(at).is_none_or(|b| matches!(b, b' ' | b'\r'))
}

/// `2026-11-22T21:28:39`, exactly.
fn is_date_and_time(text: &[u8]) -> bool {
    const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
    // Without branches, because nearly every line passes.
    <&[u8; 19]>::try_from(text).is_ok_and(|text| {
        text.iter().zip(SHAPE).fold(true, |fits, (b, s)| {
            fits & if *s == b'0' {
                b.is_ascii_digit()
            } else {
                b == s
            }
        })
    })
}

/// The position after any color escapes (`ESC [ … m`) at `at`.
fn skip_colours(line: &[u8], mut at: usize) -> usize {
    while let Some(rest) = line.get(at..)
        && rest.starts_with(b"\x1b[")
    {
        let end = rest[2..]
            .iter()
            .take_while(|b| matches!(b, b'0'..=b'9' | b';' | b':'))
            .count()
            + 2;
        if rest.get(end) != Some(&b'm') {
            break;
        }
        at += end + 1;
    }
    at
}

fn skip_spaces(line: &[u8], mut at: usize) -> usize {
    while line.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// The target at or after `at`, past any spans, and where the message begins.
fn target(line: &[u8], mut at: usize) -> Option<(Range<usize>, usize)> {
    loop {
        let start = skip_colours(line, at);
        let end = path_end(line, start);
        if end == start {
            return None;
        }
        let mut next = skip_colours(line, end);
        let fields = line.get(next) == Some(&b'{');
        if fields {
            next = skip_colours(line, closing_brace(line, next)? + 1);
        }
        if line.get(next) != Some(&b':') {
            return None;
        }
        next = skip_colours(line, next + 1);
        match line.get(next) {
            // The end of the spans, or a span followed by another one.
            Some(b' ') if fields => at = next + 1,
            Some(b' ') => return Some((start..end, next + 1)),
            None if !fields => return Some((start..end, next)),
            None => return None,
            Some(_) => at = next,
        }
    }
}

/// The end of a path of words joined by `::` that begins at `at`.
fn path_end(line: &[u8], mut at: usize) -> usize {
    loop {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
        at += line[at..].iter().take_while(|b| is_word(b)).count();
        if !line[at..].starts_with(b"::") {
            return at;
        }
        at += 2;
    }
}

/// The position of the brace that closes the one at `open`; braces in quoted values do not count.
fn closing_brace(line: &[u8], open: usize) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, b) in line.iter().enumerate().skip(open) {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strum::VariantArray;

    fn taken(line: &str) -> Option<(&str, LogLevel, &str, &str)> {
        header(line.as_bytes()).map(|h| (h.timestamp, h.level, h.target, &line[h.message..]))
    }

    const T: &str = "2026-11-22T21:28:39.731870Z";

    #[test]
    fn a_line_as_the_client_writes_it() {
        let line = format!(
            "{T}  WARN jd_client_sv2::template_receiver::sv2_tp: Failed: error attempt=1 error=Os {{ code: 111 }}"
        );
        assert_eq!(
            taken(&line),
            Some((
                T,
                LogLevel::Warn,
                "jd_client_sv2::template_receiver::sv2_tp",
                "Failed: error attempt=1 error=Os { code: 111 }"
            ))
        );
        for &level in LogLevel::VARIANTS {
            let line = format!("{T} {level:>5} jd_client_sv2: an error, ERROR");
            assert_eq!(
                taken(&line),
                Some((T, level, "jd_client_sv2", "an error, ERROR"))
            );
            assert_eq!(level_of_line(line.as_bytes()), Some(level));
        }
    }

    #[test]
    fn other_decimals_offsets_and_colours() {
        for t in [
            "2026-11-22T21:28:39Z",
            "2026-11-22T21:28:39.7Z",
            "2026-11-22T21:28:39.731870123Z",
            "2026-11-22T22:28:39.731+01:00",
        ] {
            assert_eq!(
                taken(&format!("{t} ERROR a::b: c")),
                Some((t, LogLevel::Error, "a::b", "c"))
            );
        }
        let coloured = format!(
            "\x1b[2m{T}\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2ma::b\x1b[0m\x1b[2m:\x1b[0m up \x1b[3mn\x1b[0m=1"
        );
        assert_eq!(
            taken(&coloured),
            Some((T, LogLevel::Info, "a::b", "up \x1b[3mn\x1b[0m=1"))
        );
    }

    #[test]
    fn spans_before_the_target_are_passed_over() {
        for (spans, target) in [
            (r#"task{file="a}: b.rs" n=1}: "#, "a::b"),
            ("outer{x={1}}:inner{y=2}: ", "a::b"),
            ("outer:inner{y=2}: ", "a::b"),
            (
                "\x1b[1mtask\x1b[0m\x1b[1m{\x1b[0m\x1b[3mn\x1b[0m\x1b[2m=\x1b[0m1\x1b[1m}\x1b[0m\x1b[2m:\x1b[0m ",
                "a::b",
            ),
        ] {
            assert_eq!(
                taken(&format!("{T} TRACE {spans}a::b: m: n")),
                Some((T, LogLevel::Trace, target, "m: n")),
                "{spans}"
            );
        }
    }

    #[test]
    fn a_header_without_target_or_message_still_has_its_level() {
        assert_eq!(
            taken(&format!("{T}  INFO just words")),
            Some((T, LogLevel::Info, "", "just words"))
        );
        assert_eq!(
            taken(&format!("{T}  INFO span{{open: x")),
            Some((T, LogLevel::Info, "", "span{open: x"))
        );
        assert_eq!(
            taken(&format!("{T}  INFO a::b:")),
            Some((T, LogLevel::Info, "a::b", ""))
        );
        assert_eq!(
            taken(&format!("{T} ERROR")),
            Some((T, LogLevel::Error, "", ""))
        );
    }

    #[test]
    fn the_level_never_comes_from_words() {
        for line in [
            "",
            "ERROR something",
            "   1: std::panicking::panic_with_hook ERROR",
            "thread 'main' has overflowed its stack",
            " thread 'main' panicked at x.rs:33:18:",
            "2026-11-22 21:28:39.731870  INFO a: b",
            "2026-11-22T21:28:39.731870Z INFORMATION a: b",
            "2026-11-22T21:28:39.731870Z  WARNa: b",
            "2026-11-22T21:28:39.731870ZERROR a: b",
            "2026-11-22T21:28:39.Z ERROR a: b",
            "2026-11-22T21:28:39.73187xZ ERROR a: b",
            "2026-11-22T21:28:39.731870Z  info a: b",
            "\x1b[31m\x1b[31",
        ] {
            assert_eq!(taken(line), None, "{line}");
            assert_eq!(level_of_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_panic_is_an_error_wherever_it_begins() {
        for line in [
            "thread 'main' (2679) panicked at x.rs:33:18:",
            "thread '<unnamed>' panicked at a: b:",
        ] {
            assert_eq!(taken(line), Some(("", LogLevel::Error, "", line)));
            assert_eq!(level_of_line(line.as_bytes()), Some(LogLevel::Error));
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_written_in_capitals() {
        assert_eq!("warn".parse(), Ok(LogLevel::Warn));
        assert_eq!("Error".parse(), Ok(LogLevel::Error));
        assert_eq!("warning".parse::<LogLevel>(), Err(UnknownLevel));
        assert!(LogLevel::Trace < LogLevel::Debug && LogLevel::Warn < LogLevel::Error);
        assert_eq!(
            format!("{:>5}|{}", LogLevel::Info, LogLevel::Debug),
            " INFO|DEBUG"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic_and_both_readers_agree(line in hostile_line()) {
            let header = header(&line);
            prop_assert_eq!(header.map(|h| h.level), level_of_line(&line));
            prop_assert_eq!(level_of_line(&line), level_of_line(&line[..line.len().min(PREFIX)]));
            if let Some(h) = header {
                prop_assert!(h.message <= line.len());
                prop_assert_eq!(h.timestamp.is_empty(), line.starts_with(b"thread '"));
            }
        }
    }

    /// Pieces of the format in any order, so that the interesting paths are reached.
    fn hostile_line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => Just(T.as_bytes().to_vec()),
            1 => Just(b"2026-11-22T21:28:39.7+01:00".to_vec()),
            3 => prop_oneof![Just(" ERROR "), Just("  INFO "), Just("WARN"), Just(" "), Just(":"), Just("::"), Just("{"), Just("}"),
                Just("\""), Just("a::b: "), Just("\x1b[2m"), Just("\x1b["), Just("task{x=1}:"), Just("thread 'a'"), Just(" panicked at ")].prop_map(|s| s.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }
}
