//! Follows a log live: many viewers at the cost of one reader. Slow viewers do not affect others.
//!
//! While there are followers, one task per hub checks ten times a second whether the log has grown,
//! reads and parses new data once, keeps the newest records in a bounded ring, and publishes the end
//! of the stream. A follower is only a position; it takes new records from the ring when it has time,
//! in the same batches as the others.
//! A follower that is too slow for the ring reads from the files if it missed little. Otherwise it gets
//! the exact number of skipped lines. A stuck viewer therefore costs only its position. The task ends
//! and the ring is freed with the last follower.
//!
//! Files are read on threads for blocking work. The ten checks per second are two calls of `stat` on a
//! file that is in constant use; moving them to another thread would cost more than the calls. Must
//! not know: HTTP, the use of events.

use super::batch::LogBatch;
use super::record::{LogParser, LogRecord, RawRecord, SHOWN_MAX};
pub use super::ring::{BATCH, BATCH_BYTES, RESUME_RECORDS, RING_BYTES, RING_RECORDS};
use super::ring::{RecordRing, RingView, StreamMark};
use super::stream::{CHUNK, LogCursor, ReadStep};
use super::tail::InstanceLog;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often the log is checked, and how long the last record waits for continuation lines.
pub const TICK: Duration = Duration::from_millis(100);
/// A follower that missed at most this number of lines gets them from the files.
pub const CATCH_UP_LINES: u64 = 2_000;
/// Without new data, the directory is checked once per this number of ticks, in case files were
/// deleted.
const LOOK_AROUND_TICKS: u32 = 10;

/// An event for a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The next records, oldest first: at least one, at most [`BATCH`]. The last one's `seq` is the
    /// position reached.
    Records(Arc<LogBatch>),
    /// Lines skipped because this follower was too slow or requested old lines.
    Skipped {
        /// The number of lines.
        lines: u64,
        /// Whether the number is exact. If not, some lines were deleted before they were counted.
        exact: bool,
        /// The position reached.
        until: u64,
    },
}

/// The log of one instance with its followers. Clones are the same hub.
#[derive(Clone, Debug)]
pub struct LogHub(Arc<LogHubInner>);

#[derive(Debug)]
struct LogHubInner {
    log: InstanceLog,
    shutdown: CancellationToken,
    state: Mutex<LogHubState>,
    /// The end of the ring; wakes the followers.
    published: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct LogHubState {
    followers: usize,
    /// The ring, while the task is running.
    ring: Option<RecordRing>,
    /// The epoch of line counts: it increases with every new ring and every gap.
    epoch: u64,
}

impl LogHub {
    /// A hub for the log in `dir`, which may not exist yet. `shutdown` ends the task and all
    /// followers.
    pub fn new(dir: impl Into<PathBuf>, shutdown: CancellationToken) -> Self {
        Self::of(InstanceLog::new(dir), shutdown)
    }

    /// A hub for this log.
    pub fn of(log: InstanceLog, shutdown: CancellationToken) -> Self {
        Self(Arc::new(LogHubInner {
            log,
            shutdown,
            state: Mutex::default(),
            published: watch::Sender::new(0),
        }))
    }

    /// The log itself, for paging.
    pub fn log(&self) -> &InstanceLog {
        &self.0.log
    }

    /// Whether the task is running, which means there are followers (or were within the last tick).
    pub fn is_tailing(&self) -> bool {
        self.0.state().ring.is_some()
    }

