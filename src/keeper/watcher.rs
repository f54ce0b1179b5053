//! Reads the client's output for the keeper: detects that the client is ready for miners, keeps the
//! last problems, and counts lines.

use std::collections::VecDeque;

use super::protocol::{self, LevelCounts};
use crate::keeper::level::{LogLevel, level_of_line};

/// The kept length of an ERROR line, in bytes.
const LAST_ERROR_BYTES: usize = 2048;
/// The number of warnings and errors of a run that are kept. The real client logs a refused
/// connection three times and six more lines during its shutdown (measured with 0.6.0).
const TROUBLE_LINES: usize = 16;
/// The number of kept lines outside the client's format: a panic message, a configuration error.
const BARE_LINES: usize = 8;
/// The kept length of each of these lines, in bytes.
const TROUBLE_BYTES: usize = 400;
/// The kept length of all these lines together in the journal, in bytes. The newest lines are kept.
const ALL_TROUBLE_BYTES: usize = 5 * 1024;

/// Examines every line of output, over all runs of the client under one keeper.
#[derive(Debug, Default)]
pub struct LineWatcher {
    partial: Vec<u8>,
    /// The length of the unfinished line, including bytes that are not kept.
    unfinished: u64,
    ready_when: Vec<String>,
    last_error: Option<Vec<u8>>,
    /// The first line of this run that is not in the client's format: the error if the client
    /// cannot start.
    first_bare: Option<Vec<u8>>,
    trouble: LineRing<TROUBLE_LINES>,
    bare: LineRing<BARE_LINES>,
    lines: LevelCounts,
}

impl LineWatcher {
    /// A run begins. `ready_when`: a line with one of these texts shows that the client is ready
    /// for miners.
    pub fn begin(&mut self, ready_when: Vec<String>) {
        // An unfinished line of the previous client counts as a line.
        if self.unfinished > 0 {
            let line = std::mem::take(&mut self.partial);
            self.line(&line);
        }
        *self = Self {
            ready_when,
            lines: self.lines,
            ..Self::default()
        };
    }

