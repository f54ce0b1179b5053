//! Splits a line of the client's log into time, module and message. Every line is read, so this
//! works on bytes and does not allocate. It must not know the format of a header or the meaning of
//! a message.

use crate::base::clock::Timestamp;
use crate::keeper::level::{self, LogLevel};

/// The parts of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::programs) struct LineParts<'a> {
    /// The time.
    pub at: Timestamp,
    /// Whether the level is `INFO` or higher. Lower levels are for debugging the client.
    pub is_loud: bool,
    /// The module, e.g. `jd_client_sv2::jdc_runtime`; empty if the line has none.
    pub target: &'a [u8],
    /// The message with its fields, without a carriage return at its end.
    pub message: &'a [u8],
}

impl<'a> LineParts<'a> {
    /// Splits a line (without its line break); `None` if it does not begin with time and level.
    pub(in crate::programs) fn read(line: &'a [u8]) -> Option<Self> {
        let header = level::parts(line)?;
        let message = &line[header.message..];
        Some(Self {
            at: moment(&line[header.timestamp])?,
            is_loud: header.level >= LogLevel::Info,
            target: &line[header.target],
            message: message.strip_suffix(b"\r").unwrap_or(message),
        })
    }
}

/// The time of a header's timestamp; none for the first line of a panic, which has no timestamp,
/// and for invalid dates.
fn moment(stamp: &[u8]) -> Option<Timestamp> {
    microseconds_utc(stamp).or_else(|| {
        // Other decimals, an offset, a leap second.
        let text = std::str::from_utf8(stamp).ok()?;
        text.parse().ok()
    })
}

/// Reads `2026-11-22T21:28:39.731870Z`, the client's format, in whole milliseconds. Every line has
/// a timestamp, and the general parser is much slower.
fn microseconds_utc(stamp: &[u8]) -> Option<Timestamp> {
    if stamp.len() != 27 || !stamp.ends_with(b"Z") {
        return None;
    }
    let number = |from: usize, to: usize| {
        stamp[from..to]
            .iter()
            .fold(0_i64, |sum, b| sum * 10 + i64::from(b - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day) && !is_day(year, month, day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp(seconds * 1_000 + number(20, 23)))
}

/// Whether the month has that day.
fn is_day(year: i64, month: i64, day: i64) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=last).contains(&day)
}

/// Days since 1970-01-01. Years are counted from March to February, so the leap day is the last day
/// of a year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Option<(String, bool, &str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        LineParts::read(line.as_bytes())
            .map(|l| (l.at.to_string(), l.is_loud, text(l.target), text(l.message)))
    }

    #[test]
    fn a_line_as_the_client_writes_it() {
        let at = "2026-11-22T21:28:39.731Z".to_owned();
        let line = "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::channel_manager: Failed: error attempt=1\r";
        assert_eq!(
            read(line),
            Some((
                at.clone(),
                true,
                "jd_client_sv2::channel_manager",
                "Failed: error attempt=1"
            ))
        );
        let line = "2026-11-22T21:28:39.731870Z DEBUG a: b";
        assert_eq!(read(line), Some((at.clone(), false, "a", "b")));
        let line = "2026-11-22T22:28:39.731+01:00 ERROR task{file=\"a.rs\" n={1}}: a::b: c";
        assert_eq!(read(line), Some((at.clone(), true, "a::b", "c")));
        assert_eq!(
            read("2026-11-22T21:28:39.731870Z  INFO"),
            Some((at, true, "", ""))
        );
    }

    #[test]
    fn what_begins_with_no_time_and_level_is_not_the_clients() {
        for line in [
            "",
            "   1: std::panicking",
            "2026-11-22T21:28:39.731870Z",
            "2026-11-22T21:28:39.731870Z  info a: b",
            "2026-13-22T21:28:39.731870Z  INFO a: b",
            "2026-02-29T21:28:39.731870Z  INFO a: b",
            "2026-11-22 21:28:39.731870  INFO a: b",
            "2026-11-22T21:28:39.7318x0Z  INFO a: b",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn times_are_those_of_the_calendar(ms in 0_i64..253_402_300_799_999) {
            let line = format!("{}000Z  INFO a: b", Timestamp(ms).to_string().trim_end_matches('Z'));
            prop_assert_eq!(LineParts::read(line.as_bytes()).map(|l| l.at), Some(Timestamp(ms)));
        }

        #[test]
        fn any_bytes_are_taken(line in proptest::collection::vec(any::<u8>(), 0..200), head in any::<bool>()) {
            let line = if head { [b"2026-11-22T21:28:39.731870Z  INFO ".to_vec(), line].concat() } else { line };
            prop_assert!(!head || LineParts::read(&line).is_some());
        }
    }
}
