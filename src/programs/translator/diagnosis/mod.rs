//! Diagnosis from the translator's log: why it exited ([`cause`]), and the status of a running
//! translator ([`TranslatorLogStatus`]).
//!
//! Pure: lines in, values out. It contains the log messages of `translator_sv2` and does not depend
//! on instances, files or the database. Log lines have the same format as the client's. Exit codes
//! are of little use: up to 0.5.0, the translator exits with 0 when it loses the client, and every
//! version does so when its monitoring port is in use.

mod causes;
mod facts;
mod status;

use crate::base::clock::Timestamp;
use crate::programs::jd_client::diagnosis::causes::CauseWeight;
use crate::programs::jd_client::diagnosis::facts::details::{certificate, number_after};
use crate::programs::jd_client::diagnosis::{
    CertificateOwner, ClientEnd, EndCause, RECENT, RejectedCertificate, best_cause,
    certificate_text,
};
use crate::programs::log_line::LineParts;
use causes::rules;

pub use status::{
    RecentShares, Sv1MinerStage, TranslatorLogStatus, TranslatorPhase, TranslatorShares,
};

/// The text of the line that means that miners can connect, in all versions.
pub const READY: &str = "Translator Proxy: listening on ";

/// The cause of an exit, from the translator's last warnings and errors, oldest first, and its exit
/// status; `None` if it is unknown.
pub fn cause(lines: &[String], ended_at: Timestamp, end: Option<ClientEnd>) -> Option<EndCause> {
    // Another program or user stopped it; earlier messages do not matter.
    if let Some(by_signal @ ClientEnd::Signal(1 | 2 | 9 | 15)) = end {
        return by_end(by_signal);
    }
    let is_crash = matches!(end, Some(ClientEnd::Code(101) | ClientEnd::Signal(_)));
    best_cause(lines, ended_at, |line, age| {
        (age <= RECENT)
            .then(|| cause_of_line(line, is_crash))
            .flatten()
    })
    .or_else(|| by_end(end?))
}

/// The cause of an exit in one log line.
fn cause_of_line(line: &str, is_crash: bool) -> Option<(EndCause, CauseWeight)> {
    // Only the translator's own lines have its words; a cut panic or a configuration error has no
    // header at all.
    if let Some(parts) = LineParts::read(line.as_bytes())
        && !(parts.target.starts_with(b"translator_sv2")
            || parts.target.starts_with(b"stratum_apps"))
    {
        return None;
    }
    let (cause, weight) = rules()
        .filter(|rule| !is_crash || rule.may_crash)
        .find_map(|rule| Some((rule.apply(line)?, rule.weight)))?;
    Some((clock_cause(line, &cause).unwrap_or(cause), weight))
}

/// The cause of a rejected certificate if the clock was wrong and not the key. The certificate of a
/// client on the same machine is always valid at the current time.
fn clock_cause(line: &str, cause: &EndCause) -> Option<EndCause> {
    if cause.code != "client-key" {
        return None;
    }
    let at = LineParts::read(line.as_bytes())?.at;
    let bytes = line.as_bytes();
    // 0.6.0 writes the name of the error with a space in one line and without in the next.
    let seconds = |mark| number_after(bytes, mark).and_then(|s| i64::try_from(s).ok());
    let (valid_from, not_valid_after) = match certificate(bytes) {
        Some(validity) => (validity.from, validity.until),
        None => (seconds("valid_from: ")?, seconds("not_valid_after: ")?),
    };
    let text = certificate_text(&RejectedCertificate {
        at,
        peer: CertificateOwner::Provider,
        valid_from,
        not_valid_after,
    });
    text.code.ends_with("-clock").then(|| EndCause {
        code: "client-clock".into(),
        what: "the clocks of the translator's and the client's machines differ".into(),
        advice: "Synchronize both clocks. They may differ by at most 10 seconds.".into(),
    })
}

/// The cause that the exit status alone indicates.
fn by_end(end: ClientEnd) -> Option<EndCause> {
    let (code, what, advice) = match end {
        ClientEnd::Signal(9) => (
            "killed",
            "the translator was killed (SIGKILL)",
            "If you did not kill it, the machine may have run out of memory. Check the system log (dmesg).",
        ),
        ClientEnd::Signal(2 | 15 | 1) => (
            "ended-from-outside",
            "another program or user stopped the translator",
            "To stop it permanently, stop it in jd-manager.",
        ),
        ClientEnd::Signal(4 | 6 | 7 | 8 | 11) | ClientEnd::Code(101) => (
            "crashed",
            "the translator crashed",
            "This is a bug in the translator; its log has the details for the developers. Another version may not have this bug.",
        ),
        ClientEnd::Signal(_) | ClientEnd::Code(_) => return None,
    };
    Some(EndCause {
        code: code.into(),
        what: what.into(),
        advice: advice.into(),
    })
}

#[cfg(test)]
mod messages;
#[cfg(test)]
mod real_logs;
#[cfg(test)]
mod tests;
