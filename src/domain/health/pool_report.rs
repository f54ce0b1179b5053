//! Text about pools that a client is not connected to: which server fails and how, and which
//! setting to change. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use super::pool_probes::UpstreamProbe;
use super::running_config::RunningConfig;
use super::snapshot::Snapshot;
use crate::domain::instances::Instance;
use crate::programs::jd_client::config_fields::ConfigField;
use crate::programs::jd_client::diagnosis::{CertificateOwner, ClientStatus, WorkState};

/// Maximum number of pools in a message.
const MOST_POOLS: usize = 3;

/// Error codes with which a pool rejects a connection setup, and the setting that each concerns.
/// Settings of a pool begin with `upstreams[].`. Other reasons include their setting.
const REFUSED_SETUPS: [(&str, &str); 3] = [
    ("unsupported-feature-flags", "mode"),
    ("unsupported-protocol", "upstreams[].pool_port"),
    ("protocol-version-mismatch", "max_supported_version"),
];
const KEY: &str = "upstreams[].authority_pubkey";

/// A setting that prevents a pool connection.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct SettingToChange {
    /// Label of the field on pages.
    pub label: &'static str,
    /// Number of the pool in the configuration, from 1; absent if the setting is for all pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<usize>,
    /// Path of the page and field to change it.
    pub path: String,
}

impl SettingToChange {
    /// `“Pool account” for pool 1`.
    pub fn text(&self) -> String {
        match self.pool {
            Some(number) => format!("“{}” for pool {number}", self.label),
            None => format!("“{}”", self.label),
        }
    }
}

/// The setting to change; none if a restart may help or the client is connected to a pool.
pub(super) fn setting_to_change(
    instance: &Instance,
    running: &RunningConfig,
    standing: &ClientStatus,
    probed: &[UpstreamProbe],
) -> Option<SettingToChange> {
    let is_without_pool = matches!(
        standing.work,
        WorkState::Solo { .. } | WorkState::Trying { .. }
    );
    // A restart leads to another pool that accepts the client.
    let refusing = standing.upstream.as_ref().map_or(0, |last| last.number);
    let has_other = probed.iter().any(|upstream| {
        upstream.is_complete() && u64::try_from(upstream.number).is_ok_and(|n| n != refusing)
    });
    if !running.wants_pool()
        || !is_without_pool
        || has_other
        || instance.is_outdated()
        || probed.iter().any(UpstreamProbe::is_complete) && !standing.is_refused_for_good()
    {
        return None;
    }
    let wrong_key = probed.iter().find(|upstream| upstream.has_wrong_key());
    let (key, number) = match wrong_key {
        Some(upstream) => (KEY, Some(upstream.number)),
        None if standing.is_refused_for_good() => {
            let last = standing.upstream.as_ref();
            let number = last.and_then(|last| usize::try_from(last.number).ok());
            (refused_setting(standing)?, number.or(Some(1)))
        }
        None => return None,
    };
    let field = ConfigField::of_key(key)?;
    let (pool, place) = match (key.strip_prefix("upstreams[]."), number) {
        (Some(field), Some(number)) => (
            Some(number),
            format!("upstreams-{}-{field}", number.saturating_sub(1)),
        ),
        _ => (None, key.replace('.', "-")),
    };
    Some(SettingToChange {
        label: field.label,
        pool,
        path: format!("/saved-configs/{}/edit#{place}", instance.config_id),
    })
}

/// The key of the setting for which the pool rejected the client.
fn refused_setting(standing: &ClientStatus) -> Option<&str> {
    let left = standing.pool_left.as_ref();
    if let Some(setting) = left.and_then(|left| left.setting.as_deref()) {
        return Some(setting);
    }
    let why = standing
        .upstream
        .as_ref()
        .and_then(|upstream| upstream.why.as_deref())
        .unwrap_or_default();
    let by_words = REFUSED_SETUPS
        .iter()
        .find(|(words, _)| why.contains(words))
        .map(|(_, key)| *key);
    let is_key = standing.certificate.as_ref().is_some_and(|certificate| {
        matches!(
            certificate.peer,
            CertificateOwner::Pool | CertificateOwner::JobServer
        )
    });
    by_words.or(is_key.then_some(KEY))
}

