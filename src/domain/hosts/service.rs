//! The use cases of hosts: list, add, remove; and their current states in memory.

use axum::http::Method;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::forward::{ForwardError, RemoteRequest, forward};
use super::model::{Host, HostReport, HostState, HostStatus, check_name};
use super::{monitor, queries};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{HostInstances, Instance, InstanceService};
use crate::infra::db::{Db, WriteMode};
use crate::programs::openssh::{OpenSsh, SshDestination, SshFailure};

/// Maximum number of hosts.
const MOST_HOSTS: usize = 200;
/// Maximum number of handshakes at the same time. OpenSSH's server begins to drop unauthenticated
/// connections at ten (`MaxStartups`).
const HANDSHAKES: usize = 4;
/// Timeout for connecting to a host, in seconds.
const CONNECT: u64 = 5;
/// Maximum age of the stored time of the last response.
const STORE_AGAIN: Duration = Duration::from_secs(60);
/// Maximum number of requests that wait for a host at the same time, besides the one that asks for its
/// state. OpenSSH's server allows ten sessions on a connection (`MaxSessions`).
const REQUESTS: usize = 4;
/// How long a host may take to begin its response. A stop waits for the client.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the cause of a lost connection is.
const SEE_HOST: &str = "The page of the host shows the cause and the fix.";

/// The hosts; cheap to clone.
#[derive(Clone, Debug)]
pub struct HostService(Arc<HostRegistry>);

#[derive(Debug)]
struct HostRegistry {
    db: Db,
    ssh: OpenSsh,
    /// Lists show the instances of hosts.
    instances: InstanceService,
    /// The id of this process, by which a host is recognized as this jd-manager itself.
    id: String,
    handshakes: Arc<Semaphore>,
    /// By name in lowercase.
    hosts: Mutex<BTreeMap<String, HostEntry>>,
    /// One host is added at a time, so that none is added twice.
    adding: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct HostEntry {
    host: Host,
    state: HostState,
    /// When the state was stored.
    stored: Option<Instant>,
    monitor: Option<AbortHandle>,
    /// Limits the requests at the same time.
    requests: Arc<Semaphore>,
}

impl Drop for HostEntry {
    fn drop(&mut self) {
        if let Some(monitor) = &self.monitor {
            monitor.abort();
        }
    }
}

impl HostService {
    /// The hosts in the database. [`Self::start`] begins to ask them.
    pub fn new(db: Db, instances: InstanceService) -> Self {
        Self(Arc::new(HostRegistry {
            db,
            instances,
            ssh: OpenSsh::new(CONNECT),
            id: uuid::Uuid::new_v4().to_string(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            hosts: Mutex::default(),
            adding: tokio::sync::Mutex::default(),
        }))
    }

    /// Reads the hosts and begins to ask each of them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(&self) -> Result<()> {
        let all = self.0.db.read(|c| Ok(queries::all(c)?)).await?;
        for (host, state) in all {
            self.watch(host, state, Duration::ZERO);
        }
        Ok(())
    }

    /// Ends all monitoring.
    pub fn stop(&self) {
        self.hosts().clear();
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, HostEntry>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, host: Host, state: HostState, delay: Duration) {
        let key = host.name.to_ascii_lowercase();
        let state_now = state.clone();
        let entry = HostEntry {
            host: host.clone(),
            state,
            stored: None,
            monitor: None,
            requests: Arc::new(Semaphore::new(REQUESTS)),
        };
        self.show(&host, &state_now);
        let mut hosts = self.hosts();
        hosts.insert(key.clone(), entry);
        let task = tokio::spawn(self.clone().monitor(host, delay));
        if let Some(entry) = hosts.get_mut(&key) {
            entry.monitor = Some(task.abort_handle());
        }
    }

    /// Asks a host again and again after this delay, until the task is aborted.
    async fn monitor(self, host: Host, delay: Duration) {
        tokio::time::sleep(delay).await;
        let (mut failures, mut is_connected) = (0, false);
        loop {
            let outcome = {
                // A new connection needs a handshake; another session on it does not.
                let _permit = match is_connected {
                    true => None,
                    false => self.handshake().await,
                };
                monitor::ask(&self.0.ssh, &host).await
            };
            is_connected = outcome.is_ok();
            failures = if is_connected { 0 } else { failures + 1 };
            let status = self.record(&host, outcome).await;
            tokio::time::sleep(monitor::pause(status, failures)).await;
        }
    }

    /// The id of this process.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The program `ssh`.
    pub fn ssh(&self) -> &OpenSsh {
        &self.0.ssh
    }

