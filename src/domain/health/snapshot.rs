//! All input of the health checks at one moment, and values computed from it. Pure.

use std::time::Duration;

use super::pool_probes::UpstreamProbe;
use super::running_config::RunningConfig;
use crate::base::clock::Timestamp;
use crate::domain::configs::ClientVersion;
use crate::domain::instances::Instance;
use crate::domain::metrics::{LatestFigures, MonitoringState};
use crate::domain::miners::TranslatorReport;
use crate::keeper::machine::InstanceState;
use crate::programs::bitcoin_core::NodeCheckResult;
use crate::programs::jd_client::diagnosis::{ClientStatus, SeenBlock, WorkState};
use crate::programs::translator::diagnosis::{TranslatorLogStatus, TranslatorPhase};

/// The time range of counters, unless noted otherwise.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The client refreshes its monitoring every `refresh_s`. After this many intervals, and at least
/// this many seconds, a missing update is not a hiccup.
const FROZEN_ROUNDS: u64 = 3;
const FROZEN_LEAST_S: u64 = 30;
/// A running client writes a line at least once a minute, when it adjusts the miners' difficulty
/// (all versions). It may hang if it has written none for this long, and for 1.5 times its longest
/// pause in this run,
const HUNG_LEAST: Duration = Duration::from_secs(90);
/// but at most this long: a suspended machine makes one long pause,
const HUNG_MOST: Duration = Duration::from_secs(600);
/// and if its monitoring, which responded before, has not responded for this long either.
const HUNG_MONITORING: Duration = Duration::from_secs(45);
/// A pool responds to jobs immediately and to shares in batches. It is silent after this many of its usual
/// intervals, within these bounds.
const USUAL_ANSWERS: u32 = 4;
const SILENT_POOL_LEAST: Duration = Duration::from_secs(120);
const SILENT_POOL_MOST: Duration = Duration::from_secs(30 * 60);
/// Fewer unanswered shares may just wait for a full batch.
const UNANSWERED_SHARES: u64 = 3;
/// Pools respond to ten shares at once, unless larger batches have been seen.
const USUAL_BATCH: u64 = 10;
/// A job without a response for this long is unanswered.
const JOB_ANSWER: Duration = Duration::from_secs(5);

/// A translator that is not connected to its client, or whose monitoring does not respond, for this
/// long needs a restart. It connects within seconds (0.6.0, measured), and gives up after 45 s.
pub const TRANSLATOR_PATIENCE: Duration = Duration::from_secs(120);

/// Recent counters of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecentCounts {
    /// ERROR lines within [`WINDOW`].
    pub errors: f64,
    /// Lines of any level within [`WINDOW`].
    pub lines: f64,
    /// Shares accepted by the client within [`WINDOW`].
    pub accepted: f64,
    /// Shares accepted by the client within the last hour,
    pub accepted_hour: f64,
    /// and rejected.
    pub rejected_hour: f64,
    /// Shares acknowledged by the pool within the last hour,
    pub acknowledged_hour: f64,
    /// and rejected.
    pub refused_hour: f64,
    /// Automatic starts after a failure within the last hour.
    pub retries: usize,
    /// Memory six hours ago, bytes; none if it was not running then.
    pub memory_before: Option<f64>,
}

/// The input of the health checks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The time.
    pub now: Timestamp,
    /// The instance.
    pub instance: &'a Instance,
    /// The configuration of its client.
    pub running: &'a RunningConfig,
    /// The state of the current client from the log; empty without one.
    pub standing: &'a ClientStatus,
    /// Results of the last probes of its pools; empty before the first one of this run.
    pub probed: &'a [UpstreamProbe],
    /// The latest samples of the current client; none without one, or before the first sample.
    pub measured: Option<&'a LatestFigures>,
    /// Recent counters.
    pub counted: RecentCounts,
    /// Free disk space for logs and the database, bytes; none if unknown.
    pub free: Option<u64>,
    /// The version of its client; none if unknown.
    pub version: Option<ClientVersion>,
    /// The successor of the newest block of this client, if another instance on the same chain has
    /// known it for a while; none if this client has the newest block.
    pub missing_block: Option<&'a SeenBlock>,
    /// The latest release that can be installed here; `None` before the first check.
    pub latest: Option<&'a LatestRelease>,
    /// Its translator; none: no port for Stratum V1 miners is configured.
    pub translator: Option<&'a TranslatorHealth>,
    /// The last check of the node whose socket it uses; none: it works, or uses no node directly.
    pub node: Option<&'a NodeCheckResult>,
}

/// A translator that should be running.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TranslatorHealth {
    /// The state of the current process, from its log.
    pub log: TranslatorLogStatus,
    /// The last round of the miner list; none if the current process was not asked yet.
    pub report: Option<TranslatorReport>,
    /// When its port for miners was tested and responded.
    pub answered_at: Option<Timestamp>,
    /// The client version has no such program.
    pub is_missing: bool,
}