    /// Follows records after sequence number `after`, or from now on. A number in the future counts as
    /// now.
    ///
    /// # Errors
    /// The files of the log cannot be read.
    pub async fn follow(&self, after: Option<u64>) -> io::Result<LogFollower> {
        let mut follower = LogFollower {
            published: self.0.published.subscribe(),
            at: after.unwrap_or(u64::MAX),
            lines: None,
            reading: None,
            shared: Arc::clone(&self.0),
        };
        self.0.state().followers += 1;
        // From here on, dropping the follower decrements the count.
        let log = self.0.log.clone();
        let running = self.0.state().ring.is_some();
        // The task may be one or two checks behind the files. A page that already shows the newest
        // lines must not show them again.
        let (opened, end) = blocking(move || {
            if running {
                return Ok((
                    None,
                    if after.is_some() {
                        log.complete_end()?
                    } else {
                        0
                    },
                ));
            }
            let opened = log.open_end()?;
            let end = opened.0.at();
            io::Result::Ok((Some(opened), end))
        })
        .await?;
        let state = &mut *self.0.state();
        if let (None, Some((cursor, parser))) = (&state.ring, opened) {
            state.begin_ring(StreamMark {
                seq: cursor.at(),
                lines: 0,
            });
            let tailer = LogTailer {
                shared: Arc::clone(&self.0),
                cursor,
                parser,
                buffer: vec![0; CHUNK],
            };
            tokio::spawn(tailer.run());
        }
        // Without a ring the task has ended in between, as at shutdown. The follower then ends at its
        // first step.
        if let Some(ring) = &state.ring
            && follower.at >= ring.to.seq
        {
            follower.at = if follower.at <= end {
                follower.at
            } else {
                ring.to.seq
            };
            follower.lines = (follower.at == ring.to.seq).then_some((ring.epoch, ring.to.lines));
        }
        Ok(follower)
    }
}

impl LogHubInner {
    fn state(&self) -> MutexGuard<'_, LogHubState> {
        // No code panics while it holds the lock; even then, the ring would be consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that reads the log while there are followers.
struct LogTailer {
    shared: Arc<LogHubInner>,
    cursor: LogCursor,
    parser: LogParser,
    buffer: Vec<u8>,
}

impl LogTailer {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut ending = TailerEnd {
            shared: Arc::clone(&shared),
            by_itself: true,
        };
        let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut quiet, mut failing) = (0_u32, false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shared.shutdown.cancelled() => return,
            }
            if shared.state().has_no_followers() {
                ending.by_itself = false;
                return;
            }
            let look_around = quiet >= LOOK_AROUND_TICKS;
            let mut result = self.cursor.is_behind();
            if look_around || !matches!(result, Ok(false)) {
                (self, result) = self.read(look_around).await;
            }
            match result {
                Ok(true) => (quiet, failing) = (0, false),
                Ok(false) => {
                    (quiet, failing) = (if look_around { 0 } else { quiet + 1 }, false);
                    if self.parser.has_pending() {
                        self.publish(|parser, found| {
                            parser.flush(&mut |raw| found.push(live(raw)))
                        });
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(dir = %shared.log.dir().display(), %error, "cannot read the log; will retry");
                    }
                }
            }
        }
    }

    /// Reads and publishes all new data on a thread for blocking work; returns whether there was any.
    async fn read(mut self, look_around: bool) -> (Self, io::Result<bool>) {
        blocking(move || {
            let mut came = false;
            let mut look_around = look_around;
            let result = loop {
                let step = if std::mem::take(&mut look_around) {
                    self.cursor.survey(&mut self.buffer)
                } else {
                    self.cursor.read(&mut self.buffer)
                };
                match step {
                    Ok(ReadStep::Data(length)) => {
                        came = true;
                        let bytes = std::mem::take(&mut self.buffer);
                        self.publish(|parser, found| {
                            parser.push(&bytes[..length], &mut |raw| found.push(live(raw)));
                        });
                        self.buffer = bytes;
                    }
                    Ok(ReadStep::Gap(to)) => {
                        came = true;
                        self.publish(|parser, found| {
                            parser.skip_to(to, &mut |raw| found.push(live(raw)))
                        });
                        // Followers determine the missing part from the files.
                        self.shared.state().begin_ring(StreamMark {
                            seq: to,
                            lines: self.parser.lines().cast_signed(),
                        });
                        self.shared.published.send_replace(to);
                    }
                    Ok(ReadStep::End) => break Ok(came),
                    Err(error) => break Err(error),
                }
                // A client that writes without pause must not block this thread forever.
                if self.shared.shutdown.is_cancelled() || self.shared.state().followers == 0 {
                    break Ok(came);
                }
            };
            (self, result)
        })
        .await
    }

    /// Adds the records from `parse` to the ring and wakes the followers.
    fn publish(&mut self, parse: impl FnOnce(&mut LogParser, &mut Vec<(LogRecord, u64)>)) {
        let mut found = Vec::new();
        parse(&mut self.parser, &mut found);
        let Some(end) = found.last().map(|(record, _)| record.seq) else {
            return;
        };
        let with_end = |(record, lines): (LogRecord, u64)| {
            let end = StreamMark {
                seq: record.seq,
                lines: lines.cast_signed(),
            };
            (Arc::new(record), end)
        };
        if let Some(ring) = &mut self.shared.state().ring {
            ring.publish(found.into_iter().map(with_end).collect());
        }
        self.shared.published.send_replace(end);
    }
}

