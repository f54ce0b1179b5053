//! Merges parts of several logs by time. Pure.
//!
//! Within each log the order of the records is kept, whatever their times are. So what a page takes
//! from a log is always the end (or, forward, the start) of the part that was read, and the next page
//! continues there: nothing is skipped and nothing is repeated. A record without a time, such as the
//! text of a panic, belongs to the record before it.

use crate::base::clock::Timestamp;
use crate::infra::log_store::{LogRecord, PAGE_BYTES, RecordPage};

/// A part of several logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedPage {
    /// Oldest first, each with the number of its log.
    pub records: Vec<(usize, LogRecord)>,
    /// For each log, where the previous page ends. None: there are no records here or before.
    pub first: Option<Vec<u64>>,
    /// For each log, where the next page starts.
    pub last: Vec<u64>,
    /// There are older records.
    pub more_before: bool,
    /// There are no newer records.
    pub scanned_all: bool,
    /// Requested records were deleted.
    pub lost: bool,
    /// There are fewer records than requested, because their messages are long.
    pub is_full: bool,
}

/// The part of one log that a page can take from.
struct MergeSource {
    page: RecordPage,
    /// The time of each record, in milliseconds since 1970. Never decreases.
    times: Vec<i64>,
}

impl MergeSource {
    fn new(page: RecordPage) -> Self {
        let mut latest = i64::MIN;
        let times = page.records.iter().map(|record| {
            let own = record
                .timestamp
                .as_deref()
                .and_then(|text| text.parse().ok());
            latest = own.map_or(latest, |at: Timestamp| latest.max(at.0));
            latest
        });
        Self {
            times: times.collect(),
            page,
        }
    }

    fn count(&self) -> usize {
        self.page.records.len()
    }

    fn has_older(&self) -> bool {
        self.page.more_before || !self.page.scanned_all
    }
}

/// The part of one log as it was read.
pub fn single(page: RecordPage) -> MergedPage {
    let records = page.records.into_iter();
    MergedPage {
        records: records.map(|record| (0, record)).collect(),
        first: page.first.map(|first| vec![first]),
        last: vec![page.last],
        more_before: page.more_before,
        scanned_all: page.scanned_all,
        lost: page.lost,
        is_full: page.is_full,
    }
}

/// The newest `count` records of parts that end at `until` (each the first sequence number that does
/// not belong to it; none: the end of the log), or fewer if they do not fit.
pub fn newest(parts: Vec<RecordPage>, until: Option<&[u64]>, count: usize) -> MergedPage {
    let sources: Vec<_> = parts.into_iter().map(MergeSource::new).collect();
    let mut at: Vec<usize> = sources.iter().map(MergeSource::count).collect();
    let (mut taken, mut room) = (0, PAGE_BYTES);
    while taken < count && room > 0 {
        let mut latest: Option<(i64, usize)> = None;
        let mut is_blocked = false;
        for (log, source) in sources.iter().enumerate() {
            match at[log].checked_sub(1).map(|last| source.times[last]) {
                Some(time) if latest.is_none_or(|(other, _)| other <= time) => {
                    latest = Some((time, log));
                }
                Some(_) => {}
                None => is_blocked |= source.has_older(),
            }
        }
        let Some((_, log)) = latest.filter(|_| !is_blocked) else {
            break;
        };
        at[log] -= 1;
        taken += 1;
        room = room.saturating_sub(sources[log].page.records[at[log]].message.len());
    }
    let mut merged = MergedPage {
        scanned_all: true,
        is_full: room == 0,
        ..MergedPage::default()
    };
    let mut first = Vec::new();
    for (log, source) in sources.iter().enumerate() {
        let (page, from) = (&source.page, at[log]);
        let end = until.map_or_else(|| page.last.saturating_add(1), |until| until[log]);
        first.push(match page.records.get(from) {
            Some(first) => first.seq,
            None if page.records.is_empty() => page.first.unwrap_or(end),
            None => end,
        });
        let last = page.records.last().filter(|_| from < source.count());
        merged.last.push(match last {
            _ if until.is_none() => page.last,
            Some(last) => last.seq,
            None => end.saturating_sub(1),
        });
        merged.more_before |= from > 0 || source.has_older();
        merged.lost |= page.lost;
        merged.is_full |= page.is_full && taken < count;
    }
    let is_empty = sources.iter().all(|source| source.page.first.is_none());
    merged.first = (!is_empty).then_some(first);
    let all: Vec<usize> = sources.iter().map(MergeSource::count).collect();
    merged.records = in_order(sources, &at, &all);
    merged
}

