//! The pages of hosts, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use super::model::{Host, HostReport, HostState, HostStatus};
use super::setup::HostSetup;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::units::{Unit, format_value};
use crate::domain::access::views::FormInput;
use crate::view;
use crate::web::{ConfirmPage, ConfirmQuestion};

/// A smaller difference between two clocks is not shown.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// A host in the list.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Host")]
pub struct HostRow {
    /// The name.
    pub name: String,
    /// The address for ssh.
    pub address: String,
    /// The state.
    pub status: HostStatus,
    /// The start of this state.
    pub since: Timestamp,
    /// The last known version of its jd-manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The last known number of its instances; null if it has never responded.
    pub instances: Option<u64>,
    /// The last known number of running instances; null if it has never responded.
    pub running: Option<u64>,
    /// The hashrate of all its instances in H/s, average of ten minutes. Absent while it does not
    /// respond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// Time of the last response; null if it has never responded.
    pub last_answer_at: Option<Timestamp>,
    /// Its clock minus the clock of this machine, in milliseconds. Absent while it does not respond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// The messages of ssh about the last failure, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The problem and the fix, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The state with its start, and what was last known.
    #[serde(skip)]
    pub state_text: String,
}

impl HostRow {
    /// The row of a host.
    pub fn new(host: Host, state: HostState) -> Self {
        let report = state.report.as_ref();
        let failure = state.failure.as_ref();
        let advice = state.advice(&host);
        Self {
            advice,
            detail: failure
                .map(ToString::to_string)
                .filter(|text| !text.is_empty()),
            hashrate: report.and_then(HostReport::hashrate),
            clock_offset_ms: report.map(|report| report.clock_offset_ms),
            state_text: state.text(),
            name: host.name,
            address: host.address.to_string(),
            status: state.status,
            since: state.since,
            version: state.version,
            instances: state.counts.map(|(instances, _)| instances),
            running: state.counts.map(|(_, running)| running),
            last_answer_at: state.last_answer_at,
        }
    }

    fn counts_text(&self) -> Option<String> {
        let (running, all) = self.running.zip(self.instances)?;
        let known = if self.status.is_reachable() {
            ""
        } else {
            " (last known)"
        };
        Some(format!("{running} of {all} running{known}"))
    }

    fn hashrate_text(&self) -> Option<String> {
        self.hashrate
            .map(|rate| format_value(Unit::HashesPerSecond, rate))
    }

    /// The difference between the clocks, if it matters.
    pub fn clock_text(&self) -> Option<String> {
        let offset = self.clock_offset_ms?;
        let length = Duration::from_millis(offset.unsigned_abs());
        let direction = if offset > 0 { "ahead" } else { "behind" };
        (length >= CLOCK_TOLERANCE).then(|| format!("{} {direction}", human_duration(length)))
    }

    fn is_problem(&self) -> bool {
        !matches!(self.status, HostStatus::Ok | HostStatus::Connecting)
    }

    fn removal(&self) -> String {
        format!("/hosts/{}/delete", self.name)
    }
}

/// A jd-manager as other jd-managers see it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ManagerIdentity {
    /// The id of this jd-manager process; random at each start.
    pub id: String,
    /// The version.
    pub version: &'static str,
    /// The time on this machine.
    pub time: Timestamp,
}

/// `GET /hosts`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "hosts/list.html", blocks = ["main", "table"])]
#[schemars(rename = "Hosts")]
pub struct HostsPage {
    /// The hosts by name.
    hosts: Vec<HostRow>,
    /// This jd-manager itself.
    manager: ManagerIdentity,
    #[serde(skip)]
    again: FormInput,
}
view!(HostsPage { "main" => as_main, "hosts" => as_table });

impl HostsPage {
    /// The list and the form for a new host.
    pub fn new(hosts: Vec<(Host, HostState)>, manager: ManagerIdentity, again: FormInput) -> Self {
        let row = |(host, state)| HostRow::new(host, state);
        Self {
            hosts: hosts.into_iter().map(row).collect(),
            manager,
            again,
        }
    }
}

/// `GET /hosts/{name}`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "hosts/show.html", blocks = ["main", "status"])]
#[schemars(rename = "HostDetails")]
pub struct HostPage {
    #[serde(flatten)]
    host: HostRow,
    /// The lines that the host needs.
    setup: HostSetup,
}
view!(HostPage { "main" => as_main, "host" => as_status });

impl HostPage {
    /// The page of a host.
    pub fn new(host: HostRow, setup: HostSetup) -> Self {
        Self { host, setup }
    }

    /// The command that confirms the host key.
    fn sign_in(&self) -> String {
        format!("ssh {}", self.host.address)
    }
}

/// The host that would be removed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HostRemoval {
    name: String,
    address: String,
}

/// The confirmation page before removing a host.
pub fn removal_page(host: Host) -> ConfirmPage<HostRemoval> {
    let question = ConfirmQuestion {
        title: format!("Remove {}?", host.name),
        nav: "hosts",
        texts: vec![
            format!(
                "jd-manager removes {} ({}) from this list. The host and its clients are not affected.",
                host.name, host.address
            ),
            "To withdraw access, also remove the line of this key from authorized_keys on the host.".into(),
        ],
        action: Some((
            format!("/hosts/{}/delete", host.name),
            format!("Remove {}", host.name),
        )),
        back: "/hosts".into(),
        ..ConfirmQuestion::default()
    };
    let subject = HostRemoval {
        name: host.name,
        address: host.address.to_string(),
    };
    ConfirmPage::new(subject, question)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::openssh::SshFailure;

    #[test]
    fn a_lost_host_is_never_shown_as_stopped() {
        let host = Host {
            name: "barn".into(),
            address: "ada@barn".parse().unwrap(),
            created_at: Timestamp(0),
        };
        let mut state = HostState::new(Timestamp::now());
        state.counts = Some((5, 3));
        let lost = state.next(
            Err(SshFailure::of(
                Some(255),
                "ssh: connect to host barn port 22: No route to host",
            )),
            None,
            Timestamp::now(),
        );
        let since = lost.since.local_minute();
        let row = HostRow::new(host, lost);
        assert_eq!(
            row.state_text,
            format!("unreachable since {since}, last known: 3 running")
        );
        assert_eq!(
            row.counts_text().as_deref(),
            Some("3 of 5 running (last known)")
        );
        assert!(row.detail.as_deref().unwrap().contains("No route to host"));
        let clock = |ms| HostRow {
            clock_offset_ms: Some(ms),
            ..row.clone()
        };
        assert_eq!(clock(1500).clock_text(), None);
        assert_eq!(clock(190_000).clock_text().as_deref(), Some("3 min ahead"));
        assert_eq!(clock(-2000).clock_text().as_deref(), Some("2 s behind"));
    }
}
