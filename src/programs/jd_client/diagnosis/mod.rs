//! Finds out from the client's last log lines why it exited: a cause in plain words, and a fix.
//!
//! Pure: takes lines and returns an [`EndCause`]. This module knows the texts of `jd_client_sv2`,
//! but not instances, files or the database. It reports a cause only if a line proves it; otherwise
//! people see the last error line, which is always shown. `tests/data/messages.tsv` lists all
//! texts.

pub(in crate::programs) mod causes;
mod certificate;
pub(in crate::programs) mod facts;
mod pool_leave;
mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::base::clock::Timestamp;
use causes::{CauseRule, CauseWeight, rules};

pub use certificate::{CertificateOwner, RejectedCertificate, certificate_text};
pub use pool_leave::{PoolLeaveCode, PoolLeaveReason};
pub use status::{
    ClientMessage, ClientStatus, LearnedInterval, OTHER, ProviderState, SeenBlock, SeenBlocks,
    ShareCounts, UnansweredWork, UpstreamAddress, UpstreamState, WorkState,
};

/// The maximum time between a line that explains an exit and a line that only reports the exit.
const SAME_END: Duration = Duration::from_secs(5);

/// Lines that are older than this at the exit are not its cause. The slowest known failure, a
/// template provider that does not speak Stratum V2, takes 34 s (measured with 0.6.0).
pub(in crate::programs) const RECENT: Duration = Duration::from_secs(60);

/// A circumstance must have lasted at least this long, and until at most this long before the exit.
/// A client that waits for its first template logs this every second.
const LASTING: Duration = Duration::from_secs(3);

/// Why a client exited.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct EndCause {
    /// A stable code for programs: `provider-refused`, `port-in-use`, …
    pub code: String,
    /// The problem, as part of a sentence: `template provider refused the connection`.
    pub what: String,
    /// How to fix it, in one to three sentences.
    pub advice: String,
}

/// How the client exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEnd {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The cause, from how the client exited and its last warnings and errors, oldest first; none if
/// they do not show a cause.
///
/// The latest line that explains something decides, because later lines only report the shutdown.
pub fn cause(lines: &[String], ended_at: Timestamp, end: Option<ClientEnd>) -> Option<EndCause> {
    // If a signal from outside stopped the client, earlier lines are not the cause.
    if let Some(told @ ClientEnd::Signal(1 | 2 | 9 | 15)) = end {
        return by_end(told);
    }
    let is_crash = matches!(end, Some(ClientEnd::Code(101) | ClientEnd::Signal(_)));
    best_cause(lines, ended_at, |line, age| {
        cause_of_line(line, age, is_crash)
    })
    .or_else(|| by_end(end?))
}

/// The best of the causes that `cause_of_line` finds in lines, oldest first. It gets each line and
/// how long before the end it was written.
pub(in crate::programs) fn best_cause(
    lines: &[String],
    ended_at: Timestamp,
    cause_of_line: impl Fn(&str, Duration) -> Option<(EndCause, CauseWeight)>,
) -> Option<EndCause> {
    let mut at = None;
    let mut found: Option<FoundCause> = None;
    for line in lines {
        // A line outside the client's format has no time. It belongs to the line before it.
        at = time_of(line).or(at);
        let age = at.map_or(Duration::ZERO, |at| ended_at.since(at));
        if let Some((cause, weight)) = cause_of_line(line, age)
            && found
                .as_ref()
                .is_none_or(|earlier| !earlier.explains(weight, at))
        {
            let since = found
                .filter(|earlier| earlier.cause.code == cause.code)
                .map_or(at, |earlier| earlier.since);
            found = Some(FoundCause {
                cause,
                weight,
                since,
                at,
            });
        }
    }
    found
        .filter(|found| found.counts(ended_at))
        .map(|found| found.cause)
}

/// The best cause so far.
struct FoundCause {
    cause: EndCause,
    weight: CauseWeight,
    /// When the cause was first logged.
    since: Option<Timestamp>,
    /// When the cause was last logged.
    at: Option<Timestamp>,
}

impl FoundCause {
    /// A circumstance counts only if it lasted until the exit, because every client waits a moment
    /// for its first template.
    fn counts(&self, ended_at: Timestamp) -> bool {
        let has_lasted = self
            .since
            .zip(self.at)
            .is_some_and(|(since, at)| at.since(since) >= LASTING && ended_at.since(at) <= LASTING);
        self.weight != CauseWeight::Circumstance || has_lasted
    }

