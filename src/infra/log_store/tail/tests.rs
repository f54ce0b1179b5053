//! Paging over logs that grow, rotate and hide secrets.

use super::super::pattern::LogPattern;
use super::super::record::{CELL, LogRecord};
use super::super::test_writer::{SegmentWriter, T, line};
use super::*;
use crate::keeper::level::LogLevel;
use crate::keeper::segment;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use strum::VariantArray;

const ALL: LogFilter = LogFilter {
    min_level: None,
    text: None,
    pattern: None,
};

fn write(dir: &Path, base: u64, segment_len: u64, text: &[u8]) {
    SegmentWriter::new(dir, base, segment_len, usize::MAX).write(text);
}

/// A log without size limits for pages.
fn roomy(dir: &Path) -> InstanceLog {
    InstanceLog {
        room: PageBudget {
            message: TEXT_MAX,
            page: usize::MAX,
            search: SEARCH_MAX,
            time: SEARCH_TIME,
        },
        ..InstanceLog::new(dir)
    }
}

/// The records of `text`, read in one pass from the start to the last newline.
fn reference(base: u64, text: &[u8]) -> Vec<LogRecord> {
    let complete = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |last| last + 1);
    let mut found = Vec::new();
    let mut parser = LogParser::new(base);
    parser.push(&text[..complete], &mut |raw| {
        found.push(raw.to_record(TEXT_MAX))
    });
    parser.flush(&mut |raw| found.push(raw.to_record(TEXT_MAX)));
    found
}

fn forward(log: &InstanceLog, mut from: u64, filter: &LogFilter, limit: usize) -> Vec<LogRecord> {
    let mut found = Vec::new();
    loop {
        let page = log.after(from, filter, limit).unwrap();
        assert!(
            page.records.len() <= limit && (page.last >= from || page.scanned_all) && !page.lost
        );
        if let Some(first) = page.records.first() {
            assert_eq!(page.first, Some(first.seq));
        }
        found.extend(page.records);
        if page.scanned_all {
            assert_eq!(page.last, log.complete_end().unwrap());
            return found;
        }
        from = page.last;
    }
}

fn backward(log: &InstanceLog, filter: &LogFilter, limit: usize) -> Vec<LogRecord> {
    let mut pages = Vec::new();
    let mut page = log.last(filter, limit).unwrap();
    assert_eq!(page.last, log.complete_end().unwrap());
    loop {
        let more = page.more_before;
        assert!(
            page.records.len() <= limit
                && (!more || page.records.len() == limit)
                && more != page.scanned_all
        );
        pages.push(page.records);
        if !more {
            return pages.into_iter().rev().flatten().collect();
        }
        page = log.before(page.first.unwrap(), filter, limit).unwrap();
        assert!(!page.records.is_empty(), "more was promised");
    }
}

/// Lines of all kinds and lengths, many without a header, so that records cross blocks and cells.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let header = (0_usize..5, 0_usize..200).prop_map(|(level, length)| {
        format!(
            "{T} {:>5} jd_client_sv2::a: {}\n",
            LogLevel::VARIANTS[level],
            "m".repeat(length)
        )
        .into_bytes()
    });
    let bare = |longest: usize| {
        (1..longest).prop_map(|length| [vec![b'b'; length], b"\r\n".to_vec()].concat())
    };
    let lines = prop_oneof![
        6 => header,
        3 => bare(60),
        2 => bare(9_000),
        1 => bare(90_000),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"thread 'x' (1) panicked at y:\n".to_vec()),
        1 => Just(format!("{T}  INFO jd_manager::keeper: a note\n").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
    ];
    let run = (lines, 1_usize..12).prop_map(|(line, times)| line.repeat(times));
    proptest::collection::vec(run, 0..30).prop_map(|runs| runs.concat())
}