    /// Examines the next bytes; true when a line shows that the client is ready for miners.
    pub fn look(&mut self, bytes: &[u8]) -> bool {
        let mut is_ready = false;
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            if self.unfinished == 0 {
                is_ready |= self.line(&rest[..at]);
            } else {
                self.store_partial(&rest[..at]);
                let line = std::mem::take(&mut self.partial);
                is_ready |= self.line(&line);
            }
            rest = &rest[at + 1..];
        }
        self.store_partial(rest);
        is_ready
    }

    fn store_partial(&mut self, bytes: &[u8]) {
        self.unfinished += bytes.len() as u64;
        let room = LAST_ERROR_BYTES
            .saturating_sub(self.partial.len())
            .min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
    }

    fn line(&mut self, line: &[u8]) -> bool {
        self.unfinished = 0;
        let cut = &line[..line.len().min(LAST_ERROR_BYTES)];
        match level_of_line(line) {
            Some(level @ (LogLevel::Error | LogLevel::Warn)) => {
                self.trouble.push(cut, self.lines.total());
                if level == LogLevel::Error {
                    self.last_error = Some(cut.to_vec());
                    self.lines.error += 1;
                } else {
                    self.lines.warn += 1;
                }
            }
            Some(LogLevel::Info) => self.lines.info += 1,
            Some(LogLevel::Debug | LogLevel::Trace) => self.lines.debug += 1,
            None => {
                if !line.iter().all(u8::is_ascii_whitespace) {
                    self.bare.push(cut, self.lines.total());
                    // The first line of a message is the summary; the other lines explain it.
                    if self.first_bare.is_none() {
                        self.first_bare = Some(cut.to_vec());
                    }
                }
                self.lines.other += 1;
            }
        }
        if self.ready_when.is_empty() {
            return false;
        }
        let text = String::from_utf8_lossy(cut);
        let is_ready = self
            .ready_when
            .iter()
            .any(|mark| text.contains(mark.as_str()));
        if is_ready {
            self.ready_when.clear();
        }
        is_ready
    }

    /// Lines so far by level, without the offsets.
    pub fn lines(&self) -> LevelCounts {
        self.lines
    }

    /// The length of the unfinished line, which is not counted yet.
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// The last ERROR line of this run; if there was none, the first line outside the client's
    /// format.
    pub fn take_last_error(&mut self) -> Option<String> {
        if self.unfinished > 0 {
            let line = std::mem::take(&mut self.partial);
            self.line(&line);
        }
        let line = self.last_error.take().or(self.first_bare.take())?;
        Some(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// The last warnings, errors and lines outside the client's format of this run, oldest first,
    /// each cut to 400 bytes and all together to 5 KiB.
    pub fn take_problems(&mut self) -> Vec<String> {
        let mut lines: Vec<(u64, Vec<u8>)> = self
            .trouble
            .take()
            .into_iter()
            .chain(self.bare.take())
            .collect();
        lines.sort_by_key(|(number, _)| *number);
        let mut room = ALL_TROUBLE_BYTES;
        let texts = lines
            .into_iter()
            .rev()
            .map(|(_, line)| String::from_utf8_lossy(&line).trim_end().to_owned());
        let mut kept: Vec<String> = texts
            .take_while(|text| {
                let fits = room.checked_sub(protocol::line(text).len());
                room = fits.unwrap_or(0);
                fits.is_some()
            })
            .collect();
        kept.reverse();
        kept
    }
}

impl LevelCounts {
    fn total(&self) -> u64 {
        self.error + self.warn + self.info + self.debug + self.other
    }
}

/// The last `N` lines with their numbers. Each line is copied without an allocation.
#[derive(Debug, Default)]
struct LineRing<const N: usize>(VecDeque<(u64, Vec<u8>)>);

impl<const N: usize> LineRing<N> {
    fn push(&mut self, line: &[u8], number: u64) {
        let mut kept = if self.0.len() == N {
            self.0.pop_front().map_or_else(Vec::new, |(_, old)| old)
        } else {
            Vec::new()
        };
        kept.clear();
        kept.extend_from_slice(&line[..line.len().min(TROUBLE_BYTES)]);
        self.0.push_back((number, kept));
    }

    fn take(&mut self) -> VecDeque<(u64, Vec<u8>)> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(mark: &str) -> LineWatcher {
        let mut watcher = LineWatcher::default();
        watcher.begin(vec![mark.into()]);
        watcher
    }

    #[test]
    fn the_last_error_is_found_whatever_the_pieces() {
        let log = include_bytes!("../../tests/data/jd-client/tp_unreachable.log");
        for size in [1, 7, 100, 65_536] {
            let mut watcher = watcher("ready to accept connections");
            assert!(!log.chunks(size).any(|piece| watcher.look(piece)));
            let error = watcher.take_last_error().unwrap();
            assert!(
                error.ends_with(
                    "ERROR jd_client_sv2: Failed to bootstrap JDC kind=CouldNotInitiateSystem"
                ),
                "{error}"
            );
            let trouble = watcher.take_problems();
            assert!(
                trouble
                    .iter()
                    .any(|line| line.contains("attempt=1 MAX_RETRIES=3 error=Os { code: 111")),
                "{trouble:?}"
            );
            assert!(
                trouble.last().unwrap().contains("Graceful shutdown"),
                "{trouble:?}"
            );
            let lines = watcher.lines();
            let counted = lines.error + lines.warn + lines.info + lines.debug + lines.other;
            assert_eq!(
                counted as usize,
                log.iter().filter(|b| **b == b'\n').count()
            );
            assert_eq!((lines.error, watcher.unfinished()), (3, 0));
        }
    }

    #[test]
    fn a_client_that_serves_miners_is_ready_once() {
        let log = include_bytes!("../../tests/data/jd-client/signature64_ok.log");
        let mut watcher = watcher("ready to accept connections");
        assert_eq!(
            log.chunks(50).filter(|piece| watcher.look(piece)).count(),
            1
        );
    }

    #[test]
    fn what_is_said_outside_the_format_counts_when_nothing_else_was() {
        let mut watcher = LineWatcher::default();
        watcher.look(b"\nJob Declarator Client config error: missing field\n  more\n");
        assert_eq!(
            watcher.take_last_error().as_deref(),
            Some("Job Declarator Client config error: missing field")
        );
    }

    #[test]
    fn trouble_is_the_end_of_a_run_in_its_order_and_no_more() {
        let mut watcher = LineWatcher::default();
        for n in 0..100 {
            watcher.look(
                format!(
                    "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2: trouble {n}\n  {}\n",
                    "x".repeat(1000)
                )
                .as_bytes(),
            );
        }
        let trouble = watcher.take_problems();
        assert_eq!(trouble.len(), TROUBLE_LINES + BARE_LINES);
        assert!(
            trouble[0].ends_with("trouble 84") && trouble[22].ends_with("trouble 99"),
            "{trouble:?}"
        );
        assert!(
            trouble[23].starts_with("  x") && trouble[23].len() == TROUBLE_BYTES,
            "{trouble:?}"
        );
    }

    /// Control characters need six times their length in JSON.
    #[test]
    fn last_words_have_a_bound_whatever_they_hold() {
        for (filling, at_least) in [("x", 10), ("\u{1}", 1), ("\u{fffd}", 3)] {
            let mut watcher = LineWatcher::default();
            for n in 0..100 {
                watcher.look(
                    format!(
                        "2026-11-22T21:28:39.731870Z ERROR a: {n} {}\n",
                        filling.repeat(1000)
                    )
                    .as_bytes(),
                );
            }
            let trouble = watcher.take_problems();
            assert!(trouble.len() >= at_least, "{filling:?}: {}", trouble.len());
            assert!(
                trouble.last().unwrap().contains(" a: 99 "),
                "the newest stay"
            );
            assert!(serde_json::to_string(&trouble).unwrap().len() <= ALL_TROUBLE_BYTES + 100);
        }
    }

    #[test]
    fn counts_go_on_over_the_runs_of_one_keeper() {
        let mut watcher = watcher("x");
        watcher.look(b"2026-11-22T21:28:39.731870Z  INFO a: b\nhalf a li");
        assert_eq!(
            (
                watcher.lines().info,
                watcher.lines().other,
                watcher.unfinished()
            ),
            (1, 0, 9)
        );
        watcher.begin(Vec::new());
        watcher.look(b"2026-11-22T21:28:39.731870Z DEBUG a: b\n");
        assert_eq!(
            (
                watcher.lines().info,
                watcher.lines().other,
                watcher.lines().debug
            ),
            (1, 1, 1)
        );
    }
}
