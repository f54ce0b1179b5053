//! Reads and follows the logs of instances.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::download::MergedText;
use super::followers::LogFollowers;
use super::merge;
use super::merge::MergedPage;
use super::offset::LogOffset;
use super::scope::{LogScope, LogSource};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{InstanceService, ProgramName};
use crate::infra::log_store::{InstanceLog, LogFilter, LogHub, LogRecord};

/// The log service; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogService {
    instances: InstanceService,
    hubs: Arc<Mutex<HashMap<(InstanceId, ProgramName), LogHub>>>,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The number of log pages read and rendered at the same time, to limit memory and CPU use. Others
/// wait.
const AT_ONCE: usize = 2;

/// Records among which the time of one without a time is searched.
const TIMED_AMONG: usize = 20;
/// The requested part of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// The newest records.
    End,
    /// Records before this place.
    Before(LogOffset),
    /// Records after this place.
    After(LogOffset),
    /// Records around this time.
    At(Timestamp),
    /// Records around the one of this program with this sequence number, in the log of one instance.
    Line(ProgramName, u64),
}

/// Part of one log, or of several.
#[derive(Clone, Debug, PartialEq)]
pub struct LogExcerpt {
    /// The records, oldest first, each with the number of its log in the view.
    pub records: Vec<(usize, LogRecord)>,
    /// Where the previous part ends; none if there are no records here or before.
    pub first: Option<LogOffset>,
    /// Where the next part starts.
    pub last: LogOffset,
    /// There are older records.
    pub more_before: bool,
    /// There are no more records in the requested direction.
    pub scanned_all: bool,
    /// Requested records were deleted.
    pub lost: bool,
    /// There are fewer records than requested, because their messages are long.
    pub is_full: bool,
    /// Deleted bytes of older log.
    pub dropped_bytes: u64,
    /// There is a log of a translator.
    pub has_translator: bool,
    /// For a time or a line.
    pub jump: Option<LogJump>,
}

impl LogExcerpt {
    /// Nothing of the logs of a view.
    pub fn empty(scope: &LogScope) -> Self {
        Self {
            records: Vec::new(),
            first: None,
            last: scope.offset(&vec![0; scope.sources.len()]),
            more_before: false,
            scanned_all: true,
            lost: false,
            is_full: false,
            dropped_bytes: 0,
            has_translator: false,
            jump: None,
        }
    }
}

/// The place of a time or a line in an excerpt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogJump {
    /// The number of records before the place.
    pub older: usize,
    /// The times of the oldest and of the newest record of the logs.
    pub period: Option<(Timestamp, Timestamp)>,
}

impl LogService {
    /// `stop`: ends all followers.
    pub fn new(instances: InstanceService, stop: CancellationToken) -> Self {
        Self {
            instances,
            hubs: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            stop,
        }
    }

    /// Waits for a permit to read and render a page of a log.
    ///
    /// # Errors
    /// None in practice: the semaphore is never closed.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        self.turns
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::internal)
    }

    /// The instances.
    pub fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// Canceled when jd-manager stops.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Part of the logs of a view.
    pub async fn page(
        &self,
        scope: &LogScope,
        place: LogPosition,
        filter: LogFilter,
        count: usize,
    ) -> Result<LogExcerpt> {
        let reader = LogReader {
            logs: self.logs(scope),
            scope: scope.clone(),
            filter,
            count,
        };
        let instances = self.instances.clone();
        let read = move || {
            let has_translator = reader.scope.instances.iter().any(|one| {
                let log = instances.log(one.id, ProgramName::Translator);
                log.end().is_ok_and(|end| end > 0)
            });
            reader.read(place, has_translator)
        };
        let read = tokio::task::spawn_blocking(read).await;
        Ok(read.map_err(Error::internal)??)
    }

    fn logs(&self, scope: &LogScope) -> Vec<InstanceLog> {
        let count = scope.sources.len();
        let sources = scope.sources.iter();
        let logs = sources.map(|source| self.instances.log(source.id, source.program));
        logs.map(|log| log.as_one_of(count)).collect()
    }

    /// Follows logs from a place; `None` for the current end.
    pub async fn follow(
        &self,
        scope: &LogScope,
        after: Option<&LogOffset>,
    ) -> Result<LogFollowers> {
        let places = after.map(|after| scope.places(after));
        let mut followers = Vec::new();
        for (log, source) in scope.sources.iter().enumerate() {
            let after = places.as_ref().and_then(|places| places.get(log)).copied();
            followers.push(self.hub(source.id, source.program).follow(after).await?);
        }
        Ok(LogFollowers::new(followers))
    }

    fn hub(&self, id: InstanceId, program: ProgramName) -> LogHub {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        // A hub without followers has no state worth keeping.
        hubs.retain(|_, hub| hub.is_tailing());
        hubs.entry((id, program))
            .or_insert_with(|| LogHub::of(self.instances.log(id, program), self.stop.clone()))
            .clone()
    }

    /// The whole available logs as plain text.
    pub async fn text(
        &self,
        scope: &LogScope,
        filter: LogFilter,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
        type Chunks = Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>;
        let prefixes = scope.sources.iter().map(LogSource::prefix);
        let mut logs: Vec<_> = prefixes.zip(self.logs(scope)).collect();
        let open = move || -> io::Result<Chunks> {
            Ok(match logs.pop_if(|(prefix, _)| prefix.is_empty()) {
                Some((_, log)) => Box::new(log.chunks(filter)?),
                None => Box::new(MergedText::new(logs, &filter)?),
            })
        };
        let chunks = tokio::task::spawn_blocking(open)
            .await
            .map_err(Error::internal)??;
        // One chunk at a time, read while the previous one is sent: memory use does not depend on the
        // size.
        let stream = futures_util::stream::unfold(Some(chunks), |chunks: Option<Chunks>| async {
            let mut chunks = chunks?;
            let read = tokio::task::spawn_blocking(move || (chunks.next(), chunks)).await;
            match read {
                Ok((Some(Ok(piece)), chunks)) => Some((Ok(Bytes::from(piece)), Some(chunks))),
                Ok((Some(Err(e)), _)) => Some((Err(e), None)),
                Ok((None, _)) => None,
                Err(e) => Some((Err(io::Error::other(e)), None)),
            }
        });
        // The compression layer polls again after the end.
        Ok(stream.fuse())
    }
}

