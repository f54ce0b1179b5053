//! All input of the health checks at one moment, and values computed from it. Pure.

use std::time::Duration;

use super::pool_probes::UpstreamProbe;
use super::running_config::RunningConfig;
use crate::base::clock::Timestamp;
use crate::domain::configs::ClientVersion;
use crate::domain::instances::Instance;
use crate::domain::metrics::{LatestFigures, MonitoringState};
use crate::programs::jd_client::diagnosis::{ClientStatus, SeenBlock, WorkState};

/// What is counted over is counted over the last so many minutes, unless said otherwise.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The client renews its monitoring every `refresh_s`; so many times that, and at least so many
/// seconds, are no hiccup.
const FROZEN_ROUNDS: u64 = 3;
const FROZEN_LEAST_S: u64 = 30;
/// A client that serves miners writes a line at least once a minute, when it adjusts the miners'
/// difficulty (all versions). One that has written none for so long, and for half as long again as
/// ever before in its run, may hang,
const HUNG_LEAST: Duration = Duration::from_secs(90);
/// but no longer than this: a machine that was suspended makes a long pause once,
const HUNG_MOST: Duration = Duration::from_secs(600);
/// if its monitoring, which answered before, has not answered for so long either.
const HUNG_MONITORING: Duration = Duration::from_secs(45);
/// A pool answers jobs at once and shares in batches. It is silent after so many times its usual
/// interval, within these bounds.
const USUAL_ANSWERS: u32 = 4;
const SILENT_POOL_LEAST: Duration = Duration::from_secs(120);
const SILENT_POOL_MOST: Duration = Duration::from_secs(30 * 60);
/// Fewer shares without an answer may just wait for their batch to be full.
const UNANSWERED_SHARES: u64 = 3;
/// Pools answer ten shares at once, unless one has been seen to answer more.
const USUAL_BATCH: u64 = 10;
/// A job that the pool has not answered after so long is not being answered.
const JOB_ANSWER: Duration = Duration::from_secs(5);

/// What was counted of an instance lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecentCounts {
    /// Lines of level ERROR within [`WINDOW`].
    pub errors: f64,
    /// Lines of any kind within [`WINDOW`].
    pub lines: f64,
    /// Shares of miners accepted within [`WINDOW`].
    pub accepted: f64,
    /// Shares of miners accepted within the last hour,
    pub accepted_hour: f64,
    /// and rejected.
    pub rejected_hour: f64,
    /// Shares the pool acknowledged within the last hour,
    pub acknowledged_hour: f64,
    /// and refused.
    pub refused_hour: f64,
    /// Starts within the last hour.
    pub starts: usize,
    /// Memory six hours ago, bytes; none if it did not run then.
    pub memory_before: Option<f64>,
}

/// Everything an instance is judged by, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The instance.
    pub instance: &'a Instance,
    /// What its client was told.
    pub running: &'a RunningConfig,
    /// What the log of the present client says; blank without one.
    pub standing: &'a ClientStatus,
    /// What the last probes of its pools found; empty before the first one of its run.
    pub probed: &'a [UpstreamProbe],
    /// What was measured of the present client last; none without one, or before the first sample.
    pub measured: Option<&'a LatestFigures>,
    /// What was counted lately.
    pub counted: RecentCounts,
    /// Free bytes where logs and database are kept; none if that cannot be told.
    pub free: Option<u64>,
    /// The version of its client; none if it is not known.
    pub version: Option<ClientVersion>,
    /// The block that follows this client's newest one, as another instance on the same chain has
    /// known for a while; none if this client has the newest block known here.
    pub missing_block: Option<&'a SeenBlock>,
    /// The newest release that can be installed here; `None` before the first check.
    pub latest: Option<&'a LatestRelease>,
}

/// The newest release of the client, as those who look for releases tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestRelease {
    /// Its tag.
    pub tag: String,
    /// The client it carries; none: this program does not know the tag, so it is newer than all
    /// that it knows.
    pub client: Option<ClientVersion>,
}

impl Snapshot<'_> {
    /// For how long the present client runs.
    pub fn age(&self) -> Duration {
        self.instance
            .start_time
            .map_or(Duration::ZERO, |started| self.now.since(Timestamp(started)))
    }

    /// One of the figures that were measured last.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.measured?.figures.get(name).copied()
    }

    /// For how long the figures of its monitoring have stood still although the log tells of shares
    /// that they would have to count; none if they need not have moved.
    pub fn frozen_for(&self) -> Option<Duration> {
        let measured = self.measured?;
        let Some(MonitoringState::Still(since)) = measured.monitoring else {
            return None;
        };
        // A share that came well after the figures last moved, and long enough before they were
        // last read to be among them.
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
        // Up to when it was last asked: that nobody asks any more says nothing of the client.
        is_missed.then(|| {
            Duration::from_secs(u64::try_from(measured.at.saturating_sub(since)).unwrap_or(0))
        })
    }

    /// How long its client has hung: no line in its log for far longer than ever in its run, and no
    /// answer from its monitoring, which answered before.
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

    /// Since when the pool has answered nothing although miners work for it: it neither
    /// acknowledges the shares that were sent to it nor accepts the job of a newer template.
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

    /// How much of its memory limit it has reached, per cent; none without a limit.
    pub fn memory_reached(&self) -> Option<f64> {
        let limit = self.instance.memory_limit_mib.filter(|limit| *limit > 0)?;
        Some(100.0 * self.figure("memory_private_bytes")? / (f64::from(limit) * 1024.0 * 1024.0))
    }

    /// It mines solo though it has pools to mine for.
    pub fn is_solo_unasked(&self) -> bool {
        self.running.wants_pool() && matches!(self.standing.work, WorkState::Solo { .. })
    }
}
