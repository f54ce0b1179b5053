//! The time range and interval of charts, in URLs and on pages.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::error::FieldError;
use crate::base::units::{Unit, format_value};

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

/// The shortest time range of a chart, in milliseconds, however young an instance is.
const SHORTEST: i64 = 60_000;

/// A range that ends at most this long ago is shown up to now.
const NEWEST: Duration = Duration::from_secs(60);

/// The selected time range and interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartOptions {
    /// One of `RANGES`, or empty if start and end were given.
    pub range: &'static str,
    /// One of `INTERVALS`.
    pub interval: &'static str,
    /// The start.
    pub from: Timestamp,
    /// The end.
    pub to: Timestamp,
    /// When the oldest instance in the chart was created: there is no earlier data.
    pub born: Timestamp,
    /// Start and end as entered, if they are not a time range. The chart shows another one.
    pub rejected: Option<RejectedRange>,
}

/// A start and an end that are not a time range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRange {
    /// The entered start and end.
    pub texts: [String; 2],
    /// Why.
    pub errors: Vec<FieldError>,
}

/// A field of the form for a time range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeField {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub error: Option<String>,
}

impl ChartOptions {
    /// The last 24 hours.
    pub const fn last_day(now: Timestamp) -> Self {
        Self {
            range: "24h",
            interval: "",
            from: Timestamp(now.0.saturating_sub(86_400_000)),
            to: now,
            born: Timestamp(0),
            rejected: None,
        }
    }

    /// The same for instances of which the oldest was created at `born`.
    pub fn since_creation(&self, born: Timestamp) -> Self {
        Self {
            born,
            ..self.clone()
        }
    }

    /// The start of the chart: not before the instance was created, unless the whole range is.
    pub fn shown_from(&self) -> Timestamp {
        if self.to <= self.born {
            return self.from;
        }
        let earliest = self.born.0.min(self.to.0.saturating_sub(SHORTEST));
        self.from.max(Timestamp(earliest))
    }

    /// The selection as query parameters.
    pub fn query(&self) -> String {
        self.with(self.range, self.interval)
    }

    fn with(&self, range: &str, interval: &str) -> String {
        if range.is_empty() {
            return Self::between(self.from, self.to, interval);
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("range", range);
        if !interval.is_empty() {
            query.append_pair("interval", interval);
        }
        query.finish()
    }

    fn between(from: Timestamp, to: Timestamp, interval: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("from", &from.to_string())
            .append_pair("to", &to.to_string());
        if !interval.is_empty() {
            query.append_pair("interval", interval);
        }
        query.finish()
    }

    fn length(&self) -> Duration {
        self.to.since(self.from)
    }

    /// The time ranges to choose from: those within the age of the instance, and the first that covers
    /// it.
    pub(super) fn offered(
        &self,
    ) -> impl Iterator<Item = &'static (&'static str, &'static str, i64)> {
        let age = self.to.since(self.born).as_secs();
        let is_younger = move |range: &&(&str, &str, i64)| range.2.unsigned_abs() < age;
        let covering = RANGES.iter().position(|range| !is_younger(&range));
        let selected = self.range;
        RANGES.iter().enumerate().filter_map(move |(at, range)| {
            let is_offered = is_younger(&range) || Some(at) == covering || range.0 == selected;
            is_offered.then_some(range)
        })
    }

    /// The time ranges as links: query, text, whether it is selected.
    pub(crate) fn ranges(&self) -> Vec<(String, &'static str, bool)> {
        self.offered()
            .map(|(name, words, _)| (self.with(name, self.interval), *words, *name == self.range))
            .collect()
    }

    pub(crate) fn intervals(&self) -> Vec<(String, &'static str, bool)> {
        INTERVALS
            .iter()
            .map(|(name, words)| (self.with(self.range, name), *words, *name == self.interval))
            .collect()
    }

    /// The query of the time range before this one; none if there is no earlier data.
    pub(crate) fn earlier(&self) -> Option<String> {
        let from = i64::try_from(self.length().as_millis())
            .ok()
            .and_then(|length| self.from.0.checked_sub(length));
        let is_there = self.from > self.born && self.length() > Duration::ZERO;
        from.filter(|_| is_there)
            .map(|from| Self::between(Timestamp(from), self.from, self.interval))
    }

