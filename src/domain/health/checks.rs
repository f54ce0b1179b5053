//! The checks: what an instance looks like in, what is to be said of it out. Pure; thresholds stand
//! beside their reason.
//!
//! A message says what is the case and, unless all is well, what to do. It holds no figure that
//! changes from minute to minute, so that the history has a row for each change and not for each
//! look.

mod template;
mod upstream;

use std::time::Duration;
use strum::IntoEnumIterator;

use super::model::{CheckFinding, HealthCheck, HealthGrade};
use super::snapshot::{LatestRelease, Snapshot, WINDOW};
use crate::base::clock::{Timestamp, human_duration};
use crate::domain::configs::ClientVersion;
use crate::domain::metrics::MonitoringState;
use crate::keeper::machine::InstanceState;
use crate::programs::jd_client::diagnosis::certificate_text;

/// A client that has just been started is not judged by what needs time: channels, first shares,
/// monitoring.
const SETTLING: Duration = Duration::from_secs(60);
/// A client whose log has not said by then where its work goes will not say so.
const SILENT: Duration = Duration::from_secs(180);
/// What is to be said then.
const BLIND: &str = "Its log does not say how things stand, so this cannot be judged. Restart it; if that does not help, its version of the client says it in other \
                     words than those known here.";
/// Starts within an hour, the wanted one included, from which on a client does not run smoothly.
const MANY_STARTS: usize = 4;
/// Ten minutes without any error are normal; single ones come with miners that connect badly.
const MANY_ERRORS: f64 = 10.0;
const VERY_MANY_ERRORS: f64 = 200.0;
/// A client writes two to four lines for a share; a hundred a second for ten minutes is a storm.
const STORM_LINES: f64 = 60_000.0;
/// A wait for a pool or a first template that is longer than usual.
const LONG_WAIT: Duration = Duration::from_secs(60);
/// Certificates of Stratum V2 peers are refused beyond 10 s (client 0.6.0).
const CLOCK_TOLERANCE_S: i64 = 10;
/// A word of a new block may have waited in the client for a while, around a change of pools; the
/// node's clock then only seems to be behind.
const WAITED_S: i64 = -60;
/// Rejected shares, per cent: a good line loses under one.
const MANY_REJECTS: f64 = 5.0;
const VERY_MANY_REJECTS: f64 = 25.0;
/// Judged from so many shares on.
const ENOUGH_SHARES: f64 = 20.0;
/// Of the expected shares, per cent. Shares are a matter of luck: of 20 expected, fewer than 5 come
/// once in 60,000 times.
const FEW_SHARES: f64 = 25.0;
/// Of the memory limit, per cent.
const MEMORY_WARNING: f64 = 80.0;
/// From here on the client is about to be refused memory; also where the cure sets in.
pub const MEMORY_FULL: f64 = 95.0;
/// Growth within six hours: half as much again and more than this.
const GROWTH_LEAST: f64 = 64.0 * 1024.0 * 1024.0;
const MIB: u64 = 1024 * 1024;
/// Free space.
const DISK_WARNING: u64 = 1024 * MIB;
const DISK_FULL: u64 = 200 * MIB;

/// All checks of an instance.
pub fn all(look: &Snapshot<'_>) -> Vec<CheckFinding> {
    let of = |check: HealthCheck| {
        let (grade, message) = match check {
            HealthCheck::Process => process(look),
            HealthCheck::Disk => disk(look),
            // What follows speaks of a client that runs.
            _ if !look.instance.status.has_client() => {
                (HealthGrade::Unknown, "It does not run.".into())
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
        CheckFinding {
            check,
            grade,
            message,
        }
    };
    HealthCheck::iter().map(of).collect()
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
                .map(|words| format!("Its last error: {words}"))
        };
        told.or_else(last)
            .unwrap_or_else(|| "Its log may say why.".into())
    };
    match instance.status {
        InstanceState::Stopped | InstanceState::Stopping if instance.desired == "stopped" => {
            unknown("It is stopped, as asked.")
        }
        InstanceState::Stopped | InstanceState::Stopping => {
            unknown("It is stopped. Start it, or have it started with the manager.")
        }
        InstanceState::Failed => bad(format!(
            "It does not run and is not tried again by itself. {}",
            cause()
        )),
        InstanceState::BackingOff => bad(format!(
            "Its client ended and is tried again soon. {}",
            cause()
        )),
        InstanceState::Starting if instance.failures > 0 => bad(format!(
            "Its client ended and is being tried again. {}",
            cause()
        )),
        InstanceState::Starting => match &instance.warning {
            Some(words) => warning(words.clone()),
            None => unknown("Its client is starting."),
        },
        InstanceState::Running if look.hung_for().is_some() => bad(
            "The client hangs: no log output, and no answer from its monitoring. jd-manager restarts it after two minutes, unless you turned that off \
             under Self-healing.",
        ),
        InstanceState::Running if look.standing.panicked.is_some() => warning(
            "A part of the client crashed while the rest goes on: its log has the words “panic”. Restart it, and if it comes again, try another \
             version of the client.",
        ),
        InstanceState::Running if look.counted.starts >= MANY_STARTS => warning(format!(
            "It serves miners, but was started {} times or more within the last hour. Its events say why.",
            MANY_STARTS
        )),
        InstanceState::Running => well("Its client serves miners."),
    }
}

