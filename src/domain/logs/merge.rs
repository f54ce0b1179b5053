//! Merges parts of both programs' logs by time. Pure.
//!
//! Within each log the order of the records is kept, whatever their times are. So what a page takes
//! from a log is always the end (or, forward, the start) of the part that was read, and the next page
//! continues there: nothing is skipped and nothing is repeated. A record without a time, such as the
//! text of a panic, belongs to the record before it.

use super::offset::OffsetPair;
use crate::base::clock::Timestamp;
use crate::domain::instances::ProgramName;
use crate::infra::log_store::{LogRecord, RecordPage};

/// A part of both logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedPage {
    /// Oldest first.
    pub records: Vec<(ProgramName, LogRecord)>,
    /// Where the previous page ends.
    pub first: OffsetPair,
    /// Where the next page starts.
    pub last: OffsetPair,
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
    program: ProgramName,
    page: RecordPage,
    /// The time of each record, in milliseconds since 1970. Never decreases.
    times: Vec<i64>,
}

impl MergeSource {
    fn new(program: ProgramName, page: RecordPage) -> Self {
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
            program,
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

/// The newest `count` records of two parts that end at `until` (each the first sequence number that
/// does not belong to it; none: the end of the log).
pub fn newest(
    client: RecordPage,
    translator: RecordPage,
    until: Option<OffsetPair>,
    count: usize,
) -> MergedPage {
    let sources = [
        MergeSource::new(ProgramName::Client, client),
        MergeSource::new(ProgramName::Translator, translator),
    ];
    let [of_client, of_translator] = &sources;
    let (mut at, mut taken) = ([of_client.count(), of_translator.count()], 0);
    while taken < count {
        let newest = |side: usize| {
            at[side]
                .checked_sub(1)
                .map(|last| sources[side].times[last])
        };
        let side = match (newest(0), newest(1)) {
            (None, None) => break,
            (None, Some(_)) if of_client.has_older() => break,
            (Some(_), None) if of_translator.has_older() => break,
            (None, Some(_)) => 1,
            (Some(_), None) => 0,
            (Some(client), Some(translator)) => usize::from(client <= translator),
        };
        at[side] -= 1;
        taken += 1;
    }
    let mut merged = MergedPage {
        scanned_all: true,
        ..MergedPage::default()
    };
    for (source, from) in sources.iter().zip(at) {
        let page = &source.page;
        let end = until.map_or_else(
            || page.last.saturating_add(1),
            |until| until.of(source.program),
        );
        let first = match page.records.get(from) {
            Some(first) => first.seq,
            None if page.records.is_empty() => page.first.unwrap_or(end),
            None => end,
        };
        let last = match page.records.last().filter(|_| from < source.count()) {
            _ if until.is_none() => page.last,
            Some(last) => last.seq,
            None => end.saturating_sub(1),
        };
        merged.first = merged.first.with(source.program, first);
        merged.last = merged.last.with(source.program, last);
        merged.more_before |= from > 0 || source.has_older();
        merged.lost |= page.lost;
        merged.is_full |= page.is_full && taken < count;
    }
    merged.records = in_order(sources, at, [usize::MAX; 2]);
    merged
}

/// The oldest `count` records of two parts that start after `after`.
pub fn oldest(
    client: RecordPage,
    translator: RecordPage,
    after: OffsetPair,
    count: usize,
) -> MergedPage {
    let sources = [
        MergeSource::new(ProgramName::Client, client),
        MergeSource::new(ProgramName::Translator, translator),
    ];
    let [of_client, of_translator] = &sources;
    let (mut to, mut taken) = ([0, 0], 0);
    while taken < count {
        let oldest = |side: usize| sources[side].times.get(to[side]).copied();
        let side = match (oldest(0), oldest(1)) {
            (None, None) => break,
            (None, Some(_)) if !of_client.page.scanned_all => break,
            (Some(_), None) if !of_translator.page.scanned_all => break,
            (None, Some(_)) => 1,
            (Some(_), None) => 0,
            (Some(client), Some(translator)) => usize::from(client > translator),
        };
        to[side] += 1;
        taken += 1;
    }
    let mut merged = MergedPage {
        scanned_all: true,
        ..MergedPage::default()
    };
    for (source, to) in sources.iter().zip(to) {
        let page = &source.page;
        let start = after.of(source.program);
        let first = match page.records.first().filter(|_| to > 0) {
            Some(first) => first.seq,
            None => start.saturating_add(1),
        };
        let last = match to.checked_sub(1).and_then(|last| page.records.get(last)) {
            _ if to == source.count() => page.last,
            Some(last) => last.seq,
            None => start,
        };
        merged.first = merged.first.with(source.program, first);
        merged.last = merged.last.with(source.program, last);
        merged.more_before |= page.more_before;
        merged.lost |= page.lost;
        merged.scanned_all &= page.scanned_all && to == source.count();
        merged.is_full |= page.is_full && taken < count;
    }
    merged.records = in_order(sources, [0, 0], to);
    merged
}

/// The records of both parts from `from` to `to` by time, those of the client first if equal.
fn in_order(
    sources: [MergeSource; 2],
    from: [usize; 2],
    to: [usize; 2],
) -> Vec<(ProgramName, LogRecord)> {
    let mut all: Vec<(i64, ProgramName, LogRecord)> = Vec::new();
    for (side, source) in sources.into_iter().enumerate() {
        let taken = source.times.into_iter().zip(source.page.records);
        let taken = taken.take(to[side]).skip(from[side]);
        all.extend(taken.map(|(at, record)| (at, source.program, record)));
    }
    // Stable: records of one log keep their order.
    all.sort_by_key(|(at, ..)| *at);
    all.into_iter()
        .map(|(_, program, record)| (program, record))
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

    fn names(records: &[(ProgramName, LogRecord)]) -> Vec<(ProgramName, u64)> {
        records
            .iter()
            .map(|(program, record)| (*program, record.seq))
            .collect()
    }

    fn backward(client: &Log, translator: &Log, count: usize) -> Vec<(ProgramName, u64)> {
        let mut until = None;
        let mut all = Vec::new();
        loop {
            let upper = |program| until.map_or(u64::MAX, |until: OffsetPair| until.of(program));
            let parts = (
                before(client, upper(ProgramName::Client), count),
                before(translator, upper(ProgramName::Translator), count),
            );
            let page = newest(parts.0, parts.1, until, count);
            assert!(page.records.len() <= count);
            // The page after this one starts where this one ends.
            for (program, log) in [
                (ProgramName::Client, client),
                (ProgramName::Translator, translator),
            ] {
                let next = after(log, page.last.of(program), 1).records;
                let known = all.iter().find(|(of, _)| *of == program);
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
            assert_ne!(Some(page.first), until, "no progress");
            until = Some(page.first);
        }
    }

    fn forward(client: &Log, translator: &Log, count: usize) -> Vec<(ProgramName, u64)> {
        let mut place = OffsetPair::default();
        let mut all = Vec::new();
        loop {
            let parts = (
                after(client, place.client, count),
                after(translator, place.translator, count),
            );
            let page = oldest(parts.0, parts.1, place, count);
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
        use ProgramName::{Client, Translator};
        let expected = [
            (Client, 10),
            (Translator, 10),
            (Client, 20),
            (Client, 30),
            (Translator, 20),
            (Translator, 30),
            (Client, 40),
        ];
        for count in [3, 100] {
            assert_eq!(forward(&client, &translator, count), expected, "{count}");
            assert_eq!(backward(&client, &translator, count), expected, "{count}");
        }
        assert_eq!(backward(&Log::new(), &translator, 2).len(), 3);
        assert_eq!(backward(&Log::new(), &Log::new(), 2), []);
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
        let page = newest(client, translator, None, 10);
        assert_eq!(names(&page.records), [(ProgramName::Client, 20)]);
        assert!(page.is_full && page.more_before);
        assert_eq!(
            page.first,
            OffsetPair {
                client: 20,
                translator: 21
            }
        );
        assert_eq!(
            page.last,
            OffsetPair {
                client: 20,
                translator: 20
            }
        );
    }

    proptest! {
        /// Whatever the times are, each line comes exactly once and in the order of its log.
        #[test]
        fn no_line_is_skipped_or_repeated(
            client in proptest::collection::vec(proptest::option::of(0_i64..20), 0..30),
            translator in proptest::collection::vec(proptest::option::of(0_i64..20), 0..30),
            count in 1_usize..8,
        ) {
            let (client, translator) = (log(&client), log(&translator));
            for all in [forward(&client, &translator, count), backward(&client, &translator, count)] {
                for (program, log) in [(ProgramName::Client, &client), (ProgramName::Translator, &translator)] {
                    let own: Vec<u64> = all.iter().filter(|(of, _)| *of == program).map(|(_, seq)| *seq).collect();
                    prop_assert_eq!(own, log.iter().map(|record| record.seq).collect::<Vec<_>>());
                }
            }
        }
    }
}
