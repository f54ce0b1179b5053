//! Units of values, and values as text for people: `1.25 PH/s`, `12.4 MiB`, `3 d 4 h`.
//!
//! Independent of charts and pages.

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes, with the prefixes of IEC 80000-13 (1 KiB is 1024 B).
    Bytes,
    /// Hashes per second, with SI prefixes.
    HashesPerSecond,
    /// Percent: 42.0 is `42%`.
    Percent,
    /// Counts: shares, lines, connections. With SI prefixes from 10 000 on.
    Count,
    /// Seconds, shown as a duration.
    Seconds,
}

/// Maximum value; larger values are drawn as this.
const LARGEST: f64 = 1e100;
/// Numbers from here on are written with an exponent.
const LONGEST: f64 = 1e6;
const DAY: f64 = 86_400.0;

/// Cleans a value: none if it is not finite, limited to ±1e100, zero if it is close to zero,
/// never negative zero.
pub fn clean(value: f64) -> Option<f64> {
    let value = if value.abs() < 1.0 / LARGEST {
        0.0
    } else {
        value
    };
    value.is_finite().then(|| value.clamp(-LARGEST, LARGEST))
}

/// A value with its unit, to three significant digits; whole counts below 10 000 and durations
/// in full: `1.25 PH/s`, `12.4 MiB`, `42%`, `9812`, `12.3 k`, `3 d 4 h`. The spaces do not break,
/// so that a line never ends between a figure and its unit. A value that is not finite is `–`.
pub fn format_value(unit: Unit, value: f64) -> String {
    let Some(value) = clean(value) else {
        return "–".to_owned();
    };
    let size = value.abs();
    let said = match unit {
        Unit::Seconds => length(size),
        Unit::Count if size < 10_000.0 && size.fract() == 0.0 => format!("{size}"),
        _ => {
            let (base, names) = unit.ladder();
            let (mut rest, mut rung) = (size, 0);
            while rounded(rest) >= base && rung + 1 < names.len() {
                rest /= base;
                rung += 1;
            }
            with_name(&significant(rest), names[rung])
        }
    };
    signed(value, said.replace(' ', "\u{a0}"))
}

impl Unit {
    /// The factor between neighboring unit names, and the names.
    pub fn ladder(self) -> (f64, &'static [&'static str]) {
        match self {
            Self::Bytes => (1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]),
            Self::HashesPerSecond => (
                1000.0,
                &[
                    "H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s", "ZH/s",
                ],
            ),
            Self::Percent => (f64::INFINITY, &["%"]),
            Self::Count => (1000.0, &["", "k", "M", "G", "T", "P", "E"]),
            Self::Seconds => (f64::INFINITY, &["s"]),
        }
    }

    /// The labels of an axis whose ticks are `step` apart: all in one unit, with as many decimals
    /// as the step needs.
    pub fn axis(self, ticks: &[f64], step: f64) -> Vec<String> {
        if self == Self::Seconds {
            return ticks
                .iter()
                .map(|&tick| signed(tick, length_on_axis(tick.abs(), step)))
                .collect();
        }
        let (base, names) = self.ladder();
        let largest = ticks
            .iter()
            .fold(0.0, |most: f64, tick| most.max(tick.abs()));
        // 1024 is not divisible by the powers of ten of the steps, so bytes are shown in the unit of
        // the step.
        let deciding = if self == Self::Bytes { step } else { largest };
        let mut scale = 1.0;
        let mut rung = 0;
        while deciding >= scale * base * (1.0 - 1e-9) && rung + 1 < names.len() {
            scale *= base;
            rung += 1;
        }
        let decimals = decimals(step / scale);
        // A zero count needs no prefix; other units are shown with a zero.
        let name = |tick: f64| {
            if self == Self::Count && tick == 0.0 {
                ""
            } else {
                names[rung]
            }
        };
        let say = |tick: &f64| {
            signed(
                *tick,
                with_name(&figure(tick.abs() / scale, decimals), name(*tick)),
            )
        };
        ticks.iter().map(say).collect()
    }
}