fn shares(look: &Snapshot<'_>) -> CheckOutcome {
    let counted = look.counted;
    let Some(miners) = look.figure("miners") else {
        return unknown("Its monitoring tells no figures, so shares are not counted.");
    };
    if miners < 1.0 {
        return match look.age() > SETTLING {
            true => warning(
                "No miner is connected. Point miners at the address on the instance's page.",
            ),
            false => unknown("No miner has connected yet."),
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
        Some((reason, _)) => format!(" Most often the reason is {reason}."),
        None => String::new(),
    };
    if by_pool > MANY_REJECTS {
        let words = format!(
            "The pool refuses more than {} % of the shares.{} Stale shares come from a slow line to the pool or late templates.",
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
            "The client refuses more than {} % of the miners' shares. See the charts for which miner and why: too old work, too low difficulty, or a \
             miner set too fast.",
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
    // Channels that were opened a moment ago have had no time.
    if look.age() > WINDOW + SETTLING && expected >= ENOUGH_SHARES {
        if counted.accepted <= 0.0 {
            return bad(
                "Miners are connected but no share has come for ten minutes. See whether they hash, and that they take work from here.",
            );
        }
        if 100.0 * counted.accepted / expected < FEW_SHARES {
            return warning(
                "Far fewer shares come than the connected miners should find. See the charts for which of them has fallen behind.",
            );
        }
    }
    well("Shares come as expected, and few are refused.")
}

fn monitoring(look: &Snapshot<'_>) -> CheckOutcome {
    if !look.running.has_monitoring {
        return unknown(
            "Its configuration has no monitoring address: hashrate and shares cannot be measured. Add one to see them.",
        );
    }
    if look.running.refresh_s == 0 || look.standing.frozen_by_panic {
        return bad(
            "Its figures stand still for good: monitoring_cache_refresh_secs is 0 in its configuration, which the client cannot do. Set it to 15.",
        );
    }
    if let Some(still) = look.frozen_for() {
        return bad(format!(
            "Its figures have stood still for more than {}, though it answers. A restart helps.",
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
        Some(MonitoringState::Not { .. }) | None => unknown("Its monitoring has not answered yet."),
        Some(MonitoringState::Moving | MonitoringState::Still(_)) => {
            well("Its monitoring answers.")
        }
    }
}

/// Rounded down to a minute, for words that shall not change all the time.
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
            "The clock of the node behind the template provider is {} this machine's by more than {} s. Certificates are refused when \
             clocks differ: set both by a time server.",
            if ahead > 0 { "ahead of" } else { "behind" },
            if ahead > 0 {
                CLOCK_TOLERANCE_S
            } else {
                -WAITED_S
            },
        )),
        Some(_) => well("The clocks of this machine and of the node agree."),
        None => unknown("No block has come yet to compare clocks by."),
    }
}

fn memory(look: &Snapshot<'_>) -> CheckOutcome {
    let Some(now) = look.figure("memory_bytes") else {
        return unknown("Its memory was not measured yet.");
    };
    match look.memory_reached() {
        Some(reached) if reached >= MEMORY_FULL => {
            return bad(
                "It is about to reach its memory limit, and would be ended then. Raise the limit in its settings, or restart it.",
            );
        }
        Some(reached) if reached >= MEMORY_WARNING => {
            return warning(format!(
                "It uses more than {MEMORY_WARNING} % of its memory limit. Raise the limit in its settings if this is its normal size."
            ));
        }
        _ => {}
    }
    match look.counted.memory_before {
        Some(before) if now - before > GROWTH_LEAST && now > before * 1.5 => warning(
            "Its memory has grown by half or more within six hours. If it goes on like that, restart it and set a memory limit in its settings.",
        ),
        _ => well("Its memory is as it should be."),
    }
}

fn disk(look: &Snapshot<'_>) -> CheckOutcome {
    match look.free {
        None => unknown("How much room is left cannot be told."),
        Some(free) if free < DISK_FULL => bad(
            "Less than 200 MiB are left for logs and the database. Make room: nothing can be recorded on a full disk.",
        ),
        Some(free) if free < DISK_WARNING => warning(
            "Less than 1 GiB is left for logs and the database. Make room before it runs out.",
        ),
        Some(_) => well("There is room for logs and the database."),
    }
}

fn logs(look: &Snapshot<'_>) -> CheckOutcome {
    let counted = look.counted;
    if counted.lines > STORM_LINES {
        return warning(
            "Its log grows by more than a hundred lines a second. Its configuration or its peers make it repeat itself: see the log.",
        );
    }
    if counted.errors >= VERY_MANY_ERRORS {
        return bad("Its log is full of errors: more than 200 within ten minutes. See the log.");
    }
    if counted.errors >= MANY_ERRORS {
        return warning("Its log has ten errors or more within ten minutes. See the log.");
    }
    well("Its log has few errors or none.")
}

/// A newer client is information and no reason to score less: the present one works.
fn version(look: &Snapshot<'_>) -> CheckOutcome {
    match (look.version, available_update(look)) {
        (None, _) => unknown("The version of its client is not known."),
        (_, Some(text)) => well(text),
        (Some(version), None) => well(format!(
            "Its client is version {version}, the newest that is known here or newer."
        )),
    }
}

/// The newer client that could be installed, in sentences.
pub fn available_update(look: &Snapshot<'_>) -> Option<String> {
    let version = look.version?;
    match look.latest {
        None if version < ClientVersion::NEWEST_KNOWN => Some(format!(
            "Client {} is available; this instance runs {version}. Install it under Updates.",
            ClientVersion::NEWEST_KNOWN
        )),
        Some(LatestRelease {
            tag,
            client: Some(client),
        }) if *client > version => Some(format!(
            "Release {tag} with client {client} is available; this instance runs {version}. Install it under Updates."
        )),
        Some(LatestRelease { tag, client: None }) => Some(format!(
            "Release {tag} is available; this instance runs client {version}. Install it under Updates."
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