    /// Whether this is a better cause than a later line of this weight.
    fn explains(&self, later: CauseWeight, at: Option<Timestamp>) -> bool {
        let is_same_end = self
            .at
            .zip(at)
            .is_none_or(|(earlier, later)| later.since(earlier) <= SAME_END);
        match later {
            CauseWeight::Circumstance => self.weight > later,
            CauseWeight::Summary => is_same_end && self.weight >= later,
            CauseWeight::Reason => false,
        }
    }
}

/// The cause in one line, which is `age` older than the exit. If a rule turns out not to match, the
/// next rule is tried.
fn cause_of_line(line: &str, age: Duration, is_crash: bool) -> Option<(EndCause, CauseWeight)> {
    let certificate = certificate_of(line);
    // If the clock is wrong, no line looks recent.
    let is_clock = certificate
        .as_ref()
        .is_some_and(|cause| cause.code == "provider-clock");
    if age > RECENT && !is_clock {
        return None;
    }
    // Versions since 0.4.0 write an error of the node as a quoted text within a text.
    let text = line.replace("\\\"", "\"");
    rules()
        .filter(|rule| !is_crash || rule.may_crash)
        .find_map(|rule| Some((rule.apply(&text)?, rule.weight)))
        .map(|(cause, weight)| (certificate.unwrap_or(cause), weight))
}

/// The cause if a line reports a rejected certificate: whose it is, and whether clock or key is
/// wrong.
fn certificate_of(line: &str) -> Option<EndCause> {
    let mut standing = ClientStatus::default();
    standing.apply_line(line.as_bytes());
    standing.certificate.as_ref().map(certificate_text)
}

/// The cause that follows from the exit itself.
fn by_end(end: ClientEnd) -> Option<EndCause> {
    let (code, what, advice) = match end {
        ClientEnd::Signal(9) => (
            "killed",
            "the process was killed (SIGKILL)",
            "If you did not kill it, the machine may have run out of memory. Check the system log (dmesg).",
        ),
        ClientEnd::Signal(2 | 15 | 1) => (
            "ended-from-outside",
            "another program or user stopped the process",
            "To stop the instance permanently, stop it in jd-manager.",
        ),
        ClientEnd::Signal(4 | 6 | 7 | 8 | 11) | ClientEnd::Code(101) => (
            "crashed",
            "the client crashed",
            "This is a bug in the client; its log has the details for the developers. Another version may not have this bug.",
        ),
        ClientEnd::Signal(_) | ClientEnd::Code(_) => return None,
    };
    Some(EndCause {
        code: code.into(),
        what: what.into(),
        advice: advice.into(),
    })
}

/// The timestamp at the start of a line in the client's format.
fn time_of(line: &str) -> Option<Timestamp> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

