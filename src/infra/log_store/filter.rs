//! Which records somebody wants to see: a lowest level and a text.
//!
//! The same filter is applied to records in the parser's buffer, before they are copied, and to those a follower gets.
//! Must not know: files, pages, viewers.

use super::ansi;
use super::record::{Raw, Record};
use crate::keeper::level::Level;

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least this level.
    pub min_level: Option<Level>,
    /// This text somewhere in target or message, in any case; terminal escapes in the message do not count. Empty: any.
    pub text: Option<String>,
}

impl Filter {
    /// Whether every record passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.min_level.is_none_or(|level| level == Level::Trace) && self.text.as_deref().unwrap_or_default().is_empty()
    }

    /// Whether `record` passes.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        let target = record.target.as_deref().unwrap_or_default();
        Matcher::of(self).passes(record.level, target.as_bytes(), record.message.as_bytes())
    }
}

/// A filter made ready for many records.
#[derive(Clone, Debug)]
pub(super) struct Matcher<'a> {
    min_level: Level,
    text: Option<Needle<'a>>,
}

#[derive(Clone, Debug)]
enum Needle<'a> {
    Ascii(&'a [u8]),
    /// In lower case.
    Other(String),
}

impl<'a> Matcher<'a> {
    pub fn of(filter: &'a Filter) -> Self {
        let text = filter
            .text
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| if text.is_ascii() { Needle::Ascii(text.as_bytes()) } else { Needle::Other(text.to_lowercase()) });
        Self { min_level: filter.min_level.unwrap_or(Level::Trace), text }
    }

    /// Whether `raw` passes.
    pub fn wants(&self, raw: Raw<'_>) -> bool {
        self.passes(raw.level(), raw.target(), raw.message())
    }

    fn passes(&self, level: Level, target: &[u8], message: &[u8]) -> bool {
        if level < self.min_level {
            return false;
        }
        let Some(needle) = &self.text else { return true };
        if message.contains(&0x1b) {
            let text = String::from_utf8_lossy(message);
            needle.is_in(target) || needle.is_in(ansi::plain(&text).as_bytes())
        } else {
            needle.is_in(target) || needle.is_in(message)
        }
    }
}

impl Needle<'_> {
    fn is_in(&self, text: &[u8]) -> bool {
        match self {
            // Setting bit 5 makes letters lower case: a cheap look before the comparison.
            Self::Ascii(needle) => text
                .windows(needle.len())
                .any(|window| window[0] | 0x20 == needle[0] | 0x20 && window.eq_ignore_ascii_case(needle)),
            Self::Other(needle) => String::from_utf8_lossy(text).to_lowercase().contains(needle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_writer::{T, Writer};
    use super::*;

    #[test]
    fn a_filter_searches_target_and_message_in_any_case() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{T}  WARN jd_client_sv2::io_task: Reader task exited.\n{T}  INFO a: attempt\x1b[2m=\x1b[0m1 Größe ✅\n{T} ERROR a: no\n"
        );
        Writer::new(dir.path(), 0, 1_000, 9).write(text.as_bytes());
        let found = |level: Option<Level>, text: &str| {
            let filter = Filter { min_level: level, text: Some(text.to_owned()) };
            let page = super::super::Log::new(dir.path()).last(&filter, 10).unwrap();
            page.records.iter().map(|r| r.level).collect::<Vec<_>>()
        };
        use Level::{Error, Info, Warn};
        assert_eq!(found(None, "READER"), [Warn]);
        assert_eq!(found(None, "io_TASK"), [Warn]);
        assert_eq!(found(None, "attempt=1"), [Info]);
        assert_eq!(found(None, "gRÖSSe"), []);
        assert_eq!(found(None, "GRÖ"), [Info]);
        assert_eq!(found(None, "✅"), [Info]);
        assert_eq!(found(Some(Warn), ""), [Warn, Error]);
        assert_eq!(found(Some(Error), "reader"), []);
        // The level is not part of the text.
        assert_eq!(found(None, "error"), []);
    }
}
