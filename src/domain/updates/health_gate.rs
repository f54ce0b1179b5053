//! Decides whether an instance is healthy after a switch: it is running in time, keeps running, and
//! no check is unhealthy that was not unhealthy before.

use std::time::Duration;
use tokio::time::Instant;

use super::model::HealthGate;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::health::HealthService;
use crate::domain::health::model::{CheckResult, HealthCheck, HealthGrade};
use crate::domain::instances::{Instance, InstanceEvent, InstanceService, KEEPER_LOST};
use crate::keeper::machine::{InstanceState, ProcessExit};

/// Interval of checks.
const LOOK: Duration = Duration::from_millis(100);
/// The checks that concern the client and its translator; the others concern its machine or its past.
const JUDGED: [HealthCheck; 6] = [
    HealthCheck::Process,
    HealthCheck::Template,
    HealthCheck::Upstream,
    HealthCheck::Translator,
    HealthCheck::Monitoring,
    HealthCheck::Clock,
];

/// Result of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateResult {
    /// It is healthy.
    Well,
    /// It is not healthy; the reason as a sentence.
    Bad(String),
    /// It was stopped or deleted in the meantime, so there is no result.
    Gone,
}

/// Names of the checks that are unhealthy now.
pub fn failing_check(results: &[CheckResult]) -> Vec<String> {
    let bad = results
        .iter()
        .filter(|r| r.status == HealthGrade::Unhealthy && JUDGED.contains(&r.check_type));
    bad.map(|r| r.check_type.as_str().to_owned()).collect()
}

/// Watches an instance after a restart until the result is clear. `before`: the checks that were
/// already unhealthy.
pub async fn watch(
    health: &HealthService,
    id: InstanceId,
    gate: HealthGate,
    before: &[String],
) -> Result<GateResult> {
    let begun = Instant::now();
    let ready_within = Duration::from_secs(gate.ready_within_s);
    loop {
        match seen(health.instances(), id).await? {
            GateObservation::Serves => break,
            GateObservation::Ended(why) => return Ok(GateResult::Bad(why)),
            GateObservation::Gone => return Ok(GateResult::Gone),
            GateObservation::OnItsWay if begun.elapsed() >= ready_within => {
                return Ok(GateResult::Bad(format!(
                    "The client was not ready for miners within {} s.",
                    gate.ready_within_s
                )));
            }
            GateObservation::OnItsWay => tokio::time::sleep(LOOK).await,
        }
    }
    let until = Instant::now() + Duration::from_secs(gate.watch_s);
    while Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        match seen(health.instances(), id).await? {
            GateObservation::Serves | GateObservation::OnItsWay => {}
            GateObservation::Ended(why) => return Ok(GateResult::Bad(why)),
            GateObservation::Gone => return Ok(GateResult::Gone),
        }
    }
    // The final check decides: a short problem after the start does not count.
    let results = match health.check(id).await {
        Ok(results) => results,
        Err(Error::NotFound { .. }) => return Ok(GateResult::Gone),
        Err(error) => return Err(error),
    };
    let news = results.iter().find(|r| {
        r.status == HealthGrade::Unhealthy
            && JUDGED.contains(&r.check_type)
            && !before.iter().any(|known| known == r.check_type.as_str())
    });
    Ok(match news {
        Some(result) => GateResult::Bad(format!(
            "{} became unhealthy: {}",
            result.check_type.title(),
            result.message
        )),
        None => GateResult::Well,
    })
}

enum GateObservation {
    Serves,
    OnItsWay,
    Ended(String),
    Gone,
}

async fn seen(instances: &InstanceService, id: InstanceId) -> Result<GateObservation> {
    let instance = match instances.get(id).await {
        Ok(instance) => instance,
        Err(Error::NotFound { .. }) => return Ok(GateObservation::Gone),
        Err(error) => return Err(error),
    };
    Ok(match instance.status {
        // A client that exited and was restarted has failures in a row.
        InstanceState::BackingOff
        | InstanceState::Failed
        | InstanceState::Starting
        | InstanceState::Running
            if instance.failures > 0
                || matches!(
                    instance.status,
                    InstanceState::BackingOff | InstanceState::Failed
                ) =>
        {
            // A killed keeper says nothing about the client: the next start is judged. A requested
            // stop, such as that of the previous client, says nothing either. The event of the
            // failure may be stored a moment after the state.
            // Events of a translator are among them.
            let events = instances.history(Some(id), None, 40).await?;
            let unasked = [
                InstanceState::BackingOff.as_str(),
                InstanceState::Failed.as_str(),
            ];
            let ended = events
                .iter()
                .map(|(event, _)| event)
                .filter(|event| event.is_of_client())
                .find(|event| unasked.contains(&event.to_state.as_str()));
            match (
                ended.map(|event| event.reason == KEEPER_LOST),
                instance.status,
            ) {
                (Some(true), InstanceState::Running) => GateObservation::Serves,
                (Some(true) | None, _) => GateObservation::OnItsWay,
                (Some(false), _) => GateObservation::Ended(why(&instance)),
            }
        }
        InstanceState::Running => GateObservation::Serves,
        InstanceState::Starting | InstanceState::BackingOff | InstanceState::Failed => {
            GateObservation::OnItsWay
        }
        // Between the two clients of a restart.
        InstanceState::Stopping | InstanceState::Stopped if instance.desired == "running" => {
            GateObservation::OnItsWay
        }
        InstanceState::Stopping | InstanceState::Stopped => GateObservation::Gone,
    })
}

fn why(instance: &Instance) -> String {
    let cause = instance.cause.as_ref().map(|told| told.0.what.clone());
    let words = cause.or_else(|| instance.last_error.clone());
    let exit = match instance.exit {
        Some(exit @ ProcessExit::Code(_)) => format!("exited with {exit}"),
        Some(exit @ ProcessExit::Signal(_)) => format!("was killed by {exit}"),
        None => "exited".into(),
    };
    match words {
        Some(words) => format!("The client {exit}: {}.", words.trim_end_matches('.')),
        None => format!("The client {exit}."),
    }
}

/// The downtime of an instance and the start time of its new client, from its state changes since
/// `begun` (newest first), milliseconds.
pub fn measured(events: &[(InstanceEvent, String)], begun: Timestamp) -> Option<(u64, u64)> {
    let mut since = events
        .iter()
        .map(|(event, _)| event)
        .filter(|event| event.is_of_client())
        .filter(|event| event.at >= begun && event.from_state != event.to_state)
        .rev();
    let first = since.next()?;
    let (mut started, left) = (None, first.at);
    for event in std::iter::once(first).chain(since) {
        if event.to_state == InstanceState::Starting.as_str() {
            started = Some(event.at);
        }
        if event.to_state == InstanceState::Running.as_str() {
            let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            return Some((
                millis(event.at.since(left)),
                millis(event.at.since(started?)),
            ));
        }
    }
    None
}

/// A duration as text: `22 ms`, `3.4 s`.
pub fn length(millis: u64) -> String {
    if millis < 1000 {
        format!("{millis} ms")
    } else {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    }
}
