//! The time range and the interval that somebody chose for charts, as they stand in an address and
//! on a page.

use crate::base::clock::Timestamp;

/// Stretches of time to choose from: as in an address, for people, seconds.
pub const RANGES: [(&str, &str, i64); 6] = [
    ("1h", "1 hour", 3600),
    ("6h", "6 hours", 6 * 3600),
    ("24h", "24 hours", 86_400),
    ("7d", "7 days", 7 * 86_400),
    ("30d", "30 days", 30 * 86_400),
    ("1y", "1 year", 365 * 86_400),
];

/// How finely: as in an address, for people.
pub const INTERVALS: [(&str, &str); 4] = [
    ("", "automatic"),
    ("minute", "minutes"),
    ("hour", "hours"),
    ("day", "days"),
];

/// What was chosen to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartOptions {
    /// One of [`RANGES`], or empty if times were given.
    pub range: &'static str,
    /// One of [`INTERVALS`].
    pub interval: &'static str,
    /// From here
    pub from: Timestamp,
    /// to here.
    pub to: Timestamp,
}

impl ChartOptions {
    /// As query parameters.
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

    /// The choices of a range as links: query, words, whether it is the present one.
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

    /// The stretch in words.
    pub(super) fn words(&self) -> String {
        match RANGES.iter().find(|(name, ..)| *name == self.range) {
            Some((_, words, _)) => {
                format!("the last {}", words.strip_prefix("1 ").unwrap_or(words))
            }
            None => format!("{} to {}", self.from.local(), self.to.local()),
        }
    }
}
