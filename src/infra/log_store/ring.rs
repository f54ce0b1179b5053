//! The newest records of a followed log, shared by all who follow it.
//!
//! Must not know: files, tasks, who follows.

use super::record::LogRecord;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most records in the ring. Few, because every followed instance has a ring and what falls out of
/// it is in the files: with lines of 160 bytes a full one was measured to take a third of a MiB.
pub const RING_RECORDS: usize = 1_000;
/// Most bytes of messages in the ring.
pub const RING_BYTES: usize = 512 * 1024;
/// Most records in one event.
pub const BATCH: usize = 200;
/// Most bytes of messages in one event, beyond its first record.
pub const BATCH_BYTES: usize = 64 * 1024;
/// A follower that missed more goes on with so many of the newest records, or about so many lines
/// if the ring holds less.
pub const RESUME_RECORDS: usize = 500;

/// A position in the stream and the number of lines up to it, counted from where the task began and
/// negative before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamMark {
    /// The offset.
    pub seq: u64,
    /// The number of lines.
    pub lines: i64,
}

impl StreamMark {
    /// How many lines there are from `earlier` lines on up to here.
    pub fn lines_since(self, earlier: i64) -> u64 {
        self.lines.saturating_sub(earlier).max(0).cast_unsigned()
    }

    /// `lines` before here, at `seq`.
    pub fn back(self, lines: u64, seq: u64) -> Self {
        Self {
            seq,
            lines: self.lines.saturating_sub_unsigned(lines),
        }
    }
}

/// The newest records, without a hole.
#[derive(Debug)]
pub struct RecordRing {
    entries: VecDeque<(Arc<LogRecord>, StreamMark)>,
    bytes: usize,
    /// Where the oldest record begins.
    from: StreamMark,
    /// Where the newest record ends.
    pub to: StreamMark,
    /// Tells counts of lines apart that do not belong together.
    pub epoch: u64,
}

impl RecordRing {
    /// An empty ring, from `mark` on.
    pub fn new(mark: StreamMark, epoch: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            from: mark,
            to: mark,
            epoch,
        }
    }

    /// Adds the record that ends at `end`; the oldest make room for it.
    pub fn push(&mut self, record: Arc<LogRecord>, end: StreamMark) {
        self.bytes += record.message.len();
        self.to = end;
        self.entries.push_back((record, end));
        while self.entries.len() > RING_RECORDS
            || (self.bytes > RING_BYTES && self.entries.len() > 1)
        {
            if let Some((record, end)) = self.entries.pop_front() {
                self.bytes -= record.message.len();
                self.from = end;
            }
        }
    }

    /// What a follower at `at` finds.
    pub fn look(&self, at: u64) -> RingView {
        if at >= self.to.seq {
            return RingView::UpToDate;
        }
        let index = self.entries.partition_point(|(_, end)| end.seq <= at);
        let begin = if index == 0 {
            self.from
        } else {
            self.entries[index - 1].1
        };
        if at == begin.seq {
            let mut bytes = 0;
            let fits = |record: &Arc<LogRecord>| {
                bytes <= BATCH_BYTES && {
                    bytes += record.message.len();
                    true
                }
            };
            let records = self
                .entries
                .range(index..)
                .take(BATCH)
                .map(|(record, _)| record);
            let batch: Vec<_> = records.cloned().take_while(fits).collect();
            let end = self.entries[index + batch.len() - 1].1;
            return RingView::Records(batch, end);
        }
        // Before the ring, or within one of its records, as a follower may be that saw its first
        // part before the task began.
        let to = if at < begin.seq {
            begin
        } else {
            self.entries[index].1
        };
        let resume = self
            .entries
            .iter()
            .rev()
            .map(|(_, end)| *end)
            .nth(RESUME_RECORDS)
            .filter(|mark| mark.seq >= to.seq);
        RingView::Behind { to, resume }
    }
}

/// See [`RecordRing::look`].
pub enum RingView {
    /// There is nothing to see at the moment.
    UpToDate,
    /// Records, and where the last of them ends.
    Records(Vec<Arc<LogRecord>>, StreamMark),
    /// What comes next, up to `to`, has to be read from the files; or go on at `resume`, if the
    /// ring is long enough.
    Behind {
        to: StreamMark,
        resume: Option<StreamMark>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::level::LogLevel;

    fn record(seq: u64, message: &str) -> Arc<LogRecord> {
        let message = message.to_owned();
        Arc::new(LogRecord {
            seq,
            timestamp: None,
            level: LogLevel::Info,
            target: None,
            message,
            omitted: 0,
        })
    }

    #[test]
    fn a_position_within_a_record_of_the_ring_is_read_from_the_files() {
        let mut ring = RecordRing::new(StreamMark { seq: 10, lines: 0 }, 1);
        ring.push(record(20, "m"), StreamMark { seq: 20, lines: 1 });
        ring.push(record(40, "m"), StreamMark { seq: 40, lines: 4 });
        for (at, want) in [
            (5, Some(10)),
            (10, None),
            (15, Some(20)),
            (20, None),
            (33, Some(40)),
        ] {
            match (ring.look(at), want) {
                (RingView::Behind { to, resume: None }, Some(seq)) => {
                    assert_eq!(to.seq, seq, "{at}")
                }
                (RingView::Records(records, end), None) => {
                    assert_eq!(
                        (records[0].seq, end.seq),
                        (if at == 10 { 20 } else { 40 }, 40)
                    );
                }
                _ => panic!("{at}"),
            }
        }
        assert!(matches!(ring.look(40), RingView::UpToDate));
    }

    #[test]
    fn it_is_bounded_in_records_and_bytes() {
        for (length, kept) in [
            (1, RING_RECORDS),
            (60_000, RING_BYTES / 60_000),
            (2 * RING_BYTES, 1),
        ] {
            let mut ring = RecordRing::new(StreamMark { seq: 0, lines: 0 }, 1);
            let message = "x".repeat(length);
            let pushed = kept as u64 + 50;
            for seq in 1..=pushed {
                ring.push(
                    record(seq, &message),
                    StreamMark {
                        seq,
                        lines: seq.cast_signed(),
                    },
                );
            }
            assert_eq!((ring.entries.len(), ring.bytes), (kept, kept * length));
            assert_eq!((ring.from.seq, ring.to.seq), (pushed - kept as u64, pushed));
        }
    }

    #[test]
    fn one_far_behind_resumes_among_the_newest_and_never_before_where_it_is() {
        let mut ring = RecordRing::new(StreamMark { seq: 100, lines: 0 }, 1);
        for seq in 101..=1_000 {
            ring.push(
                record(seq, "m"),
                StreamMark {
                    seq,
                    lines: seq.cast_signed(),
                },
            );
        }
        let RingView::Behind {
            to,
            resume: Some(resume),
        } = ring.look(3)
        else {
            panic!()
        };
        assert_eq!((to.seq, resume.seq), (100, 500));
        ring.push(
            record(3_000, "m"),
            StreamMark {
                seq: 3_000,
                lines: 9_000,
            },
        );
        assert!(matches!(
            ring.look(2_500),
            RingView::Behind {
                to: StreamMark { seq: 3_000, .. },
                resume: None
            }
        ));
    }
}
