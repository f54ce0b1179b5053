//! Finds the place of a time in a log. Blocking.
//!
//! Times decrease if the clock was set back. The place is then one of several possible ones.

use std::io;

use super::super::stream::CHUNK;
use super::{InstanceLog, LogView};
use crate::base::clock::Timestamp;

impl InstanceLog {
    /// The offset after which the first record of this time or later is found; the end of the log if
    /// there is none. A record without a time belongs to the one before it.
    pub fn offset_at(&self, at: Timestamp) -> io::Result<u64> {
        let mut view = self.look()?;
        // Records up to `low` are older; those above `high` are not.
        let (mut low, mut high) = (view.start, view.end);
        while high.saturating_sub(low) > CHUNK as u64 {
            let middle = low + (high - low) / 2;
            match view.first_time(middle)? {
                Some((time, seq)) if time < at => low = seq,
                _ => high = middle,
            }
        }
        let mut scan = view.scan(low)?;
        let (mut place, mut is_found, mut more) = (low, false, true);
        while more && !is_found {
            more = scan.step(&mut |raw| {
                is_found = is_found || raw.time().is_some_and(|time| time >= at);
                if !is_found {
                    place = raw.seq();
                }
            })?;
        }
        Ok(if is_found { place } else { view.end })
    }

    /// The times of the oldest and of the newest record that have one; none if no record has one.
    pub fn period(&self) -> io::Result<Option<(Timestamp, Timestamp)>> {
        let mut view = self.look()?;
        let Some((first, _)) = view.first_time(view.start)? else {
            return Ok(None);
        };
        let (mut last, mut span, mut from) = (None, CHUNK as u64, view.end);
        while last.is_none() && from > view.start {
            from = view.align(view.end.saturating_sub(span).max(view.start))?;
            let mut scan = view.scan(from)?;
            while scan.step(&mut |raw| last = raw.time().or(last))? {}
            span = span.saturating_mul(2);
        }
        Ok(Some((first, last.unwrap_or(first))))
    }
}

impl LogView {
    /// The time and the end of the first record with a time that ends above `from`.
    fn first_time(&mut self, from: u64) -> io::Result<Option<(Timestamp, u64)>> {
        let from = self.align(from)?;
        let mut scan = self.scan(from)?;
        let (mut found, mut more) = (None, true);
        while more && found.is_none() {
            more = scan.step(&mut |raw| {
                found = found.or_else(|| raw.time().map(|time| (time, raw.seq())));
            })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::infra::log_store::LogFilter;
    use crate::infra::log_store::test_writer::SegmentWriter;

    /// A record a second from 14:00:00 on, after each a line without a time.
    fn text(count: i64) -> String {
        let mut text = String::new();
        for second in 0..count {
            let at = Timestamp(1_795_960_800_000 + second * 1000).to_string();
            let at = at.replace(".000Z", ".000000Z");
            let _ = write!(text, "{at}  INFO a: n={second}\nmore of {second}\n");
        }
        text
    }

    #[test]
    fn a_time_is_found_in_each_file_of_a_rotated_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = InstanceLog::new(dir.path());
        let at = |second: i64| Timestamp(1_795_960_800_000 + second * 1000);
        assert_eq!(
            (log.offset_at(at(0)).unwrap(), log.period().unwrap()),
            (0, None)
        );
        let count = 20_000;
        // Only the newest files are kept.
        SegmentWriter::new(dir.path(), 0, 100_000, 5).write(text(count).as_bytes());
        let (first, last) = log.period().unwrap().unwrap();
        assert!(first > at(100) && last == at(count - 1), "{first} {last}");
        let all = LogFilter::default();
        let oldest = (first.0 - at(0).0) / 1000;
        for second in (oldest..count).step_by(97).chain([oldest, count - 1]) {
            let place = log.offset_at(at(second)).unwrap();
            let page = log.after(place, &all, 1).unwrap();
            assert_eq!(
                page.records[0].message,
                format!("n={second}\nmore of {second}")
            );
            // Between two records the later one counts.
            let between = Timestamp(at(second).0 - 400);
            assert_eq!(log.offset_at(between).unwrap(), place, "{second}");
        }
        assert_eq!(log.offset_at(at(0)).unwrap(), log.offset_at(first).unwrap());
        assert_eq!(
            log.offset_at(at(count)).unwrap(),
            log.complete_end().unwrap()
        );
    }

    #[test]
    fn a_clock_that_was_set_back_and_text_without_times_end_the_search() {
        let dir = tempfile::tempdir().unwrap();
        let log = InstanceLog::new(dir.path());
        let backward = text(2_000) + &"no time \u{fffd}\n".repeat(60_000) + &text(500);
        SegmentWriter::new(dir.path(), 0, 300_000, 100).write(backward.as_bytes());
        for second in [-5, 0, 499, 500, 1_999, 2_500] {
            let at = Timestamp(1_795_960_800_000 + second * 1000);
            assert!(log.offset_at(at).unwrap() <= log.complete_end().unwrap());
        }
        let only = tempfile::tempdir().unwrap();
        let log = InstanceLog::new(only.path());
        SegmentWriter::new(only.path(), 0, 300_000, 100).write(b"\xff\xfe no time\n");
        assert_eq!(log.period().unwrap(), None);
        assert_eq!(
            log.offset_at(Timestamp(0)).unwrap(),
            log.complete_end().unwrap()
        );
    }
}