/// The text after the reason for solo mining: which servers fail and how, and the fix.
pub(super) fn solo_advice(look: &Snapshot<'_>) -> String {
    let setting = setting_to_change(look.instance, look.running, look.standing, look.probed);
    let ready = look.probed.iter().find(|upstream| upstream.is_complete());
    let mut sentences = failures(look.probed);
    sentences.push(match (setting, ready) {
        (Some(setting), _) => format!(
            "Change {} in the configuration, then restart the instance.",
            setting.text()
        ),
        (None, Some(ready)) => format!(
            "Pool {} ({}) is available again. Restart the instance to use it.",
            ready.number,
            ready.endpoints.words()
        ),
        (None, None) => {
            "Restart the instance when a pool and its job declaration server are available.".into()
        }
    });
    sentences.join(" ")
}

/// Whether the text that follows names the setting to change.
pub(super) fn names_setting(look: &Snapshot<'_>) -> bool {
    setting_to_change(look.instance, look.running, look.standing, look.probed).is_some()
}

/// The text after the report of a pool that is not responding on an open connection.
pub(super) fn silence_advice(look: &Snapshot<'_>) -> String {
    let mut sentences = failures(look.probed);
    let has_answer = look.probed.iter().any(UpstreamProbe::is_complete);
    sentences.push(
        match has_answer {
            true => "The pool is accepting new connections. Restart the instance.",
            false => {
                "Restart the instance when the pool and its job declaration server are available."
            }
        }
        .into(),
    );
    sentences.join(" ")
}

/// Whether the last probes show which server fails and how. The client's own reason is left out
/// then: it names the pool's address even if only the job declaration server fails.
pub(super) fn names_failure(look: &Snapshot<'_>) -> bool {
    !failures(look.probed).is_empty()
}

/// The text for a client that has tried to reach a pool for a long time.
pub(super) fn waiting_text(look: &Snapshot<'_>) -> String {
    let failures = failures(look.probed);
    match failures.is_empty() {
        true => "Still trying to reach a pool. Check that the pool's address is correct and reachable from this machine.".into(),
        false => format!("Still trying to reach a pool. {}", failures.join(" ")),
    }
}

