//! The states of an instance in the last 24 hours, as a strip of half hours. Its size does not depend on
//! the number of changes. Pure.

use std::collections::VecDeque;
use std::fmt::Write;

use crate::base::clock::Timestamp;
use crate::keeper::machine::InstanceState;

/// The parts of a strip, and the length of each in ms: 24 hours.
const PARTS: usize = 48;
const PART_MS: i64 = 30 * 60 * 1000;
/// The length of a strip, ms.
pub(super) const STRIP_MS: i64 = PART_MS * 48;

/// The states of an instance in the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStrip {
    /// Oldest first, at most [`PARTS`].
    parts: VecDeque<StripPart>,
    /// The number of the last part since 1970.
    last: i64,
    state: InstanceState,
    /// Up to when the parts are complete.
    until: Timestamp,
}

/// Time in each state within a part, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StripPart {
    running: u32,
    /// Starting and stopping.
    changing: u32,
    /// Failed, or waiting for a retry.
    failed: u32,
    stopped: u32,
    /// The number of failures.
    failures: u16,
}

impl StripPart {
    /// The class of its bar; none: nothing is known.
    fn class(&self) -> Option<char> {
        let Self {
            running,
            changing,
            failed,
            stopped,
            failures,
        } = *self;
        // A short failure is worth seeing, a short start is not.
        if failed > 0 || failures > 0 {
            return Some('b');
        }
        match running.max(changing).max(stopped) {
            0 => None,
            most if most == running => Some('g'),
            most if most == stopped => Some('n'),
            _ => Some('w'),
        }
    }
}

impl StateStrip {
    /// A strip that begins with this state.
    pub(super) fn new(at: Timestamp, state: InstanceState) -> Self {
        Self {
            parts: VecDeque::from([StripPart::default()]),
            last: at.0.div_euclid(PART_MS),
            state,
            until: at,
        }
    }

    /// The state changes.
    pub(super) fn change(&mut self, at: Timestamp, state: InstanceState) {
        self.extend(at);
        if has_failed(state)
            && !has_failed(self.state)
            && let Some(part) = self.parts.back_mut()
        {
            part.failures = part.failures.saturating_add(1);
        }
        self.state = state;
    }

    /// Adds the time up to `at` in the current state. A clock that was set back adds nothing.
    fn extend(&mut self, at: Timestamp) {
        while self.until < at {
            let end = (self.last + 1).saturating_mul(PART_MS);
            let to = at.0.min(end);
            let passed = u32::try_from(to - self.until.0).unwrap_or(0);
            if let Some(part) = self.parts.back_mut() {
                let sum = match self.state {
                    InstanceState::Running => &mut part.running,
                    InstanceState::Starting | InstanceState::Stopping => &mut part.changing,
                    InstanceState::Failed | InstanceState::BackingOff => &mut part.failed,
                    InstanceState::Stopped => &mut part.stopped,
                };
                *sum = sum.saturating_add(passed);
            }
            self.until = Timestamp(to);
            if to == end {
                // After weeks without a change, only the last day counts.
                let now = at.0.div_euclid(PART_MS);
                self.last = (self.last + 1).max(now - 2 * i64::try_from(PARTS).unwrap_or(0));
                self.until = Timestamp(self.until.0.max(self.last.saturating_mul(PART_MS)));
                self.parts.push_back(StripPart::default());
                if self.parts.len() > PARTS {
                    self.parts.pop_front();
                }
            }
        }
    }

    /// As an image of text height with its text alternative, up to now.
    pub fn svg(&self) -> StripSvg {
        self.svg_at(Timestamp::now())
    }

    fn svg_at(&self, now: Timestamp) -> StripSvg {
        let mut strip = self.clone();
        strip.extend(now);
        StripSvg(strip)
    }

    /// What the strip shows, as text.
    fn text(&self) -> String {
        let sum = |of: fn(&StripPart) -> u32| {
            self.parts
                .iter()
                .map(|part| u64::from(of(part)))
                .sum::<u64>()
        };
        let running = sum(|part| part.running);
        let all = running
            + sum(|part| part.changing)
            + sum(|part| part.failed)
            + sum(|part| part.stopped);
        let failures: u32 = self.parts.iter().map(|part| u32::from(part.failures)).sum();
        let running = match running.saturating_mul(100).checked_div(all) {
            None | Some(0) if running == 0 => "not running".to_owned(),
            percent => format!("running {} %", percent.unwrap_or(0).max(1)),
        };
        match failures {
            0 => format!("Last 24 h: {running}"),
            1 => format!("Last 24 h: {running}, 1 failure"),
            many => format!("Last 24 h: {running}, {many} failures"),
        }
    }
}

const fn has_failed(state: InstanceState) -> bool {
    matches!(state, InstanceState::Failed | InstanceState::BackingOff)
}

