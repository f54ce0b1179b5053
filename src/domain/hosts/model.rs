//! A host, its state and what it last reported. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::error::FieldError;
use crate::domain::instances::Instance;
use crate::keeper::machine::InstanceState;
use crate::programs::openssh::{SshDestination, SshFailure, SshFailureKind};

/// Maximum length of a host's name, in characters.
const LONGEST_NAME: usize = 64;

/// Another machine with a jd-manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name; unique, ignoring case.
    pub name: String,
    /// The address for ssh.
    pub address: SshDestination,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// The state of a host.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HostStatus {
    /// The first connection has not succeeded or failed yet.
    Connecting,
    /// It responds.
    Ok,
    /// It responds, and its jd-manager is older than this one.
    Older,
    /// There is no connection to it.
    Unreachable,
    /// Its SSH host key differs from the known one.
    HostKeyChanged,
    /// Its SSH host key is not known yet.
    HostKeyUnknown,
    /// It does not accept the SSH key.
    Refused,
    /// It accepts the SSH key, but has no usable jd-manager.
    NoManager,
    /// It is this jd-manager itself, or another host in the list.
    Duplicate,
}

impl HostStatus {
    /// As in JSON and in the database.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The state after a failed connection.
    pub const fn after(failure: SshFailureKind) -> Self {
        match failure {
            SshFailureKind::HostKeyChanged => Self::HostKeyChanged,
            SshFailureKind::HostKeyUnknown => Self::HostKeyUnknown,
            SshFailureKind::LoginRefused => Self::Refused,
            SshFailureKind::NoProgram
            | SshFailureKind::OldProgram
            | SshFailureKind::NoManager
            | SshFailureKind::WrongCommand => Self::NoManager,
            SshFailureKind::NotInstalled
            | SshFailureKind::ConnectionRefused
            | SshFailureKind::Unreachable => Self::Unreachable,
        }
    }

    /// Whether it responds.
    pub const fn is_reachable(self) -> bool {
        matches!(self, Self::Ok | Self::Older)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ok => "reachable",
            Self::Older => "older version",
            Self::Unreachable => "unreachable",
            Self::HostKeyChanged => "host key changed",
            Self::HostKeyUnknown => "host key unknown",
            Self::Refused => "login refused",
            Self::NoManager => "no jd-manager",
            Self::Duplicate => "duplicate",
        }
    }

    /// The state of an instance whose shape and color it has.
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Ok | Self::Older => "running",
            Self::Connecting => "starting",
            Self::Unreachable => "backing-off",
            _ => "failed",
        }
    }
}

/// What a host responds.
#[derive(Clone, Debug)]
pub struct HostReport {
    /// The id of its jd-manager process.
    pub id: String,
    /// The version of its jd-manager.
    pub version: String,
    /// Its clock minus this machine's, in milliseconds.
    pub clock_offset_ms: i64,
    /// Its instances, with its name.
    pub instances: Arc<[Instance]>,
    /// The number of instances that this version of jd-manager cannot read.
    pub unreadable: u64,
}

impl HostReport {
    /// The numbers of instances: all, and running.
    pub fn counts(&self) -> (u64, u64) {
        let running = |one: &&Instance| one.is_in(InstanceState::Running);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let running = self.instances.iter().filter(running).count();
        let all = number(self.instances.len()).saturating_add(self.unreadable);
        (all, number(running))
    }

    /// The hashrate of all, in H/s; `None`: unknown.
    pub fn hashrate(&self) -> Option<f64> {
        let known = self.instances.iter().filter_map(|one| one.hashrate);
        known.reduce(|sum, rate| sum + rate)
    }
}

/// The current state of a host, and the last known values.
#[derive(Clone, Debug)]
pub struct HostState {
    /// The state.
    pub status: HostStatus,
    /// The start of this state.
    pub since: Timestamp,
    /// Time of the last response.
    pub last_answer_at: Option<Timestamp>,
    /// The last known version.
    pub version: Option<String>,
    /// The last known numbers of instances: all, and running.
    pub counts: Option<(u64, u64)>,
    /// Values that are known only while the host responds.
    pub report: Option<HostReport>,
    /// The last failure.
    pub failure: Option<SshFailure>,
    /// The host that is the same one; for [`HostStatus::Duplicate`].
    pub same_as: Option<String>,
}

impl HostState {
    /// The state before the first connection.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            status: HostStatus::Connecting,
            since: now,
            last_answer_at: None,
            version: None,
            counts: None,
            report: None,
            failure: None,
            same_as: None,
        }
    }

    /// The state with its start, and what was last known: `unreachable since 12:03, last known: 3
    /// running`.
    pub fn text(&self) -> String {
        let text = self.status.text();
        if self.status.is_reachable() || self.status == HostStatus::Connecting {
            return text.into();
        }
        let known = match self.counts {
            Some((_, running)) => format!(", last known: {running} running"),
            None => String::new(),
        };
        format!("{text} since {}{known}", self.since.local_minute())
    }

    /// The problem and the fix, for people; none: there is no problem.
    pub fn advice(&self, host: &Host) -> Option<String> {
        match self.status {
            HostStatus::Older => Some(format!(
                "The jd-manager on {} is older than this one ({}). Update it.",
                host.name,
                env!("CARGO_PKG_VERSION")
            )),
            HostStatus::Duplicate => {
                let same = self.same_as.as_ref()?;
                Some(format!(
                    "The jd-manager at {} is {same}. Remove it here.",
                    host.address
                ))
            }
            _ => {
                let failure = self.failure.as_ref()?;
                Some(failure.advice(host.address.as_str()))
            }
        }
    }

    /// The next state, after a response or a failure. `same_as`: another host with the same
    /// jd-manager.
    pub fn next(
        &self,
        outcome: Result<HostReport, SshFailure>,
        same_as: Option<String>,
        now: Timestamp,
    ) -> Self {
        let (status, report, failure) = match outcome {
            Ok(report) if same_as.is_some() => (HostStatus::Duplicate, Some(report), None),
            Ok(report) if is_older(&report.version) => (HostStatus::Older, Some(report), None),
            Ok(report) => (HostStatus::Ok, Some(report), None),
            Err(failure) => (HostStatus::after(failure.kind), None, Some(failure)),
        };
        Self {
            status,
            since: if status == self.status {
                self.since
            } else {
                now
            },
            last_answer_at: report.as_ref().map_or(self.last_answer_at, |_| Some(now)),
            version: report
                .as_ref()
                .map_or_else(|| self.version.clone(), |one| Some(one.version.clone())),
            counts: report
                .as_ref()
                .map_or(self.counts, |one| Some(one.counts())),
            report,
            failure,
            same_as,
        }
    }
}

