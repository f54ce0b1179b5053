//! A range of ports, such as those that a container forwards to miners.

use serde::Deserialize;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports from `first` to `last`; none if there are no such ports.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            return None;
        }
        Some(Self { first, last })
    }

    /// Whether a port is one of these.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// All ports: first `port` and those after it, then those before it. A port outside the range is
    /// like the first one.
    pub fn starting_at(self, port: u16) -> impl Iterator<Item = u16> {
        let start = if self.contains(port) {
            port
        } else {
            self.first
        };
        let before: RangeInclusive<u16> = self.first..=start.saturating_sub(1);
        (start..=self.last).chain(before)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.trim().split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok();
        port(first)
            .zip(port(last))
            .and_then(|(first, last)| Self::new(first, last))
            .ok_or_else(|| format!("\"{text}\" is not a range of ports like 34200-34299"))
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ports_in_order() {
        let range: PortRange = "34200-34202".parse().unwrap();
        assert_eq!(range.to_string(), "34200-34202");
        assert!(range.contains(34200) && range.contains(34202) && !range.contains(34203));
        let from = |port| range.starting_at(port).collect::<Vec<_>>();
        assert_eq!(from(34201), [34201, 34202, 34200]);
        assert_eq!(from(34200), [34200, 34201, 34202]);
        assert_eq!(from(9), [34200, 34201, 34202]);
        assert_eq!(
            " 7 ".parse::<PortRange>(),
            Ok(PortRange::new(7, 7).unwrap())
        );
        let whole = PortRange::new(1, u16::MAX).unwrap();
        assert_eq!(whole.starting_at(u16::MAX).count(), 65_535);
        for wrong in ["", "-", "5-4", "0-10", "1-70000", "a-b", "1-2-3"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }
}
