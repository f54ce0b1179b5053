//! The pool check: which pool the client is connected to, or solo, and whether that pool is responding.

use super::super::pool_report;
use super::super::snapshot::Snapshot;
use super::{BLIND, CheckOutcome, LONG_WAIT, SILENT, bad, unknown, warning, well};
use crate::programs::jd_client::diagnosis::WorkState;

pub(super) fn upstream(look: &Snapshot<'_>) -> CheckOutcome {
    let (standing, running) = (look.standing, look.running);
    if standing.refused.is_none()
        && let Some(since) = look.pool_silent_since()
    {
        return bad(format!(
            "The pool has not responded since {}, even though the connection is open. {} are unacknowledged and may be lost. {}",
            since.local_minute(),
            shares_at_risk(standing.unanswered.shares),
            pool_report::silence_advice(look)
        ));
    }
    match standing.work {
        _ if running.is_solo => well("Mining solo, as configured."),
        WorkState::Solo { .. } if running.wants_pool() => {
            // The client logs the pool's address even if only its job declaration server fails. The
            // probes show which server fails and how.
            let is_known = standing.pool_left.is_some() && !pool_report::names_failure(look);
            let why = match (&standing.refused, &standing.lost, &standing.upstream) {
                // The setting to change follows in the advice.
                _ if is_known && pool_report::names_setting(look) => leave_cause(look),
                _ if is_known => leave_text(look),
                (Some(said), _, _) => {
                    format!("the pool rejected the client's jobs: {}", said.words)
                }
                (None, Some(lost), _) => {
                    format!(
                        "the connection to pool {} of {} ({}) was lost",
                        lost.number, lost.of, lost.pool
                    )
                }
                (None, None, Some(last)) => {
                    let why = last
                        .why
                        .as_deref()
                        .filter(|_| !pool_report::names_failure(look))
                        .map(|why| format!(": {why}"))
                        .unwrap_or_default();
                    format!(
                        "pool {} of {} ({}) could not be used{why}",
                        last.number, last.of, last.pool
                    )
                }
                (None, None, None) => "no pool could be reached".into(),
            };
            bad(format!(
                "Mining solo even though a pool is configured, because {why}. {}",
                pool_report::solo_advice(look)
            ))
        }
        WorkState::Solo { .. } => well("Mining solo. No pool is configured."),
        WorkState::Pool { .. } => match &standing.upstream {
            _ if standing.refused.is_some() => bad(format!(
                "The pool is rejecting the jobs: {}. Compare the configuration with the pool's requirements, especially the key and the mode.",
                standing
                    .refused
                    .as_ref()
                    .map(|said| said.words.as_str())
                    .unwrap_or_default()
            )),
            Some(upstream) if upstream.number > 1 && standing.pool_left.is_some() => {
                warning(format!(
                    "Connected to the fallback, pool {} of {} ({}), because {}. The client does not switch back to the first pool automatically. Restart the instance when the first pool responds.",
                    upstream.number,
                    upstream.of,
                    upstream.pool,
                    leave_text(look)
                ))
            }
            Some(upstream) if upstream.number > 1 => warning(format!(
                "Connected to the fallback, pool {} of {} ({}). The client does not switch back to the first pool automatically. Restart the instance when the first pool responds, or turn on the automatic fix for fallback pools.",
                upstream.number, upstream.of, upstream.pool
            )),
            Some(upstream) => well(format!(
                "Connected to pool {} of {} ({}).",
                upstream.number, upstream.of, upstream.pool
            )),
            None => well("Connected to the pool."),
        },
        WorkState::Trying { since }
            if look.now.since(since) > LONG_WAIT && standing.pool_left.is_some() =>
        {
            warning(format!(
                "Still trying to reach a pool: {}.",
                leave_text(look)
            ))
        }
        WorkState::Trying { since } if look.now.since(since) > LONG_WAIT => {
            warning(pool_report::waiting_text(look))
        }
        WorkState::Trying { .. } => unknown("Connecting to the pool."),
        WorkState::Unknown if look.age() > SILENT => warning(BLIND),
        WorkState::Unknown => unknown("The log does not show a pool connection yet."),
    }
}

/// Why the client left a pool or cannot use it, and the fix, without the last period.
fn leave_text(look: &Snapshot<'_>) -> String {
    let advice = look
        .standing
        .pool_left
        .as_ref()
        .map_or("", |left| left.advice.trim_end_matches('.'));
    format!("{}. {advice}", leave_cause(look))
}

/// Why the client left a pool or cannot use it.
fn leave_cause(look: &Snapshot<'_>) -> String {
    let Some(left) = &look.standing.pool_left else {
        return String::new();
    };
    let has_worked = look
        .standing
        .lost
        .as_ref()
        .is_some_and(|lost| lost.number == left.number);
    let what = if has_worked {
        "was disconnected"
    } else {
        "could not be used"
    };
    if left.number == 0 {
        left.text.clone()
    } else {
        format!(
            "pool {} of {} ({}) {what}: {}",
            left.number, left.of, left.pool, left.text
        )
    }
}

/// The number of shares at risk as a text that rarely changes: the power of ten that they exceed.
fn shares_at_risk(shares: u64) -> String {
    match shares {
        0..10 => "A few shares".into(),
        _ => format!("More than {} shares", 10_u64.pow(shares.ilog10())),
    }
}