/// Reads a part of the logs of a view. Blocking.
struct LogReader {
    scope: LogScope,
    logs: Vec<InstanceLog>,
    filter: LogFilter,
    count: usize,
}

impl LogReader {
    fn read(&self, place: LogPosition, has_translator: bool) -> io::Result<LogExcerpt> {
        let mut jump = None;
        let page = match place {
            LogPosition::End => self.newest(None, self.count)?,
            LogPosition::Before(to) => self.newest(Some(&self.scope.places(&to)), self.count)?,
            LogPosition::After(from) => self.oldest(&self.scope.places(&from), self.count)?,
            LogPosition::At(time) => {
                let places = self.logs.iter().map(|log| log.offset_at(time));
                self.around(&places.collect::<io::Result<Vec<_>>>()?, &mut jump)?
            }
            LogPosition::Line(program, seq) => {
                self.around(&self.places_of(program, seq)?, &mut jump)?
            }
        };
        let starts = self.logs.iter().map(InstanceLog::start);
        Ok(LogExcerpt {
            records: page.records,
            first: page.first.map(|first| self.scope.offset(&first)),
            last: self.scope.offset(&page.last),
            more_before: page.more_before,
            scanned_all: page.scanned_all,
            lost: page.lost,
            is_full: page.is_full,
            dropped_bytes: starts.sum::<io::Result<u64>>()?,
            has_translator,
            jump,
        })
    }

    fn newest(&self, until: Option<&[u64]>, count: usize) -> io::Result<MergedPage> {
        let part = |(place, log): (usize, &InstanceLog)| match until {
            Some(until) => log.before(until[place], &self.filter, count),
            None => log.last(&self.filter, count),
        };
        let parts = self.logs.iter().enumerate().map(part);
        let mut parts: Vec<_> = parts.collect::<io::Result<_>>()?;
        Ok(match parts.pop_if(|_| self.logs.len() == 1) {
            Some(part) => merge::single(part),
            None => merge::newest(parts, until, count),
        })
    }

    fn oldest(&self, after: &[u64], count: usize) -> io::Result<MergedPage> {
        let part = |(log, from): (&InstanceLog, &u64)| log.after(*from, &self.filter, count);
        let parts = self.logs.iter().zip(after).map(part);
        let mut parts: Vec<_> = parts.collect::<io::Result<_>>()?;
        Ok(match parts.pop_if(|_| self.logs.len() == 1) {
            Some(part) => merge::single(part),
            None => merge::oldest(parts, after, count),
        })
    }

    /// The records on both sides of a place in each log.
    fn around(&self, places: &[u64], jump: &mut Option<LogJump>) -> io::Result<MergedPage> {
        let newer_count = self.count / 2;
        let until: Vec<u64> = places.iter().map(|place| place.saturating_add(1)).collect();
        let older = self.newest(Some(&until), self.count - newer_count)?;
        let newer = self.oldest(places, newer_count)?;
        *jump = Some(LogJump {
            older: older.records.len(),
            period: self.period()?,
        });
        Ok(merge::joined(older, newer))
    }

    /// The end of a record, and the places of the same time in other logs.
    fn places_of(&self, program: ProgramName, seq: u64) -> io::Result<Vec<u64>> {
        let of_program = |source: &LogSource| source.program == program;
        let own = self.scope.sources.iter().position(of_program);
        let mut time = None;
        if let Some(log) = own
            .and_then(|own| self.logs.get(own))
            .filter(|_| self.logs.len() > 1)
        {
            // A record without a time has that of the one before it.
            let page = log.before(seq.saturating_add(1), &LogFilter::default(), TIMED_AMONG)?;
            let times = page.records.iter().rev();
            time = times
                .filter_map(|record| record.timestamp.as_deref()?.parse().ok())
                .next();
        }
        let place = |(log, one): (usize, &InstanceLog)| match time {
            _ if Some(log) == own => Ok(seq),
            Some(time) => one.offset_at(time),
            None => one.start(),
        };
        self.logs.iter().enumerate().map(place).collect()
    }

    fn period(&self) -> io::Result<Option<(Timestamp, Timestamp)>> {
        let mut whole: Option<(Timestamp, Timestamp)> = None;
        for log in &self.logs {
            if let Some((first, last)) = log.period()? {
                let (from, to) = whole.unwrap_or((first, last));
                whole = Some((from.min(first), to.max(last)));
            }
        }
        Ok(whole)
    }
}
