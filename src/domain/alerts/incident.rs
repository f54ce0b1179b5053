//! Which rules report the same incident, so that it is one notification. No I/O.
//!
//! A client that is not running is also unhealthy. While a rule about the state covers that, a rule
//! about the health with the same channels waits: it neither starts nor ends. What is still wrong
//! when the client runs again is reported then.

use std::time::Duration;

use super::model::{AlertRule, InstanceProblem, RuleCondition};
use super::observation::{AlertSubject, InstanceObservation};
use crate::base::ids::ChannelId;
use crate::keeper::machine::InstanceState;

/// Problems of several instances or hosts that start within this time are probably one outage. A health check
/// notices within a minute what a state shows at once, and some causes take a few minutes to end a
/// client.
pub const SAME_START: Duration = Duration::from_secs(300);

/// Whether both rules are about the state or the health of an instance, or both about hosts.
pub const fn are_comparable(a: &AlertRule, b: &AlertRule) -> bool {
    use RuleCondition::{Check, HostUnreachable, State};
    matches!(
        (&a.condition, &b.condition),
        (State { .. } | Check { .. }, State { .. } | Check { .. })
            | (HostUnreachable, HostUnreachable)
    )
}

/// Whether another rule reports that the instance is not running, to the same channels, no later and
/// at the same times of the day, so that a rule about its health has nothing to add.
pub fn is_covered(
    rule: &AlertRule,
    seen: &InstanceObservation,
    rules: &[AlertRule],
    receivers: impl Fn(&AlertRule) -> Vec<ChannelId>,
) -> bool {
    let is_down = seen.is_wanted && seen.state != InstanceState::Running;
    let covers = |other: &AlertRule| {
        let is_about_down = matches!(
            other.condition,
            RuleCondition::State {
                is: InstanceProblem::NotRunning
            }
        );
        is_about_down
            && other.enabled
            && other.is_about(&AlertSubject::Instance(seen.instance))
            && other.for_s <= rule.for_s
            && other.quiet == rule.quiet
            && receivers(other) == receivers(rule)
    };
    is_down && matches!(rule.condition, RuleCondition::Check { .. }) && rules.iter().any(covers)
}

#[cfg(test)]
mod tests;