fn some_filter() -> impl Strategy<Value = LogFilter> {
    let text = prop_oneof![
        Just(None),
        Just(Some(String::new())),
        Just(Some("SV2".to_owned())),
        Just(Some("Mm".to_owned())),
        Just(Some("ü".to_owned()))
    ];
    (proptest::option::of(0_usize..5), text).prop_map(|(level, text)| LogFilter {
        min_level: level.map(|l| LogLevel::VARIANTS[l]),
        text,
        pattern: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn paging_either_way_gives_every_record_once(
        text in stream(), base in prop_oneof![Just(0_u64), 0..3 * CELL], segment_len in 1_u64..60_000, limit in 1_usize..40, filter in some_filter()
    ) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), base, segment_len, &text);
        let log = roomy(dir.path());
        let all = reference(base, &text);
        prop_assert_eq!(&forward(&log, log.start().unwrap(), &ALL, limit), &all);
        prop_assert_eq!(&backward(&log, &ALL, limit), &all);
        let wanted: Vec<_> = all.into_iter().filter(|r| filter.matches(r)).collect();
        prop_assert_eq!(&forward(&log, log.start().unwrap(), &filter, limit), &wanted);
        prop_assert_eq!(&backward(&log, &filter, limit), &wanted);
    }

    #[test]
    fn any_offset_divides_the_log(text in stream(), base in 0..3 * CELL, segment_len in 1_u64..60_000, at in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), base, segment_len, &text);
        let log = roomy(dir.path());
        let all = reference(base, &text);
        let at = base + at.index(text.len() + 2) as u64;
        let older: Vec<_> = all.iter().filter(|r| r.seq < at).cloned().collect();
        prop_assert_eq!(log.before(at, &ALL, usize::MAX).unwrap().records, older);
        let newer = log.after(at, &ALL, usize::MAX).unwrap().records;
        // The rest of the record at the offset is a separate record (blank lines are none); the
        // others are the same.
        let rest: Vec<_> = all.iter().filter(|r| r.seq > at).cloned().collect();
        if newer.len() == rest.len() {
            prop_assert_eq!(newer.iter().skip(1).collect::<Vec<_>>(), rest.iter().skip(1).collect::<Vec<_>>());
            prop_assert_eq!(newer.first().map(|r| r.seq), rest.first().map(|r| r.seq));
        } else {
            prop_assert_eq!(&newer, &rest[1..]);
        }
        for limit in [1, 7] {
            prop_assert_eq!(&forward(&log, at, &ALL, limit), &newer);
        }
    }

    #[test]
    fn a_download_without_filter_is_the_bytes_and_with_one_the_lines(text in stream(), segment_len in 1_u64..60_000) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 5, segment_len, &text);
        let log = InstanceLog::new(dir.path());
        let mut copy = Vec::new();
        prop_assert_eq!(log.copy_to(ALL, &mut copy).unwrap(), text.len() as u64);
        prop_assert!(copy == text);
        let filter = LogFilter { min_level: Some(LogLevel::Warn), ..LogFilter::default() };
        let mut lines = Vec::new();
        log.copy_to(filter.clone(), &mut lines).unwrap();
        let records = reference(0, &lines);
        let wanted: Vec<_> = reference(5, &text).into_iter().filter(|r| filter.matches(r)).collect();
        let warned = |records: &[LogRecord]| records.iter().filter(|r| r.timestamp.is_some()).map(|r| r.level).collect::<Vec<_>>();
        prop_assert_eq!(warned(&records), warned(&wanted));
    }
}

#[test]
fn the_real_logs_are_paged_completely() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jd-client/");
    for file in std::fs::read_dir(fixtures)
        .unwrap()
        .map(|f| f.unwrap().path())
    {
        let text = std::fs::read(&file).unwrap();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0, 5_000, &text);
        let log = roomy(dir.path());
        let all = reference(0, &text);
        assert_eq!(forward(&log, 0, &ALL, 10), all);
        assert_eq!(backward(&log, &ALL, 10), all);
    }
}

#[test]
fn a_log_that_is_not_there_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let log = InstanceLog::new(dir.path().join("never"));
    assert_eq!(
        (
            log.start().unwrap(),
            log.end().unwrap(),
            log.complete_end().unwrap()
        ),
        (0, 0, 0)
    );
    let empty = RecordPage {
        scanned_all: true,
        ..RecordPage::default()
    };
    assert_eq!(log.last(&ALL, 10).unwrap(), empty);
    assert_eq!(log.after(77, &ALL, 10).unwrap(), empty);
    assert_eq!(log.copy_to(ALL, &mut Vec::new()).unwrap(), 0);
}