/// The oldest `count` records of parts that start after `after`, or fewer if they do not fit.
pub fn oldest(parts: Vec<RecordPage>, after: &[u64], count: usize) -> MergedPage {
    let sources: Vec<_> = parts.into_iter().map(MergeSource::new).collect();
    let mut to = vec![0; sources.len()];
    let (mut taken, mut room) = (0, PAGE_BYTES);
    while taken < count && room > 0 {
        let mut earliest: Option<(i64, usize)> = None;
        let mut is_blocked = false;
        for (log, source) in sources.iter().enumerate() {
            match source.times.get(to[log]) {
                Some(time) if earliest.is_none_or(|(other, _)| *time < other) => {
                    earliest = Some((*time, log));
                }
                Some(_) => {}
                None => is_blocked |= !source.page.scanned_all,
            }
        }
        let Some((_, log)) = earliest.filter(|_| !is_blocked) else {
            break;
        };
        room = room.saturating_sub(sources[log].page.records[to[log]].message.len());
        to[log] += 1;
        taken += 1;
    }
    let mut merged = MergedPage {
        scanned_all: true,
        ..MergedPage::default()
    };
    let mut first = Vec::new();
    for (log, source) in sources.iter().enumerate() {
        let (page, to) = (&source.page, to[log]);
        let start = after[log];
        first.push(match page.records.first().filter(|_| to > 0) {
            Some(first) => first.seq,
            None => start.saturating_add(1),
        });
        let last = to.checked_sub(1).and_then(|last| page.records.get(last));
        merged.last.push(match last {
            _ if to == source.count() => page.last,
            Some(last) => last.seq,
            None => start,
        });
        merged.more_before |= page.more_before;
        merged.lost |= page.lost;
        merged.scanned_all &= page.scanned_all && to == source.count();
        merged.is_full |= page.is_full && taken < count;
    }
    merged.is_full |= room == 0 && !merged.scanned_all;
    merged.first = Some(first);
    let none = vec![0; sources.len()];
    merged.records = in_order(sources, &none, &to);
    merged
}

/// Two adjoining parts as one.
pub fn joined(older: MergedPage, newer: MergedPage) -> MergedPage {
    MergedPage {
        records: older.records.into_iter().chain(newer.records).collect(),
        first: older.first.or(newer.first),
        last: newer.last,
        more_before: older.more_before || !older.scanned_all,
        scanned_all: newer.scanned_all,
        lost: older.lost || newer.lost,
        is_full: older.is_full || newer.is_full,
    }
}

