//! The task that watches all instances: reads their logs as they grow, checks instances with news
//! immediately and all instances periodically, and starts automatic fixes. Never blocks: slow work
//! (a restart, a pool that is not responding) runs in separate tasks.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::log_reader::HealthLogReader;
use super::pool_probes::PeerProbes;
use super::pool_return::{ProbePurpose, probe_pools};
use super::queries;
use super::remediation::restart;
use super::remediation_policy::Remediation;
use super::service::{HealthAssessment, HealthService};
use super::stagger::{PACE, StaggerQueue};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, ProgramName};
use crate::infra::db::WriteMode;
use crate::programs::translator::diagnosis::TranslatorLogStatus;

/// Interval of log reads.
const TICK: Duration = Duration::from_secs(1);
/// Maximum bytes of one log per tick; a faster log is read in later ticks.
const MOST: usize = 16 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;
/// Interval of reading the list of instances, besides its changes.
const LIST: Duration = Duration::from_secs(10);
/// Check interval of a healthy running client,
const WELL: Duration = Duration::from_secs(60);
/// and of others: many problems take a while to show.
const NOT_WELL: Duration = Duration::from_secs(10);
/// Interval of the check of all instances for automatic fixes: that of samples. Those that change are
/// checked at once.
const WATCHED: Duration = Duration::from_secs(10);
/// Interval of saving the read position, besides state changes.
const SAVED: Duration = Duration::from_secs(60);
/// Probe interval of all pools while an instance mines solo even though a pool is configured; the
/// first probe is immediate.
const PROBE: Duration = Duration::from_secs(5);
/// Probe interval if no restart depends on it.
const REPORT: Duration = Duration::from_secs(30);
/// A log that was written while no manager ran is read to its end before its instance is checked,
/// because its earlier parts describe a past state. This is the maximum time without checks if the
/// log grows faster than it is read.
const CATCH_UP: Duration = Duration::from_secs(30);
/// The state of a translator is derived from this many bytes at the end of its log: some thousand
/// lines. A translator that lost its client writes few.
const TRANSLATOR_TAIL: u64 = 512 * 1024;
/// How long a measured problem must persist before a fix.
const PERSISTS: Duration = Duration::from_secs(15);

/// Monitors all instances.
#[derive(Debug)]
pub struct HealthMonitor {
    health: HealthService,
    interval: Duration,
    readers: HashMap<InstanceId, MonitoredInstance>,
    listed: Option<Instant>,
    watched_at: Instant,
    probed_at: Instant,
    turns: Arc<StaggerQueue>,
    probes: Arc<PeerProbes>,
    /// Canceled when jd-manager stops: no further automatic fixes.
    stop: CancellationToken,
}

#[derive(Debug)]
struct MonitoredInstance {
    /// Absent while its log is being read, and after a read that failed permanently. In a box, because
    /// it moves to a thread and back every second.
    reader: Option<Box<HealthLogReader>>,
    /// The same for its translator, if it has one.
    translator: Option<Box<HealthLogReader<TranslatorLogStatus>>>,
    /// Since when part of the log is unread.
    behind_since: Option<Instant>,
    /// The offset of the state that others see.
    read_offset: u64,
    saved_offset: u64,
    saved_at: Instant,
    looked_at: Option<Instant>,
    /// Time of the last probe of its pools, while there is a reason to probe.
    probed_at: Option<Instant>,
    /// The needed automatic fix, and since when.
    needed: Option<(Remediation, Instant)>,
    /// A probe or a restart in progress.
    busy: Option<tokio::task::JoinHandle<()>>,
    failures: LogFailures,
}

/// Which logs of an instance could not be read last. Each failure is logged once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LogFailures {
    client: bool,
    translator: bool,
}

impl LogFailures {
    /// Takes the results of a read of both logs; returns whether a check is due. A log that cannot
    /// be read does not hide what is new in the other.
    fn take(&mut self, id: InstanceId, client: io::Result<bool>, other: io::Result<bool>) -> bool {
        let results = [
            (&mut self.client, "client", client),
            (&mut self.translator, "translator", other),
        ];
        let mut has_news = false;
        for (is_failing, program, result) in results {
            let was_failing = std::mem::replace(is_failing, result.is_err());
            match result {
                Ok(is_new) => has_news |= is_new,
                Err(error) if !was_failing => {
                    tracing::warn!(instance = %id, program, %error, "cannot read the program's log; will retry");
                }
                Err(_) => {}
            }
        }
        has_news
    }
}

