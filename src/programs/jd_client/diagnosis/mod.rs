//! What the client's own last words say about why it ended: a cause in plain words, and what to do
//! about it.
//!
//! Pure: lines in, a [`EndCause`] out. It knows the texts of `jd_client_sv2` and nothing of
//! instances, files or the database. A cause is named only when a line says so; everything else is
//! left to the last error line, which is always shown.

mod causes;
mod certificate;
mod facts;
mod line;
mod pool_leave;
mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::base::clock::Timestamp;
use causes::{CauseRule, RULES};

pub use certificate::{CertificateOwner, RejectedCertificate, certificate_text};
pub use pool_leave::{PoolLeaveCode, PoolLeaveReason};
pub use status::{
    ClientMessage, ClientStatus, OTHER, ProviderState, ShareCounts, UpstreamAddress, UpstreamState,
    WorkState,
};

/// Lines older than this when the client ended are history, not the cause of its end. The slowest
/// known failure, a template provider that does not speak Stratum V2, takes 34 s (0.6.0, measured).
const RECENT: Duration = Duration::from_secs(60);

/// Why a client ended.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct EndCause {
    /// A word for programs, which stays the same: `provider-refused`, `port-in-use`, …
    pub code: String,
    /// What happened, as part of a sentence: `template provider refused the connection`.
    pub what: String,
    /// What to do about it, a sentence or two.
    pub advice: String,
}

/// How the client ended, as far as it tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEnd {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The cause, from the client's last warnings and errors, oldest first, and how it ended; none if
/// they do not tell.
///
/// The latest line that tells something decides: what the client says after it is how it winds
/// down.
pub fn cause(lines: &[String], ended_at: Timestamp, end: Option<ClientEnd>) -> Option<EndCause> {
    // Who was ended from outside did not end for what it said before.
    if let Some(told @ ClientEnd::Signal(1 | 2 | 9 | 15)) = end {
        return by_end(told);
    }
    let is_crash = matches!(end, Some(ClientEnd::Code(101) | ClientEnd::Signal(_)));
    let mut at = None;
    let mut told = None;
    for line in lines {
        // A line outside the client's format has no time; it belongs to the one before it.
        at = time_of(line).or(at);
        let certificate = certificate_of(line);
        // By a clock that is wrong nothing is recent.
        let is_clock = certificate
            .as_ref()
            .is_some_and(|cause| cause.code == "provider-clock");
        let is_recent = is_clock || at.is_none_or(|at| ended_at.since(at) <= RECENT);
        if let Some(rule) = RULES
            .iter()
            .find(|rule| rule.is_for(line))
            .filter(|rule| is_recent && (!is_crash || rule.may_crash))
        {
            told = certificate.or_else(|| rule.apply(line)).or(told);
        }
    }
    told.or_else(|| by_end(end?))
}

/// Whose certificate a line says was not accepted, and whether clock or key is wrong.
fn certificate_of(line: &str) -> Option<EndCause> {
    let mut standing = ClientStatus::default();
    standing.apply_line(line.as_bytes());
    standing.certificate.as_ref().map(certificate_text)
}

/// What the end itself tells.
fn by_end(end: ClientEnd) -> Option<EndCause> {
    let (code, what, advice) = match end {
        ClientEnd::Signal(9) => (
            "killed",
            "something killed its process (SIGKILL)",
            "If nobody did, the machine may have run out of memory: the system's log (dmesg) says so then.",
        ),
        ClientEnd::Signal(2 | 15 | 1) => (
            "ended-from-outside",
            "somebody else told its process to end",
            "Stop it here instead, so that it stays stopped.",
        ),
        ClientEnd::Signal(4 | 6 | 7 | 8 | 11) | ClientEnd::Code(101) => (
            "crashed",
            "the client crashed",
            "This is a fault of the client. Its log has the details that its authors need; another version may not have it.",
        ),
        ClientEnd::Signal(_) | ClientEnd::Code(_) => return None,
    };
    Some(EndCause {
        code: code.into(),
        what: what.into(),
        advice: advice.into(),
    })
}

/// The time a line in the client's format begins with.
fn time_of(line: &str) -> Option<Timestamp> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

impl CauseRule {
    fn is_for(&self, line: &str) -> bool {
        self.marks.iter().all(|mark| line.contains(mark))
    }