#[test]
fn offsets_before_the_oldest_segment_are_lost_and_future_ones_are_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = SegmentWriter::new(dir.path(), 0, 1_000, 2);
    writer.write((0..100).map(line).collect::<String>().as_bytes());
    let log = InstanceLog::new(dir.path());
    let start = log.start().unwrap();
    assert!(start > 0);
    let page = log.after(10, &ALL, 1).unwrap();
    assert!(page.lost && !page.more_before && !page.scanned_all);
    assert!(!log.after(start, &ALL, 1).unwrap().lost);
    let page = log.before(10, &ALL, 1).unwrap();
    assert!(page.lost && page.records.is_empty() && page.scanned_all);
    let page = log.after(u64::MAX, &ALL, 1).unwrap();
    assert_eq!(
        (page.records.len(), page.last, page.lost, page.scanned_all),
        (0, writer.end, false, true)
    );
    assert_eq!(
        log.after(writer.end - 1, &ALL, 1).unwrap().records[0].message,
        "99"
    );
}

#[test]
fn a_file_missing_in_the_middle_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..60).map(line).collect();
    write(dir.path(), 0, 1_000, text.as_bytes());
    let segments = segment::list(dir.path()).unwrap();
    std::fs::remove_file(&segments[2].path).unwrap();
    let log = InstanceLog::new(dir.path());
    let page = log.after(0, &ALL, 1_000).unwrap();
    assert!(page.lost && page.scanned_all);
    let expected: Vec<_> = reference(0, text.as_bytes())
        .into_iter()
        .filter(|r| r.seq <= segments[2].base || r.seq > segments[3].base)
        .collect();
    assert_eq!(page.records, expected);
    assert_eq!(backward(&log, &ALL, 7), expected);
    // Inside the gap.
    assert_eq!(
        log.after(segments[2].base + 5, &ALL, 1).unwrap().records[0].seq,
        segments[3].base + line(0).len() as u64 + 1
    );
}

#[test]
fn an_endless_line_is_paged_with_bounded_records() {
    let dir = tempfile::tempdir().unwrap();
    let text = [
        line("before").into_bytes(),
        vec![b'x'; 3_000_000],
        b"\n".to_vec(),
        line("after").into_bytes(),
        vec![b'y'; 500_000],
    ]
    .concat();
    write(dir.path(), 0, 1_000_000, &text);
    let log = roomy(dir.path());
    let all = reference(0, &text);
    assert_eq!(
        all.iter()
            .map(|r| r.omitted + r.message.len() as u64)
            .collect::<Vec<_>>(),
        [3_000_006 + 1, 5]
    );
    assert!(all[0].message.len() <= TEXT_MAX);
    assert_eq!(forward(&log, 0, &ALL, 1), all);
    // The incomplete line is the newest record.
    let mut with_last = backward(&log, &ALL, 1);
    let last = with_last.pop().unwrap();
    assert_eq!(
        (last.seq, last.omitted + last.message.len() as u64),
        (text.len() as u64, 500_000)
    );
    assert_eq!(with_last, all);
    assert_eq!(backward(&log, &ALL, 2).len(), 3);
    assert_eq!(log.complete_end().unwrap(), text.len() as u64 - 500_000);
}

