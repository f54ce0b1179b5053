//! Reads and follows the log of an instance.

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
use super::offset::{LogOffset, LogSelection};
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService, ProgramName};
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

/// The requested part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// The newest records.
    End,
    /// Records before this place.
    Before(LogOffset),
    /// Records after this place.
    After(LogOffset),
}

/// Part of a log, or of both logs.
#[derive(Clone, Debug, PartialEq)]
pub struct LogExcerpt {
    /// The records, oldest first, with the program that wrote each.
    pub records: Vec<(ProgramName, LogRecord)>,
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
    /// The instance has a log of a translator.
    pub has_translator: bool,
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

    /// An instance, and part of its log.
    pub async fn page(
        &self,
        id: InstanceId,
        selection: LogSelection,
        place: LogPosition,
        filter: LogFilter,
        count: usize,
    ) -> Result<(Instance, LogExcerpt)> {
        let instance = self.instances.get(id).await?;
        let logs = self.logs(id);
        let read = move || logs.read(selection, place, &filter, count);
        let read = tokio::task::spawn_blocking(read).await;
        Ok((instance, read.map_err(Error::internal)??))
    }

    fn logs(&self, id: InstanceId) -> ProgramLogs {
        ProgramLogs {
            client: self.instances.log(id, ProgramName::Client),
            translator: self.instances.log(id, ProgramName::Translator),
        }
    }

    /// Follows a log from a place; `None` for the current end.
    pub async fn follow(
        &self,
        id: InstanceId,
        selection: LogSelection,
        after: Option<LogOffset>,
    ) -> Result<LogFollowers> {
        let follower = |program| {
            let hub = self.hub(id, program);
            let after = after.map(|after| after.of(program));
            async move { hub.follow(after).await }
        };
        Ok(match selection.program() {
            Some(program) => LogFollowers::One(program, follower(program).await?),
            None => LogFollowers::Both {
                client: follower(ProgramName::Client).await?,
                translator: follower(ProgramName::Translator).await?,
            },
        })
    }

    fn hub(&self, id: InstanceId, program: ProgramName) -> LogHub {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        // A hub without followers has no state worth keeping.
        hubs.retain(|_, hub| hub.is_tailing());
        hubs.entry((id, program))
            .or_insert_with(|| LogHub::of(self.instances.log(id, program), self.stop.clone()))
            .clone()
    }

    /// The whole available log as plain text.
    pub async fn text(
        &self,
        id: InstanceId,
        selection: LogSelection,
        filter: LogFilter,
    ) -> Result<(Instance, impl Stream<Item = io::Result<Bytes>> + use<>)> {
        type Chunks = Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>;
        let instance = self.instances.get(id).await?;
        let logs = self.logs(id);
        let open = move || -> io::Result<Chunks> {
            Ok(match selection.program() {
                Some(program) => Box::new(logs.of(program).chunks(filter)?),
                None => Box::new(MergedText::new(&logs.client, &logs.translator, &filter)?),
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
        Ok((instance, stream.fuse()))
    }
}

/// The logs of an instance's programs.
struct ProgramLogs {
    client: InstanceLog,
    translator: InstanceLog,
}

impl ProgramLogs {
    const fn of(&self, program: ProgramName) -> &InstanceLog {
        match program {
            ProgramName::Client => &self.client,
            ProgramName::Translator => &self.translator,
        }
    }

    /// Blocking.
    fn read(
        &self,
        selection: LogSelection,
        place: LogPosition,
        filter: &LogFilter,
        count: usize,
    ) -> io::Result<LogExcerpt> {
        let part = |program| match place {
            LogPosition::End => self.of(program).last(filter, count),
            LogPosition::Before(to) => self.of(program).before(to.of(program), filter, count),
            LogPosition::After(from) => self.of(program).after(from.of(program), filter, count),
        };
        let has_translator = self.translator.end()? > 0;
        if let Some(program) = selection.program() {
            let page = part(program)?;
            let named = page.records.into_iter().map(|record| (program, record));
            return Ok(LogExcerpt {
                records: named.collect(),
                first: page.first.map(LogOffset::One),
                last: LogOffset::One(page.last),
                more_before: page.more_before,
                scanned_all: page.scanned_all,
                lost: page.lost,
                is_full: page.is_full,
                dropped_bytes: self.of(program).start()?,
                has_translator,
            });
        }
        let (client, translator) = (part(ProgramName::Client)?, part(ProgramName::Translator)?);
        let page = match place {
            LogPosition::End => merge::newest(client, translator, None, count),
            LogPosition::Before(to) => merge::newest(client, translator, Some(to.pair()), count),
            LogPosition::After(from) => merge::oldest(client, translator, from.pair(), count),
        };
        Ok(LogExcerpt {
            records: page.records,
            first: Some(LogOffset::Both(page.first)),
            last: LogOffset::Both(page.last),
            more_before: page.more_before,
            scanned_all: page.scanned_all,
            lost: page.lost,
            is_full: page.is_full,
            dropped_bytes: self.client.start()? + self.translator.start()?,
            has_translator,
        })
    }
}