/// Whether a version is older than this program's. A version that cannot be read is not.
fn is_older(version: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let text = text.split(['-', '+']).next()?;
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    let own = numbers(env!("CARGO_PKG_VERSION"));
    numbers(version).is_some_and(|theirs| own.is_some_and(|own| theirs < own))
}

/// Checks the name of a host.
pub fn check_name(name: &str) -> Result<(), FieldError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let detail = if name.is_empty() {
        "Enter a name."
    } else if name.chars().count() > LONGEST_NAME {
        "The name can have at most 64 characters."
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !name.chars().all(is_allowed)
    {
        "Use only letters A to Z, digits and . _ - in the name. It must start with a letter or digit."
    } else {
        return Ok(());
    };
    Err(FieldError::new("/name", detail))
}

/// The name that an address suggests: `barn` for `ssh://ada@barn:2222`.
pub fn suggested_name(address: &SshDestination) -> String {
    let text = address.as_str();
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let host = text.rsplit('@').next().unwrap_or_default();
    let host = host.strip_prefix('[').map_or_else(
        // Without the port; a bare IPv6 address has several colons.
        || match host.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => host,
        },
        |six| six.split(']').next().unwrap_or_default(),
    );
    let name = host
        .trim_end_matches('/')
        .replace([':', '%', '/', '[', ']', '+'], "-");
    name.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    /// Five instances, some of them running.
    fn report(version: &str, running: usize) -> HostReport {
        let instance = |at| {
            let is_running = at < running;
            let hashrate = is_running.then_some(1e15);
            let state = match is_running {
                true => InstanceState::Running,
                false => InstanceState::Stopped,
            };
            Instance {
                hashrate,
                ..Instance::sample(state)
            }
        };
        HostReport {
            id: "a".into(),
            version: version.into(),
            clock_offset_ms: 0,
            instances: (0..5).map(instance).collect(),
            unreadable: 0,
        }
    }

    #[test]
    fn a_lost_host_keeps_what_was_last_known() {
        let at = |s: i64| Timestamp(s * 1000);
        let own = env!("CARGO_PKG_VERSION");
        let first = HostState::new(at(0)).next(Ok(report(own, 3)), None, at(1));
        assert_eq!((first.status, first.since), (HostStatus::Ok, at(1)));
        let second = first.next(Ok(report(own, 4)), None, at(9));
        assert_eq!(
            (second.since, second.last_answer_at, second.counts),
            (at(1), Some(at(9)), Some((5, 4)))
        );
        let lost = second.next(Err(SshFailure::of(Some(255), "x")), None, at(20));
        assert_eq!((lost.status, lost.since), (HostStatus::Unreachable, at(20)));
        assert_eq!(
            (lost.last_answer_at, lost.counts, lost.version.as_deref()),
            (Some(at(9)), Some((5, 4)), Some(own))
        );
        assert!(lost.report.is_none(), "its hashrate is not known any more");
        assert_eq!(report(own, 3).hashrate(), Some(3e15));
        assert_eq!(report(own, 0).hashrate(), None);
        let still = lost.next(Err(SshFailure::of(Some(255), "y")), None, at(30));
        assert_eq!(still.since, at(20));
        let back = still.next(Ok(report("0.0.9", 1)), None, at(40));
        assert_eq!(
            (back.status, back.failure.clone()),
            (HostStatus::Older, None)
        );
        let twice = back.next(Ok(report(own, 1)), Some("attic".into()), at(50));
        assert_eq!(twice.status, HostStatus::Duplicate);
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_older("0.0.99") && is_older("0.0.1-rc1"));
        for not in [env!("CARGO_PKG_VERSION"), "99.0.0", "0.10.0", "", "nightly"] {
            assert!(!is_older(not), "{not}");
        }
    }

    #[test]
    fn addresses_suggest_names() {
        for (address, name) in [
            ("barn", "barn"),
            ("ada@barn.example.org", "barn.example.org"),
            ("ssh://ada@barn:2222", "barn"),
            ("ssh://[2001:db8::1]:22", "2001-db8--1"),
            ("::1", "1"),
        ] {
            let suggested = suggested_name(&address.parse().unwrap());
            assert_eq!(suggested, name);
            assert_eq!(check_name(&suggested), Ok(()));
        }
        for bad in ["", "a b", "../x", "-a", "ä", "a/b", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn states_have_names_that_are_read_again() {
        for status in HostStatus::iter() {
            assert_eq!(status.name().parse::<HostStatus>(), Ok(status));
            assert_eq!(serde_json::json!(status), status.name());
        }
    }
}
