//! Tests of the health checks, some with logs of the real client.

mod silence;
mod translator;

use super::super::running_config::{PoolEndpoints, RunningConfig};
use super::super::snapshot::{RecentCounts, TranslatorHealth};
use super::*;
use crate::domain::instances::Instance;
use crate::domain::metrics::LatestFigures;
use crate::programs::bitcoin_core::{BitcoinNetwork, NodeCheckResult, NodeStatus};
use crate::programs::jd_client::diagnosis::ClientStatus;
use crate::programs::jd_client::diagnosis::{
    ClientMessage, PoolLeaveCode, PoolLeaveReason, ProviderState, SeenBlock, UpstreamAddress,
    WorkState,
};
use crate::programs::sv2_peer::{PeerRole, PeerTarget};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_795_400_000_000);

/// The input of a snapshot, to be changed by each test.
struct Scene {
    instance: Instance,
    running: RunningConfig,
    standing: ClientStatus,
    measured: Option<LatestFigures>,
    counted: RecentCounts,
    free: Option<u64>,
    version: Option<ClientVersion>,
    missing_block: Option<SeenBlock>,
    latest: Option<LatestRelease>,
    translator: Option<TranslatorHealth>,
    node: Option<NodeCheckResult>,
}

impl Scene {
    /// A healthy client that has run for two hours.
    fn well() -> Self {
        let mut instance = Instance::sample(InstanceState::Running);
        instance.start_time = Some(ago(7200).0);
        let pool = PoolEndpoints {
            pool: PeerTarget::new(PeerRole::Pool, "pool.example", 3333),
            jds: Some(PeerTarget::new(
                PeerRole::JobDeclarationServer,
                "pool.example",
                3334,
            )),
        };
        let running = RunningConfig {
            is_solo: false,
            uses_node_socket: false,
            pools: vec![pool.clone(), pool],
            has_monitoring: true,
            refresh_s: 15,
            shares_per_minute: Some(6.0),
        };
        let upstream = UpstreamAddress {
            number: 1,
            of: 2,
            pool: "pool.example:3333".into(),
            ..UpstreamAddress::default()
        };
        let standing = ClientStatus {
            began: Some(ago(7200)),
            provider: ProviderState::Connected { since: ago(7200) },
            template_at: Some(ago(30)),
            prev_hash_at: Some(ago(300)),
            node_clock_ahead_s: Some(0),
            work: WorkState::Pool { since: ago(7000) },
            upstream: Some(upstream),
            ..ClientStatus::default()
        };
        let figures = [
            ("miners", 2.0),
            ("channels_miners", 2.0),
            ("memory_bytes", 50e6),
            ("memory_private_bytes", 50e6),
        ];
        let figures: BTreeMap<String, f64> = figures
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let measured = Some(LatestFigures {
            at: NOW.0 / 1000,
            figures,
            monitoring: Some(MonitoringState::Moving),
        });
        let counted = RecentCounts {
            accepted: 118.0,
            accepted_hour: 700.0,
            acknowledged_hour: 700.0,
            retries: 0,
            ..RecentCounts::default()
        };
        let version = Some(ClientVersion::NEWEST_KNOWN);
        Self {
            instance,
            running,
            standing,
            measured,
            counted,
            free: Some(10 << 30),
            version,
            missing_block: None,
            latest: None,
            translator: None,
            node: None,
        }
    }

    fn findings(&self) -> Vec<CheckFinding> {
        self.with_snapshot(all)
    }

