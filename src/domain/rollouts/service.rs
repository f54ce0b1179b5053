//! The use cases of rollouts. One is in progress at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::host_update::HostUpdate;
use super::model::{Rollout, RolloutStage, RolloutStep, RolloutStepState};
use super::queries;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::JobId;
use crate::domain::hosts::HostService;
use crate::domain::updates::model::HealthGate;
use crate::infra::db::Db;

/// How often a host is asked for the progress of its job.
const INTERVAL: Duration = Duration::from_secs(2);

/// The rollouts; cheap to clone.
#[derive(Clone, Debug)]
pub struct RolloutService(Arc<RolloutRunner>);

#[derive(Debug)]
struct RolloutRunner {
    db: Db,
    hosts: HostService,
    /// The one in progress.
    running: Mutex<Option<RunningRollout>>,
    /// jd-manager stops.
    stop: CancellationToken,
}

#[derive(Debug)]
struct RunningRollout {
    rollout: Rollout,
    cancel: CancellationToken,
}

impl RolloutService {
    /// No rollout is in progress.
    pub fn new(db: Db, hosts: HostService, stop: CancellationToken) -> Self {
        Self(Arc::new(RolloutRunner {
            db,
            hosts,
            running: Mutex::default(),
            stop,
        }))
    }

    /// The hosts.
    pub fn hosts(&self) -> &HostService {
        &self.0.hosts
    }

    /// Continues the rollout that was in progress when jd-manager stopped.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(&self) -> Result<()> {
        let all = self.0.db.read(|c| Ok(queries::all(c)?)).await?;
        let is_running = |one: &Rollout| one.stage == RolloutStage::Running;
        if let Some(rollout) = all.into_iter().find(is_running) {
            self.run(rollout);
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<RunningRollout>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All rollouts, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(&self) -> Result<Vec<Rollout>> {
        let mut all = self.0.db.read(|c| Ok(queries::all(c)?)).await?;
        if let Some(running) = &*self.running() {
            let stored = all.iter_mut().find(|one| one.id == running.rollout.id);
            if let Some(stored) = stored {
                stored.clone_from(&running.rollout);
            }
        }
        Ok(all)
    }

    /// A rollout.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn get(&self, id: JobId) -> Result<Rollout> {
        if let Some(running) = &*self.running()
            && running.rollout.id == id
        {
            return Ok(running.rollout.clone());
        }
        let stored = self.0.db.read(move |c| Ok(queries::get(c, id)?)).await?;
        stored.ok_or_else(|| Error::not_found("rollout", id))
    }

    /// Begins a rollout of a version to these hosts in this order; none: to all by name.
    ///
    /// # Errors
    /// One is in progress, or there is no such host.
    pub async fn begin(
        &self,
        version: (String, HealthGate),
        hosts: Option<Vec<String>>,
        actor: &Actor,
    ) -> Result<Rollout> {
        let known: Vec<String> = self
            .0
            .hosts
            .list()
            .into_iter()
            .map(|(one, _)| one.name)
            .collect();
        let hosts = match hosts {
            None => known,
            Some(hosts) => {
                let known = |host: String| self.0.hosts.get(&host).map(|(one, _)| one.name);
                let hosts = hosts
                    .into_iter()
                    .map(known)
                    .collect::<Result<Vec<String>>>();
                hosts.map_err(|error| Error::invalid("/hosts", format!("{error}.")))?
            }
        };
        if hosts.is_empty() {
            return Err(Error::Conflict(
                "There are no hosts. Add a host first.".into(),
            ));
        }
        self.check_idle()?;
        let rollout = Rollout::new(version, hosts, actor.to_string(), Timestamp::now());
        self.store(&rollout).await?;
        self.run(rollout.clone());
        Ok(rollout)
    }

    /// Resumes a rollout at the host where it stopped.
    ///
    /// # Errors
    /// It is complete, or one is in progress.
    pub async fn resume(&self, id: JobId) -> Result<Rollout> {
        let rollout = self.get(id).await?;
        if rollout.stage == RolloutStage::Done {
            return Err(Error::Conflict("The rollout is complete.".into()));
        }
        self.check_idle()?;
        let rollout = rollout.resumed();
        self.store(&rollout).await?;
        self.run(rollout.clone());
        Ok(rollout)
    }

    /// Cancels a rollout: the job of the present host goes on there, and no other host follows.
    ///
    /// # Errors
    /// It is not in progress.
    pub async fn cancel(&self, id: JobId) -> Result<Rollout> {
        let rollout = self.get(id).await?;
        match &*self.running() {
            Some(running) if running.rollout.id == id => running.cancel.cancel(),
            _ => return Err(Error::Conflict("The rollout is not in progress.".into())),
        }
        Ok(rollout)
    }

    fn check_idle(&self) -> Result<()> {
        match &*self.running() {
            Some(running) => Err(Error::Conflict(format!(
                "The rollout of {} is in progress. Wait until it has finished, or cancel it.",
                running.rollout.version
            ))),
            None => Ok(()),
        }
    }

    async fn store(&self, rollout: &Rollout) -> Result<()> {
        let rollout = rollout.clone();
        let write = self.0.db.write(move |c| Ok(queries::set(c, &rollout)?));
        write.await.map(|_| ())
    }

    fn run(&self, rollout: Rollout) {
        let cancel = self.0.stop.child_token();
        *self.running() = Some(RunningRollout {
            rollout: rollout.clone(),
            cancel: cancel.clone(),
        });
        let this = self.clone();
        tokio::spawn(async move {
            let ended = this.carry_out(rollout, &cancel).await;
            if this.0.stop.is_cancelled() {
                // The next start continues it.
                return;
            }
            if let Err(error) = this.store(&ended).await {
                tracing::warn!(%error, "the end of a rollout was not stored");
            }
            tracing::info!(version = %ended.version, stage = ?ended.stage, done = ended.done(), "a rollout ended");
            *this.running() = None;
        });
    }

    /// Updates one host after the other.
    async fn carry_out(&self, mut rollout: Rollout, cancel: &CancellationToken) -> Rollout {
        while let Some(at) = rollout.next() {
            if cancel.is_cancelled() {
                rollout.end(RolloutStage::Cancelled, Timestamp::now());
                return rollout;
            }
            let before = rollout.hosts[at].clone();
            let step = self.advance(&rollout, at).await;
            rollout.hosts[at] = step.clone();
            if let Some(running) = &mut *self.running() {
                running.rollout.clone_from(&rollout);
            }
            if step.state == RolloutStepState::Failed {
                rollout.end(RolloutStage::Stopped, Timestamp::now());
                return rollout;
            }
            if (step.state, step.job) != (before.state, before.job)
                && let Err(error) = self.store(&rollout).await
            {
                tracing::warn!(%error, "the state of a rollout was not stored; jd-manager will retry");
            }
            if !step.state.is_good() {
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = cancel.cancelled() => {}
                }
            }
        }
        rollout.end(RolloutStage::Done, Timestamp::now());
        rollout
    }

    async fn advance(&self, rollout: &Rollout, at: usize) -> RolloutStep {
        let mut step = rollout.hosts[at].clone();
        let update = HostUpdate {
            hosts: &self.0.hosts,
            version: &rollout.version,
            gate: rollout.gate,
        };
        if let Some(request) = update.look(&mut step).await {
            // If jd-manager is killed now, the next start looks for the job on the host.
            let mut asked = rollout.clone();
            asked.hosts[at] = step.clone();
            if let Err(error) = self.store(&asked).await {
                step.message = error.to_string();
                return step;
            }
            update.ask(&mut step, request).await;
        }
        step
    }
}