/// The records of all parts from `from` to `to` by time; those of the first log first if equal.
fn in_order(sources: Vec<MergeSource>, from: &[usize], to: &[usize]) -> Vec<(usize, LogRecord)> {
    let mut all: Vec<(i64, usize, LogRecord)> = Vec::new();
    for (log, source) in sources.into_iter().enumerate() {
        let taken = source.times.into_iter().zip(source.page.records);
        let taken = taken.take(to[log]).skip(from[log]);
        all.extend(taken.map(|(at, record)| (at, log, record)));
    }
    // Stable: records of one log keep their order.
    all.sort_by_key(|(at, ..)| *at);
    all.into_iter()
        .map(|(_, log, record)| (log, record))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::log_store::LogLevel;
    use proptest::prelude::*;

    type Log = Vec<LogRecord>;

    /// A log whose records have these times, in seconds; none: a record without a time.
    fn log(times: &[Option<i64>]) -> Log {
        let record = |(place, at): (usize, &Option<i64>)| LogRecord {
            seq: 10 * (place as u64 + 1),
            timestamp: at.map(|at| Timestamp(at * 1000).to_string()),
            level: LogLevel::Info,
            target: None,
            message: String::new(),
            omitted: 0,
        };
        times.iter().enumerate().map(record).collect()
    }

    fn end(log: &Log) -> u64 {
        log.last().map_or(0, |record| record.seq)
    }

    /// As `InstanceLog::before` does it.
    fn before(log: &Log, seq: u64, count: usize) -> RecordPage {
        let all: Vec<_> = log
            .iter()
            .filter(|record| record.seq < seq)
            .cloned()
            .collect();
        let from = all.len().saturating_sub(count);
        RecordPage {
            records: all[from..].to_vec(),
            first: all.get(from).map(|record| record.seq),
            last: if seq > end(log) { end(log) } else { seq },
            more_before: from > 0,
            scanned_all: from == 0,
            ..RecordPage::default()
        }
    }

    /// As `InstanceLog::after` does it.
    fn after(log: &Log, seq: u64, count: usize) -> RecordPage {
        let all: Vec<_> = log
            .iter()
            .filter(|record| record.seq > seq)
            .cloned()
            .collect();
        let is_whole = all.len() <= count;
        let records: Vec<_> = all.into_iter().take(count).collect();
        RecordPage {
            last: if is_whole {
                end(log).max(seq)
            } else {
                end(&records)
            },
            first: records.first().map(|record| record.seq),
            records,
            scanned_all: is_whole,
            more_before: seq > 0,
            ..RecordPage::default()
        }
    }

    fn names(records: &[(usize, LogRecord)]) -> Vec<(usize, u64)> {
        records
            .iter()
            .map(|(log, record)| (*log, record.seq))
            .collect()
    }

    fn backward(logs: &[Log], count: usize) -> Vec<(usize, u64)> {
        let mut until: Option<Vec<u64>> = None;
        let mut all = Vec::new();
        loop {
            let part = |(place, log): (usize, &Log)| {
                before(
                    log,
                    until.as_ref().map_or(u64::MAX, |until| until[place]),
                    count,
                )
            };
            let parts = logs.iter().enumerate().map(part).collect();
            let page = newest(parts, until.as_deref(), count);
            assert!(page.records.len() <= count);
            // The page after this one starts where this one ends.
            for (place, log) in logs.iter().enumerate() {
                let next = after(log, page.last[place], 1).records;
                let known = all.iter().find(|(of, _)| *of == place);
                assert_eq!(
                    next.first().map(|record| record.seq),
                    known.map(|(_, seq)| *seq)
                );
            }
            let mut records = names(&page.records);
            records.append(&mut all);
            all = records;
            if !page.more_before {
                return all;
            }
            assert_ne!(page.first, until, "no progress");
            until = page.first;
        }
    }

    fn forward(logs: &[Log], count: usize) -> Vec<(usize, u64)> {
        let mut place = vec![0; logs.len()];
        let mut all = Vec::new();
        loop {
            let part = |(log, from): (&Log, &u64)| after(log, *from, count);
            let parts = logs.iter().zip(&place).map(part).collect();
            let page = oldest(parts, &place, count);
            all.extend(names(&page.records));
            if page.scanned_all {
                return all;
            }
            assert_ne!(page.last, place, "no progress");
            place = page.last;
        }
    }

    #[test]
    fn lines_are_merged_by_time_and_lines_without_one_stay_with_the_line_before() {
        let client = log(&[Some(1), Some(3), None, Some(9)]);
        let translator = log(&[Some(2), Some(3), Some(4)]);
        let expected = [
            (0, 10),
            (1, 10),
            (0, 20),
            (0, 30),
            (1, 20),
            (1, 30),
            (0, 40),
        ];
        let logs = [client, translator];
        for count in [3, 100] {
            assert_eq!(forward(&logs, count), expected, "{count}");
            assert_eq!(backward(&logs, count), expected, "{count}");
        }
        assert_eq!(backward(&[Log::new(), logs[1].clone()], 2).len(), 3);
        assert_eq!(backward(&[Log::new(), Log::new()], 2), []);
        assert_eq!(backward(&[], 2), []);
    }

    #[test]
    fn long_messages_of_many_logs_do_not_add_up() {
        let wide = |_| {
            let mut log = log(&[Some(1), Some(2), Some(3)]);
            for record in &mut log {
                record.message = "x".repeat(PAGE_BYTES / 4);
            }
            log
        };
        let logs: Vec<Log> = (0..50).map(wide).collect();
        let whole = 3 * logs.len();
        let parts = logs.iter().map(|log| before(log, u64::MAX, 1_000));
        let page = newest(parts.collect(), None, 1_000);
        assert!(page.is_full && page.more_before && page.records.len() == 4);
        let (back, forth) = (backward(&logs, 1_000), forward(&logs, 1_000));
        assert_eq!((back.len(), forth.len()), (whole, whole));
    }

    #[test]
    fn a_part_that_is_cut_short_ends_the_page() {
        // The client's records did not fit, so the translator's older ones have to wait.
        let client = RecordPage {
            records: log(&[Some(5), Some(6)])[1..].to_vec(),
            first: Some(20),
            last: 20,
            more_before: true,
            is_full: true,
            ..RecordPage::default()
        };
        let translator = before(&log(&[Some(1), Some(2)]), u64::MAX, 10);
        let page = newest(vec![client, translator], None, 10);
        assert_eq!(names(&page.records), [(0, 20)]);
        assert!(page.is_full && page.more_before);
        assert_eq!((page.first, page.last), (Some(vec![20, 21]), vec![20, 20]));
    }

    proptest! {
        /// Whatever the times are, each line comes exactly once and in the order of its log.
        #[test]
        fn no_line_is_skipped_or_repeated(
            times in proptest::collection::vec(proptest::collection::vec(proptest::option::of(0_i64..20), 0..20), 0..5),
            count in 1_usize..8,
        ) {
            let logs: Vec<Log> = times.iter().map(|times| log(times)).collect();
            for all in [forward(&logs, count), backward(&logs, count)] {
                for (place, log) in logs.iter().enumerate() {
                    let own: Vec<u64> = all.iter().filter(|(of, _)| *of == place).map(|(_, seq)| *seq).collect();
                    prop_assert_eq!(own, log.iter().map(|record| record.seq).collect::<Vec<_>>());
                }
            }
        }
    }
}
