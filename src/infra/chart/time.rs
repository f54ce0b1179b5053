//! The time axis: ticks at round local times, also across daylight saving changes.
//!
//! Must not know: pixels, SVG.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Tick intervals based on the clock, in seconds.
const BY_CLOCK: [i64; 19] = [
    1,
    5,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];
/// Tick intervals based on the calendar, in months.
const BY_CALENDAR: [i64; 14] = [
    1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12_000,
];
/// Day 0 was a Thursday; weeks are counted from the Monday after it.
const FIRST_MONDAY: i64 = 4 * DAY;
/// The supported dates, with a margin of one year: the years -9998 to 9998.
const TELLABLE: std::ops::RangeInclusive<i64> = -377_673_580_800_000..=253_370_764_800_000;

/// The range of a chart: limited to supported dates, and never empty.
pub(super) fn shown(from: i64, to: i64) -> (i64, i64) {
    let [from, to] = [from, to.max(from)].map(|at| at.clamp(*TELLABLE.start(), *TELLABLE.end()));
    if from == to {
        (from - 30_000, to + 30_000)
    } else {
        (from, to)
    }
}

/// At most `most` (or two) round local times from `from` to `to` (milliseconds), with their labels.
pub(super) fn ticks(from: i64, to: i64, zone: &TimeZone, most: usize) -> Vec<(i64, String)> {
    let most = i64::try_from(most.max(2)).unwrap_or(i64::MAX);
    let fits = |seconds: &i64| (to - from) / 1000 / seconds < most;
    let found = match BY_CLOCK.iter().find(|&seconds| fits(seconds)) {
        Some(&seconds) => by_clock(from, to, zone, seconds),
        None => {
            let months = BY_CALENDAR
                .into_iter()
                .find(|months| fits(&(months * 30 * DAY)))
                .unwrap_or(24_000);
            by_calendar(from, to, zone, months)
        }
    };
    found
        .into_iter()
        .map(|(at, format)| {
            (
                at,
                moment(at)
                    .to_zoned(zone.clone())
                    .strftime(format)
                    .to_string(),
            )
        })
        .collect()
}

/// The time for a mark: `23 Nov 14:05`.
pub(super) fn told(at: i64, zone: &TimeZone) -> String {
    moment(at)
        .to_zoned(zone.clone())
        .strftime("%-d %b %H:%M")
        .to_string()
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn offset(seconds: i64, zone: &TimeZone) -> i64 {
    i64::from(zone.to_offset(moment(seconds * 1000)).seconds())
}

fn by_clock(from: i64, to: i64, zone: &TimeZone, step: i64) -> Vec<(i64, &'static str)> {
    let mut found = Vec::new();
    let mut at = from.div_euclid(1000) - 1;
    loop {
        at = next_round(at, step, zone);
        if at * 1000 > to {
            return found;
        }
        let midnight = (at + offset(at, zone)).rem_euclid(DAY) == 0;
        if at * 1000 >= from {
            let format = match step {
                _ if midnight => "%-d %b",
                ..MINUTE => "%H:%M:%S",
                _ => "%H:%M",
            };
            found.push((at * 1000, format));
        }
    }
}

/// The first second after `at` whose local time is a multiple of `step`.
fn next_round(at: i64, step: i64, zone: &TimeZone) -> i64 {
    let origin = if step % (7 * DAY) == 0 {
        FIRST_MONDAY
    } else {
        0
    };
    let round_up = |from: i64, offset: i64| {
        let local = from + offset - origin;
        local + (step - local.rem_euclid(step)) % step - offset + origin
    };
    let before = offset(at, zone);
    let candidate = round_up(at + 1, before);
    if offset(candidate, zone) == before {
        return candidate;
    }
    // A daylight saving change in between: later ticks are round in the new time.
    match zone.following(moment(at * 1000)).next() {
        Some(change) if (at + 1..=candidate).contains(&change.timestamp().as_second()) => round_up(
            change.timestamp().as_second(),
            i64::from(change.offset().seconds()),
        ),
        _ => candidate,
    }
}

fn by_calendar(from: i64, to: i64, zone: &TimeZone, step: i64) -> Vec<(i64, &'static str)> {
    let [first, last] = [from, to].map(|at| {
        let day = moment(at).to_zoned(zone.clone()).date();
        i64::from(day.year()) * 12 + i64::from(day.month()) - 1
    });
    let mut month = first.div_euclid(step) * step;
    let mut found = Vec::new();
    while month <= last {
        let zoned = first_of(month).and_then(|day| day.to_zoned(zone.clone()).ok());
        let at = zoned
            .map(|zoned| zoned.timestamp().as_millisecond())
            .filter(|at| (from..=to).contains(at));
        found.extend(at.map(|at| {
            (
                at,
                if month.rem_euclid(12) == 0 {
                    "%Y"
                } else {
                    "%b"
                },
            )
        }));
        month += step;
    }
    found
}

/// The first day of a month, counted from January of the year 0; `None` outside the supported dates.
fn first_of(month: i64) -> Option<Date> {
    let (year, month) = (
        i16::try_from(month.div_euclid(12)).ok()?,
        i8::try_from(month.rem_euclid(12)).ok()? + 1,
    );
    Date::new(year, month, 1).ok()
}
