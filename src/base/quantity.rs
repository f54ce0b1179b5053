//! Values as people type them into a form, and shown there so that the same value is parsed again:
//! `1.5 TH/s`, `64 MiB`, `90%`, `1 h 30 min`.
//!
//! Unlike values on a page, they are not rounded. Independent of charts and pages.

use super::units::{Unit, with_name};

/// Longer numbers are written in a smaller unit, in which they may be shorter.
const LONGEST: usize = 8;
/// Units of time from a second up.
const TIMES: [(&str, f64); 4] = [("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)];
/// Prefixes, each a factor of 1000.
const THOUSANDS: [&str; 8] = ["", "k", "m", "g", "t", "p", "e", "z"];

/// Parses a number with or without its unit. The prefix may be used without unit (`1.5 T`); case is
/// ignored. A prefix is a factor of 1000, and with an `i` of 1024. None if it is not a
/// number of this unit.
pub fn read_value(unit: Unit, text: &str) -> Option<f64> {
    // Values copied from pages are accepted: other spaces, and the minus sign that is not on a
    // keyboard.
    let text: String = text
        .trim()
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    let text = text.replace('\u{2212}', "-");
    let (number, name) = split(&text)?;
    if unit == Unit::Seconds {
        return read_length(number, name);
    }
    Some(number * factor(unit, name)?).filter(|value| value.is_finite())
}

/// Splits off the number at the beginning.
fn split(text: &str) -> Option<(f64, &str)> {
    let is_figure = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    let most = text.find(|c| !is_figure(c)).unwrap_or(text.len());
    // The E in 1.5 E is a prefix, the one in 1.5E3 belongs to the number. The text is ASCII up to
    // there.
    let (end, number) = (1..=most)
        .rev()
        .find_map(|end| Some((end, text[..end].parse::<f64>().ok()?)))?;
    Some((number, text[end..].trim())).filter(|(number, _)| number.is_finite())
}

/// The factor of a unit name.
fn factor(unit: Unit, name: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let own = match unit {
        Unit::HashesPerSecond => name
            .strip_suffix("h/s")
            .or_else(|| name.strip_suffix('h'))
            .unwrap_or(&name),
        Unit::Bytes => name.strip_suffix('b').unwrap_or(&name),
        Unit::Percent => name.strip_suffix('%').unwrap_or(&name),
        Unit::Count | Unit::Seconds => &name,
    };
    let own = own.trim_end();
    if unit == Unit::Percent {
        return own.is_empty().then_some(1.0);
    }
    let (prefix, base) = match own.strip_suffix('i') {
        Some(prefix) if unit == Unit::Bytes && !prefix.is_empty() => (prefix, 1024_f64),
        _ => (own, 1000.0),
    };
    let power = THOUSANDS.iter().position(|known| *known == prefix)?;
    Some(base.powi(i32::try_from(power).ok()?))
}

/// A duration, which may have several parts.
fn read_length(mut number: f64, mut rest: &str) -> Option<f64> {
    let (mut sum, mut is_first) = (0.0, true);
    loop {
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let size = match name.as_str() {
            // Only alone: the 30 in "1 h 30" is ambiguous.
            "" if is_first && rest.is_empty() => 1.0,
            name => TIMES.iter().find(|(known, _)| *known == name)?.1,
        };
        sum += number * size;
        is_first = false;
        if rest.is_empty() {
            return Some(sum).filter(|sum| sum.is_finite());
        }
        (number, rest) = split(rest)?;
    }
}

/// The value as a person would type it: exact, in the largest unit in which it is short.
pub fn typed_value(unit: Unit, value: f64) -> String {
    let plain = |name: &str| with_name(&value.to_string(), name);
    let (base, names) = unit.ladder();
    if unit == Unit::Seconds {
        return length(value).unwrap_or_else(|| plain(names[0]));
    }
    let in_unit = |rung: usize| {
        let figure = (value / base.powi(i32::try_from(rung).ok()?)).to_string();
        let text = with_name(&figure, names[rung]);
        (figure.len() <= LONGEST && read_value(unit, &text) == Some(value)).then_some(text)
    };
    let is_reached = |rung: &usize| {
        *rung == 0 || value.abs() >= base.powi(i32::try_from(*rung).unwrap_or(i32::MAX))
    };
    (0..names.len())
        .rev()
        .filter(is_reached)
        .find_map(in_unit)
        .unwrap_or_else(|| plain(names[0]))
}

/// Whole seconds in as many units as needed; none for fractions.
fn length(seconds: f64) -> Option<String> {
    if seconds.fract() != 0.0 || !(1.0..1e9).contains(&seconds) {
        return None;
    }
    let (mut rest, mut parts) = (seconds, Vec::new());
    for (name, size) in TIMES {
        let count = (rest / size).floor();
        rest -= count * size;
        if count > 0.0 {
            parts.push(format!("{count} {name}"));
        }
    }
    Some(parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Unit::{Bytes, Count, HashesPerSecond, Percent, Seconds};
    use proptest::prelude::*;

    #[test]
    fn what_people_type_is_read() {
        for (unit, text, value) in [
            (HashesPerSecond, "1.5 T", 1.5e12),
            (HashesPerSecond, "1.5 TH/s", 1.5e12),
            (HashesPerSecond, "1.5th/s", 1.5e12),
            (HashesPerSecond, " 12 PH ", 1.2e16),
            (HashesPerSecond, "2e12", 2e12),
            (HashesPerSecond, "1.5E", 1.5e18),
            (HashesPerSecond, "1.5 E", 1.5e18),
            (HashesPerSecond, "1.5e3 k", 1.5e6),
            (HashesPerSecond, "7 h/s", 7.0),
            (Bytes, "64 MiB", 67_108_864.0),
            (Bytes, "64 mib", 67_108_864.0),
            (Bytes, "64 Mi", 67_108_864.0),
            (Bytes, "64 MB", 64e6),
            (Bytes, "64 M", 64e6),
            (Bytes, "512", 512.0),
            (Bytes, "512 B", 512.0),
            (Percent, "90 %", 90.0),
            (Percent, "90%", 90.0),
            (Percent, "\u{2212}0.5\u{a0}%", -0.5),
            (Count, "25", 25.0),
            (Count, "12.3 k", 12_300.0),
            (Count, "1 M", 1e6),
            (Seconds, "90", 90.0),
            (Seconds, "1 h 30 min", 5400.0),
            (Seconds, "2d", 172_800.0),
            (Seconds, "0.5 s", 0.5),
        ] {
            assert_eq!(read_value(unit, text), Some(value), "{text}");
        }
        for (unit, texts) in [
            (HashesPerSecond, ["", "much", "T", "64 MiB", "1,5 T", "inf"]),
            (
                Bytes,
                ["64 TH/s", "64 i", "64 iB", "64 XB", "nan", "9e300 EiB"],
            ),
            (Percent, ["90 k%", "90 B", "% 90", "--1", "1.2.3", "%"]),
            (Count, ["5 %", "5 B", "1 000", "\u{fc}", "5 ki", "1e400"]),
            (Seconds, ["5 weeks", "1 h 30", "h", "1 h h", "5 5", "5 T"]),
        ] {
            for text in texts {
                assert_eq!(read_value(unit, text), None, "{text}");
            }
        }
    }

    #[test]
    fn a_value_is_shown_as_somebody_would_type_it() {
        for (unit, value, text) in [
            (HashesPerSecond, 1.5e12, "1.5 TH/s"),
            (HashesPerSecond, 1.2345e12, "1.2345 TH/s"),
            (HashesPerSecond, 0.0, "0 H/s"),
            (Bytes, 67_108_864.0, "64 MiB"),
            (Bytes, 64e6, "62500 KiB"),
            (Bytes, 67_108_865.0, "67108865 B"),
            (Percent, 90.0, "90%"),
            (Percent, 33.333, "33.333%"),
            (Count, 2.0, "2"),
            (Count, 1_200_000.0, "1.2 M"),
            (Count, -4.0, "-4"),
            (Seconds, 5400.0, "1 h 30 min"),
            (Seconds, 0.5, "0.5 s"),
            (Seconds, 0.0, "0 s"),
        ] {
            assert_eq!(typed_value(unit, value), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same_value(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO, whole in -1_000_000_000_000_i64..1_000_000_000_000) {
            for unit in [Bytes, HashesPerSecond, Percent, Count, Seconds] {
                for value in [value, whole as f64, whole as f64 / 1000.0] {
                    prop_assert_eq!(read_value(unit, &typed_value(unit, value)), Some(value));
                }
            }
        }

        #[test]
        fn nothing_that_is_typed_makes_it_fall_over(text in ".{0,16}", near in "[0-9.eE+ -]{0,6} ?[kMGTi%hBs/ ]{0,4}") {
            for unit in [Bytes, HashesPerSecond, Percent, Count, Seconds] {
                for text in [&text, &near] {
                    prop_assert!(read_value(unit, text).is_none_or(f64::is_finite));
                }
            }
        }
    }
}