#[test]
fn reading_on_while_a_writer_appends_and_rotates_has_no_hole_and_no_repetition() {
    const LINES: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let (done, reached) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writer = {
        let (path, done, reached) = (
            dir.path().to_owned(),
            Arc::clone(&done),
            Arc::clone(&reached),
        );
        std::thread::spawn(move || {
            let mut writer = SegmentWriter::new(&path, 0, 20_000, 5);
            for n in 0..LINES {
                // Never more than three segments ahead, so that nothing unread is deleted.
                while writer.end > reached.load(Ordering::Relaxed) + 60_000 {
                    std::thread::yield_now();
                }
                // In two writes, so that incomplete lines are seen.
                let line = line(n);
                let cut = usize::try_from(n).unwrap() % line.len();
                writer.write(&line.as_bytes()[..cut]);
                writer.write(&line.as_bytes()[cut..]);
            }
            done.store(true, Ordering::Release);
        })
    };
    let log = InstanceLog::new(dir.path());
    let (mut at, mut count) = (0, 0_u64);
    loop {
        let finished = done.load(Ordering::Acquire);
        let page = log.after(at, &ALL, 100).unwrap();
        assert!(!page.lost);
        for record in page.records {
            assert_eq!(
                (record.message, record.level),
                (count.to_string(), LogLevel::Info)
            );
            count += 1;
        }
        at = page.last;
        reached.store(at, Ordering::Relaxed);
        if finished && page.scanned_all {
            break;
        }
    }
    writer.join().unwrap();
    assert_eq!(count, LINES);
    assert!(log.start().unwrap() > 0);
}

#[test]
fn a_hasty_writer_deletes_what_is_being_read_and_pages_stay_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, done) = (dir.path().to_owned(), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut writer = SegmentWriter::new(&path, 0, 3_000, 3);
            for n in 0..20_000 {
                writer.write(line(n).as_bytes());
            }
            done.store(true, Ordering::Release);
        })
    };
    let log = InstanceLog::new(dir.path());
    let (mut at, mut next) = (0, 0);
    // If the last bytes of a page are deleted while it is read, the page reports it. The gap is
    // visible at the first record of the next page.
    let mut gap = false;
    let numbers = |page: &RecordPage| {
        page.records
            .iter()
            .map(|r| r.message.parse::<u64>().unwrap())
            .collect::<Vec<_>>()
    };
    while !done.load(Ordering::Acquire) {
        let page = log.after(at, &ALL, 50).unwrap();
        gap |= page.lost;
        for n in numbers(&page) {
            assert!(
                n == next || (n > next && gap),
                "{n} after {next}, lost: {}",
                page.lost
            );
            next = n + 1;
        }
        gap = page.lost || (gap && page.records.is_empty());
        at = page.last;
        let page = log.last(&ALL, 200).unwrap();
        assert!(numbers(&page).is_sorted_by(|a, b| a < b));
        let older = numbers(&log.before(page.first.unwrap_or(0), &ALL, 50).unwrap());
        assert!(
            older.is_sorted_by(|a, b| a < b)
                && older.last() < numbers(&page).first().or(Some(&u64::MAX))
        );
        log.copy_to(ALL, &mut std::io::sink()).unwrap();
    }
    writer.join().unwrap();
}

/// Twenty lines of 60 kB and many short ones after them.
fn wide(dir: &Path) -> InstanceLog {
    let long = (0..20).map(|n| line(format!("{n} {}", "w".repeat(60_000))));
    let text: String = long
        .chain((20..3_000).map(|n| line(format!("{n} short"))))
        .collect();
    write(dir, 0, 500_000, text.as_bytes());
    InstanceLog::new(dir)
}

#[test]
fn a_page_has_room_for_so_many_bytes_and_the_next_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = wide(dir.path());
    let number = |record: &LogRecord| {
        record
            .message
            .split(' ')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let size = |page: &RecordPage| page.records.iter().map(cost).sum::<usize>();
    let (mut forth, mut from) = (Vec::new(), 0);
    loop {
        let page = log.after(from, &ALL, 10_000).unwrap();
        assert!(size(&page) <= PAGE_BYTES + SHOWN_MAX + RECORD_BYTES && !page.records.is_empty());
        forth.extend(page.records.iter().map(number));
        from = page.last;
        if page.scanned_all {
            break;
        }
    }
    assert_eq!(forth, (0..3_000).collect::<Vec<_>>());
    let (mut back, mut page) = (Vec::new(), log.last(&ALL, 10_000).unwrap());
    loop {
        assert!(size(&page) <= PAGE_BYTES && !page.records.is_empty());
        back.splice(0..0, page.records.iter().map(number));
        if !page.more_before {
            break;
        }
        page = log.before(page.first.unwrap(), &ALL, 10_000).unwrap();
    }
    assert_eq!(back, forth);
    // Each reports its omitted bytes, and is complete when requested alone.
    let first = &log.after(0, &ALL, 10).unwrap().records[0];
    assert_eq!(
        (first.message.len(), first.omitted),
        (SHOWN_MAX, 60_002 - SHOWN_MAX as u64)
    );
    let alone = &log.before(first.seq + 1, &ALL, 1).unwrap().records[0];
    assert_eq!(
        (alone.seq, alone.message.len(), alone.omitted),
        (first.seq, 60_002, 0)
    );
}