    fn with_snapshot<T>(&self, judge: impl FnOnce(&Snapshot<'_>) -> T) -> T {
        judge(&Snapshot {
            now: NOW,
            instance: &self.instance,
            running: &self.running,
            standing: &self.standing,
            probed: &[],
            measured: self.measured.as_ref(),
            counted: self.counted,
            free: self.free,
            version: self.version,
            missing_block: self.missing_block.as_ref(),
            latest: self.latest.as_ref(),
            translator: self.translator.as_ref(),
            node: self.node.as_ref(),
        })
    }

    fn find(&self, check: HealthCheck) -> (HealthGrade, String) {
        let found = self
            .findings()
            .into_iter()
            .find(|finding| finding.check == check)
            .unwrap();
        (found.grade, found.message)
    }

    fn figure(&mut self, name: &str, value: f64) {
        self.measured
            .as_mut()
            .unwrap()
            .figures
            .insert(name.into(), value);
    }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

fn gib(count: u64) -> u64 {
    count << 30
}

#[test]
fn a_client_that_does_its_work_is_healthy_in_everything() {
    for finding in Scene::well().findings() {
        assert_eq!(finding.grade, HealthGrade::Healthy, "{finding:?}");
        assert!(finding.message.ends_with('.'), "{finding:?}");
    }
}

/// The node check replaces what the client's log says only while the client has no node.
#[test]
fn a_node_that_cannot_be_used_is_named_with_the_fix() {
    let check = |status, advice: &str| {
        let socket = std::path::Path::new("/b/node.sock");
        NodeCheckResult::new(socket, BitcoinNetwork::Mainnet, status, "Found.", advice)
    };
    let mut scene = Scene::well();
    scene.standing.waiting_since = Some(ago(90));
    scene.node = Some(check(NodeStatus::Stale, "Start the node."));
    let found = |scene: &Scene| scene.find(HealthCheck::Template);
    let bad = |words: &str| (HealthGrade::Unhealthy, words.to_owned());
    assert_eq!(found(&scene), bad("Found. Start the node."));
    scene.node = Some(check(NodeStatus::NoSocket, "One.\n\nTwo."));
    let words = "Found. One. “Check node” shows instructions for other systems.";
    assert_eq!(found(&scene), bad(words));
    // A node that answers may still be syncing.
    scene.node = Some(check(NodeStatus::Connected, ""));
    assert!(found(&scene).1.contains("syncing"));
    scene.instance.status = InstanceState::BackingOff;
    assert_eq!(found(&scene), (HealthGrade::Healthy, "Found.".into()));
    scene.node = None;
    assert_eq!(found(&scene).0, HealthGrade::Unknown);
}

/// Changes one thing in a healthy scene: one check reports it with these words, and no other check
/// changes.
#[test]
fn each_trouble_is_found_by_its_check_alone_and_says_what_to_do() {
    use HealthCheck::{Clock, Disk, Logs, Memory, Monitoring, Process, Shares, Template, Upstream};
    use HealthGrade::{Unhealthy, Unknown, Warning};
    type Case = (
        &'static str,
        fn(&mut Scene),
        HealthCheck,
        HealthGrade,
        &'static str,
    );
    let cases: &[Case] = &[
        (
            "panic",
            |s| s.standing.panicked = said("x"),
            Process,
            Warning,
            "panic",
        ),
        (
            "restarts",
            |s| s.counted.retries = 3,
            Process,
            Warning,
            "3 times",
        ),
        (
            "provider lost",
            |s| s.standing.provider = ProviderState::Lost { since: ago(5) },
            Template,
            Unhealthy,
            "was lost",
        ),
        (
            "provider refused",
            |s| {
                s.standing.provider = ProviderState::Refused {
                    since: ago(5),
                    words: "Connection refused".into(),
                }
            },
            Template,
            Unhealthy,
            "Connection refused",
        ),
        (
            "short wait",
            |s| s.standing.waiting_since = Some(ago(20)),
            Template,
            Unknown,
            "first template",
        ),
        (
            "wait",
            |s| s.standing.waiting_since = Some(ago(90)),
            Template,
            Warning,
            "syncing",
        ),
        (
            "long wait",
            |s| s.standing.waiting_since = Some(ago(900)),
            Template,
            Unhealthy,
            "syncing",
        ),
        (
            "old template",
            |s| s.standing.template_at = Some(ago(6000)),
            Template,
            Warning,
            "lost its peers",
        ),
        (
            "solo",
            |s| s.standing.work = WorkState::Solo { since: ago(60) },
            Upstream,
            Unhealthy,
            "Mining solo even though a pool is configured",
        ),
        (
            "solo for an account that the pool does not know",
            |s| {
                s.standing.work = WorkState::Solo { since: ago(60) };
                s.standing.lost = s.standing.upstream.clone();
                s.standing.pool_left = left();
            },
            Upstream,
            Unhealthy,
            "Mining solo even though a pool is configured, because pool 1 of 2 (a:1) was disconnected: the pool opened no channel: unknown-user. Change “Pool account” \
             for pool 1 in the configuration, then restart the instance.",
        ),
        (
            "fallback for an account that the pool does not know",
            |s| {
                s.standing.upstream.as_mut().unwrap().number = 2;
                s.standing.pool_left = left();
            },
            Upstream,
            Warning,
            "pool 1 of 2 (a:1) could not be used: the pool opened no channel: unknown-user",
        ),
        (
            "trying after an account that the pool does not know",
            |s| {
                s.standing.work = WorkState::Trying { since: ago(100) };
                s.standing.pool_left = left();
            },
            Upstream,
            Warning,
            "unknown-user",
        ),
        (
            "fallback",
            |s| s.standing.upstream.as_mut().unwrap().number = 2,
            Upstream,
            Warning,
            "pool 2 of 2",
        ),
        (
            "refused job",
            |s| s.standing.refused = said("invalid-job"),
            Upstream,
            Unhealthy,
            "invalid-job",
        ),
        (
            "trying",
            |s| s.standing.work = WorkState::Trying { since: ago(100) },
            Upstream,
            Warning,
            "trying",
        ),
        (
            "just trying",
            |s| s.standing.work = WorkState::Trying { since: ago(10) },
            Upstream,
            Unknown,
            "Connecting to",
        ),
        (
            "nobody",
            |s| s.figure("miners", 0.0),
            Shares,
            Warning,
            "No miner",
        ),
        (
            "no shares",
            |s| s.counted.accepted = 0.0,
            Shares,
            Unhealthy,
            "no share has arrived",
        ),
        (
            "few shares",
            |s| s.counted.accepted = 20.0,
            Shares,
            Warning,
            "fewer shares",
        ),
        (
            "some refused",
            |s| s.counted.refused_hour = 70.0,
            Shares,
            Warning,
            "more than 5%",
        ),
        (
            "many refused",
            |s| s.counted.refused_hour = 700.0,
            Shares,
            Unhealthy,
            "more than 25%",
        ),
        (
            "some rejected",
            |s| s.counted.rejected_hour = 70.0,
            Shares,
            Warning,
            "miners' shares",
        ),
        (
            "frozen",
            |s| {
                s.measured.as_mut().unwrap().monitoring =
                    Some(MonitoringState::Still(NOW.0 / 1000 - 200));
                s.standing.shares.marks = [Some(ago(10)), Some(ago(100))];
            },
            Monitoring,
            Unhealthy,
            "Metrics have not been updated",
        ),
        (
            "refresh 0",
            |s| s.running.refresh_s = 0,
            Monitoring,
            Unhealthy,
            "monitoring_cache_refresh_secs",
        ),
        (
            "no answer",
            |s| {
                s.measured.as_mut().unwrap().monitoring = Some(MonitoringState::Not {
                    since: NOW.0 / 1000 - 90,
                    words: "Nothing listens.".into(),
                    has_answered: true,
                })
            },
            Monitoring,
            Unhealthy,
            "Nothing listens.",
        ),
        (
            "no monitoring",
            |s| s.running.has_monitoring = false,
            Monitoring,
            Unknown,
            "Add a monitoring address",
        ),
        (
            "node's clock",
            |s| s.standing.node_clock_ahead_s = Some(-3600),
            Clock,
            Warning,
            "behind this machine's clock",
        ),
        (
            "memory near the limit",
            |s| limited(s, 58),
            Memory,
            Warning,
            "80%",
        ),
        (
            "memory at the limit",
            |s| limited(s, 50),
            Memory,
            Unhealthy,
            "Raise the limit",
        ),
        (
            "growth",
            |s| {
                s.counted.memory_before = Some(50e6);
                s.figure("memory_bytes", 150e6);
            },
            Memory,
            Warning,
            "grown",
        ),
        (
            "disk",
            |s| s.free = Some(gib(1) / 2),
            Disk,
            Warning,
            "1 GiB",
        ),
        (
            "disk full",
            |s| s.free = Some(gib(1) / 10),
            Disk,
            Unhealthy,
            "200 MiB",
        ),
        (
            "errors",
            |s| s.counted.errors = 12.0,
            Logs,
            Warning,
            "at least 10 errors",
        ),
        (
            "many errors",
            |s| s.counted.errors = 300.0,
            Logs,
            Unhealthy,
            "at least 200 errors",
        ),
        (
            "storm",
            |s| s.counted.lines = 1e6,
            Logs,
            Warning,
            "100 lines per second",
        ),
    ];
    for (name, change, check, grade, words) in cases {
        let mut scene = Scene::well();
        change(&mut scene);
        let found = scene.find(*check);
        assert_eq!(found.0, *grade, "{name}: {found:?}");
        assert!(
            found.1.contains(words) && found.1.ends_with('.'),
            "{name}: {found:?}"
        );
        for other in scene
            .findings()
            .iter()
            .filter(|finding| finding.check != *check)
        {
            assert_eq!(other.grade, HealthGrade::Healthy, "{name}: {other:?}");
        }
    }
}

/// Why the client left pool 1, with the advice.
fn left() -> Option<PoolLeaveReason> {
    let mut standing = ClientStatus::default();
    for line in [
        "INFO jd_client_sv2::jdc_runtime: Trying upstream 1 of 2: pool=a:1, jds=a:2",
        "WARN jd_client_sv2::channel_manager::upstream_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: unknown-user)",
    ] {
        standing.apply_line(format!("2026-11-22T21:00:00.000000Z  {line}").as_bytes());
    }
    let left = standing.pool_left.clone();
    assert_eq!(
        left.as_ref().map(|left| left.code),
        Some(PoolLeaveCode::UnknownAccount)
    );
    left
}

fn said(words: &str) -> Option<ClientMessage> {
    Some(ClientMessage {
        at: ago(10),
        words: words.into(),
    })
}

fn limited(scene: &mut Scene, mib: i32) {
    scene.instance.memory_limit_mib = Some(mib);
}

#[test]
fn who_was_stopped_is_not_judged_and_who_failed_is_bad() {
    for (state, desired, grade) in [
        (InstanceState::Stopped, "stopped", HealthGrade::Unknown),
        (InstanceState::Stopping, "stopped", HealthGrade::Unknown),
        (InstanceState::Starting, "running", HealthGrade::Unknown),
        (InstanceState::Failed, "running", HealthGrade::Unhealthy),
        (InstanceState::Starting, "again", HealthGrade::Unhealthy),
        (InstanceState::BackingOff, "running", HealthGrade::Unhealthy),
    ] {
        let mut scene = Scene::well();
        scene.instance = Instance::sample(state);
        scene.instance.desired = desired.into();
        scene.instance.failures = u32::from(desired == "again");
        scene.instance.last_error = Some("ERROR jd_client_sv2: Failed to bootstrap JDC".into());
        let found = scene.find(HealthCheck::Process);
        assert_eq!(found.0, grade, "{state:?}: {found:?}");
        assert_eq!(
            found.1.contains("Failed to bootstrap"),
            grade == HealthGrade::Unhealthy,
            "{found:?}"
        );
        let others = scene.findings();
        let judged = others.iter().filter(|f| {
            f.check != HealthCheck::Process
                && f.check != HealthCheck::Disk
                && f.grade != HealthGrade::Unknown
        });
        assert_eq!(
            judged.count(),
            if state.has_client() { 8 } else { 0 },
            "{state:?}"
        );
    }
}

#[test]
fn solo_is_well_when_it_is_meant() {
    let mut scene = Scene::well();
    scene.standing.work = WorkState::Solo { since: ago(60) };
    scene.running.is_solo = true;
    assert_eq!(scene.find(HealthCheck::Upstream).0, HealthGrade::Healthy);
    scene.running.is_solo = false;
    scene.running.pools.clear();
    assert_eq!(scene.find(HealthCheck::Upstream).0, HealthGrade::Healthy);
}

/// Without shares the metrics need not change, and a share that has just arrived may not be counted
/// yet.
#[test]
fn figures_that_need_not_move_are_not_frozen() {
    let mut scene = Scene::well();
    scene.measured.as_mut().unwrap().monitoring =
        Some(MonitoringState::Still(NOW.0 / 1000 - 86_400));
    for share in [None, Some(ago(86_390)), Some(ago(20))] {
        scene.standing.shares.marks[0] = share;
        assert_eq!(
            scene.find(HealthCheck::Monitoring).0,
            HealthGrade::Healthy,
            "{share:?}"
        );
    }
    // Without new samples, nothing is known of the client.
    scene.measured.as_mut().unwrap().at = NOW.0 / 1000 - 86_390;
    scene.standing.shares.marks[0] = Some(ago(100));
    assert_eq!(scene.find(HealthCheck::Monitoring).0, HealthGrade::Healthy);
}

#[test]
fn a_client_whose_log_says_nothing_is_not_called_healthy() {
    let mut scene = Scene::well();
    scene.standing = ClientStatus::default();
    assert_eq!(
        (
            scene.find(HealthCheck::Upstream).0,
            scene.find(HealthCheck::Template).0
        ),
        (HealthGrade::Warning, HealthGrade::Warning)
    );
    scene.instance.start_time = Some(ago(60).0);
    assert_eq!(
        (
            scene.find(HealthCheck::Upstream).0,
            scene.find(HealthCheck::Template).0
        ),
        (HealthGrade::Unknown, HealthGrade::Unknown)
    );
}

#[test]
fn luck_is_not_trouble() {
    // A client with one slow miner, just started, and a handful of shares.
    let mut scene = Scene::well();
    scene.instance.start_time = Some(ago(120).0);
    scene.counted = RecentCounts {
        accepted: 0.0,
        refused_hour: 3.0,
        acknowledged_hour: 2.0,
        ..RecentCounts::default()
    };
    // Without a share there is nothing to rate yet.
    assert_eq!(scene.find(HealthCheck::Shares).0, HealthGrade::Unknown);
    scene.counted.accepted = 1.0;
    assert_eq!(scene.find(HealthCheck::Shares).0, HealthGrade::Healthy);
}

/// The clock offset is taken from the certificate, which shows whether the clock or the key is
/// wrong.
#[test]
fn a_refused_certificate_says_whether_clock_or_key_is_wrong() {
    let (valid_from, not_valid_after) = (1_795_383_253, 1_795_386_853);
    for (at, words) in [
        (valid_from + 10, "key"),
        (valid_from - 3600, "clock is 1 h 0 min behind"),
        (not_valid_after + 60, "ahead"),
    ] {
        let mut scene = Scene::well();
        let peer = crate::programs::jd_client::diagnosis::CertificateOwner::Provider;
        let at = Timestamp(at * 1000);
        scene.standing.certificate =
            Some(crate::programs::jd_client::diagnosis::RejectedCertificate {
                at,
                peer,
                valid_from,
                not_valid_after,
            });
        let found = scene.find(HealthCheck::Clock);
        assert_eq!(found.0, HealthGrade::Unhealthy);
        assert!(found.1.contains(words), "{found:?}");
    }
}

/// A running client whose log has just ended with these lines.
fn after_log(log: &str, running: RunningConfig) -> Scene {
    let mut scene = Scene::well();
    scene.standing = ClientStatus::default();
    for line in log.lines() {
        scene.standing.apply_line(line.as_bytes());
    }
    // The log, with times as if it had just been written.
    let late = NOW.0 - scene.standing.heard.unwrap().0 - 100_000;
    assert!(late > 0);
    scene.standing = shifted(&scene.standing, late);
    scene.running = running;
    scene
}

fn shifted(standing: &ClientStatus, by: i64) -> ClientStatus {
    let mut value = serde_json::to_value(standing).unwrap();
    fn walk(value: &mut serde_json::Value, by: i64) {
        match value {
            serde_json::Value::String(text) => {
                if let Ok(at) = text.parse::<Timestamp>() {
                    *text = Timestamp(at.0 + by).to_string();
                }
            }
            serde_json::Value::Array(list) => list.iter_mut().for_each(|value| walk(value, by)),
            serde_json::Value::Object(object) => {
                object.values_mut().for_each(|value| walk(value, by))
            }
            _ => {}
        }
    }
    walk(&mut value, by);
    serde_json::from_value(value).unwrap()
}

/// The log before the first line with these words.
fn until<'a>(log: &'a str, words: &str) -> &'a str {
    &log[..log.find(words).unwrap_or_else(|| panic!("{words}"))]
}

