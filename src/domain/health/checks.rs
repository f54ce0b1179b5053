//! The health checks: from the snapshot of an instance to grades and messages. Pure. Each threshold
//! has its reason in a comment.
//!
//! A message describes the problem and the fix. It contains no value that changes every minute, so
//! the history has one row per change and not one per check.

mod template;
mod translator;
mod upstream;

use std::time::Duration;
use strum::IntoEnumIterator;

use super::model::{CheckFinding, HealthCheck, HealthGrade};
use super::snapshot::{LatestRelease, Snapshot, WINDOW};
use crate::base::clock::{Timestamp, human_duration};
use crate::domain::configs::ClientVersion;
use crate::domain::metrics::MonitoringState;
use crate::infra::disk::{SPACE_FULL, SPACE_WARNING};
use crate::keeper::machine::InstanceState;
use crate::programs::jd_client::diagnosis::certificate_text;

/// A client that has just started is not rated by things that need time: channels, first shares,
/// monitoring.
const SETTLING: Duration = Duration::from_secs(60);
/// If the log does not show the pool connection by then, it never will.
const SILENT: Duration = Duration::from_secs(180);
/// The message in that case.
const BLIND: &str = "The log does not show the current state, so jd-manager cannot check this. Restart the instance. If that does not help, jd-manager does not recognize this client version's log messages.";
/// From this number of automatic starts after a failure within an hour, a client is unstable.
const MANY_RETRIES: usize = 3;
/// Ten minutes without errors are normal; single errors are caused by miners with bad connections.
const MANY_ERRORS: f64 = 10.0;
const VERY_MANY_ERRORS: f64 = 200.0;
/// A client writes two to four lines per share; a hundred per second for ten minutes is a flood.
const STORM_LINES: f64 = 60_000.0;
/// An unusually long wait for a pool or a first template.
const LONG_WAIT: Duration = Duration::from_secs(60);
/// Certificates of Stratum V2 peers are rejected beyond 10 s (client 0.6.0).
const CLOCK_TOLERANCE_S: i64 = 10;
/// The client may process a new block late during a change of pools; then the node's clock only
/// seems to be behind.
const WAITED_S: i64 = -60;
/// Rejected shares in percent: a good connection loses less than one.
const MANY_REJECTS: f64 = 5.0;
const VERY_MANY_REJECTS: f64 = 25.0;
/// Minimum number of shares for a rating.
const ENOUGH_SHARES: f64 = 20.0;
/// Percent of the expected shares. The number of shares is random: if 20 are expected, fewer than 5
/// arrive once in 60,000 times.
const FEW_SHARES: f64 = 25.0;
/// Percent of the memory limit.
const MEMORY_WARNING: f64 = 80.0;
/// From here on the client is about to run out of memory; also the threshold of the automatic fix.
pub const MEMORY_FULL: f64 = 95.0;
/// Growth within six hours: by half, and by more than this.
const GROWTH_LEAST: f64 = 64.0 * 1024.0 * 1024.0;

/// All checks of an instance; that of the translator only if it has one.
pub fn all(look: &Snapshot<'_>) -> Vec<CheckFinding> {
    let of = |check: HealthCheck| {
        let (grade, message) = match check {
            HealthCheck::Process => process(look),
            HealthCheck::Disk => disk(look),
            HealthCheck::Translator => translator::translator(look, look.translator?),
            HealthCheck::Template if look.node.is_some() => template::template(look),
            // The other checks need a running client.
            _ if !look.instance.status.has_client() => {
                (HealthGrade::Unknown, "The instance is not running.".into())
            }
            HealthCheck::Template => template::template(look),
            HealthCheck::Upstream => upstream::upstream(look),
            HealthCheck::Shares => shares(look),
            HealthCheck::Monitoring => monitoring(look),
            HealthCheck::Clock => clock(look),
            HealthCheck::Memory => memory(look),
            HealthCheck::Logs => logs(look),
            HealthCheck::Version => version(look),
        };
        Some(CheckFinding {
            check,
            grade,
            message,
        })
    };
    HealthCheck::iter().filter_map(of).collect()
}

type CheckOutcome = (HealthGrade, String);

fn well(message: impl Into<String>) -> CheckOutcome {
    (HealthGrade::Healthy, message.into())
}

fn warning(message: impl Into<String>) -> CheckOutcome {
    (HealthGrade::Warning, message.into())
}

fn bad(message: impl Into<String>) -> CheckOutcome {
    (HealthGrade::Unhealthy, message.into())
}

fn unknown(message: impl Into<String>) -> CheckOutcome {
    (HealthGrade::Unknown, message.into())
}