impl HealthMonitor {
    /// Checks every instance at least every `interval`.
    pub fn new(health: HealthService, interval: Duration) -> Self {
        Self {
            health,
            interval,
            readers: HashMap::new(),
            listed: None,
            watched_at: Instant::now(),
            probed_at: Instant::now(),
            turns: Arc::new(StaggerQueue::new(PACE)),
            probes: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        self.stop = stop.clone();
        let mut changes = self.health.instances().changes();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed = HashSet::new();
        let mut round = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let mut is_listed = self.listed.is_some_and(|at| at.elapsed() < LIST);
            loop {
                match changes.try_recv() {
                    Ok(id) => {
                        is_listed &= self.readers.contains_key(&id);
                        changed.insert(id);
                    }
                    Err(TryRecvError::Lagged(_)) => {
                        is_listed = false;
                        changed.extend(self.readers.keys().copied());
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let is_round = round.elapsed() >= self.interval;
            if is_round {
                round = Instant::now();
            }
            let work = self.tick(std::mem::take(&mut changed), is_listed, is_round);
            let result = tokio::select! {
                () = stop.cancelled() => break,
                result = work => result,
            };
            if let Err(error) = result
                && !stop.is_cancelled()
            {
                tracing::warn!(%error, "health checks failed; will retry");
                self.listed = None;
            }
        }
        // Saves the derived states, so that the next manager continues there.
        let all: Vec<InstanceId> = self.readers.keys().copied().collect();
        for id in all {
            let _ = self.save(id).await;
        }
    }

    async fn tick(
        &mut self,
        mut changed: HashSet<InstanceId>,
        is_listed: bool,
        is_round: bool,
    ) -> Result<()> {
        if !is_listed {
            self.list().await?;
        }
        changed.retain(|id| self.readers.contains_key(id));
        for id in &changed {
            let Some(watched) = self.readers.get_mut(id) else {
                continue;
            };
            if let Some(reader) = &mut watched.reader {
                reader.find_log();
            }
            if let Some(reader) = &mut watched.translator {
                reader.find_log();
            }
        }
        let (read, mut fault) = match self.read().await {
            Ok(read) => (read, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        changed.extend(read);
        for (id, watched) in &self.readers {
            let age = watched.looked_at.map(|at| at.elapsed());
            if is_round || age.is_none_or(|age| self.health.is_due(*id, age, (WELL, NOT_WELL))) {
                changed.insert(*id);
            }
        }
        changed.retain(|id| !self.is_catching_up(id));
        for id in &changed {
            match self.health.check_instance(*id, false).await {
                Ok(()) => {}
                // A deleted instance must not block the others.
                Err(Error::NotFound { .. }) => self.listed = None,
                // The others are checked anyway.
                Err(error) => fault = fault.or(Some(error)),
            }
            if let Some(watched) = self.readers.get_mut(id) {
                watched.looked_at = Some(Instant::now());
            }
        }
        let is_solo =
            |watched: &MonitoredInstance| matches!(watched.needed, Some((Remediation::Solo, _)));
        let is_probe = self.probed_at.elapsed() >= PROBE && self.readers.values().any(is_solo);
        if is_probe {
            self.probed_at = Instant::now();
        }
        let is_whole = is_probe || self.watched_at.elapsed() >= WATCHED;
        for instance in self.instances_to_watch(&changed, is_whole).await? {
            if !instance.running || self.is_catching_up(&instance.id) {
                continue;
            }
            let acted = match self.health.seen(instance).await {
                Ok(seen) => self.act(&seen, is_probe).await,
                Err(error) => Err(error),
            };
            // The others are fixed anyway.
            fault = fault.or(acted.err());
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if is_round {
            let all: Vec<InstanceId> = self.readers.keys().copied().collect();
            self.health.record(&all).await?;
        }
        Ok(())
    }

    /// The instances that may need an automatic fix: those that changed, or all.
    async fn instances_to_watch(
        &mut self,
        changed: &HashSet<InstanceId>,
        is_whole: bool,
    ) -> Result<Vec<Instance>> {
        if is_whole {
            self.watched_at = Instant::now();
            return self.health.instances().list().await;
        }
        let mut instances = Vec::new();
        for id in changed {
            // A deleted instance needs none.
            instances.extend(self.health.instances().get(*id).await.ok());
        }
        Ok(instances)
    }

    /// The known state of the instance is an earlier one.
    fn is_catching_up(&self, id: &InstanceId) -> bool {
        let behind = self
            .readers
            .get(id)
            .and_then(|watched| watched.behind_since);
        behind.is_some_and(|since| since.elapsed() < CATCH_UP)
    }

    /// Reads the list of instances.
    async fn list(&mut self) -> Result<()> {
        let instances = self.health.instances().list().await?;
        let present: HashSet<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        self.readers.retain(|id, _| present.contains(id));
        self.health.prune_absent(&present);
        for instance in instances {
            let has_translator = instance.translator().is_some();
            if let Some(watched) = self.readers.get_mut(&instance.id) {
                if !has_translator {
                    watched.translator = None;
                } else if watched.translator.is_none() {
                    watched.translator = Some(translator_reader(&self.health, instance.id));
                }
                continue;
            }
            let kept = self.health.kept(instance.id).await?;
            let instances = self.health.instances();
            let reader =
                HealthLogReader::new(&instances.log_dir(instance.id), kept.offset, kept.standing);
            let mut reader = reader.masked(instances.secret_mask());
            if instance.status.has_client() {
                reader.find_log();
            }
            let watched = MonitoredInstance {
                reader: Some(Box::new(reader)),
                translator: has_translator.then(|| translator_reader(&self.health, instance.id)),
                behind_since: None,
                read_offset: kept.offset,
                saved_offset: kept.offset,
                saved_at: Instant::now(),
                looked_at: None,
                probed_at: None,
                needed: None,
                busy: None,
                failures: LogFailures::default(),
            };
            self.readers.insert(instance.id, watched);
        }
        self.listed = Some(Instant::now());
        Ok(())
    }

    /// Reads new data of all logs; returns the instances whose state changed.
    async fn read(&mut self) -> Result<Vec<InstanceId>> {
        for (id, watched) in &mut self.readers {
            // Lost in a read that failed because of a bug.
            if watched.reader.is_none() {
                let kept = self.health.kept(*id).await?;
                let instances = self.health.instances();
                let reader =
                    HealthLogReader::new(&instances.log_dir(*id), kept.offset, kept.standing);
                watched.reader = Some(Box::new(reader.masked(instances.secret_mask())));
            }
        }
        let readers: Vec<_> = self
            .readers
            .iter_mut()
            .filter_map(|(id, w)| Some((*id, w.reader.take()?, w.translator.take())))
            .collect();
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; BUFFER];
            let mut all = Vec::new();
            for (id, mut reader, mut translator) in readers {
                let of_client = reader.read(&mut buffer, MOST);
                let begun = translator.as_ref().map(|reader| reader.offset());
                let of_translator = match &mut translator {
                    Some(translator) => translator.read(&mut buffer, MOST),
                    None => Ok(false),
                };
                let has_grown = translator.as_ref().map(|reader| reader.offset()) != begun;
                let results = (of_client, of_translator);
                all.push((id, (reader, translator, has_grown), results));
            }
            all
        });
        let (mut changed, mut to_save) = (Vec::new(), Vec::new());
        for (id, (reader, translator, is_newer), results) in read.await.map_err(Error::internal)? {
            let Some(watched) = self.readers.get_mut(&id) else {
                continue;
            };
            let offset = reader.offset();
            // Most logs have not grown since the last second.
            let has_grown = offset != watched.read_offset || matches!(results.0, Ok(true));
            let standing = has_grown.then(|| reader.standing.clone());
            watched.read_offset = offset;
            watched.behind_since = reader
                .is_behind()
                .then(|| watched.behind_since.unwrap_or_else(Instant::now));
            watched.reader = Some(reader);
            let of_translator = translator
                .as_ref()
                .filter(|_| is_newer)
                .map(|reader| reader.standing.clone());
            watched.translator = translator;
            let has_news = watched.failures.take(id, results.0, results.1);
            let is_late = offset != watched.saved_offset && watched.saved_at.elapsed() >= SAVED;
            self.health.0.change(id, |kept| {
                if let Some(standing) = standing {
                    (kept.offset, kept.standing) = (offset, standing);
                }
                if let Some(status) = of_translator {
                    kept.translator = status;
                }
            });
            if has_news || is_late {
                to_save.push(id);
            }
            if has_news {
                changed.push(id);
            }
        }
        // Errors are returned only now that every reader is back in its place. Unsaved states are
        // saved later: they are in memory.
        for id in to_save {
            self.save(id).await?;
        }
        Ok(changed)
    }

    /// Saves the derived state of a log and its read position.
    async fn save(&mut self, id: InstanceId) -> Result<()> {
        let Some(watched) = self.readers.get_mut(&id) else {
            return Ok(());
        };
        let Some(reader) = &watched.reader else {
            return Ok(());
        };
        let offset = reader.offset();
        if offset == watched.saved_offset {
            return Ok(());
        }
        let standing = serde_json::to_string(&reader.standing).map_err(Error::internal)?;
        let stored = i64::try_from(offset).unwrap_or(i64::MAX);
        self.health
            .0
            .db
            .write_as(WriteMode::UNSYNCED, move |c| {
                Ok(queries::set_standing(c, id, stored, &standing)?)
            })
            .await?;
        (watched.saved_offset, watched.saved_at) = (offset, Instant::now());
        Ok(())
    }

    /// Runs an automatic fix if one is needed, on and due. `is_probe`: pools are due for a probe.
    async fn act(&mut self, seen: &HealthAssessment, is_probe: bool) -> Result<()> {
        let id = seen.instance.id;
        let Some(watched) = self.readers.get_mut(&id) else {
            return Ok(());
        };
        if watched
            .busy
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            return Ok(());
        }
        watched.busy = None;
        let now = Timestamp::now();
        let mut cures = seen.cures.clone();
        if seen.prune_lasting(&mut cures, now) {
            self.save_remediations(id, &cures).await?;
        }
        let Some(watched) = self.readers.get_mut(&id) else {
            return Ok(());
        };
        let needed = seen.needed(now);
        let since = match (&needed, watched.needed) {
            (Some((cure, _)), Some((before, since))) if *cure == before => since,
            _ => Instant::now(),
        };
        watched.needed = needed.as_ref().map(|(cure, _)| (*cure, since));
        let started = seen.instance.start_time.unwrap_or_default();
        let is_allowed = needed
            .as_ref()
            .is_some_and(|(cure, _)| seen.settings.is_on(*cure) && cures.due(*cure, now) <= now);
        let purpose = seen.probe_purpose(needed.as_ref().map(|(cure, _)| *cure), is_allowed, now);
        let Some(purpose) = purpose else {
            watched.probed_at = None;
            if let Some((cure, words)) = needed
                && is_allowed
                // A single sample is not enough.
                && since.elapsed() >= PERSISTS
            {
                let (health, turns, stop) =
                    (self.health.clone(), self.turns.clone(), self.stop.clone());
                let seen = seen.clone();
                let confirming = self.health.clone();
                let words = async move {
                    match cure {
                        Remediation::Translator => {
                            confirming.confirm_translator_restart(&seen, words).await
                        }
                        _ => Some(words),
                    }
                };
                watched.busy = Some(tokio::spawn(async move {
                    restart(&health, (&turns, &stop), (id, started), cure, words).await
                }));
            }
            return Ok(());
        };
        let is_urgent = purpose == ProbePurpose::Restart(Remediation::Solo) && !seen.is_held();
        let is_due = |at: Instant| match is_urgent {
            true => is_probe,
            false => at.elapsed() >= REPORT,
        };
        if watched.probed_at.is_none_or(is_due) {
            watched.probed_at = Some(Instant::now());
            let (health, probes) = (self.health.clone(), self.probes.clone());
            let (turns, stop, seen) = (self.turns.clone(), self.stop.clone(), seen.clone());
            watched.busy = Some(tokio::spawn(async move {
                probe_pools(&health, &probes, (&turns, &stop), seen, purpose).await
            }));
        }
        Ok(())
    }

    async fn save_remediations(
        &self,
        id: InstanceId,
        cures: &super::remediation_policy::RemediationHistory,
    ) -> Result<()> {
        self.health.save_remediations(id, cures).await
    }
}

/// Reads the end of the log of an instance's translator.
fn translator_reader(
    health: &HealthService,
    id: InstanceId,
) -> Box<HealthLogReader<TranslatorLogStatus>> {
    let instances = health.instances();
    let dir = instances.program_log_dir(id, ProgramName::Translator);
    let reader = HealthLogReader::tail(&dir, TRANSLATOR_TAIL);
    Box::new(reader.masked(instances.secret_mask()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::sv2_peer::probe::WHOLE;

    #[test]
    fn a_log_that_cannot_be_read_does_not_hide_news_of_the_other() {
        let (id, mut failures) = (InstanceId::random(), LogFailures::default());
        let fault = || Err(io::Error::other("no permission"));
        assert!(failures.take(id, Ok(true), fault()));
        assert!(failures.translator && !failures.client);
        assert!(!failures.take(id, Ok(false), fault()));
        assert!(failures.take(id, fault(), Ok(true)));
        assert!(failures.client && !failures.translator);
        assert!(!failures.take(id, fault(), fault()));
        assert!(!failures.take(id, Ok(false), Ok(false)));
        assert_eq!(failures, LogFailures::default());
    }

    /// The documented time for fifty instances whose pool comes back.
    #[test]
    fn the_last_of_fifty_is_restarted_within_thirty_seconds() {
        // A probe that has just begun fails; the next round is a tick late, and its probe takes
        // time; 49 take their turns before the last.
        let longest = PROBE + TICK + WHOLE + 49 * PACE;
        assert!(longest <= Duration::from_secs(30), "{longest:?}");
    }
}
