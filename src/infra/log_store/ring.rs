//! The newest records of a followed log, shared by all followers.
//!
//! Independent of files, tasks, followers.

use super::batch::LogBatch;
use super::record::LogRecord;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The maximum number of records in the ring. It is small, because every followed instance has a ring
/// and older records are in the files. A full ring with lines of 160 bytes needs a third of a MiB.
pub const RING_RECORDS: usize = 1_000;
/// The maximum number of message bytes in the ring.
pub const RING_BYTES: usize = 512 * 1024;
/// The maximum number of records in an event.
pub const BATCH: usize = 200;
/// The maximum number of message bytes in an event, not counting its first record.
pub const BATCH_BYTES: usize = 64 * 1024;
/// How long followers get the batches as they were published, with what was rendered of them. Those that
/// are later get batches of their own.
const SHARED_FOR: Duration = Duration::from_secs(1);
/// A follower that missed more continues with this number of the newest records, or about this number
/// of lines if the ring is shorter.
pub const RESUME_RECORDS: usize = 500;

/// A position in the stream and the number of lines up to it, counted from the start of the task and
/// negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamMark {
    /// The offset.
    pub seq: u64,
    /// The number of lines.
    pub lines: i64,
}

impl StreamMark {
    /// The number of lines from `earlier` up to this mark.
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

/// The newest records, without gaps.
#[derive(Debug)]
pub struct RecordRing {
    entries: VecDeque<(Arc<LogRecord>, StreamMark)>,
    bytes: usize,
    /// The newest batches, as they were published.
    recent: VecDeque<RecentBatch>,
    /// The start of the oldest record.
    from: StreamMark,
    /// The end of the newest record.
    pub to: StreamMark,
    /// Distinguishes line counts that are not comparable.
    pub epoch: u64,
}

impl RecordRing {
    /// An empty ring, from `mark` on.
    pub fn new(mark: StreamMark, epoch: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            recent: VecDeque::new(),
            from: mark,
            to: mark,
            epoch,
        }
    }

    /// Adds records, each with its end; removes the oldest records if necessary.
    pub fn publish(&mut self, records: Vec<(Arc<LogRecord>, StreamMark)>) {
        let now = Instant::now();
        self.recent
            .retain(|batch| now.duration_since(batch.published) < SHARED_FOR);
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let (from, mut bytes, mut batch) = (self.to.seq, 0, Vec::new());
            while batch.len() < BATCH
                && bytes <= BATCH_BYTES
                && let Some((record, end)) = records.next()
            {
                bytes += record.message.len();
                batch.push(record.clone());
                self.push(record, end);
            }
            self.recent.push_back(RecentBatch {
                from,
                to: self.to,
                published: now,
                batch: Arc::new(LogBatch::new(batch)),
            });
        }
        let oldest = self.from.seq;
        self.recent.retain(|batch| batch.from >= oldest);
    }

    /// Adds the record that ends at `end`; removes the oldest records if necessary.
    fn push(&mut self, record: Arc<LogRecord>, end: StreamMark) {
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

    /// Returns the data for a follower at `at`.
    pub fn look(&self, at: u64) -> RingView {
        if at >= self.to.seq {
            return RingView::UpToDate;
        }
        if let Some(recent) = self.recent.iter().find(|batch| batch.from == at) {
            return RingView::Records(recent.batch.clone(), recent.to);
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
            // It ends where a shared batch begins, so that this follower gets that next.
            let next = self.recent.iter().find(|batch| batch.from > at);
            let limit = next.map_or(u64::MAX, |batch| batch.from);
            let records = self
                .entries
                .range(index..)
                .take(BATCH)
                .take_while(|(_, end)| end.seq <= limit)
                .map(|(record, _)| record);
            let batch: Vec<_> = records.cloned().take_while(fits).collect();
            let end = self.entries[index + batch.len() - 1].1;
            return RingView::Records(Arc::new(LogBatch::new(batch)), end);
        }
        // Before the ring, or inside one of its records: a follower may have seen the first part
        // before the task started.
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

/// A batch as it was published.
#[derive(Debug)]
struct RecentBatch {
    /// The start of its first record.
    from: u64,
    /// The end of its last record.
    to: StreamMark,
    published: Instant,
    batch: Arc<LogBatch>,
}

/// See [`RecordRing::look`].
pub enum RingView {
    /// There is nothing new.
    UpToDate,
    /// Records, and the end of the last one.
    Records(Arc<LogBatch>, StreamMark),
    /// The data up to `to` must be read from the files; or continue at `resume`, if the ring is long
    /// enough.
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
    fn followers_share_batches_and_a_late_one_reaches_them() {
        let mut ring = RecordRing::new(StreamMark { seq: 0, lines: 0 }, 1);
        let numbered = |seq: u64| {
            let lines = seq.cast_signed();
            (record(seq, "m"), StreamMark { seq, lines })
        };
        let view = |ring: &RecordRing, at| match ring.look(at) {
            RingView::Records(batch, end) => (batch, end.seq),
            _ => panic!("{at}"),
        };
        ring.publish((1..=10).map(numbered).collect());
        ring.publish((11..=310).map(numbered).collect());
        let (middle, end) = view(&ring, 1);
        assert_eq!((middle.len(), end), (9, 10));
        let (newest, end) = view(&ring, 10);
        assert_eq!((newest.len(), end), (BATCH, 10 + BATCH as u64));
        ring.publish((311..=312).map(numbered).collect());
        let (again, _) = view(&ring, 10);
        assert!(Arc::ptr_eq(&again, &newest));
        // Rendered once per format.
        let format = |as_html| super::super::RecordFormat {
            as_html,
            filter: super::super::LogFilter::default(),
        };
        let mut rendered = 0;
        for _ in 0..200 {
            for as_html in [false, true] {
                let shown = again.rendering(&format(as_html), || {
                    rendered += 1;
                    Some(as_html.to_string().into())
                });
                assert_eq!(shown.unwrap(), as_html.to_string());
            }
        }
        assert_eq!(rendered, 2);
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