/// A record for followers, and its line.
fn live(raw: RawRecord<'_>) -> (LogRecord, u64) {
    (raw.to_record(SHOWN_MAX), raw.lines())
}

impl LogHubState {
    fn begin_ring(&mut self, from: StreamMark) {
        self.epoch += 1;
        self.ring = Some(RecordRing::new(from, self.epoch));
    }

    /// Whether the task can end. It then counts as ended, so that the next follower starts a new
    /// one.
    fn has_no_followers(&mut self) -> bool {
        if self.followers == 0 {
            self.ring = None;
        }
        self.followers == 0
    }
}

/// Followers must not wait forever, however the task ends. If it ended because there were no
/// followers, the ring may already belong to another task.
struct TailerEnd {
    shared: Arc<LogHubInner>,
    by_itself: bool,
}

impl Drop for TailerEnd {
    fn drop(&mut self) {
        if self.by_itself {
            self.shared.state().ring = None;
            self.shared.published.send_modify(|_| {});
        }
    }
}

/// The position of one viewer in the log. Dropping it stops following.
#[derive(Debug)]
pub struct LogFollower {
    shared: Arc<LogHubInner>,
    published: watch::Receiver<u64>,
    /// The current position.
    at: u64,
    /// The epoch of the line count, and the number of lines up to the position as in a
    /// [`StreamMark`], if known.
    lines: Option<(u64, i64)>,
    /// A started read of the files. Kept here, so that canceling `next` neither loses nor repeats
    /// it.
    reading: Option<JoinHandle<CatchUpResult>>,
}

impl LogFollower {
    /// The sequence number up to which all events were delivered: where another follower would
    /// continue.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Waits for the next event; `None` when the hub shuts down. Cancel-safe: dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<LogEvent> {
        let shutdown = self.shared.shutdown.clone();
        loop {
            if shutdown.is_cancelled() {
                return None;
            }
            if let Some(reading) = &mut self.reading {
                let caught = tokio::select! {
                    caught = reading => caught,
                    () = shutdown.cancelled() => return None,
                };
                self.reading = None;
                let caught = finished(caught).await;
                (self.at, self.lines) = (caught.at, caught.lines);
                match caught.event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.published.mark_unchanged();
            let (view, epoch) = {
                let state = self.shared.state();
                let ring = state.ring.as_ref()?;
                (ring.look(self.at), ring.epoch)
            };
            match view {
                RingView::Records(records, end) => {
                    (self.at, self.lines) = (end.seq, Some((epoch, end.lines)));
                    return Some(LogEvent::Records(records));
                }
                RingView::Behind { to, resume } => {
                    let lines = self
                        .lines
                        .filter(|counted| counted.0 == epoch)
                        .map(|counted| counted.1);
                    let missed = MissedLines {
                        log: self.shared.log.clone(),
                        at: self.at,
                        lines,
                        to,
                        resume,
                        epoch,
                    };
                    self.reading = Some(tokio::task::spawn_blocking(move || missed.catch_up()));
                }
                RingView::UpToDate => tokio::select! {
                    // Fails only if the hub is gone, which this follower keeps alive.
                    _ = self.published.changed() => {}
                    () = shutdown.cancelled() => return None,
                },
            }
        }
    }
}

