//! Reading and following the log of an instance.

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

/// Everything that can be done with logs; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogService {
    instances: InstanceService,
    hubs: Arc<Mutex<HashMap<InstanceId, LogHub>>>,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
}

/// So many pages of logs are read and rendered at once; the others wait. Each takes memory and a
/// processor.
const AT_ONCE: usize = 2;

/// Which part of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// The newest records.
    End,
    /// Those before this sequence number.
    Before(u64),
    /// Those after this sequence number.
    After(u64),
}

impl LogService {
    /// `stop`: following ends with it.
    pub fn new(instances: InstanceService, stop: CancellationToken) -> Self {
        Self {
            instances,
            hubs: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            stop,
        }
    }

    /// Waits for a turn to read and render a page of a log; it is over when the permit is dropped.
    ///
    /// # Errors
    /// None in practice: nobody closes the turns.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        self.turns
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::internal)
    }

    /// The instances whose logs these are.
    pub fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// Cancelled when the manager ends.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// An instance, a page of its log, and how many bytes of older log are gone.
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

    /// Follows the log from a place on; `None`: from its present end.
    pub async fn follow(
        &self,
        id: InstanceId,
        after: Option<u64>,
    ) -> Result<(Instance, LogFollower)> {
        let instance = self.instances.get(id).await?;
        let hub = {
            let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
            // A hub nobody follows holds nothing worth keeping.
            hubs.retain(|_, hub| hub.is_tailing());
            hubs.entry(id)
                .or_insert_with(|| LogHub::of(self.instances.log(id), self.stop.clone()))
                .clone()
        };
        Ok((instance, hub.follow(after).await?))
    }

    /// All that is kept as plain text.
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
        // One piece at a time, read while the one before is sent: bounded whatever the size.
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
        // What compresses it asks again after the end.
        Ok((instance, stream.fuse()))
    }
}
