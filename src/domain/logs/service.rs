//! Reads and follows the log of an instance.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, InstanceService};
use crate::infra::log_store::{LogFilter, LogFollower, LogHub, RecordPage};

/// The log service; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogService {
    instances: InstanceService,
    hubs: Arc<Mutex<HashMap<InstanceId, LogHub>>>,
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
    /// Records before this sequence number.
    Before(u64),
    /// Records after this sequence number.
    After(u64),
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

    /// An instance, a page of its log, and the number of deleted bytes of older log.
    pub async fn page(
        &self,
        id: InstanceId,
        place: LogPosition,
        filter: LogFilter,
        count: usize,
    ) -> Result<(Instance, RecordPage, u64)> {
        let instance = self.instances.get(id).await?;
        let log = self.instances.log(id);
        let read = tokio::task::spawn_blocking(move || -> io::Result<(RecordPage, u64)> {
            let page = match place {
                LogPosition::End => log.last(&filter, count),
                LogPosition::Before(seq) => log.before(seq, &filter, count),
                LogPosition::After(seq) => log.after(seq, &filter, count),
            };
            Ok((page?, log.start()?))
        });
        let (page, dropped) = read.await.map_err(Error::internal)??;
        Ok((instance, page, dropped))
    }

    /// Follows the log from a position; `None` for the current end.
    pub async fn follow(
        &self,
        id: InstanceId,
        after: Option<u64>,
    ) -> Result<(Instance, LogFollower)> {
        let instance = self.instances.get(id).await?;
        let hub = {
            let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
            // A hub without followers has no state worth keeping.
            hubs.retain(|_, hub| hub.is_tailing());
            hubs.entry(id)
                .or_insert_with(|| LogHub::of(self.instances.log(id), self.stop.clone()))
                .clone()
        };
        Ok((instance, hub.follow(after).await?))
    }

    /// The whole available log as plain text.
    pub async fn text(
        &self,
        id: InstanceId,
        filter: LogFilter,
    ) -> Result<(Instance, impl Stream<Item = io::Result<Bytes>> + use<>)> {
        let instance = self.instances.get(id).await?;
        let log = self.instances.log(id);
        let chunks = tokio::task::spawn_blocking(move || log.chunks(filter))
            .await
            .map_err(Error::internal)??;
        // One chunk at a time, read while the previous one is sent: memory use does not depend on the
        // size.
        let stream = futures_util::stream::unfold(Some(chunks), |chunks| async {
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
