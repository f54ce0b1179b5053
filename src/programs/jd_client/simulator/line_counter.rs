//! Extra lines with consecutive numbers, so a test can detect lost, duplicate or broken lines.
//!
//! This module knows only a rate and the time; the log writes the lines.

use super::log_lines::SimulatedLog;
use std::time::Duration;
use tokio::time::Instant;

/// The rate of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineRate {
    PerSecond(u64),
    /// As fast as possible.
    Max,
}

impl std::str::FromStr for LineRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" | "0" => Ok(Self::Max),
            number => number
                .parse()
                .map(Self::PerSecond)
                .map_err(|_| "expected a whole number, or max".to_owned()),
        }
    }
}

/// The maximum size of one write.
const PIECE_BYTES: usize = 64 << 10;
/// The number of writes per second for high rates.
const PIECES_PER_SECOND: u64 = 200;

/// The state of the counter. Numbers begin at 1.
pub(super) struct NumberedLines {
    rate: LineRate,
    line_bytes: usize,
    total: u64,
    written: u64,
    began: Instant,
}

impl NumberedLines {
    /// Starts now and ends after `total` lines, if given.
    pub(super) fn new(rate: LineRate, line_bytes: usize, total: Option<u64>) -> Self {
        Self {
            rate,
            line_bytes,
            total: total.unwrap_or(u64::MAX),
            written: 0,
            began: Instant::now(),
        }
    }

    /// When the next line or piece is due; `None` after the last.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.written >= self.total {
            return None;
        }
        match self.rate {
            LineRate::Max => Some(self.began),
            LineRate::PerSecond(rate) => {
                let piece = (rate / PIECES_PER_SECOND)
                    .max(1)
                    .min(self.total - self.written);
                // A billionth of a second more, so that rounding down never comes a moment too
                // early.
                let after = Duration::from_secs_f64((self.written + piece) as f64 / rate as f64)
                    + Duration::from_nanos(1);
                Some(self.began + after)
            }
        }
    }

    /// Writes the lines that are due, at most one piece; true if more lines are due already. If the
    /// output is closed, this was the last piece.
    pub(super) fn write(&mut self, now: Instant, log: &SimulatedLog) -> bool {
        let wanted = self.wanted(now);
        let most = u64::try_from(PIECE_BYTES / self.line_bytes.clamp(80, PIECE_BYTES)).unwrap_or(1);
        let last = wanted.min(self.written.saturating_add(most));
        if last <= self.written {
            return false;
        }
        if log
            .say_numbered(self.written + 1, last, self.line_bytes)
            .is_err()
        {
            self.total = self.written;
            return false;
        }
        self.written = last;
        last < wanted
    }

    /// The number of lines due by `now`.
    fn wanted(&self, now: Instant) -> u64 {
        let wanted = match self.rate {
            LineRate::Max => u64::MAX,
            LineRate::PerSecond(rate) => ((now - self.began).as_secs_f64() * rate as f64) as u64,
        };
        wanted.min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lines_follows_the_clock_up_to_the_total() {
        let numbered = NumberedLines::new(LineRate::PerSecond(1000), 120, Some(2500));
        let after = |ms: u64| numbered.wanted(numbered.began + Duration::from_millis(ms));
        assert_eq!(
            [after(0), after(1), after(1500), after(99_999)],
            [0, 1, 1500, 2500]
        );
        let endless = NumberedLines::new(LineRate::Max, 120, None);
        assert_eq!(endless.wanted(endless.began), u64::MAX);
    }

    #[test]
    fn something_is_due_whenever_it_says_so_and_nothing_after_the_end() {
        for rate in [1, 3, 7, 199, 1000, 100_000, 999_999] {
            let mut numbered = NumberedLines::new(LineRate::PerSecond(rate), 120, Some(5000));
            while let Some(due) = numbered.due() {
                let wanted = numbered.wanted(due);
                assert!(
                    wanted > numbered.written,
                    "{rate} lines a second, {} written",
                    numbered.written
                );
                numbered.written = wanted;
            }
            assert_eq!(numbered.written, 5000);
        }
    }

    #[test]
    fn nought_and_max_are_as_fast_as_can_be() {
        assert_eq!(
            ("0".parse(), "max".parse(), "5".parse()),
            (
                Ok(LineRate::Max),
                Ok(LineRate::Max),
                Ok(LineRate::PerSecond(5))
            )
        );
        assert!("-1".parse::<LineRate>().is_err());
    }
}