fn process(look: &Snapshot<'_>) -> CheckOutcome {
    let instance = look.instance;
    let cause = || {
        let told = instance
            .cause
            .as_ref()
            .map(|told| format!("{}. {}", capitalised(&told.0.what), told.0.advice));
        let last = || {
            instance
                .last_output_text()
                .map(|words| format!("Last error: {words}"))
        };
        told.or_else(last)
            .unwrap_or_else(|| "See the log for the reason.".into())
    };
    match instance.status {
        InstanceState::Stopped | InstanceState::Stopping if instance.desired == "stopped" => {
            unknown("The instance is stopped.")
        }
        InstanceState::Stopped | InstanceState::Stopping => unknown(
            "The instance is stopped. Start it, or set it to start automatically with jd-manager.",
        ),
        InstanceState::Failed => bad(format!(
            "The instance failed. jd-manager does not restart it automatically. {}",
            cause()
        )),
        InstanceState::BackingOff => bad(format!(
            "The client exited unexpectedly. jd-manager will retry soon. {}",
            cause()
        )),
        InstanceState::Starting if instance.failures > 0 => bad(format!(
            "The client exited unexpectedly. jd-manager is retrying. {}",
            cause()
        )),
        InstanceState::Starting => match &instance.warning {
            Some(words) => warning(words.clone()),
            None => unknown("The client is starting."),
        },
        InstanceState::Running if look.hung_for().is_some() => bad(
            "The client is hung: no log output and no response from its monitoring port. jd-manager will restart it after two minutes, unless you turned that off \
             under Automatic fixes.",
        ),
        InstanceState::Running if look.standing.panicked.is_some() => warning(
            "Part of the client crashed, but the rest is still running: the log contains “panic”. Restart the instance. If it crashes again, try another client version.",
        ),
        InstanceState::Running if look.counted.retries >= MANY_RETRIES => warning(format!(
            "Running, but the client failed and was restarted at least {} times in the last hour. See Events for the reasons.",
            MANY_RETRIES
        )),
        InstanceState::Running => well("Running."),
    }
}

fn shares(look: &Snapshot<'_>) -> CheckOutcome {
    let counted = look.counted;
    let Some(miners) = look.figure("miners") else {
        return unknown("The client is not reporting metrics, so shares are not counted.");
    };
    if miners < 1.0 {
        return match look.age() > SETTLING {
            true => warning(
                "No miners are connected. Point your miners at the address shown on the instance page.",
            ),
            false => unknown("No miners have connected yet."),
        };
    }
    let share = |part: f64, rest: f64| {
        if part + rest >= ENOUGH_SHARES {
            100.0 * part / (part + rest)
        } else {
            0.0
        }
    };
    let by_pool = share(counted.refused_hour, counted.acknowledged_hour);
    let by_client = share(counted.rejected_hour, counted.accepted_hour);
    let reason = || match look
        .standing
        .shares
        .by_reason
        .iter()
        .max_by_key(|(_, count)| **count)
    {
        Some((reason, _)) => format!(" Most common reason: {reason}."),
        None => String::new(),
    };
    if by_pool > MANY_REJECTS {
        let words = format!(
            "The pool is rejecting more than {}% of the shares.{} Stale shares are caused by a slow connection to the pool or late templates.",
            if by_pool > VERY_MANY_REJECTS {
                VERY_MANY_REJECTS
            } else {
                MANY_REJECTS
            },
            reason()
        );
        return if by_pool > VERY_MANY_REJECTS {
            bad(words)
        } else {
            warning(words)
        };
    }
    if by_client > MANY_REJECTS {
        let words = format!(
            "The client is rejecting more than {}% of the miners' shares. The charts show which miners and why. Common reasons: old work, low difficulty, or a configured hashrate that is too high.",
            if by_client > VERY_MANY_REJECTS {
                VERY_MANY_REJECTS
            } else {
                MANY_REJECTS
            }
        );
        return if by_client > VERY_MANY_REJECTS {
            bad(words)
        } else {
            warning(words)
        };
    }
    let channels = look.figure("channels_miners").unwrap_or(miners);
    let expected =
        look.running.shares_per_minute.unwrap_or(0.0) * channels * WINDOW.as_secs_f64() / 60.0;
    // New channels had no time for shares.
    if look.age() > WINDOW + SETTLING && expected >= ENOUGH_SHARES {
        if counted.accepted <= 0.0 {
            return bad(
                "Miners are connected, but no share has arrived for 10 minutes. Check that the miners are hashing and are working for this instance.",
            );
        }
        if 100.0 * counted.accepted / expected < FEW_SHARES {
            return warning(
                "Far fewer shares are arriving than expected from the connected miners. The charts show which miner has fallen behind.",
            );
        }
    }
    // Right after a start, or with too few expected shares to judge by their absence.
    if counted.accepted <= 0.0 {
        return unknown("No share has arrived in the last 10 minutes.");
    }
    well("Shares are arriving as expected, and few are rejected.")
}