#[test]
fn a_secret_is_in_no_page_and_no_download_and_is_found_by_no_search() {
    const KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    let dir = tempfile::tempdir().unwrap();
    let mask = SecretMask::default();
    mask.add(KEY);
    let log = InstanceLog::new(dir.path()).masked(mask);
    let text: String = (0..3_000)
        .map(|n| line(format!("{n} {KEY} {}", "x ".repeat(n % 40))))
        .collect();
    write(dir.path(), 0, 50_000, text.as_bytes());
    let clean = text.replace(KEY, &"*".repeat(KEY.len()));
    assert_eq!(forward(&log, 0, &ALL, 70), reference(0, clean.as_bytes()));
    assert_eq!(backward(&log, &ALL, 70), reference(0, clean.as_bytes()));
    let mut copy = Vec::new();
    log.copy_to(ALL, &mut copy).unwrap();
    assert!(copy == clean.as_bytes());
    for part in [KEY, &KEY[..10], &KEY[20..30], "mkDLTB"] {
        let filter = LogFilter {
            text: Some(part.to_owned()),
            ..LogFilter::default()
        };
        assert_eq!(log.last(&filter, 10).unwrap().records, []);
        let pattern = LogFilter {
            pattern: Some(LogPattern::literal(part).unwrap()),
            ..LogFilter::default()
        };
        assert_eq!(log.last(&pattern, 10).unwrap().records, []);
        copy.clear();
        assert_eq!(log.copy_to(filter, &mut copy).unwrap(), 0);
    }
    let filter = LogFilter {
        text: Some("77 *".to_owned()),
        ..LogFilter::default()
    };
    assert_eq!(log.last(&filter, 100).unwrap().records.len(), 30);
}

/// A client that writes without newlines, faster than any reader.
#[test]
fn a_hasty_writer_without_newlines_breaks_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, done) = (dir.path().to_owned(), Arc::clone(&done));
        std::thread::spawn(move || {
            let piece = vec![b'x'; 50_000];
            let mut bases = VecDeque::new();
            for end in (0..).step_by(piece.len()) {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                if end % 200_000 == 0 {
                    bases.push_back(end);
                }
                let newest = path.join(segment::file_name(*bases.back().unwrap()));
                std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(newest)
                    .unwrap()
                    .write_all(&piece)
                    .unwrap();
                if bases.len() > 3 {
                    std::fs::remove_file(path.join(segment::file_name(bases.pop_front().unwrap())))
                        .unwrap();
                }
            }
        })
    };
    let log = InstanceLog::new(dir.path());
    let (mut is_shown, mut rounds) = (0, 0);
    let begun = std::time::Instant::now();
    // On a busy machine the writer may begin late.
    while rounds < 100 || is_shown == 0 && begun.elapsed().as_secs() < 30 {
        rounds += 1;
        let page = log.last(&ALL, 100).unwrap();
        is_shown += page.records.len();
        log.before(page.first.unwrap_or(1), &ALL, 10).unwrap();
        log.after(page.last, &ALL, 10).unwrap();
        log.lines_back(log.end().unwrap(), 50).unwrap();
        log.between(0, u64::MAX, 10, 1_000).unwrap();
        log.copy_to(ALL, &mut std::io::sink()).unwrap();
        super::super::count::count(dir.path(), 0, u64::MAX).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(is_shown > 0);
}
