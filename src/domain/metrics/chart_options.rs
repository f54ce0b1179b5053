//! The time range and interval of charts, in URLs and on pages.

use crate::base::clock::Timestamp;

/// The time ranges: name in URLs, text on pages, seconds.
pub const RANGES: [(&str, &str, i64); 6] = [
    ("1h", "1 hour", 3600),
    ("6h", "6 hours", 6 * 3600),
    ("24h", "24 hours", 86_400),
    ("7d", "7 days", 7 * 86_400),
    ("30d", "30 days", 30 * 86_400),
    ("1y", "1 year", 365 * 86_400),
];

/// The intervals: name in URLs, text on pages.
pub const INTERVALS: [(&str, &str); 4] = [
    ("", "automatic"),
    ("minute", "minute"),
    ("hour", "hour"),
    ("day", "day"),
];

/// The selected time range and interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartOptions {
    /// One of [`RANGES`], or empty if start and end were given.
    pub range: &'static str,
    /// One of [`INTERVALS`].
    pub interval: &'static str,
    /// The start.
    pub from: Timestamp,
    /// The end.
    pub to: Timestamp,
}

impl ChartOptions {
    /// The selection as query parameters.
    pub fn query(&self) -> String {
        self.with(self.range, self.interval)
    }

    fn with(&self, range: &str, interval: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if range.is_empty() {
            query
                .append_pair("from", &self.from.to_string())
                .append_pair("to", &self.to.to_string());
        } else {
            query.append_pair("range", range);
        }
        if !interval.is_empty() {
            query.append_pair("interval", interval);
        }
        query.finish()
    }

    /// The time ranges as links: query, text, whether it is selected.
    pub(super) fn ranges(&self) -> Vec<(String, &'static str, bool)> {
        RANGES
            .iter()
            .map(|(name, words, _)| (self.with(name, self.interval), *words, *name == self.range))
            .collect()
    }

    pub(super) fn intervals(&self) -> Vec<(String, &'static str, bool)> {
        INTERVALS
            .iter()
            .map(|(name, words)| (self.with(self.range, name), *words, *name == self.interval))
            .collect()
    }

    /// The time range in words.
    pub(super) fn words(&self) -> String {
        match RANGES.iter().find(|(name, ..)| *name == self.range) {
            Some((_, words, _)) => {
                format!("the last {}", words.strip_prefix("1 ").unwrap_or(words))
            }
            None => format!("{} to {}", self.from.local(), self.to.local()),
        }
    }
}