#[test]
fn the_real_clients_logs_yield_the_diagnosis_their_names_tell() {
    let pool = || {
        RunningConfig::read(
            &include_str!("../../../../tests/data/jd-client/pool.toml")
                .parse()
                .unwrap(),
        )
    };
    let solo = || {
        RunningConfig::read(
            &include_str!("../../../../tests/data/jd-client/solo.toml")
                .parse()
                .unwrap(),
        )
    };

    let log =
        include_str!("../../../../tests/data/jd-client/pool_shares_then_fallback_to_solo.log");
    let before = after_log(
        until(log, "ERROR jd_client_sv2::io_task: Reader error"),
        pool(),
    );
    assert_eq!(
        before.find(HealthCheck::Upstream).0,
        HealthGrade::Healthy,
        "{:?}",
        before.find(HealthCheck::Upstream)
    );
    let after = after_log(until(log, "Ctrl+C received"), pool());
    let found = after.find(HealthCheck::Upstream);
    assert_eq!(found.0, HealthGrade::Unhealthy);
    assert!(
        found.1.contains(
            "Mining solo even though a pool is configured, because pool 1 of 1 (127.0.0.1:25333) was disconnected: the pool closed the connection. "
        ),
        "{found:?}"
    );

    let log = include_str!("../../../../tests/data/jd-client/pool_unreachable_solo.log");
    let found = after_log(log, pool()).find(HealthCheck::Upstream);
    assert_eq!(found.0, HealthGrade::Unhealthy);
    assert!(
        found.1.contains("pool 1 of 1") && found.1.contains("could not be used"),
        "{found:?}"
    );

    let log = include_str!("../../../../tests/data/jd-client/declare_rejected.log");
    let found = after_log(log, pool()).find(HealthCheck::Upstream);
    assert_eq!(found.0, HealthGrade::Unhealthy);
    assert!(
        found
            .1
            .contains("was disconnected: the job declaration server rejected a job: invalid-job"),
        "{found:?}"
    );

    let log = include_str!("../../../../tests/data/jd-client/refresh0_panic.log");
    let scene = after_log(until(log, "Ctrl+C received"), solo());
    assert_eq!(
        scene.find(HealthCheck::Monitoring).0,
        HealthGrade::Unhealthy
    );
    assert!(
        scene
            .find(HealthCheck::Monitoring)
            .1
            .contains("monitoring_cache_refresh_secs is 0")
    );
    assert_eq!(scene.find(HealthCheck::Process).0, HealthGrade::Warning);

    for log in [
        include_str!("../../../../tests/data/jd-client/solo_shares_sigint.log"),
        include_str!("../../../../tests/data/jd-client/signature64_ok.log"),
        include_str!("../../../../tests/data/jd-client/block_found.log"),
    ] {
        let scene = after_log(log.split("Ctrl+C received").next().unwrap(), solo());
        for check in [
            HealthCheck::Process,
            HealthCheck::Template,
            HealthCheck::Upstream,
            HealthCheck::Clock,
        ] {
            assert_eq!(
                scene.find(check).0,
                HealthGrade::Healthy,
                "{:?}",
                scene.find(check)
            );
        }
    }

    // A client that is about to exit is still running.
    let log = include_str!("../../../../tests/data/jd-client/tp_wrong_pubkey.log");
    let scene = after_log(log, solo());
    assert_eq!(
        (
            scene.find(HealthCheck::Template).0,
            scene.find(HealthCheck::Clock).0
        ),
        (HealthGrade::Unhealthy, HealthGrade::Unhealthy)
    );
    let mut standing = ClientStatus::default();
    for line in log.lines() {
        standing.apply_line(line.as_bytes());
    }
    assert_eq!(
        certificate_text(&standing.certificate.unwrap()).code,
        "provider-key"
    );
    let log = include_str!("../../../../tests/data/jd-client/tp_lost.log");
    assert!(
        after_log(log, solo())
            .find(HealthCheck::Template)
            .1
            .contains("was lost")
    );
    let log = include_str!("../../../../tests/data/jd-client/tp_unreachable.log");
    assert!(
        after_log(log, solo())
            .find(HealthCheck::Template)
            .1
            .contains("cannot be used")
    );
}

#[test]
fn a_newer_release_is_told_with_what_it_carries() {
    let mut scene = Scene::well();
    let latest = |tag: &str, client| {
        Some(LatestRelease {
            tag: tag.into(),
            client,
        })
    };
    scene.latest = latest("v0.8.0", Some(ClientVersion::NEWEST_KNOWN));
    assert_eq!(scene.find(HealthCheck::Version).0, HealthGrade::Healthy);
    scene.latest = latest("v0.9.0", Some(ClientVersion::new(0, 7, 0)));
    let (grade, message) = scene.find(HealthCheck::Version);
    assert_eq!(grade, HealthGrade::Healthy, "an update is information");
    assert!(
        message.contains("Release v0.9.0 with client 0.7.0 is available"),
        "{message}"
    );
    scene.latest = latest("v0.7.0", Some(ClientVersion::new(0, 5, 0)));
    let (_, message) = scene.find(HealthCheck::Version);
    assert!(!message.contains("is available"), "{message}");
    scene.latest = latest("v1.0.0", None);
    let (grade, message) = scene.find(HealthCheck::Version);
    assert!(
        grade == HealthGrade::Healthy && message.contains("Release v1.0.0 is available"),
        "{message}"
    );
}