    /// Waits for a free place among the handshakes.
    async fn handshake(&self) -> Option<OwnedSemaphorePermit> {
        self.0.handshakes.clone().acquire_owned().await.ok()
    }

    /// All hosts by name, with their states.
    pub fn list(&self) -> Vec<(Host, HostState)> {
        let hosts = self.hosts();
        let both = |entry: &HostEntry| (entry.host.clone(), entry.state.clone());
        hosts.values().map(both).collect()
    }

    /// A host and its state.
    ///
    /// # Errors
    /// There is no host with this name.
    pub fn get(&self, name: &str) -> Result<(Host, HostState)> {
        let hosts = self.hosts();
        let entry = hosts.get(&name.to_ascii_lowercase());
        let entry = entry.ok_or_else(|| Error::not_found("host", name))?;
        Ok((entry.host.clone(), entry.state.clone()))
    }

    /// Records what a host responded; returns its state.
    async fn record(
        &self,
        host: &Host,
        outcome: std::result::Result<HostReport, SshFailure>,
    ) -> HostStatus {
        let same_as = outcome
            .as_ref()
            .ok()
            .and_then(|one| self.same_as(host, one));
        let (state, is_due) = {
            let mut hosts = self.hosts();
            let Some(entry) = hosts.get_mut(&host.name.to_ascii_lowercase()) else {
                return HostStatus::Connecting;
            };
            let next = entry.state.next(outcome, same_as, Timestamp::now());
            let is_changed = (next.status, next.counts, &next.version)
                != (entry.state.status, entry.state.counts, &entry.state.version);
            if next.status != entry.state.status {
                let failure = next.failure.as_ref().map(ToString::to_string);
                tracing::info!(host = %host.name, status = next.status.text(), failure, "the state of a host changed");
            }
            let is_due = is_changed || entry.stored.is_none_or(|at| at.elapsed() >= STORE_AGAIN);
            if is_due {
                entry.stored = Some(Instant::now());
            }
            entry.state = next.clone();
            (next, is_due)
        };
        let status = state.status;
        self.show(host, &state);
        if is_due {
            let host = host.clone();
            let stored = self.0.db.write_as(WriteMode::UNSYNCED, move |c| {
                Ok(queries::set_state(c, &host, &state)?)
            });
            // It is stored again with the next change.
            if let Err(error) = stored.await {
                tracing::debug!(%error, "the state of a host was not stored");
            }
        }
        status
    }

    /// An instance of a host, as it was last reported.
    pub fn instance(&self, host: &str, id: InstanceId) -> Option<Instance> {
        let found = self.0.instances.remote().get(id)?;
        (found.host.as_deref() == Some(host)).then_some(found)
    }

    /// Asks a host now, after a change there.
    pub async fn refresh(&self, host: &Host) {
        let outcome = monitor::ask(&self.0.ssh, host).await;
        self.record(host, outcome).await;
    }

    /// Shows the instances of a host in lists.
    fn show(&self, host: &Host, state: &HostState) {
        let now = match (&state.report, state.status) {
            // They are shown already, or cannot be.
            (Some(_), HostStatus::Duplicate) | (None, HostStatus::Connecting) => {
                HostInstances::default()
            }
            (Some(report), _) => HostInstances {
                instances: report.instances.clone(),
                problem: None,
            },
            (None, _) => HostInstances {
                instances: self.0.instances.remote().of_host(&host.name),
                problem: Some((state.since, format!("{}: {}.", host.name, state.text()))),
            },
        };
        self.set_instances(host, Some(now));
    }

    fn set_instances(&self, host: &Host, now: Option<HostInstances>) {
        let instances = &self.0.instances;
        for id in instances.remote().set(&host.name, now) {
            instances.announce(id);
        }
    }

