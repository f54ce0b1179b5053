//! The update of one host: asks it to install and switch, and follows its job.
//!
//! Reading may be repeated. The request that begins the update may not: after a lost response, the jobs
//! of the host show whether it arrived.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::model::{LastJob, RolloutStep, RolloutStepState};
use crate::base::error::{Error, Result};
use crate::base::ids::JobId;
use crate::domain::hosts::{HostService, RemoteProblem, RemoteRequest, read_json};
use crate::domain::updates::model::{HealthGate, JobStage, JobTask, UpdateJob};

/// The part of `GET /updates` that matters here.
#[derive(Debug, Deserialize)]
struct RemoteUpdates {
    installed: Vec<RemoteClient>,
    job: Option<UpdateJob>,
    /// Newest first.
    history: Vec<UpdateJob>,
}

#[derive(Debug, Deserialize)]
struct RemoteClient {
    name: String,
    in_use: bool,
    manifest: Option<RemoteManifest>,
}

#[derive(Debug, Deserialize)]
struct RemoteManifest {
    tag: Option<String>,
}

impl RemoteClient {
    fn is(&self, version: &str) -> bool {
        let tag = self
            .manifest
            .as_ref()
            .and_then(|known| known.tag.as_deref());
        self.name == version || tag == Some(version)
    }
}

/// The update of a host to a version.
pub struct HostUpdate<'a> {
    /// The hosts.
    pub hosts: &'a HostService,
    /// The client version or release tag.
    pub version: &'a str,
    /// When an instance counts as healthy.
    pub gate: HealthGate,
}

impl HostUpdate<'_> {
    /// Looks at the host. `step` has the new state; a step in the state
    /// [`Waiting`](RolloutStepState::Waiting) or [`Running`](RolloutStepState::Running) goes on later.
    /// The request that begins the update is returned: it is for [`ask`](Self::ask), after `step` was
    /// stored.
    pub async fn look(&self, step: &mut RolloutStep) -> Option<RemoteRequest> {
        let outcome = match step.job {
            Some(job) => self.follow(step, job).await.map(|()| None),
            None => self.prepare(step).await,
        };
        outcome.unwrap_or_else(|error| {
            note(step, error);
            None
        })
    }

    /// Begins the update.
    pub async fn ask(&self, step: &mut RolloutStep, request: RemoteRequest) {
        match self.read::<Value>(&step.host, request).await {
            Ok(begun) => {
                step.job = begun["job"].as_str().and_then(|id| id.parse().ok());
                step.message = begun["message"].as_str().unwrap_or_default().to_owned();
            }
            Err(error) => note(step, error),
        }
    }

    async fn prepare(&self, step: &mut RolloutStep) -> Result<Option<RemoteRequest>> {
        let updates: RemoteUpdates = self.get(&step.host, "/api/updates").await?;
        let newest = updates.history.first();
        let client = updates.installed.iter().find(|one| one.is(self.version));
        let is_ours = |job: &&UpdateJob| {
            let name = client.map(|client| client.name.as_str());
            job.version == self.version || name == Some(job.version.as_str())
        };
        if let Some(job) = &updates.job {
            if is_ours(&job) {
                step.job = Some(job.id);
                step.state = RolloutStepState::Running;
                step.message.clone_from(&job.message);
            } else {
                step.message =
                    format!("Waiting for another job on {}: {}.", step.host, job.title());
            }
            return Ok(None);
        }
        // It was asked before, and the response was lost.
        let is_new = |job: &&UpdateJob| {
            let before = step.asked_after;
            before.is_some_and(|LastJob(before)| before != Some(job.id))
        };
        if let Some(job) = newest.filter(is_ours).filter(is_new) {
            step.job = Some(job.id);
            step.state = RolloutStepState::Running;
            return Ok(None);
        }
        let (path, body) = match client {
            Some(client) if client.in_use => {
                step.state = match step.asked_after {
                    Some(_) => RolloutStepState::Done,
                    None => RolloutStepState::Skipped,
                };
                step.message = format!("{} uses {}.", step.host, client.name);
                return Ok(None);
            }
            Some(client) => {
                let gate = self.gate;
                let body = json!({
                    "version": client.name,
                    "ready_within_s": gate.ready_within_s,
                    "watch_s": gate.watch_s,
                });
                ("/api/updates/switch", body)
            }
            None => ("/api/updates/install", json!({ "version": self.version })),
        };
        step.state = RolloutStepState::Running;
        step.asked_after = Some(LastJob(newest.map(|job| job.id)));
        let body = body.to_string().into();
        Ok(Some(RemoteRequest::json(Method::POST, path, body)))
    }

    async fn follow(&self, step: &mut RolloutStep, id: JobId) -> Result<()> {
        let path = format!("/api/updates/jobs/{id}");
        let job: UpdateJob = self.get(&step.host, &path).await?;
        step.message.clone_from(&job.message);
        if !job.stage.is_over() {
            return Ok(());
        }
        match (job.task, job.stage) {
            // The switch follows.
            (JobTask::Install, stage) if stage.is_good() => {
                step.job = None;
                step.asked_after = Some(LastJob(Some(id)));
            }
            (_, JobStage::Switched) => step.state = RolloutStepState::Done,
            _ => step.state = RolloutStepState::Failed,
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, host: &str, path: &str) -> Result<T> {
        let request = RemoteRequest::json(Method::GET, path, Bytes::new());
        self.read(host, request).await
    }

    async fn read<T: DeserializeOwned>(&self, host: &str, request: RemoteRequest) -> Result<T> {
        let response = self.hosts.send(host, request).await?;
        let read = read_json(response).await;
        read.map_err(|RemoteProblem { status, detail }| {
            let detail = format!("{host}: {detail}");
            let is_temporary = matches!(
                status,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            );
            // A response that ended early: the jobs of the host show what came of it.
            match is_temporary || status.is_success() {
                true => Error::Unavailable {
                    detail,
                    retry_after: None,
                },
                false => Error::Conflict(detail),
            }
        })
    }
}

/// A host without a connection may respond later; any other error is final.
fn note(step: &mut RolloutStep, error: Error) {
    step.message = error.to_string();
    if !matches!(error, Error::Unavailable { .. }) {
        step.state = RolloutStepState::Failed;
    }
}