/// The failures of each pool; empty if a pool accepts the client.
fn failures(probed: &[UpstreamProbe]) -> Vec<String> {
    if probed.iter().any(UpstreamProbe::is_complete) {
        return Vec::new();
    }
    let mut sentences: Vec<String> = probed
        .iter()
        .take(MOST_POOLS)
        .flat_map(UpstreamProbe::failures)
        .collect();
    match probed.len().saturating_sub(MOST_POOLS) {
        0 => {}
        1 => sentences.push("The remaining pool is not responding either.".into()),
        more => sentences.push(format!(
            "The remaining {more} pools are not responding either."
        )),
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::domain::health::running_config::PoolEndpoints;
    use crate::domain::health::snapshot::RecentCounts;
    use crate::keeper::machine::InstanceState;
    use crate::programs::jd_client::diagnosis::{PoolLeaveCode, PoolLeaveReason, UpstreamAddress};
    use crate::programs::sv2_peer::{PeerRole, PeerTarget, ProbeOutcome, ProbeStep};

    fn endpoints(number: u16) -> PoolEndpoints {
        PoolEndpoints {
            pool: PeerTarget::new(PeerRole::Pool, "pool.example", 1000 + number),
            jds: Some(PeerTarget::new(
                PeerRole::JobDeclarationServer,
                "pool.example",
                2000 + number,
            )),
        }
    }

    fn upstream(number: u16, pool: ProbeOutcome, jds: ProbeOutcome) -> UpstreamProbe {
        UpstreamProbe {
            number: number.into(),
            endpoints: endpoints(number),
            pool,
            jds: Some(jds),
        }
    }

    fn refused(why: &str) -> ClientStatus {
        ClientStatus {
            work: WorkState::Solo {
                since: Timestamp(0),
            },
            upstream: Some(UpstreamAddress {
                number: 2,
                of: 2,
                why: Some(why.into()),
                ..UpstreamAddress::default()
            }),
            pool_left: why.contains("unknown-user").then(|| PoolLeaveReason {
                number: 2,
                of: 2,
                code: PoolLeaveCode::UnknownAccount,
                setting: Some("upstreams[].user_identity".into()),
                ..PoolLeaveReason::default()
            }),
            ..ClientStatus::default()
        }
    }

    fn advice(standing: &ClientStatus, probed: &[UpstreamProbe]) -> String {
        let instance = Instance::sample(InstanceState::Running);
        let running = RunningConfig {
            pools: vec![endpoints(1), endpoints(2)],
            ..RunningConfig::default()
        };
        solo_advice(&Snapshot {
            now: Timestamp(1000),
            instance: &instance,
            running: &running,
            standing,
            probed,
            measured: None,
            counted: RecentCounts::default(),
            free: None,
            version: None,
            missing_block: None,
            latest: None,
            translator: None,
            node: None,
        })
    }

    #[test]
    fn the_server_that_fails_is_named_and_no_other() {
        let silent = ProbeOutcome::NoAnswer {
            step: ProbeStep::Handshake,
        };
        let text = advice(
            &refused("lost"),
            &[upstream(1, ProbeOutcome::Answers, silent)],
        );
        assert!(
            text.starts_with("The job declaration server of pool 1 (pool.example:2001) accepts")
                && !text.contains("pool.example:1001"),
            "{text}"
        );
        assert!(text.ends_with("are available."), "{text}");
        let both = upstream(2, ProbeOutcome::Answers, ProbeOutcome::Answers);
        let gone = upstream(1, ProbeOutcome::UnknownHost, ProbeOutcome::UnknownHost);
        let text = advice(&refused("lost"), &[gone.clone(), both]);
        assert!(
            text.starts_with("Pool 2 (pool.example:1002) is available again"),
            "{text}"
        );
        let many: Vec<_> = (0..5).map(|_| gone.clone()).collect();
        assert!(
            advice(&refused("lost"), &many)
                .contains("The remaining 2 pools are not responding either.")
        );
        assert!(advice(&refused("lost"), &[]).starts_with("Restart the instance when a pool"));
    }

    #[test]
    fn a_refusal_names_the_setting_and_where_it_is_changed() {
        let instance = Instance::sample(InstanceState::Running);
        let running = RunningConfig {
            pools: vec![endpoints(1), endpoints(2)],
            ..RunningConfig::default()
        };
        let both = [upstream(2, ProbeOutcome::Answers, ProbeOutcome::Answers)];
        let standing = refused("the pool opened no channel: unknown-user");
        let setting = setting_to_change(&instance, &running, &standing, &both).unwrap();
        assert_eq!(
            (setting.text().as_str(), setting.path.as_str()),
            (
                "“Pool account” for pool 2",
                format!(
                    "/saved-configs/{}/edit#upstreams-1-user_identity",
                    instance.config_id
                )
                .as_str()
            )
        );
        assert!(advice(&standing, &both).starts_with("Change “Pool account” for pool 2"));
        let wrong_key = [upstream(1, ProbeOutcome::Answers, ProbeOutcome::WrongKey)];
        let setting = setting_to_change(&instance, &running, &refused("lost"), &wrong_key);
        assert_eq!(
            setting.map(|setting| (setting.label, setting.pool)),
            Some(("Pool public key", Some(1)))
        );
        // Once it answers with the right key, a restart helps.
        assert_eq!(
            setting_to_change(&instance, &running, &refused("lost"), &both),
            None
        );
        let mut works = standing.clone();
        works.work = WorkState::Pool {
            since: Timestamp(0),
        };
        assert_eq!(setting_to_change(&instance, &running, &works, &both), None);
    }

    #[test]
    fn every_reason_leads_to_a_field_of_the_form() {
        for (words, key) in REFUSED_SETUPS.into_iter().chain([("", KEY)]) {
            let field = ConfigField::of_key(key);
            assert!(
                field.is_some_and(|field| !field.label.is_empty()),
                "{words}"
            );
        }
    }
}
