//! Selects and runs the automatic fix of an instance. Slow work runs beside the monitor, which
//! decides when.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::checks::MEMORY_FULL;
use super::remediation_policy::{Remediation, RemediationHistory};
use super::service::{HealthAssessment, HealthService};
use super::snapshot::{RecentCounts, Snapshot, TRANSLATOR_PATIENCE};
use super::stagger::StaggerQueue;
use crate::base::actor::Actor;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::keeper::machine::InstanceState;
use crate::programs::jd_client::diagnosis::WorkState;

/// A pool that rejected the jobs still accepts connections. Pause before the next attempt.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);
/// A hung client is restarted after this time without a line.
const HUNG: Duration = Duration::from_secs(120);
/// A translator whose port for miners responded is tested again after this time at the earliest,
/// because each test opens a channel.
const TRANSLATOR_TESTED: Duration = Duration::from_secs(300);
/// How long to wait for a restart before it counts as in progress.
const RESTART_PATIENCE: Duration = Duration::from_secs(20);
/// The actor in the events.
const ACTOR: Actor = Actor::manager("self-healing");

impl HealthAssessment {
    /// The automatic fix that helps now, with its reason.
    pub(super) fn needed(&self, now: Timestamp) -> Option<(Remediation, String)> {
        if self.instance.status != InstanceState::Running || self.instance.desired != "running" {
            return None;
        }
        let look = self.to_snapshot(now);
        if let Some(silent) = look.hung_for() {
            let words = format!(
                "the client is hung (no log output and no response from its monitoring port for {}): restarting it",
                human_duration(silent)
            );
            return (silent >= HUNG).then_some((Remediation::Hung, words));
        }
        // If it is not due, a fix of the client must not wait for it.
        let is_due = self.settings.is_on(Remediation::Translator)
            && self.cures.due(Remediation::Translator, now) <= now;
        if is_due && let Some(words) = self.translator_trouble(now) {
            return Some((Remediation::Translator, words));
        }
        if look.pool_silent_since().is_some() {
            return Some((Remediation::Silent, String::new()));
        }
        if look.is_solo_unasked() {
            return Some((Remediation::Solo, String::new()));
        }
        if let Some(still) = look
            .frozen_for()
            .filter(|_| self.running.refresh_s > 0 && !self.standing.frozen_by_panic)
        {
            let words = format!(
                "the client's metrics have not been updated for {}: restarting it",
                human_duration(still)
            );
            return Some((Remediation::Frozen, words));
        }
        if let Some(reached) = look
            .memory_reached()
            .filter(|reached| *reached >= MEMORY_FULL)
        {
            let words = format!(
                "the client is using {reached:.0}% of its memory limit and would exit at the limit: restarting it"
            );
            return Some((Remediation::Memory, words));
        }
        self.works_for_fallback()
            .then(|| (Remediation::Preferred, String::new()))
    }

    /// Why the translator needs a restart, as far as is known without a test of its port; none if
    /// its keeper cannot restart it alone.
    fn translator_trouble(&self, now: Timestamp) -> Option<String> {
        if !self.instance.translator()?.can_restart {
            return None;
        }
        let look = self.to_snapshot(now);
        if let Some(length) = look.translator_disconnected_for() {
            return (length >= TRANSLATOR_PATIENCE).then(|| {
                format!(
                    "the translator has not been connected to the client for {}: restarting it",
                    human_duration(length)
                )
            });
        }
        let unanswered = look.translator_unanswered_for()?;
        let has_answered = self
            .translator
            .as_ref()
            .and_then(|translator| translator.answered_at)
            .is_some_and(|at| now.since(at) < TRANSLATOR_TESTED);
        (unanswered >= TRANSLATOR_PATIENCE && !has_answered).then(|| {
            format!(
                "the translator is not responding (no response from its monitoring port for {}, or to a test connection on its port for miners): restarting it",
                human_duration(unanswered)
            )
        })
    }

    /// The translator needs a restart, whatever its port responds.
    pub(super) fn is_translator_disconnected(&self, now: Timestamp) -> bool {
        self.to_snapshot(now)
            .translator_disconnected_for()
            .is_some_and(|length| length >= TRANSLATOR_PATIENCE)
    }

    fn works_for_fallback(&self) -> bool {
        let number = self
            .standing
            .upstream
            .as_ref()
            .map_or(1, |upstream| upstream.number);
        matches!(self.standing.work, WorkState::Pool { .. }) && number > 1
    }

    /// Drops attempts that have lasted; returns whether there were any.
    pub(super) fn prune_lasting(&self, cures: &mut RemediationHistory, now: Timestamp) -> bool {
        let Some(started) = self
            .instance
            .start_time
            .map(Timestamp)
            .filter(|_| self.instance.status == InstanceState::Running)
        else {
            return false;
        };
        let look = self.to_snapshot(now);
        let mut has_forgotten = cures.set_back_to(now);
        if let WorkState::Pool { since } = self.standing.work {
            has_forgotten |= cures.is_well(Remediation::Solo, since, now);
            let answers = &self.standing.pool_answers;
            if look.pool_silent_since().is_none() && answers.last.is_some_and(|at| at >= since) {
                has_forgotten |= cures.is_well(Remediation::Silent, since, now);
            }
            if !self.works_for_fallback() {
                has_forgotten |= cures.is_well(Remediation::Preferred, since, now);
            }
        }
        if look.hung_for().is_none() {
            has_forgotten |= cures.is_well(Remediation::Hung, started, now);
        }
        let translator = self
            .instance
            .translator()
            .filter(|program| program.status == "running");
        if let Some(started) = translator.and_then(|program| program.started_at)
            && look.translator_disconnected_for().is_none()
            && look.translator_unanswered_for().is_none()
        {
            has_forgotten |= cures.is_well(Remediation::Translator, started, now);
        }
        if look.frozen_for().is_none() {
            has_forgotten |= cures.is_well(Remediation::Frozen, started, now);
        }
        if look
            .memory_reached()
            .is_none_or(|reached| reached < MEMORY_FULL)
        {
            has_forgotten |= cures.is_well(Remediation::Memory, started, now);
        }
        has_forgotten
    }