impl Drop for LogFollower {
    fn drop(&mut self) {
        self.shared.state().followers -= 1;
    }
}

/// The records a follower missed that are not in the ring.
struct MissedLines {
    log: InstanceLog,
    at: u64,
    /// The number of lines up to `at`, if known.
    lines: Option<i64>,
    to: StreamMark,
    resume: Option<StreamMark>,
    epoch: u64,
}

/// The position of a follower after catching up, and the event for it; none if there were only
/// blank lines.
#[derive(Debug)]
struct CatchUpResult {
    at: u64,
    lines: Option<(u64, i64)>,
    event: Option<LogEvent>,
}

impl MissedLines {
    fn catch_up(self) -> CatchUpResult {
        self.read().unwrap_or_else(|error| {
            tracing::warn!(dir = %self.log.dir().display(), %error, "cannot read the log; a viewer will miss lines");
            let lines = self.lines.map_or(0, |lines| self.to.lines_since(lines));
            self.skip(lines, self.lines.is_some(), self.to)
        })
    }

    fn read(&self) -> io::Result<CatchUpResult> {
        let (missed, exact) = match self.lines {
            Some(lines) => (self.to.lines_since(lines), true),
            None => self.log.count_lines(self.at, self.to.seq)?,
        };
        if missed > CATCH_UP_LINES {
            let resume = match self.resume {
                Some(mark) => mark,
                None => {
                    let seq = self.log.lines_back(self.to.seq, RESUME_RECORDS as u64)?;
                    self.to.back(self.log.count_lines(seq, self.to.seq)?.0, seq)
                }
            };
            return Ok(self.skip(
                resume.lines_since(self.to.back(missed, self.at).lines),
                exact,
                resume,
            ));
        }
        let found = self.log.between(self.at, self.to.seq, BATCH, BATCH_BYTES)?;
        if found.from > self.at {
            // Deleted before it could be read.
            let seq = found.from.min(self.to.seq);
            let left = self.log.count_lines(seq, self.to.seq)?.0.min(missed);
            return Ok(self.skip(missed - left, self.lines.is_some(), self.to.back(left, seq)));
        }
        let records: Vec<_> = found.records.into_iter().map(Arc::new).collect();
        Ok(CatchUpResult {
            at: found.until,
            lines: Some((
                self.epoch,
                self.to
                    .back(missed, self.at)
                    .lines
                    .saturating_add_unsigned(found.lines),
            )),
            event: (!records.is_empty())
                .then(|| LogEvent::Records(Arc::new(LogBatch::new(records)))),
        })
    }

    fn skip(&self, lines: u64, exact: bool, until: StreamMark) -> CatchUpResult {
        let event = Some(LogEvent::Skipped {
            lines,
            exact,
            until: until.seq,
        });
        CatchUpResult {
            at: until.seq,
            lines: Some((self.epoch, until.lines)),
            event,
        }
    }
}

/// Runs blocking work on another thread and propagates panics.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    finished(tokio::task::spawn_blocking(work).await).await
}