/// The latest release of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestRelease {
    /// Its tag.
    pub tag: String,
    /// Its client version; none: unknown tag, so newer than all known ones.
    pub client: Option<ClientVersion>,
}

impl Snapshot<'_> {
    /// Uptime of the current client.
    pub fn age(&self) -> Duration {
        self.instance
            .start_time
            .map_or(Duration::ZERO, |started| self.now.since(Timestamp(started)))
    }

    /// A value of the latest samples.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.measured?.figures.get(name).copied()
    }

    /// How long metrics have not updated even though the log shows shares that they should count; none
    /// if no update is due.
    pub fn frozen_for(&self) -> Option<Duration> {
        let measured = self.measured?;
        let Some(MonitoringState::Still(since)) = measured.monitoring else {
            return None;
        };
        // A share well after the last update of the metrics, and early enough to be in the latest
        // sample.
        let slack = i64::try_from(
            FROZEN_ROUNDS
                .saturating_mul(self.running.refresh_s)
                .max(FROZEN_LEAST_S),
        )
        .unwrap_or(i64::MAX);
        let missed = since.saturating_add(slack)..=measured.at.saturating_sub(slack);
        let shares = &self.standing.shares;
        let is_missed = shares
            .marks
            .iter()
            .flatten()
            .any(|mark| missed.contains(&mark.0.div_euclid(1000)));
        // Until the last sample: without sampling, nothing is known of the client.
        is_missed.then(|| {
            Duration::from_secs(u64::try_from(measured.at.saturating_sub(since)).unwrap_or(0))
        })
    }

    /// How long the client has hung: no log line for far longer than ever in this run, and no
    /// response from monitoring, which responded before.
    pub fn hung_for(&self) -> Option<Duration> {
        let Some(MonitoringState::Not {
            since,
            has_answered: true,
            ..
        }) = self.measured?.monitoring
        else {
            return None;
        };
        let unanswered = self.now.since(Timestamp(since.saturating_mul(1000)));
        let silent = self.now.since(self.standing.heard?);
        let longest = Duration::from_millis(self.standing.longest_pause_ms);
        (silent >= longest.mul_f64(1.5).clamp(HUNG_LEAST, HUNG_MOST)
            && unanswered >= HUNG_MONITORING)
            .then_some(silent)
    }

    /// Since when the pool has not responded even though miners work for it: it neither acknowledges
    /// shares nor accepts the job of a newer template.
    pub fn pool_silent_since(&self) -> Option<Timestamp> {
        let WorkState::Pool { since: working } = self.standing.work else {
            return None;
        };
        let (answers, work) = (&self.standing.pool_answers, &self.standing.unanswered);
        let usual = answers.mean().unwrap_or_default() * USUAL_ANSWERS;
        let patience = usual.clamp(SILENT_POOL_LEAST, SILENT_POOL_MOST);
        if work.shares < UNANSWERED_SHARES || self.now.since(work.since?) < patience {
            return None;
        }
        let answered = answers.last.unwrap_or(working);
        let has_unanswered_job = self
            .standing
            .template_at
            .is_some_and(|at| at.since(answered) > JOB_ANSWER);
        let has_unanswered_batch =
            work.sent > 2 * USUAL_BATCH.max(self.standing.shares.largest_batch);
        (has_unanswered_job || has_unanswered_batch).then_some(answered)
    }

    /// How long the translator has had no connection to a client that is ready for miners.
    pub fn translator_disconnected_for(&self) -> Option<Duration> {
        let ready = self.instance.since?;
        if self.instance.status != InstanceState::Running {
            return None;
        }
        let program = self.instance.translator()?;
        let started = program.started_at?;
        let log = &self.translator?.log;
        let is_lost = matches!(
            log.state,
            TranslatorPhase::Starting
                | TranslatorPhase::WaitingForClient
                | TranslatorPhase::ClientLost
                | TranslatorPhase::Failed
        );
        let since = match program.status {
            "starting" => started,
            "running" if is_lost => log.since?.max(started),
            _ => return None,
        };
        Some(self.now.since(since.max(ready)))
    }

    /// How long the monitoring of a translator that is ready for miners has not responded.
    pub fn translator_unanswered_for(&self) -> Option<Duration> {
        let is_running = self
            .instance
            .translator()
            .is_some_and(|program| program.status == "running");
        let since = self.translator?.report.as_ref()?.unanswered_since?;
        is_running.then(|| self.now.since(since))
    }

    /// Memory use as a percentage of its limit; none without a limit.
    pub fn memory_reached(&self) -> Option<f64> {
        let limit = self.instance.memory_limit_mib.filter(|limit| *limit > 0)?;
        Some(100.0 * self.figure("memory_private_bytes")? / (f64::from(limit) * 1024.0 * 1024.0))
    }

    /// Mining solo even though pools are configured.
    pub fn is_solo_unasked(&self) -> bool {
        self.running.wants_pool() && matches!(self.standing.work, WorkState::Solo { .. })
    }
}
