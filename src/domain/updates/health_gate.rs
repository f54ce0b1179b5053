//! Whether an instance has come up well: it serves miners within its time, stays up, and no check
//! is unhealthy that was not before.

use std::time::Duration;
use tokio::time::Instant;

use super::model::HealthGate;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::health::HealthService;
use crate::domain::health::model::{CheckResult, HealthCheck, HealthGrade};
use crate::domain::instances::{Instance, InstanceEvent, InstanceService, KEEPER_LOST};
use crate::keeper::machine::InstanceState;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The checks that say something of a client; the others are of its machine or its past.
const JUDGED: [HealthCheck; 5] = [
    HealthCheck::Process,
    HealthCheck::Template,
    HealthCheck::Upstream,
    HealthCheck::Monitoring,
    HealthCheck::Clock,
];

/// What has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateResult {
    /// It has come up well.
    Well,
    /// It has not, for this reason; a sentence.
    Bad(String),
    /// Somebody stopped or deleted it meanwhile, so that it cannot be judged.
    Gone,
}

/// The checks that are unhealthy now, by their names.
pub fn failing_check(results: &[CheckResult]) -> Vec<String> {
    let bad = results
        .iter()
        .filter(|r| r.status == HealthGrade::Unhealthy && JUDGED.contains(&r.check_type));
    bad.map(|r| r.check_type.as_str().to_owned()).collect()
}

/// Watches an instance that has just been restarted until it is clear how it is. `before`: the
/// checks that were unhealthy before.
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
                    "It did not serve miners within {} s.",
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
    // The last look decides: what was wrong for a moment after the start does not count.
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
            "{} was well before and is not any more: {}",
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
        // One that ended and was started again has failures in a row.
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
            // What killed the keeper says nothing of the client: the next start is judged. An end
            // as asked, such as that of the client before, says nothing either; the event of the
            // failure itself may be stored a moment after its state is known.
            // Those of a translator are among them.
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
        // Between two clients of a restart.
        InstanceState::Stopping | InstanceState::Stopped if instance.desired == "running" => {
            GateObservation::OnItsWay
        }
        InstanceState::Stopping | InstanceState::Stopped => GateObservation::Gone,
    })
}

fn why(instance: &Instance) -> String {
    let cause = instance.cause.as_ref().map(|told| told.0.what.clone());
    let words = cause.or_else(|| instance.last_error.clone());
    let exit = instance
        .exit
        .map_or_else(String::new, |exit| format!(" with {exit}"));
    match words {
        Some(words) => format!("Its client ended{exit}: {}.", words.trim_end_matches('.')),
        None => format!("Its client ended{exit}."),
    }
}

/// How long an instance did not serve miners, and how much of that its new client needed to start,
/// from its changes of state since `begun` (newest first), milliseconds.
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

/// A length of time for people: `22 ms`, `3.4 s`.
pub fn length(millis: u64) -> String {
    if millis < 1000 {
        format!("{millis} ms")
    } else {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    }
}
