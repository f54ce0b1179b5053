//! The check of the translator: its process, its connection to the client, its miners, and their
//! rejected shares.

use super::super::snapshot::{Snapshot, TRANSLATOR_PATIENCE, TranslatorHealth};
use super::{
    CheckOutcome, LONG_WAIT, MANY_RETRIES, SETTLING, bad, capitalised, unknown, warning, well,
};
use crate::base::clock::{Timestamp, human_duration};
use crate::domain::instances::{InstanceProgram, TRANSLATOR_RETRIES};
use crate::domain::miners::{TranslatorReport, is_many_rejected};
use crate::keeper::machine::InstanceState;

/// A new connection to the client takes a second.
const RECONNECTING_S: u64 = 20;

pub(super) fn translator(look: &Snapshot<'_>, health: &TranslatorHealth) -> CheckOutcome {
    if health.is_missing {
        return bad(
            "The client version of this instance has no translator, so Stratum V1 miners cannot connect. Under Updates, install a version with a translator, or turn off \
             the Stratum V1 port in the configuration.",
        );
    }
    if !look.instance.status.has_client() {
        return unknown("The instance is not running.");
    }
    let Some(program) = look.instance.translator() else {
        return unknown("The state of the translator is unknown.");
    };
    match program.status {
        "running" => running(look, health, program),
        "starting" if program.failures > 0 && look.translator_disconnected_for().is_none() => {
            retries("is retrying", program)
        }
        "starting" => starting(look, health, program),
        "backing-off" => retries("will retry soon", program),
        "waiting" => waiting(look),
        _ => unknown("The translator is stopped."),
    }
}

fn retries(what: &str, program: &InstanceProgram) -> CheckOutcome {
    bad(format!(
        "{TRANSLATOR_RETRIES}, and Stratum V1 miners cannot connect. jd-manager {what}. {}",
        exit_text(program)
    ))
}

/// Why the last translator exited.
fn exit_text(program: &InstanceProgram) -> String {
    match (&program.cause, program.error_text()) {
        (Some(told), _) => format!("{}. {}", capitalised(&told.0.what), told.0.advice),
        (None, Some(words)) => format!("Last error: {words}"),
        (None, None) => "See the translator's log for the reason.".into(),
    }
}

fn waiting(look: &Snapshot<'_>) -> CheckOutcome {
    let is_late = look.instance.status == InstanceState::Running
        && look
            .instance
            .since
            .is_some_and(|since| look.now.since(since) > SETTLING);
    match is_late {
        true => bad(
            "The translator has not started, because the client is not listening on its port for miners. Check the listening address in the configuration.",
        ),
        false => unknown("The translator starts when the client is ready for miners."),
    }
}

fn starting(
    look: &Snapshot<'_>,
    health: &TranslatorHealth,
    program: &InstanceProgram,
) -> CheckOutcome {
    match look.translator_disconnected_for() {
        Some(length) if length > LONG_WAIT => disconnected(health, program),
        _ => unknown("The translator is starting."),
    }
}

fn disconnected(health: &TranslatorHealth, program: &InstanceProgram) -> CheckOutcome {
    let why = match (&health.log.failure, &health.log.client_refusal) {
        (Some(told), _) => format!("{}. {}", capitalised(&told.what), told.advice),
        (None, Some(said)) => format!("Last error: {}.", said.words.trim_end_matches('.')),
        (None, None) => "See the translator's log for the reason.".into(),
    };
    if !program.can_restart {
        return bad(format!(
            "The translator is not connected to the client, so Stratum V1 miners cannot mine. Restart the instance. {why}"
        ));
    }
    bad(format!(
        "The translator is not connected to the client, so Stratum V1 miners cannot mine. jd-manager restarts the translator after {}, unless you turned that off \
         under Automatic fixes. {why}",
        human_duration(TRANSLATOR_PATIENCE)
    ))
}

fn running(
    look: &Snapshot<'_>,
    health: &TranslatorHealth,
    program: &InstanceProgram,
) -> CheckOutcome {
    if let Some(length) = look.translator_disconnected_for() {
        return match length.as_secs() > RECONNECTING_S {
            true => disconnected(health, program),
            false => unknown("The translator is reconnecting to the client."),
        };
    }
    let age = program
        .started_at
        .map_or(look.age(), |started| look.now.since(started));
    let Some(report) = &health.report else {
        return match age > SETTLING {
            true => unknown(
                "jd-manager cannot count the translator's miners because it could not read the translator's monitoring data.",
            ),
            false => unknown("The translator's miners have not been counted yet."),
        };
    };
    if let Some(since) = report.unanswered_since
        && look.now.since(since) > SETTLING
    {
        if !program.can_restart {
            return warning(format!(
                "The translator's monitoring port has not responded since {}. Restart the instance.",
                since.local_minute()
            ));
        }
        return warning(format!(
            "The translator's monitoring port has not responded since {}. If the translator does not respond to miners either, jd-manager restarts it, unless you turned that off \
             under Automatic fixes.",
            since.local_minute()
        ));
    }
    if report.without_channel > 0 {
        return stuck(report);
    }
    if usize::try_from(program.failures).unwrap_or(usize::MAX) >= MANY_RETRIES {
        return warning(format!(
            "The translator is running, but it recently exited unexpectedly at least {MANY_RETRIES} times. {}",
            exit_text(program)
        ));
    }
    if health.log.panicked.is_some() {
        return warning(
            "Part of the translator crashed, but the rest is still running: its log contains “panic”. Restart the translator. If it crashes again, try another client version.",
        );
    }
    let (accepted, rejected) = health.log.shares.recent.last_hour(look.now);
    if report.many_rejected > 0 || is_many_rejected(accepted, rejected) {
        return rejects(report, health);
    }
    well("Running and connected to the client.")
}

fn stuck(report: &TranslatorReport) -> CheckOutcome {
    let since = report
        .without_channel_since
        .map(Timestamp::local_minute)
        .unwrap_or_default();
    let (who, have) = match report.without_channel {
        1 => ("1 Stratum V1 miner is".to_owned(), "it cannot"),
        count => (format!("{count} Stratum V1 miners are"), "they cannot"),
    };
    let words = format!(
        "{who} connected without a channel, so {have} mine. The first has been waiting since {since}. Restart the affected miners; the miner list shows which ones. If that does not \
         help, update their firmware: some versions, for example for the Bitaxe, stop responding while connecting."
    );
    if report.without_channel >= report.miners {
        bad(words)
    } else {
        warning(words)
    }
}

fn rejects(report: &TranslatorReport, health: &TranslatorHealth) -> CheckOutcome {
    let by_reason = health.log.shares.by_reason.iter();
    let reason = by_reason
        .max_by_key(|(_, count)| **count)
        .map(|(reason, _)| format!(" Most common reason: {reason}."))
        .unwrap_or_default();
    let who = match report.many_rejected {
        0 => "More than 1% of the shares from Stratum V1 miners".to_owned(),
        1 => "More than 1% of the shares from 1 Stratum V1 miner".to_owned(),
        count => format!("More than 1% of the shares from {count} Stratum V1 miners"),
    };
    warning(format!(
        "{who} in the last hour were rejected.{reason} Check the affected miners' network connection and overclocking; the miner list shows which ones."
    ))
}