impl CauseRule {
    /// The cause in a line, if this rule matches.
    pub(in crate::programs) fn apply(&self, line: &str) -> Option<EndCause> {
        let has = |mark: &&str| mark.split('|').any(|text| line.contains(text));
        if !self.marks.iter().all(has) {
            return None;
        }
        let what = match self.detail {
            None => self.what.to_owned(),
            Some((before, after)) => {
                let rest = &line[line.find(before)? + before.len()..];
                // The keeper truncates long lines.
                let detail: String = rest[..rest.find(after).unwrap_or(rest.len())]
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
pub(in crate::programs) mod messages;
#[cfg(test)]
mod real_logs;

#[cfg(test)]
mod tests {
    use super::*;

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

    fn code_of(line: &str) -> Option<String> {
        cause_of_line(line, Duration::ZERO, false).map(|(cause, _)| cause.code)
    }

    #[test]
    fn each_rule_has_its_example_and_words_that_fit() {
        for rule in rules() {
            let found = cause_of_line(rule.example, Duration::ZERO, false);
            assert_eq!(
                found.as_ref().map(|(cause, _)| cause.code.as_str()),
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

    #[test]
    fn a_line_that_is_cut_off_anywhere_has_a_cause_as_long_as_it_fits_a_rule() {
        for rule in rules() {
            let mut has_cause = false;
            let ends = rule.example.char_indices().map(|(at, _)| at).skip(1);
            for end in ends.chain([rule.example.len()]) {
                let cut = &rule.example[..end];
                let found = code_of(cut);
                assert!(!has_cause || found.is_some(), "{cut}");
                has_cause |= found.is_some();
            }
            assert!(has_cause, "{}", rule.example);
        }
    }

    #[test]
    fn a_rule_whose_detail_is_missing_leaves_the_line_to_the_next() {
        // The path is not where it is expected.
        let line = "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: CannotConnectToUnixSocket { path: \
                    /b/node.sock, error: No such file or directory }";
        assert_eq!(code_of(line).as_deref(), Some("node-unusable"));
    }

    #[test]
    fn sockets_and_versions_of_the_node_are_told_apart_in_both_formats() {
        let (old, new) = (
            "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: ",
            "ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: ",
        );
        let wrapped = |version: &str, error: &str| {
            let escaped = error.replace('"', "\\\"");
            format!("{new}{version}, protocol: TDP, details: \"{escaped}\" }}")
        };
        let socket =
            |said: &str| format!("CannotConnectToUnixSocket(\"/b c/node.sock\", \"{said}\")");
        for (said, code, what) in [
            (
                "No such file or directory (os error 2)",
                "node-socket-missing",
                "Bitcoin Core's socket /b c/node.sock does not exist",
            ),
            (
                "Permission denied (os error 13)",
                "node-socket-forbidden",
                "the client does not have permission to use Bitcoin Core's socket /b c/node.sock",
            ),
            (
                "Connection refused (os error 111)",
                "node-refused",
                "no program is listening on Bitcoin Core's socket /b c/node.sock",
            ),
        ] {
            for line in [
                format!("{old}{}", socket(said)),
                wrapped("V31X", &socket(said)),
            ] {
                let (cause, _) = cause_of_line(&line, Duration::ZERO, false).unwrap();
                assert_eq!((cause.code.as_str(), cause.what.as_str()), (code, what));
            }
        }
        let too_new = "CapnpError(Error { kind: Failed, extra: \"remote exception: std::exception: Old mining interface (@2) not supported. Please \
                       update your client!\" })";
        let too_old = "CapnpError(Error { kind: Unimplemented, extra: \"remote exception: Method not implemented.\" })";
        let later = "ERROR bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol: Failed to bootstrap initial template IPC client: ";
        for (line, code, value) in [
            (format!("{old}{too_new}"), "node-too-new", "0.4.0"),
            (wrapped("V30X", too_new), "node-version-31", "to 31"),
            (format!("{old}{too_old}"), "node-too-old", "0.4.0"),
            (wrapped("V31X", too_old), "node-version-30", "to 30"),
            (format!("{later}{too_old}"), "node-version-30", "to 30"),
        ] {
            let (cause, _) = cause_of_line(&line, Duration::ZERO, false).unwrap();
            assert_eq!(cause.code, code, "{line}");
            assert!(cause.advice.contains(value), "{cause:?}");
        }
    }

    #[test]
    fn one_miner_too_many_is_named_in_all_formats() {
        for line in [
            "WARN jd_client_sv2::status: Channel Manager shutdown requested due to error: ExtranoncePrefixFactoryError(MaxValueReached)",
            "WARN jd_client_sv2::status: Channel Manager shutdown requested due to error: \
             ChannelSv2(ExtranonceError(MaxValueReached))",
            "WARN jd_client_sv2::channel_manager: ChannelManager::handle_downstream_message requested shutdown \
             error_kind=ChannelSv2(ExtranonceError(CapacityExhausted))",
        ] {
            assert_eq!(code_of(line).as_deref(), Some("miners-exhausted"), "{line}");
        }
    }

    #[test]
    fn a_line_that_explains_counts_more_than_the_one_that_sums_up() {
        let line = |second: u8, text: &str| {
            format!("2026-11-22T21:28:{second:02}.000000Z  WARN jd_client_sv2::a: {text}")
        };
        let (why, end, waits) = (
            "bitcoin_core_sv2: Failed to get response: Disconnected: Peer disconnected.",
            "Terminating Sv2 Bitcoin Core IPC Connection",
            "Waiting for initial template and prevhash from Template Provider...",
        );
        let at = |second: u8| time_of(&line(second, "")).unwrap();
        let code = |lines: &[String], second| {
            cause(lines, at(second), Some(ClientEnd::Code(0))).map(|cause| cause.code)
        };
        let explained = [line(10, why), line(10, end), line(10, waits)];
        assert_eq!(code(&explained, 10).as_deref(), Some("node-lost"));
        // What is long over explains nothing.
        let late = [line(10, why), line(16, end)];
        assert_eq!(code(&late, 16).as_deref(), Some("node-failed"));
        let waited = [line(10, waits), line(12, waits), line(14, waits)];
        assert_eq!(code(&waited, 15).as_deref(), Some("node-syncing"));
        assert_eq!(code(&waited, 20), None, "it went on");
        assert_eq!(code(&waited[1..], 15), None, "a moment");
        let both = [&waited[..], &[line(14, end)]].concat();
        assert_eq!(code(&both, 15).as_deref(), Some("node-failed"));
    }
}