    /// The query of the time range after this one: up to now, if it would end later; none if this one
    /// does.
    pub(crate) fn later(&self) -> Option<String> {
        let now = Timestamp::now();
        if !self.range.is_empty() || self.to >= now || self.length().is_zero() {
            return None;
        }
        let end = self.to.after(self.length());
        // A range that ended when this page was opened is the newest one.
        if end.after(NEWEST) < now {
            return Some(Self::between(self.to, end, self.interval));
        }
        let length = i64::try_from(self.length().as_secs()).unwrap_or(i64::MAX);
        let named = RANGES.iter().find(|(.., seconds)| *seconds == length);
        Some(match named {
            Some((name, ..)) => self.with(name, self.interval),
            None => Self::between(
                Timestamp(now.0.saturating_sub(length.saturating_mul(1000))),
                now,
                self.interval,
            ),
        })
    }

    /// The length of the range for the links to those before and after it.
    pub(crate) fn length_text(&self) -> String {
        let seconds = self.length().as_secs_f64().round();
        match RANGES.iter().find(|range| range.2 as f64 == seconds) {
            Some((_, words, _)) => (*words).to_owned(),
            None => format_value(Unit::Seconds, seconds),
        }
    }

    /// Start and end for the fields of a form: as entered, or the shown range in the local time zone.
    pub(crate) fn fields(&self) -> [RangeField; 2] {
        let [from, to] = match &self.rejected {
            Some(rejected) => rejected.texts.clone(),
            None => [self.shown_from().local_field(), self.to.local_field()],
        };
        [("from", "From", from), ("to", "To", to)].map(|(name, label, value)| {
            let mut errors = self.rejected.iter().flat_map(|rejected| &rejected.errors);
            let error = errors.find(|error| error.pointer.strip_prefix('/') == Some(name));
            RangeField {
                name,
                label,
                value,
                error: error.map(|error| error.page_text_as(Some(label)).into_owned()),
            }
        })
    }

    /// The form for a time range is open.
    pub(crate) fn is_custom(&self) -> bool {
        self.range.is_empty() || self.rejected.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn options(range: &'static str, from: i64, to: i64, born: i64) -> ChartOptions {
        ChartOptions {
            range,
            interval: "",
            from: Timestamp(from * HOUR),
            to: Timestamp(to * HOUR),
            born: Timestamp(born * HOUR),
            rejected: None,
        }
    }

    #[test]
    fn a_chart_does_not_begin_before_its_instance() {
        let names =
            |choice: &ChartOptions| choice.offered().map(|range| range.0).collect::<Vec<_>>();
        let young = options("24h", 76, 100, 96);
        assert_eq!(young.shown_from(), Timestamp(96 * HOUR));
        assert_eq!(names(&young), ["1h", "6h", "24h"]);
        assert_eq!(names(&options("1h", 99, 100, 96)), ["1h", "6h"]);
        assert_eq!(names(&options("1h", 99, 100, 100)), ["1h"]);
        let old = options("6h", 94, 100, 0);
        assert_eq!(old.shown_from(), Timestamp(94 * HOUR));
        assert_eq!(names(&old), ["1h", "6h", "24h", "7d"]);
        // Just created: there is something to see all the same.
        assert_eq!(
            options("1h", 99, 100, 100).shown_from(),
            Timestamp(99 * HOUR)
        );
        // Before it was created.
        assert_eq!(options("", 10, 20, 50).shown_from(), Timestamp(10 * HOUR));
    }

    #[test]
    fn a_range_is_named_by_its_exact_length() {
        let text = |ms: i64| {
            let mut choice = options("", 0, 0, 0);
            choice.to = Timestamp(ms);
            choice.length_text().replace('\u{a0}', " ")
        };
        for (ms, expected) in [
            (167_000, "2 min 47 s"),
            (120_000, "2 min"),
            (6 * HOUR, "6 hours"),
            (6 * HOUR + 400, "6 hours"),
            (25 * HOUR, "1 d 1 h"),
            (7 * 24 * HOUR, "7 days"),
        ] {
            assert_eq!(text(ms), expected, "{ms}");
        }
    }

    #[test]
    fn the_ranges_before_and_after_are_as_long() {
        let past = options("", 10, 20, 5);
        assert_eq!(
            past.earlier().unwrap(),
            "from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T10%3A00%3A00.000Z"
        );
        assert_eq!(
            past.later().unwrap(),
            "from=1970-01-01T20%3A00%3A00.000Z&to=1970-01-02T06%3A00%3A00.000Z"
        );
        assert_eq!(options("", 10, 20, 10).earlier(), None);
        let now = Timestamp::now().0 / HOUR;
        assert_eq!(options("24h", now - 24, now, 0).later(), None);
        assert_eq!(
            options("", now - 30, now - 6, 0).later().unwrap(),
            "range=24h"
        );
        assert_eq!(options("", 10, 10, 0).earlier(), None);
        assert_eq!(options("", 10, 10, 0).later(), None);
    }
}
