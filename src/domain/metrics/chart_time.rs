//! The start and the end of a chart as people and programs write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::str::FromStr;

use crate::base::clock::Timestamp;

/// A time in a URL: RFC 3339, or a date or a date and time in the time zone of this machine, as the
/// field of a form sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChartTime {
    /// The time; the start of the day for a date.
    at: Timestamp,
    /// The start of the next day, if only a date was given.
    next_day: Option<Timestamp>,
}

impl ChartTime {
    /// The time as the start of a range.
    pub const fn start(self) -> Timestamp {
        self.at
    }

    /// The time as the end of a range: a date includes the whole day.
    pub fn end(self) -> Timestamp {
        self.next_day.unwrap_or(self.at)
    }
}

/// The time of a local date and time. A time that the clocks skip is moved ahead.
fn local(at: DateTime) -> Result<Timestamp, jiff::Error> {
    let zoned = at.to_zoned(TimeZone::system())?;
    Ok(Timestamp(zoned.timestamp().as_millisecond()))
}

impl FromStr for ChartTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self { at, next_day: None });
        }
        // ISO 8601 also allows dates without separators. A user who enters only digits does not mean a date.
        let is_date = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
        if is_date {
            let day: Date = text.parse()?;
            return Ok(Self {
                at: local(day.into())?,
                next_day: Some(local(day.tomorrow()?.into())?),
            });
        }
        let with_time =
            text.len() > 10 && text.as_bytes().get(10).is_some_and(|b| b"T ".contains(b));
        let at: DateTime = if with_time { text } else { "" }.parse()?;
        Ok(Self {
            at: local(at)?,
            next_day: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Timestamp, Timestamp)> {
        let time: ChartTime = text.parse().ok()?;
        Some((time.start(), time.end()))
    }

    #[test]
    fn times_are_read_as_a_program_a_form_and_a_person_write_them() {
        let exact = Timestamp(1_795_356_000_000);
        let local = exact.local();
        let (day, time) = local.split_once(' ').unwrap();
        assert_eq!(read("2026-11-22T14:00:00Z"), Some((exact, exact)));
        for text in [
            format!("{day}T{}", &time[..5]),
            format!("{day} {}", &time[..5]),
            format!("{day}T{time}"),
        ] {
            assert_eq!(read(&text), Some((exact, exact)), "{text}");
        }
        let (start, end) = read(day).unwrap();
        assert!(start <= exact && exact < end);
        assert!((82_800_000..=90_000_000).contains(&(end.0 - start.0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "14:00",
            "20261122",
            "2026-11-31",
            "2026-02-29T14:00",
            "9999-12-31",
            "2026-11-22T25:00",
            "2026-11-22T14:00Z; DROP TABLE events",
            "0000-00-00",
            "-1",
            "1e9",
            "NaN",
            "<script>",
            "2026-11-22T14:00\0",
            "２０２６-11-22",
            "日本-1-22",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