fn monitoring(look: &Snapshot<'_>) -> CheckOutcome {
    if !look.running.has_monitoring {
        return unknown(
            "The configuration has no monitoring address, so hashrate and shares cannot be measured. Add a monitoring address to see them.",
        );
    }
    if look.running.refresh_s == 0 || look.standing.frozen_by_panic {
        return bad(
            "Metrics have stopped updating: monitoring_cache_refresh_secs is 0 in the configuration, and the client does not support that. Set it to 15.",
        );
    }
    if let Some(still) = look.frozen_for() {
        return bad(format!(
            "Metrics have not been updated for more than {}, even though the client's monitoring port is responding. Restart the instance.",
            human_duration(minutes(still))
        ));
    }
    match look
        .measured
        .and_then(|measured| measured.monitoring.as_ref())
    {
        Some(MonitoringState::Not { since, words, .. })
            if look.now.since(Timestamp(since.saturating_mul(1000))) > SETTLING =>
        {
            bad(words.clone())
        }
        Some(MonitoringState::Not { .. }) | None => {
            unknown("The client's monitoring port has not responded yet.")
        }
        Some(MonitoringState::Moving | MonitoringState::Still(_)) => {
            well("The client's monitoring port is responding.")
        }
    }
}

/// Rounded down to a minute, for a text that rarely changes.
fn minutes(length: Duration) -> Duration {
    let minutes = length.as_secs() / 60;
    Duration::from_secs(60 * if minutes > 10 { 10 } else { minutes.min(1) })
}

fn clock(look: &Snapshot<'_>) -> CheckOutcome {
    if let Some(certificate) = &look.standing.certificate {
        let told = certificate_text(certificate);
        return bad(format!("{}. {}", capitalised(&told.what), told.advice));
    }
    match look.standing.node_clock_ahead_s {
        Some(ahead) if !(WAITED_S..=CLOCK_TOLERANCE_S).contains(&ahead) => warning(format!(
            "The node's clock is more than {} s {} this machine's clock. Clock differences cause certificates to be rejected. Sync both with a time server.",
            if ahead > 0 {
                CLOCK_TOLERANCE_S
            } else {
                -WAITED_S
            },
            if ahead > 0 { "ahead of" } else { "behind" },
        )),
        Some(_) => well("This machine's clock and the node's clock agree."),
        None => unknown("The clocks cannot be compared until a block arrives."),
    }
}

fn memory(look: &Snapshot<'_>) -> CheckOutcome {
    let Some(now) = look.figure("memory_bytes") else {
        return unknown("Memory has not been measured yet.");
    };
    match look.memory_reached() {
        Some(reached) if reached >= MEMORY_FULL => {
            return bad(
                "The client is about to reach its memory limit, and will then exit. Raise the limit under Settings, or restart the instance.",
            );
        }
        Some(reached) if reached >= MEMORY_WARNING => {
            return warning(format!(
                "The client is using more than {MEMORY_WARNING}% of its memory limit. If this is normal, raise the limit under Settings."
            ));
        }
        _ => {}
    }
    match look.counted.memory_before {
        Some(before) if now - before > GROWTH_LEAST && now > before * 1.5 => warning(
            "Memory has grown by more than 50% in 6 hours. If it keeps growing, restart the instance and set a memory limit under Settings.",
        ),
        _ => well("Memory use is normal."),
    }
}

fn disk(look: &Snapshot<'_>) -> CheckOutcome {
    match look.free {
        None => unknown("Free disk space is unknown."),
        Some(free) if free < SPACE_FULL => bad(
            "Less than 200 MiB of disk space is left for logs and the database. Free up space: nothing can be recorded on a full disk.",
        ),
        Some(free) if free < SPACE_WARNING => warning(
            "Less than 1 GiB of disk space is left for logs and the database. Free up space before the disk is full.",
        ),
        Some(_) => well("There is enough disk space for logs and the database."),
    }
}

fn logs(look: &Snapshot<'_>) -> CheckOutcome {
    let counted = look.counted;
    if counted.lines > STORM_LINES {
        return warning(
            "The log is growing by more than 100 lines per second. The configuration or a peer is causing repeated messages. See the log.",
        );
    }
    if counted.errors >= VERY_MANY_ERRORS {
        return bad("The client logged at least 200 errors in 10 minutes. See the log.");
    }
    if counted.errors >= MANY_ERRORS {
        return warning("The client logged at least 10 errors in 10 minutes. See the log.");
    }
    well("Few or no errors in the log.")
}

/// A newer client is information and does not lower the score: the current one works.
fn version(look: &Snapshot<'_>) -> CheckOutcome {
    match (look.version, available_update(look)) {
        (None, _) => unknown("The client version is unknown."),
        (_, Some(text)) => well(text),
        (Some(version), None) => well(format!("Client {version}. No newer version is known.")),
    }
}

/// The newer client that can be installed, as sentences.
pub fn available_update(look: &Snapshot<'_>) -> Option<String> {
    let version = look.version?;
    match look.latest {
        None if version < ClientVersion::NEWEST_KNOWN => Some(format!(
            "Client {} is available; this instance uses {version}. Install it under Updates.",
            ClientVersion::NEWEST_KNOWN
        )),
        Some(LatestRelease {
            tag,
            client: Some(client),
        }) if *client > version => Some(format!(
            "Release {tag} with client {client} is available; this instance uses {version}. Install it under Updates."
        )),
        Some(LatestRelease { tag, client: None }) => Some(format!(
            "Release {tag} is available; this instance uses client {version}. Install it under Updates."
        )),
        _ => None,
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(rest).collect()
    })
}

#[cfg(test)]
mod tests;
