//! Health results for other domains: lists, events and series. Pure.

use std::collections::BTreeSet;

use super::model::{CheckResult, HealthCheck, HealthGrade, gravest, overall, score};
use super::snapshot::Snapshot;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::{HealthSummary, Instance};
use crate::programs::jd_client::diagnosis::{ClientStatus, WorkState};

/// The health summary of an instance for lists.
pub(super) fn health_summary(look: &Snapshot<'_>, results: &[CheckResult]) -> HealthSummary {
    let (place, place_since) = place(look.instance, look.standing);
    HealthSummary {
        status: overall(results).as_str(),
        score: score(results).unwrap_or(0),
        place,
        place_since,
        // The state of a failed client already shows the problem.
        checks: results
            .iter()
            .filter_map(|r| Some((r.check_type.as_str(), r.status.value()?)))
            .collect(),
        trouble: gravest(results)
            .filter(|_| look.instance.status.has_client())
            .map(|r| r.message.clone()),
    }
}

/// The event text if something that mining depends on became unhealthy while the client is running,
/// or is healthy again.
pub(super) fn note(noted: &mut BTreeSet<HealthCheck>, now: &CheckResult) -> Option<String> {
    let is_told = matches!(
        now.check_type,
        HealthCheck::Template
            | HealthCheck::Upstream
            | HealthCheck::Monitoring
            | HealthCheck::Clock
            | HealthCheck::Shares
            | HealthCheck::Translator
    );
    match now.status {
        HealthGrade::Unhealthy if is_told && noted.insert(now.check_type) => {
            Some(now.message.clone())
        }
        // It may have been unknown in between, for example during a restart.
        HealthGrade::Healthy if noted.remove(&now.check_type) => Some(format!(
            "{}: healthy again. {}",
            now.check_type.title(),
            now.message
        )),
        _ => None,
    }
}

/// The current grades of all checks as samples.
pub(super) fn series(id: InstanceId, results: &[CheckResult]) -> Vec<(InstanceId, String, f64)> {
    let of_checks = results.iter().filter_map(|r| {
        Some((
            id,
            format!("health:{}", r.check_type.as_str()),
            r.status.value()?,
        ))
    });
    let whole = score(results).map(|score| (id, "health_score".to_owned(), f64::from(score)));
    of_checks.chain(whole).collect()
}

/// Where an instance mines, and since when.
pub(super) fn place(instance: &Instance, standing: &ClientStatus) -> (String, Option<Timestamp>) {
    if instance.status.has_client() && standing.work != WorkState::Unknown {
        (standing.place_text(), standing.work.since())
    } else {
        (String::new(), None)
    }
}
