//! How long a host may take to respond, and when it is asked again.

use std::time::Duration;
use tokio::time::timeout;

use super::model::{Host, HostReport, HostStatus};
use super::remote;
use crate::programs::openssh::{OpenSsh, SshFailure, SshFailureKind};

/// The pause after a response.
const INTERVAL: Duration = Duration::from_secs(5);
/// The pauses after failures: the first, and the longest. A host that returns is shown within 15 s.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));
/// The pause after a refused login: many of them make some machines lock out the address.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// A host that takes longer to respond is unreachable.
pub const LIMIT: Duration = Duration::from_secs(8);

/// Asks a host once, with a time limit.
///
/// # Errors
/// There is no usable jd-manager in time.
pub async fn ask(ssh: &OpenSsh, host: &Host) -> Result<HostReport, SshFailure> {
    let to = &host.address;
    let outcome = timeout(LIMIT, remote::ask(ssh, to, &host.name))
        .await
        .unwrap_or_else(|_| {
            Err(SshFailure {
                kind: SshFailureKind::Unreachable,
                messages: format!("There was no response within {} s.", LIMIT.as_secs()),
            })
        });
    if outcome.is_err() {
        // The shared connection may be dead. Its command also stays the one of authorized_keys at the
        // time of the login, even if the line is fixed.
        ssh.close(to).await;
    }
    outcome
}

/// The pause before the next attempt: ±20%, so that hosts that were lost together do not return
/// together.
pub fn pause(status: HostStatus, failures: u32) -> Duration {
    let base = match status {
        HostStatus::Refused => REFUSED_PAUSE,
        _ if failures == 0 => INTERVAL,
        _ => PAUSES
            .0
            .saturating_mul(1 << (failures - 1).min(8))
            .min(PAUSES.1),
    };
    let mut random = [128];
    let _ = getrandom::fill(&mut random);
    base.mul_f64(0.8 + 0.4 * f64::from(random[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_jitter() {
        let around = |wanted: u64, pause: Duration| {
            let wanted = Duration::from_secs(wanted);
            assert!(
                pause >= wanted.mul_f64(0.79) && pause <= wanted.mul_f64(1.21),
                "{pause:?} is not about {wanted:?}"
            );
        };
        for (failures, wanted) in [(1, 2), (2, 4), (3, 8), (4, 8), (1000, 8)] {
            around(wanted, pause(HostStatus::Unreachable, failures));
        }
        around(5, pause(HostStatus::Ok, 0));
        around(60, pause(HostStatus::Refused, 1));
        let all: std::collections::HashSet<Duration> =
            (0..20).map(|_| pause(HostStatus::Ok, 0)).collect();
        assert!(all.len() > 5, "{all:?}");
    }
}
