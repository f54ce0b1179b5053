//! Time as a parameter: the current time comes from a [`Clock`], never from a call in the middle
//! of a rule.
//!
//! Vocabulary: a timestamp is whole milliseconds since 1970 UTC, as stored in the database and sent to
//! programs.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A timestamp: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow, Default,
)]
#[diesel(sql_type = BigInt)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The current time of the system clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// This time plus `by`; saturates at the maximum.
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time elapsed since `earlier`; zero if `earlier` is later (clocks can be set back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time in RFC 3339, or as forms have it: in the machine's time zone, `2026-11-22T14:02`. A time
    /// that a clock shows twice is the first one.
    pub fn parse_local(text: &str) -> Option<Self> {
        let local = |text: &str| {
            let at = text.parse::<jiff::civil::DateTime>().ok()?;
            let zoned = at.to_zoned(jiff::tz::TimeZone::system()).ok()?;
            Some(Self(zoned.timestamp().as_millisecond()))
        };
        text.parse().ok().or_else(|| local(text))
    }

    /// In the machine's time zone, as forms have it: `2026-11-22T14:02`.
    pub fn local_input(self) -> String {
        self.zoned("%Y-%m-%dT%H:%M")
    }

    /// The start of its second, as texts show it.
    pub const fn to_second(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1000))
    }

    /// The time between both, whichever is earlier.
    pub fn distance(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// In the machine's time zone, to the second, for people: `2026-11-22 14:02:11`.
    pub fn local(self) -> String {
        self.zoned("%Y-%m-%d %H:%M:%S")
    }

    /// In the machine's time zone, to the minute, with the date: `2026-11-22 14:02`.
    pub fn local_date_minute(self) -> String {
        self.zoned("%Y-%m-%d %H:%M")
    }

    /// The same as the value of a field of a form: `2026-11-22T14:02`.
    pub fn local_field(self) -> String {
        self.zoned("%Y-%m-%dT%H:%M")
    }

    /// The time of day in the machine's time zone, to the minute, with the date before it unless
    /// that is today: `14:02`, `Nov 21, 14:02`.
    pub fn local_minute(self) -> String {
        let is_today = self.zoned("%F") == Self::now().zoned("%F");
        self.zoned(if is_today { "%H:%M" } else { "%b %-d, %H:%M" })
    }

    /// The time of day in the machine's time zone, to the millisecond: `14:02:11.204`.
    pub fn local_time(self) -> String {
        self.zoned("%H:%M:%S%.3f")
    }

    /// The minute of the day in the machine's time zone, 0 to 1439.
    pub fn minute_of_day(self) -> u16 {
        let local = self.jiff().to_zoned(jiff::tz::TimeZone::system());
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
    }

    fn zoned(self, format: &str) -> String {
        self.jiff()
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime(format)
            .to_string()
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-22T14:02:11.204Z`.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.jiff())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
    }
}

/// As RFC 3339 text, for programs that read the JSON.
impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "date-time", "description": "Time in RFC 3339 format, in UTC with milliseconds.",
            "examples": ["2026-11-22T21:29:59.204Z"],
        })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl ToSql<BigInt, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(serialize::IsNull::No)
    }
}

impl FromSql<BigInt, Sqlite> for Timestamp {
    fn from_sql(bytes: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(bytes).map(Self)
    }
}

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A duration for people: `12 s`, `4 min`, `3 h 5 min`, `3 d 4 h`.
pub fn human_duration(length: Duration) -> String {
    let s = length.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_read_as_a_form_sends_it() {
        let at = Timestamp(1_800_000_000_000);
        assert_eq!(Timestamp::parse_local(&at.local_input()), Some(at));
        assert_eq!(Timestamp::parse_local(&at.to_string()), Some(at));
        for text in [
            "",
            "tomorrow",
            "14:02",
            "2026-13-22T14:02",
            "2026-11-22T25:02",
        ] {
            assert_eq!(Timestamp::parse_local(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_and_read_as_rfc_3339_in_utc() {
        let moment = Timestamp(1_795_382_999_204);
        assert_eq!(moment.to_string(), "2026-11-22T21:29:59.204Z");
        assert_eq!(
            "2026-11-22T21:29:59.204Z".parse::<Timestamp>().unwrap(),
            moment
        );
        assert_eq!(
            "2026-11-22T22:29:59.204+01:00"
                .parse::<Timestamp>()
                .unwrap(),
            moment
        );
    }

    #[test]
    fn the_minute_of_the_day_is_that_of_the_local_time() {
        let moment = Timestamp(1_795_382_999_204);
        let (hour, minute) = (moment.minute_of_day() / 60, moment.minute_of_day() % 60);
        assert_eq!(moment.local_time()[..5], format!("{hour:02}:{minute:02}"));
    }

    #[test]
    fn lengths_are_said_in_the_two_largest_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_900, "1 h 5 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), said);
        }
    }
}