    fn apply(&self, line: &str) -> Option<EndCause> {
        let what = match self.detail {
            None => self.what.to_owned(),
            Some((before, after)) => {
                let rest = &line[line.find(before)? + before.len()..];
                let detail: String = rest[..rest.find(after)?]
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(120)
                    .collect();
                self.what.replace("{}", &detail)
            }
        };
        Some(EndCause {
            code: self.code.into(),
            what,
            advice: self.advice.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: &str) -> Vec<String> {
        let is_told = |line: &&str| {
            line.contains(" WARN ") || line.contains("ERROR ") || !line.starts_with("20")
        };
        log.lines().filter(is_told).map(str::to_owned).collect()
    }

    /// The cause a log of the real client leads to, at the time of its last line.
    fn of_log(log: &str, end: ClientEnd) -> Option<(String, String)> {
        let lines = lines(log);
        let ended_at = lines.iter().rev().find_map(|line| time_of(line)).unwrap();
        cause(&lines, ended_at, Some(end)).map(|cause| (cause.code, cause.what))
    }

    #[test]
    fn the_real_clients_logs_lead_to_what_really_happened() {
        let table = [
            (
                include_str!("../../../../tests/data/jd-client/tp_unreachable.log"),
                1,
                "provider-refused",
                "template provider refused the connection",
            ),
            (
                include_str!("../../../../tests/data/jd-client/tp_wrong_pubkey.log"),
                1,
                "provider-key",
                "the key in the configuration is not that of the template provider",
            ),
            (
                include_str!("../../../../tests/data/jd-client/tp_lost.log"),
                0,
                "provider-lost",
                "template provider closed the connection",
            ),
            (
                include_str!("../../../../tests/data/jd-client/ipc_socket_missing.log"),
                0,
                "node-socket-missing",
                "Bitcoin Core's socket /nodata/regtest/node.sock does not exist",
            ),
            (
                include_str!("../../../../tests/data/jd-client/listen_port_in_use.log"),
                1,
                "port-in-use",
                "its address for miners, 127.0.0.1:25265, is taken by another program",
            ),
            (
                include_str!("../../../../tests/data/jd-client/monitoring_port_in_use.log"),
                0,
                "monitoring-port-in-use",
                "its address for monitoring is taken by another program",
            ),
        ];
        for (log, code, word, what) in table {
            assert_eq!(
                of_log(log, ClientEnd::Code(code)),
                Some((word.to_owned(), what.to_owned()))
            );
        }
    }

    #[test]
    fn a_log_that_tells_no_cause_gets_none() {
        for log in [
            include_str!("../../../../tests/data/jd-client/solo_shares_sigint.log"),
            include_str!("../../../../tests/data/jd-client/block_found.log"),
            include_str!("../../../../tests/data/jd-client/signature64_ok.log"),
        ] {
            assert_eq!(of_log(log, ClientEnd::Code(0)), None);
        }
    }

    #[test]
    fn each_configuration_error_of_the_real_client_is_named() {
        let errors = include_str!("../../../../tests/data/jd-client/config_errors.txt");
        let mut seen = 0;
        for line in errors
            .lines()
            .filter(|line| line.starts_with("Job Declarator Client config error"))
        {
            let cause = cause(&[line.to_owned()], Timestamp(0), Some(ClientEnd::Code(1))).unwrap();
            assert!(cause.code.starts_with("config"), "{line}: {cause:?}");
            assert!(!cause.what.contains("{}"), "{cause:?}");
            seen += 1;
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn trouble_that_is_long_over_is_not_the_cause() {
        let old =
            "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider \
                   attempt=1 MAX_RETRIES=3 error=Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }"
                .to_owned();
        let at = time_of(&old).unwrap();
        assert_eq!(
            cause(std::slice::from_ref(&old), at, None).unwrap().code,
            "provider-refused"
        );
        let later = at.after(Duration::from_secs(61));
        assert_eq!(cause(&[old], later, Some(ClientEnd::Code(0))), None);
    }

    #[test]
    fn what_was_said_before_is_not_why_it_was_killed_or_crashed() {
        let refused = "2026-11-22T21:28:39.731870Z  WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider \
                       attempt=1 MAX_RETRIES=3 error=Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }";
        let at = time_of(refused).unwrap();
        let lines = [
            refused.to_owned(),
            "memory allocation of 4096 bytes failed".to_owned(),
        ];
        assert_eq!(
            cause(&lines, at, Some(ClientEnd::Signal(9))).unwrap().code,
            "killed"
        );
        assert_eq!(
            cause(&lines[..1], at, Some(ClientEnd::Code(101)))
                .unwrap()
                .code,
            "crashed"
        );
        assert_eq!(
            cause(&lines, at, Some(ClientEnd::Signal(6))).unwrap().code,
            "memory-limit"
        );
        // A bare line belongs to the time of the one before it.
        let old = [refused.to_owned(), "Too many open files".to_owned()];
        assert_eq!(
            cause(
                &old,
                at.after(Duration::from_secs(3600)),
                Some(ClientEnd::Code(0))
            ),
            None
        );
    }

    #[test]
    fn an_end_without_words_tells_what_it_can() {
        assert_eq!(
            cause(&[], Timestamp(0), Some(ClientEnd::Signal(9)))
                .unwrap()
                .code,
            "killed"
        );
        assert_eq!(
            cause(&[], Timestamp(0), Some(ClientEnd::Code(101)))
                .unwrap()
                .code,
            "crashed"
        );
        assert_eq!(cause(&[], Timestamp(0), Some(ClientEnd::Code(0))), None);
    }

    #[test]
    fn each_rule_has_its_example_and_words_that_fit() {
        for rule in RULES {
            let found = cause(&[rule.example.to_owned()], Timestamp(0), None);
            assert_eq!(
                found.as_ref().map(|c| c.code.as_str()),
                Some(rule.code),
                "{}",
                rule.example
            );
            assert_eq!(
                rule.what.contains("{}"),
                rule.detail.is_some(),
                "{}",
                rule.code
            );
            assert!(
                !rule.what.ends_with('.') && rule.advice.ends_with('.'),
                "{}",
                rule.code
            );
        }
    }
}
