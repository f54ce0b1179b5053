//! Starts, stops and restarts instances, and waits for the result.

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

use super::error::{CommandError, FAILED, complain};
use super::instance::{ApiInstance, all, find_in, names};
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::stream::ApiStream;
use super::text::in_line;
use super::time::length;
use crate::base::ids::JobId;

/// The instances, and how long to wait for them.
#[derive(Args, Clone, Debug)]
pub struct LifecycleTargets {
    /// Names or ids of instances (the first characters of an id are enough).
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "NAME"
    )]
    names: Vec<String>,
    /// Apply to all instances.
    #[arg(long)]
    all: bool,
    /// Return immediately, without waiting for the instances to start or stop.
    #[arg(long)]
    no_wait: bool,
    /// Wait at most this many seconds. After that, jd-manager continues in the background.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400), conflicts_with = "no_wait")]
    timeout: u64,
}

/// The action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LifecycleAction {
    Start,
    Stop,
    Restart,
}

/// The stage of a job in progress, and the state of an instance that has its turn.
const RUNNING: &str = "running";
/// Pause between two looks at a job.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// The response to `POST /instances/actions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiActionResult {
    /// The action takes longer: the id of its job.
    job: Option<JobId>,
    /// Stage of the job.
    stage: String,
    message: String,
    results: Vec<ApiActionOutcome>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiActionOutcome {
    id: String,
    name: String,
    state: String,
    success: bool,
    skipped: bool,
    message: String,
}

/// Runs the action, prints the result for each instance, and fails if any of them failed.
pub(super) async fn run(
    action: LifecycleAction,
    targets: &LifecycleTargets,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let body = if targets.all {
        json!({ "action": action, "all": true })
    } else {
        let all = names(manager).await?;
        let ids: Vec<&str> = targets
            .names
            .iter()
            .map(|name| Ok(find_in(&all, name)?.id.as_str()))
            .collect::<Result<_, CommandError>>()?;
        json!({ "action": action, "ids": ids })
    };
    // Listen before the action, so no change is missed.
    let changes = manager.listen("/api/instances", None).await?;
    let mut answer = manager
        .send(Method::POST, "/api/instances/actions", Some(&body))
        .await?;
    let mut outcome: ApiActionResult = answer.read()?;
    if let Some(job) = outcome.job {
        if targets.no_wait && !paper.json {
            paper.line(&in_line(&outcome.message))?;
            return paper.flush();
        }
        let end = Instant::now() + Duration::from_secs(targets.timeout);
        while !targets.no_wait && Instant::now() < end {
            answer = manager.get(&format!("/api/jobs/{job}")).await?;
            outcome = answer.read()?;
            if outcome.stage != RUNNING {
                break;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
    if paper.json {
        paper.answer(&answer.text)?;
        paper.flush()?;
    }
    let mut is_well = outcome.results.iter().all(|done| done.success);
    let mut waited = Vec::new();
    for done in outcome.results {
        let name = in_line(&done.name);
        if matches!(done.state.as_str(), "waiting" | RUNNING) {
            let words = format!("not finished after {}.", length(targets.timeout));
            said(paper, &name, &words, true)?;
        } else if !done.success {
            said(paper, &name, &in_line(&done.message), true)?;
        } else if done.skipped || targets.no_wait {
            said(paper, &name, &in_line(&done.message), false)?;
        } else {
            waited.push((done.id, name));
        }
    }
    is_well &= wait(action, waited, changes, targets.timeout, manager, paper).await?;
    if is_well {
        Ok(())
    } else {
        Err(CommandError::Reported(FAILED))
    }
}

/// Prints a line about one instance: success to standard output, failure to standard error. With
/// `--json`, the response is already printed.
fn said(
    paper: &mut TerminalOutput,
    name: &str,
    words: &str,
    is_bad: bool,
) -> Result<(), CommandError> {
    // The manager's messages start with the name.
    let line = if words.starts_with(name) {
        words.to_owned()
    } else {
        format!("{name}: {words}")
    };
    if is_bad {
        complain(&format!("jd-manager: {line}"));
        return Ok(());
    }
    if paper.json {
        return Ok(());
    }
    paper.line(&line)?;
    paper.flush()
}

/// The result for an instance: the text, and whether it is a failure. None: not finished yet.
fn verdict(action: LifecycleAction, one: &ApiInstance) -> Option<(String, bool)> {
    let why = || {
        let cause = one
            .cause
            .as_ref()
            .map(|cause| format!("{}. {}", cause.what, cause.advice))
            .filter(|words| words != ". ");
        cause
            .or_else(|| one.last_error.clone())
            .unwrap_or_else(|| "see its log".into())
    };
    match (action, one.status.as_str()) {
        (LifecycleAction::Stop, "stopped") => Some(("is stopped.".into(), false)),
        (LifecycleAction::Stop, "starting" | "running" | "backing-off") => {
            Some(("was started again in the meantime.".into(), true))
        }
        (LifecycleAction::Stop, "failed") => Some(("has failed and is not running.".into(), false)),
        (_, "running") => Some(("is running.".into(), false)),
        (_, "failed") => Some((format!("has failed: {}", why()), true)),
        (_, "backing-off") => Some((
            format!("exited unexpectedly and will be restarted: {}", why()),
            true,
        )),
        (_, "stopped") => Some(("was stopped in the meantime.".into(), true)),
        _ => None,
    }
}

/// Waits for the instances in `left` (ids and names), prints the result for each, and returns
/// whether all succeeded.
async fn wait(
    action: LifecycleAction,
    mut left: Vec<(String, String)>,
    mut changes: ApiStream,
    timeout: u64,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<bool, CommandError> {
    let end = Instant::now() + Duration::from_secs(timeout);
    let mut is_well = true;
    while !left.is_empty() {
        // An event may be older than the state that was read in between, so it only triggers
        // another look.
        let now: HashMap<String, ApiInstance> = all(manager)
            .await?
            .into_iter()
            .map(|(_, one)| (one.id.clone(), one))
            .collect();
        let mut waiting = Vec::new();
        for (id, name) in left {
            let found = match now.get(&id) {
                Some(one) => verdict(action, one),
                None => Some(("was deleted in the meantime.".into(), true)),
            };
            match found {
                Some((words, is_bad)) => {
                    said(paper, &name, &format!("{name} {}", in_line(&words)), is_bad)?;
                    is_well &= !is_bad;
                }
                None => waiting.push((id, name)),
            }
        }
        left = waiting;
        if left.is_empty() {
            break;
        }
        match tokio::time::timeout_at(end, changes.next()).await {
            Ok(Ok(Some(_))) => while changes.ready().is_some() {},
            Ok(Ok(None) | Err(_)) => {
                return Err(CommandError::Failed(
                    "the connection to jd-manager was lost. The instances are still starting or stopping."
                        .into(),
                ));
            }
            Err(_) => {
                for (_, name) in &left {
                    let time = length(timeout);
                    let words = match action {
                        LifecycleAction::Stop => {
                            format!("the client is still running after {time}.")
                        }
                        _ => format!(
                            "still starting after {time}. The log shows what the client is waiting for."
                        ),
                    };
                    said(paper, name, &words, true)?;
                }
                return Ok(false);
            }
        }
    }
    Ok(is_well)
}