    /// The pool rejected its jobs too recently for another attempt.
    pub(super) fn is_refused_lately(&self, now: Timestamp) -> bool {
        self.standing
            .refused
            .as_ref()
            .is_some_and(|said| said.at <= now && now.since(said.at) < AFTER_REFUSAL)
    }

    fn to_snapshot(&self, now: Timestamp) -> Snapshot<'_> {
        Snapshot {
            now,
            instance: &self.instance,
            running: &self.running,
            standing: &self.standing,
            probed: &self.probed.upstreams,
            measured: self.measured.as_ref(),
            counted: RecentCounts::default(),
            free: None,
            version: None,
            missing_block: None,
            latest: None,
            translator: self.translator.as_ref(),
            node: None,
        }
    }
}

/// Restarts a client, or only its translator, when it is its turn, with the reason added to the events first; not if the
/// manager stops by then. `words`: computes the reason in its turn; none: no longer needed. The
/// attempt is saved first: after a kill, the next manager must not repeat it immediately.
pub(super) async fn restart(
    health: &HealthService,
    (turns, stop): (&StaggerQueue, &CancellationToken),
    (id, started): (InstanceId, i64),
    cure: Remediation,
    words: impl Future<Output = Option<String>>,
) {
    let result = async {
        // The problem must be in the history before its fix. With many instances this may take a
        // while, so it is done before the turn.
        health.check_instance(id, false).await?;
        let Some(turn) = stop.run_until_cancelled(turns.take()).await else {
            return Ok(());
        };
        let Some(words) = words.await else {
            return Ok(());
        };
        // A user may have stopped or restarted it, or turned the fix off, in the meantime.
        let seen = health.seen(health.instances().get(id).await?).await?;
        let is_needed = seen
            .needed(Timestamp::now())
            .is_some_and(|(needed, _)| needed == cure);
        if seen.instance.start_time != Some(started) || !seen.settings.is_on(cure) || !is_needed {
            return Ok(());
        }
        let mut cures = seen.cures;
        cures.tried(cure, Timestamp::now());
        health.save_remediations(id, &cures).await?;
        tracing::info!(instance = %id, cure = cure.as_str(), "{words}");
        health.instances().note(id, words, Some(ACTOR)).await?;
        drop(turn);
        if cure == Remediation::Translator {
            let translator = seen.instance.translator();
            let started = translator.and_then(|program| program.started_at);
            let restarted = health
                .instances()
                .restart_translator(id, started.map(|at| at.0), &ACTOR, RESTART_PATIENCE)
                .await;
            return restarted.map(drop);
        }
        health
            .instances()
            .restart_of(id, started, &ACTOR, RESTART_PATIENCE)
            .await
    };
    let result: Result<()> = result.await;
    if let Err(error) = result {
        tracing::warn!(instance = %id, cure = cure.as_str(), %error, "the automatic fix failed; will retry later");
        let words = format!("the automatic restart failed: {error}");
        let _ = health.instances().note(id, words, Some(ACTOR)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::pool_probes::PoolProbeRecord;
    use crate::domain::health::remediation_policy::RemediationSettings;
    use crate::domain::health::running_config::RunningConfig;
    use crate::domain::health::snapshot::TranslatorHealth;
    use crate::domain::instances::{Instance, InstanceProgram};
    use crate::domain::miners::TranslatorReport;
    use crate::keeper::protocol::TranslatorStatus;
    use crate::keeper::translator_machine::TranslatorState;
    use crate::programs::jd_client::diagnosis::ClientStatus;

    const NOW: Timestamp = Timestamp(1_795_400_000_000);

    /// A running client whose translator has not responded for three minutes.
    fn unanswered(can_restart: bool) -> HealthAssessment {
        let started = NOW.0 - 600_000;
        let mut instance = Instance::sample(InstanceState::Running);
        instance.start_time = Some(started);
        let reported = TranslatorStatus {
            state: TranslatorState::Running,
            pid: Some(7),
            started_at: Some(started),
            can_restart,
            ..TranslatorStatus::default()
        };
        let program = InstanceProgram::translator(&reported, None);
        instance.programs.push(program);
        HealthAssessment {
            instance,
            running: RunningConfig::default(),
            standing: ClientStatus::default(),
            measured: None,
            cures: RemediationHistory::default(),
            settings: RemediationSettings::default(),
            probed: PoolProbeRecord::default(),
            translator: Some(TranslatorHealth {
                report: Some(TranslatorReport {
                    run: started,
                    unanswered_since: Some(Timestamp(NOW.0 - 180_000)),
                    ..TranslatorReport::default()
                }),
                ..TranslatorHealth::default()
            }),
        }
    }

    #[test]
    fn a_translator_is_restarted_only_if_its_keeper_can_do_that() {
        let (cure, words) = unanswered(true).needed(NOW).unwrap();
        assert_eq!(cure, Remediation::Translator);
        assert!(
            words.contains("not responding") && words.contains("test connection"),
            "{words}"
        );
        assert_eq!(unanswered(false).needed(NOW), None);
        // It responded to a test recently.
        let mut answered = unanswered(true);
        answered.translator.as_mut().unwrap().answered_at = Some(Timestamp(NOW.0 - 1000));
        assert_eq!(answered.needed(NOW), None);
    }
}