    /// Sends a request to a host, once, and returns its response, which may be an error or a stream.
    ///
    /// # Errors
    /// There is no host with this name, no connection to it, or no response.
    pub async fn send(&self, name: &str, request: RemoteRequest) -> Result<Response> {
        let (host, requests) = {
            let hosts = self.hosts();
            let entry = hosts.get(&name.to_ascii_lowercase());
            let entry = entry.ok_or_else(|| Error::not_found("host", name))?;
            let state = &entry.state;
            if !state.status.is_reachable() && state.status != HostStatus::Connecting {
                return Err(unavailable(format!(
                    "{}: {}. Nothing was sent to it. {SEE_HOST}",
                    entry.host.name,
                    state.text()
                )));
            }
            (entry.host.clone(), entry.requests.clone())
        };
        let changes = request.method != Method::GET;
        let sent = async {
            // It is never closed.
            let _turn = requests.acquire_owned().await;
            forward(&self.0.ssh, &host.address, request).await
        };
        let name = &host.name;
        let doubt = match changes {
            true => " The request may have been carried out. Check before you repeat it.",
            false => "",
        };
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(ForwardError::NotSent(failure))) => {
                tracing::info!(host = %name, %failure, "a request was not sent");
                Err(unavailable(format!(
                    "There is no connection to {name}. Nothing was sent to it. {SEE_HOST}"
                )))
            }
            Ok(Err(ForwardError::NoResponse(failure))) => {
                tracing::info!(host = %name, %failure, "a request has no response");
                Err(unavailable(format!(
                    "The connection to {name} was lost before it responded.{doubt}"
                )))
            }
            Ok(Err(ForwardError::Invalid(error))) => Err(error),
            Err(_) => Err(unavailable(format!(
                "{name} did not respond within {} s.{doubt}",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// The other host in the list, or this machine, with the same jd-manager.
    fn same_as(&self, host: &Host, report: &HostReport) -> Option<String> {
        if report.id == self.0.id {
            return Some("this jd-manager itself".into());
        }
        let hosts = self.hosts();
        let same = hosts.values().find(|entry| {
            let is_earlier =
                (entry.host.created_at, &entry.host.name) < (host.created_at, &host.name);
            let id = entry.state.report.as_ref().map(|other| &other.id);
            is_earlier && entry.host.name != host.name && id == Some(&report.id)
        });
        same.map(|entry| entry.host.name.clone())
    }

    /// Adds a host after connecting to it. It is added even if that fails, so that its page shows what
    /// is missing.
    ///
    /// # Errors
    /// The name is invalid; the name or the address is in use; it is this jd-manager itself or a host in
    /// the list; there are too many.
    pub async fn add(&self, name: String, address: SshDestination) -> Result<(Host, HostState)> {
        check_name(&name).map_err(|error| Error::Invalid(vec![error]))?;
        let _adding = self.0.adding.lock().await;
        self.check_new(&name, &address).await?;
        let host = Host {
            name,
            address,
            created_at: Timestamp::now(),
        };
        let outcome = {
            let _permit = self.handshake().await;
            monitor::ask(&self.0.ssh, &host).await
        };
        let same = outcome
            .as_ref()
            .ok()
            .and_then(|one| self.same_as(&host, one));
        if let Some(same) = same {
            return Err(Error::Conflict(format!(
                "The jd-manager at {} is {same}. It cannot be added again.",
                host.address
            )));
        }
        let now = Timestamp::now();
        let state = HostState::new(now).next(outcome, None, now);
        let row = (host.clone(), state.clone());
        self.0
            .db
            .write(move |c| Ok(queries::insert(c, &row.0, &row.1)?))
            .await?;
        // It was asked just now.
        self.watch(host.clone(), state.clone(), monitor::pause(state.status, 0));
        Ok((host, state))
    }

    async fn check_new(&self, name: &str, address: &SshDestination) -> Result<()> {
        let known = self.list();
        if known.len() >= MOST_HOSTS {
            return Err(Error::Conflict(format!(
                "There are already {MOST_HOSTS} hosts. Remove one first."
            )));
        }
        if known
            .iter()
            .any(|(host, _)| host.name.eq_ignore_ascii_case(name))
        {
            return Err(Error::Conflict(format!(
                "A host named {name} already exists. Choose another name."
            )));
        }
        let target = self.0.ssh.target(address).await;
        for (host, _) in known {
            let is_same = host.address == *address || {
                let other = self.0.ssh.target(&host.address).await;
                target
                    .as_ref()
                    .zip(other.as_ref())
                    .is_some_and(|(a, b)| a.is_same_account(b))
            };
            if is_same {
                let detail = format!("{address} is the address of the host {}.", host.name);
                return Err(Error::Invalid(vec![FieldError::new("/address", detail)]));
            }
        }
        Ok(())
    }

    /// Removes a host and closes its connection.
    ///
    /// # Errors
    /// There is no host with this name.
    pub async fn remove(&self, name: &str) -> Result<Host> {
        let (host, _) = self.get(name)?;
        let key = host.name.clone();
        self.0
            .db
            .write(move |c| Ok(queries::delete(c, &key)?))
            .await?;
        let removed = self.hosts().remove(&name.to_ascii_lowercase());
        drop(removed);
        self.set_instances(&host, None);
        self.0.ssh.close(&host.address).await;
        Ok(host)
    }
}

/// The host may respond later.
fn unavailable(detail: String) -> Error {
    Error::Unavailable {
        detail,
        retry_after: Some(monitor::LIMIT),
    }
}