async fn finished<T>(result: Result<T, JoinError>) -> T {
    match result.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Work is dropped before it starts only when the whole runtime ends, including this task.
        Err(Err(_)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_writer::{SegmentWriter, line};
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn hub() -> (tempfile::TempDir, LogHub) {
        let dir = tempfile::tempdir().unwrap();
        let hub = LogHub::new(dir.path(), CancellationToken::new());
        (dir, hub)
    }

    /// The next event, which must come.
    async fn next(follower: &mut LogFollower) -> LogEvent {
        tokio::time::timeout(Duration::from_secs(20), follower.next())
            .await
            .expect("nothing came")
            .expect("the hub ended")
    }

    /// The messages of the next records, until there are `count`.
    async fn messages(follower: &mut LogFollower, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < count {
            match next(follower).await {
                LogEvent::Records(records) => {
                    assert!(!records.is_empty() && records.len() <= BATCH);
                    assert_eq!(records.last().unwrap().seq, follower.position());
                    found.extend(records.iter().map(|r| r.message.clone()));
                }
                skipped @ LogEvent::Skipped { .. } => panic!("{skipped:?}"),
            }
        }
        found
    }

    fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
        range.map(|n| n.to_string()).collect()
    }

    fn lines(range: std::ops::Range<u64>) -> String {
        range.map(line).collect()
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..400 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never: {what}");
    }

    #[tokio::test]
    async fn a_follower_gets_what_comes_from_the_first_line_of_a_new_instance_on() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let hub = LogHub::new(&logs, CancellationToken::new());
        let mut follower = hub.follow(None).await.unwrap();
        std::fs::create_dir(&logs).unwrap();
        let mut writer = SegmentWriter::new(&logs, 0, 500, 5);
        writer.write(lines(0..20).as_bytes());
        assert_eq!(messages(&mut follower, 20).await, numbers(0..20));
        // An incomplete line is not delivered.
        let text = line("in two parts");
        writer.write(&text.as_bytes()[..50]);
        tokio::time::sleep(TICK * 3).await;
        writer.write(&text.as_bytes()[50..]);
        assert_eq!(messages(&mut follower, 1).await, ["in two parts"]);
        assert_eq!(follower.position(), writer.end);
    }

    #[tokio::test]
    async fn following_goes_on_after_a_sequence_number() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 7, 2_000, 100);
        writer.write(lines(0..700).as_bytes());
        let page = hub
            .log()
            .last(&super::super::LogFilter::default(), 500)
            .unwrap();
        let mut follower = hub.follow(page.first).await.unwrap();
        let mut fresh = hub.follow(Some(page.last)).await.unwrap();
        let mut future = hub.follow(Some(u64::MAX)).await.unwrap();
        writer.write(lines(700..710).as_bytes());
        assert_eq!(messages(&mut follower, 509).await, numbers(201..710));
        assert_eq!(messages(&mut fresh, 10).await, numbers(700..710));
        assert_eq!(messages(&mut future, 10).await, numbers(700..710));
    }

    #[tokio::test]
    async fn whoever_has_seen_more_than_the_task_has_read_sees_no_line_twice() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 10_000, 5);
        let mut other = hub.follow(None).await.unwrap();
        for round in 0..5 {
            // The interval between two checks of the task is much longer than this takes.
            writer.write(lines(round * 10..round * 10 + 5).as_bytes());
            let mut follower = hub.follow(Some(writer.end)).await.unwrap();
            writer.write(lines(round * 10 + 5..round * 10 + 10).as_bytes());
            assert_eq!(
                messages(&mut follower, 5).await,
                numbers(round * 10 + 5..round * 10 + 10)
            );
            assert_eq!(
                messages(&mut other, 10).await,
                numbers(round * 10..round * 10 + 10)
            );
        }
    }

    #[tokio::test]
    async fn late_lines_of_a_record_come_as_their_own_and_a_later_follower_sees_no_line_twice() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 10_000, 5);
        writer.write(line("first").as_bytes());
        let mut follower = hub.follow(Some(0)).await.unwrap();
        assert_eq!(messages(&mut follower, 1).await, ["first"]);
        let seen = follower.position();
        drop(follower);
        until("the task ends", || !hub.is_tailing()).await;
        writer.write(format!("late\n{}", line("next")).as_bytes());
        // One starts a new task after the late line, the other returns with a position before it.
        let mut other = hub.follow(None).await.unwrap();
        let mut back = hub.follow(Some(seen)).await.unwrap();
        writer.write(line("last").as_bytes());
        assert_eq!(messages(&mut back, 3).await, ["late", "next", "last"]);
        assert_eq!(messages(&mut other, 1).await, ["last"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fifty_followers_get_every_line_once_while_a_thread_writes() {
        const FOLLOWERS: usize = 50;
        const LINES: u64 = 6_000;
        let (dir, hub) = hub();
        let seen: Arc<Vec<AtomicU64>> =
            Arc::new((0..FOLLOWERS).map(|_| AtomicU64::new(0)).collect());
        let mut tasks = Vec::new();
        for index in 0..FOLLOWERS {
            let mut follower = hub.follow(None).await.unwrap();
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                let mut count = 0;
                while count < LINES {
                    for message in messages(&mut follower, 1).await {
                        assert_eq!(message, count.to_string());
                        count += 1;
                    }
                    seen[index].store(count, Ordering::Relaxed);
                }
            }));
        }
        let path = dir.path().to_owned();
        let writer = std::thread::spawn(move || {
            let mut writer = SegmentWriter::new(&path, 0, 50_000, 100);
            for n in 0..LINES {
                // So far ahead of the slowest that it must use the files, but never so far that
                // lines are skipped.
                while n > seen
                    .iter()
                    .map(|s| s.load(Ordering::Relaxed))
                    .min()
                    .unwrap()
                    + CATCH_UP_LINES
                {
                    assert!(
                        seen.iter()
                            .all(|s| Arc::strong_count(&seen) > 1
                                || s.load(Ordering::Relaxed) == LINES),
                        "a task ended"
                    );
                    std::thread::sleep(Duration::from_millis(1));
                }
                writer.write(line(n).as_bytes());
            }
        });
        for task in tasks {
            task.await.unwrap();
        }
        writer.join().unwrap();
        until("the task ends with the last follower", || !hub.is_tailing()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stuck_follower_is_told_exactly_what_it_missed_and_holds_up_nobody() {
        let (dir, hub) = hub();
        let mut stuck = hub.follow(None).await.unwrap();
        let mut quick = hub.follow(None).await.unwrap();
        let mut writer = SegmentWriter::new(dir.path(), 0, 40_000, 3);
        let mut written = 0;
        for _ in 0..20 {
            writer.write(lines(written..written + 500).as_bytes());
            written += 500;
            assert_eq!(
                messages(&mut quick, 500).await,
                numbers(written - 500..written)
            );
        }
        // The missed lines were deleted long ago, but their number is known exactly.
        assert!(hub.log().start().unwrap() > 0);
        let LogEvent::Skipped {
            lines: skipped,
            exact: true,
            until,
        } = next(&mut stuck).await
        else {
            panic!("nothing skipped")
        };
        assert_eq!(skipped, written - RESUME_RECORDS as u64);
        assert_eq!(until, stuck.position());
        assert_eq!(
            messages(&mut stuck, RESUME_RECORDS).await,
            numbers(skipped..written)
        );
    }

    #[tokio::test]
    async fn one_that_comes_back_after_long_goes_on_with_the_newest_lines_from_the_files() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 100_000, 100);
        writer.write(lines(0..5_000).as_bytes());
        // Lines of a panic at the resume position: it continues at the next record.
        writer.write(
            format!(
                "thread 'x' panicked at y\n{}{}",
                "at z\n".repeat(10),
                lines(5_000..5_495)
            )
            .as_bytes(),
        );
        let mut follower = hub.follow(Some(line(0).len() as u64)).await.unwrap();
        let skipped = next(&mut follower).await;
        assert_eq!(
            skipped,
            LogEvent::Skipped {
                lines: 4_999 + 11,
                exact: true,
                until: follower.position()
            }
        );
        assert_eq!(messages(&mut follower, 495).await, numbers(5_000..5_495));
    }

    #[tokio::test]
    async fn one_whose_place_was_deleted_is_told_that_the_count_is_not_exact() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 10_000, 2);
        writer.write(lines(0..2_000).as_bytes());
        let start = hub.log().start().unwrap();
        let mut follower = hub.follow(Some(line(0).len() as u64)).await.unwrap();
        assert_eq!(
            next(&mut follower).await,
            LogEvent::Skipped {
                lines: 0,
                exact: false,
                until: start
            }
        );
        let first = messages(&mut follower, 1).await[0].parse::<u64>().unwrap();
        let page = hub
            .log()
            .after(0, &super::super::LogFilter::default(), 1)
            .unwrap();
        assert_eq!(page.records[0].message, first.to_string());
    }

    #[tokio::test]
    async fn segments_deleted_unread_are_a_gap_and_not_the_end() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 1_000, 2);
        writer.write(lines(0..3).as_bytes());
        let mut follower = hub.follow(None).await.unwrap();
        // On this one thread the task cannot read in between.
        writer.write(lines(3..200).as_bytes());
        let start = hub.log().start().unwrap();
        let mut last = String::new();
        let mut gap = false;
        while last != "199" {
            match next(&mut follower).await {
                LogEvent::Records(records) => last.clone_from(&records.last().unwrap().message),
                LogEvent::Skipped { until, .. } => {
                    assert_eq!(until, start);
                    gap = true;
                }
            }
        }
        assert!(gap);
    }

    #[tokio::test]
    async fn giving_up_a_wait_loses_nothing() {
        let (dir, hub) = hub();
        let mut writer = SegmentWriter::new(dir.path(), 0, 5_000, 100);
        writer.write(lines(0..1_500).as_bytes());
        let mut follower = hub.follow(Some(0)).await.unwrap();
        // The old lines are read from files, the new ones come through the ring.
        writer.write(lines(1_500..1_600).as_bytes());
        let (mut found, mut given_up) = (Vec::new(), 0);
        while found.len() < 1_600 {
            tokio::select! {
                biased;
                event = follower.next() => match event {
                    Some(LogEvent::Records(records)) => found.extend(records.iter().map(|r| r.message.clone())),
                    other => panic!("{other:?}"),
                },
                () = tokio::task::yield_now() => given_up += 1,
            }
        }
        assert_eq!(found, numbers(0..1_600));
        assert!(given_up > 10, "{given_up}");
    }

    #[tokio::test]
    async fn the_task_runs_only_while_somebody_follows() {
        let (dir, hub) = hub();
        assert!(!hub.is_tailing());
        let (one, two) = (
            hub.follow(None).await.unwrap(),
            hub.follow(None).await.unwrap(),
        );
        drop(one);
        tokio::time::sleep(TICK * 3).await;
        assert!(hub.is_tailing());
        drop(two);
        until("the task ends with the last follower", || !hub.is_tailing()).await;
        // And starts again.
        let mut again = hub.follow(None).await.unwrap();
        SegmentWriter::new(dir.path(), 0, 5_000, 5).write(line("again").as_bytes());
        assert_eq!(messages(&mut again, 1).await, ["again"]);
    }

    #[tokio::test]
    async fn shutdown_ends_every_wait() {
        let dir = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let hub = LogHub::new(dir.path(), shutdown.clone());
        let mut waiting = hub.follow(None).await.unwrap();
        let task = tokio::spawn(async move { waiting.next().await });
        tokio::task::yield_now().await;
        shutdown.cancel();
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(5), task)
                .await
                .unwrap()
                .unwrap(),
            None
        );
        let mut late = hub.follow(None).await.unwrap();
        assert_eq!(late.next().await, None);
        until("the task ends", || !hub.is_tailing()).await;
    }
}