/// A strip as an image: trusted markup that is inserted into a page unescaped. One path for each kind of
/// bar, and neighbors are one bar, because a page has a hundred strips.
#[derive(Debug)]
pub struct StripSvg(StateStrip);

impl std::fmt::Display for StripSvg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let missing = PARTS.saturating_sub(self.0.parts.len());
        let classes: Vec<Option<char>> = self.0.parts.iter().map(StripPart::class).collect();
        let text = self.0.text();
        write!(
            f,
            "<svg class=\"strip\" viewBox=\"0 0 48 8\" preserveAspectRatio=\"none\" role=\"img\"><title>{text}</title>"
        )?;
        // Height and color tell the same.
        for (class, top) in [('b', 0), ('w', 2), ('g', 4), ('n', 7)] {
            let mut path = String::new();
            let mut at = 0;
            while at < classes.len() {
                let rest = classes.iter().skip(at);
                let length = rest.take_while(|other| **other == Some(class)).count();
                if length > 0 {
                    let from = missing + at;
                    write!(path, "M{from} {top}h{length}v{0}h-{length}", 8 - top)?;
                }
                at += length.max(1);
            }
            if !path.is_empty() {
                write!(f, "<path class=\"{class}\" d=\"{path}\"/>")?;
            }
        }
        f.write_str("</svg>")
    }
}

impl askama::filters::HtmlSafe for StripSvg {}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceState::{BackingOff, Failed, Running, Starting, Stopped};

    const HOUR: i64 = 2 * PART_MS;

    fn strip(changes: &[(i64, InstanceState)], now: i64) -> String {
        let (first, rest) = changes.split_first().unwrap();
        let mut strip = StateStrip::new(Timestamp(first.0), first.1);
        for (at, state) in rest {
            strip.change(Timestamp(*at), *state);
        }
        strip.svg_at(Timestamp(now)).to_string()
    }

    fn title(svg: &str) -> &str {
        let (_, rest) = svg.split_once("<title>").unwrap();
        rest.split_once("</title>").unwrap().0
    }

    fn paths(svg: &str) -> Vec<&str> {
        let paths = svg.split("<path class=\"").skip(1);
        paths.map(|path| path.split_once("/>").unwrap().0).collect()
    }

    #[test]
    fn a_strip_shows_the_last_day_in_half_hours() {
        let day = 24 * HOUR;
        // In the middle of a part.
        let now = 100 * day + 10 * 60_000;
        let healthy = strip(&[(now - 2 * day, Running)], now);
        assert_eq!(title(&healthy), "Last 24 h: running 100 %");
        assert_eq!(paths(&healthy), ["g\" d=\"M0 4h48v4h-48\""]);
        // Stopped for most of the day, then running for 3.5 h, with one failure in the second last part.
        let changes = [
            (now - 3 * day, Running),
            (now - 2 * day, Stopped),
            (now - 4 * HOUR, Starting),
            (now - 4 * HOUR + 3000, Running),
            (now - 20 * 60_000, BackingOff),
            (now - 20 * 60_000 + 1000, Starting),
            (now - 20 * 60_000 + 3000, Running),
        ];
        let flapping = strip(&changes, now);
        assert_eq!(title(&flapping), "Last 24 h: running 16 %, 1 failure");
        assert_eq!(
            paths(&flapping),
            [
                "b\" d=\"M46 0h1v8h-1\"",
                "g\" d=\"M39 4h7v4h-7M47 4h1v4h-1\"",
                "n\" d=\"M0 7h39v1h-39\""
            ]
        );
    }

    #[test]
    fn a_new_instance_has_bars_for_its_own_time_only() {
        let now = 1000 * PART_MS + 60_000;
        let young = strip(&[(now - 60_000, Starting), (now - 30_000, Failed)], now);
        assert_eq!(title(&young), "Last 24 h: not running, 1 failure");
        assert_eq!(paths(&young), ["b\" d=\"M47 0h1v8h-1\""]);
        let waiting = strip(&[(now - 60_000, Starting)], now);
        assert_eq!(paths(&waiting), ["w\" d=\"M47 2h1v6h-1\""]);
        assert_eq!(paths(&strip(&[(now, Stopped)], now)), Vec::<&str>::new());
    }

    #[test]
    fn a_strip_stays_small_whatever_happens() {
        let mut strip = StateStrip::new(Timestamp(5), Running);
        for at in (0..2000).rev() {
            // The clock was set back.
            strip.change(
                Timestamp(at * PART_MS / 7),
                if at % 2 == 0 { Failed } else { Running },
            );
        }
        strip.change(Timestamp(i64::MAX / 2), Running);
        strip.change(Timestamp(i64::MAX / 2 + PART_MS), Stopped);
        assert!(strip.parts.len() <= PARTS);
        assert!(strip.svg_at(Timestamp(i64::MAX / 2)).to_string().len() < 4000);
    }
}