fn signed(value: f64, said: String) -> String {
    if value < 0.0 {
        format!("−{said}")
    } else {
        said
    }
}

/// The figure with the name of its unit; a percent sign follows without a space.
pub(super) fn with_name(figure: &str, name: &str) -> String {
    match name {
        "" | "%" => format!("{figure}{name}"),
        _ => format!("{figure} {name}"),
    }
}

/// The number of decimals for three significant digits.
fn decimals_of_three(size: f64) -> usize {
    [100.0, 10.0, 1.0, 0.1, 0.01, 0.001]
        .iter()
        .position(|&limit| size >= limit)
        .unwrap_or(6)
}

fn rounded(size: f64) -> f64 {
    let shift = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6][decimals_of_three(size)];
    (size * shift).round() / shift
}

fn significant(size: f64) -> String {
    if size < 1e-4 {
        figure(size, 2)
    } else {
        figure(size, decimals_of_three(size))
    }
}

/// A number with at most this many decimals, without trailing zeros; with an exponent if it would
/// be long.
fn figure(size: f64, decimals: usize) -> String {
    if size >= LONGEST || (size > 0.0 && size < 1e-4) {
        let text = format!("{size:.2e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) => format!("{}e{exponent}", trimmed(mantissa)),
            None => text,
        };
    }
    trimmed(&format!("{size:.decimals$}")).to_owned()
}

fn trimmed(figure: &str) -> &str {
    if figure.contains('.') {
        figure.trim_end_matches('0').trim_end_matches('.')
    } else {
        figure
    }
}

/// The minimum number of decimals that shows `step` exactly; at most six.
fn decimals(step: f64) -> usize {
    let shifted = |places: &usize| step * 10f64.powi(i32::try_from(*places).unwrap_or(0));
    (0..6)
        .find(|places| {
            (shifted(places) - shifted(places).round()).abs() < 1e-6 && shifted(places) >= 0.5
        })
        .unwrap_or(6)
}

/// A duration in its two largest units.
fn length(seconds: f64) -> String {
    if rounded(seconds * 1e6) < 1000.0 && seconds > 0.0 {
        return format!("{} µs", significant(seconds * 1e6));
    }
    if rounded(seconds * 1e3) < 1000.0 && seconds > 0.0 {
        return format!("{} ms", significant(seconds * 1e3));
    }
    let to = |unit: f64| (seconds / unit).round() * unit;
    match seconds {
        _ if rounded(seconds) < 60.0 => format!("{} s", significant(seconds)),
        ..3600.0 => parts(to(1.0)),
        ..DAY => parts(to(60.0)),
        _ if seconds < 100_000.0 * DAY => parts(to(3600.0)),
        _ => format!("{} d", significant(seconds / DAY)),
    }
}

/// Whole seconds in as many units as needed.
fn parts(seconds: f64) -> String {
    let mut rest = seconds;
    let mut said = Vec::new();
    for (size, name) in [(DAY, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")] {
        let count = (rest / size).floor();
        rest -= count * size;
        if count > 0.0 {
            said.push(format!("{count} {name}"));
        }
    }
    if said.is_empty() {
        "0 s".to_owned()
    } else {
        said.join(" ")
    }
}

fn length_on_axis(seconds: f64, step: f64) -> String {
    let figure_in =
        |unit: f64, name: &str| format!("{} {name}", figure(seconds / unit, decimals(step / unit)));
    match step {
        ..1e-3 => figure_in(1e-6, "µs"),
        ..1.0 if seconds < 1.0 => figure_in(1e-3, "ms"),
        ..1.0 => figure_in(1.0, "s"),
        _ if seconds < 100_000.0 * DAY => parts(seconds.round()),
        _ => figure_in(DAY, "d"),
    }
}
