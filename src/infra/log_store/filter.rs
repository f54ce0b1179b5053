//! Filters records by minimum level, and by text or a regular expression.
//!
//! The same filter applies to records in the buffer of the parser, before they are copied, and to
//! records for followers. Independent of files, pages, viewers.

use super::ansi;
use super::pattern::LogPattern;
use super::record::{LogRecord, RawRecord};
use crate::keeper::level::LogLevel;

/// A filter for records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// The minimum level.
    pub min_level: Option<LogLevel>,
    /// Text in target or message, ignoring case and terminal escapes. Empty: all records. Not together
    /// with `pattern`.
    pub text: Option<String>,
    /// A regular expression that is found in target or message.
    pub pattern: Option<LogPattern>,
}

impl LogFilter {
    /// Whether every record matches.
    pub fn is_everything(&self) -> bool {
        self.min_level.is_none_or(|level| level == LogLevel::Trace)
            && self.text.as_deref().unwrap_or_default().is_empty()
            && self.pattern.is_none()
    }

    /// What to highlight in records; none: nothing.
    pub fn highlight(&self) -> Option<LogPattern> {
        let text = self.text.as_deref().filter(|text| !text.is_empty());
        let literal = || LogPattern::literal(text?).ok();
        self.pattern.clone().or_else(literal)
    }

    /// Whether `record` matches.
    pub fn matches(&self, record: &LogRecord) -> bool {
        let target = record.target.as_deref().unwrap_or_default();
        LogMatcher::of(self).passes(record.level, target.as_bytes(), record.message.as_bytes())
    }
}

/// A filter prepared for many records.
#[derive(Clone, Debug)]
pub(super) struct LogMatcher<'a> {
    min_level: LogLevel,
    text: Option<TextNeedle<'a>>,
    pattern: Option<&'a LogPattern>,
}

#[derive(Clone, Debug)]
enum TextNeedle<'a> {
    Ascii(&'a [u8]),
    /// The text in lower case.
    Other(String),
}

impl<'a> LogMatcher<'a> {
    pub fn of(filter: &'a LogFilter) -> Self {
        let text = filter
            .text
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| {
                if text.is_ascii() {
                    TextNeedle::Ascii(text.as_bytes())
                } else {
                    TextNeedle::Other(text.to_lowercase())
                }
            });
        Self {
            min_level: filter.min_level.unwrap_or(LogLevel::Trace),
            text,
            pattern: filter.pattern.as_ref(),
        }
    }

    /// Whether `raw` matches.
    pub fn wants(&self, raw: RawRecord<'_>) -> bool {
        self.passes(raw.level(), raw.target(), raw.message())
    }

    fn passes(&self, level: LogLevel, target: &[u8], message: &[u8]) -> bool {
        if level < self.min_level {
            return false;
        }
        if self.text.is_none() && self.pattern.is_none() {
            return true;
        }
        let is_found_in = |text: &[u8]| {
            self.text.as_ref().is_some_and(|one| one.is_in(text))
                || self.pattern.is_some_and(|one| one.is_in(text))
        };
        if is_found_in(target) {
            return true;
        }
        if message.contains(&0x1b) {
            let text = String::from_utf8_lossy(message);
            is_found_in(ansi::plain(&text).as_bytes())
        } else {
            is_found_in(message)
        }
    }
}

impl TextNeedle<'_> {
    fn is_in(&self, text: &[u8]) -> bool {
        match self {
            // Setting bit 5 converts letters to lower case: a cheap check before the comparison.
            Self::Ascii(needle) => text.windows(needle.len()).any(|window| {
                window[0] | 0x20 == needle[0] | 0x20 && window.eq_ignore_ascii_case(needle)
            }),
            Self::Other(needle) => String::from_utf8_lossy(text)
                .to_lowercase()
                .contains(needle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_writer::{SegmentWriter, T};
    use super::*;

    #[test]
    fn a_filter_searches_target_and_message_in_any_case() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{T}  WARN jd_client_sv2::io_task: Reader task exited.\n{T}  INFO a: attempt\x1b[2m=\x1b[0m1 Größe ✅\n{T} ERROR a: no\n"
        );
        SegmentWriter::new(dir.path(), 0, 1_000, 9).write(text.as_bytes());
        let found = |level: Option<LogLevel>, text: &str| {
            let filter = LogFilter {
                min_level: level,
                text: Some(text.to_owned()),
                pattern: None,
            };
            let page = super::super::InstanceLog::new(dir.path())
                .last(&filter, 10)
                .unwrap();
            page.records.iter().map(|r| r.level).collect::<Vec<_>>()
        };
        use LogLevel::{Error, Info, Warn};
        assert_eq!(found(None, "READER"), [Warn]);
        assert_eq!(found(None, "io_TASK"), [Warn]);
        assert_eq!(found(None, "attempt=1"), [Info]);
        assert_eq!(found(None, "gRÖSSe"), []);
        assert_eq!(found(None, "GRÖ"), [Info]);
        assert_eq!(found(None, "✅"), [Info]);
        assert_eq!(found(Some(Warn), ""), [Warn, Error]);
        assert_eq!(found(Some(Error), "reader"), []);
        let matching = |pattern: &str| {
            let filter = LogFilter {
                pattern: Some(LogPattern::new(pattern).unwrap()),
                ..LogFilter::default()
            };
            let log = super::super::InstanceLog::new(dir.path());
            let page = log.last(&filter, 10).unwrap();
            page.records.iter().map(|r| r.level).collect::<Vec<_>>()
        };
        assert_eq!(matching("^reader .* exited"), [Warn]);
        assert_eq!(matching(r"attempt=\d"), [Info]);
        assert_eq!(matching("io_task|^no$"), [Warn, Error]);
        // The level is not part of the text.
        assert_eq!(found(None, "error"), []);
    }
}
