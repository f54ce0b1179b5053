//! The one task that looks after all instances: reads their logs as they grow, looks at whoever has news, at everybody now and then, and
//! tries the cures. Blocks nobody; what is slow (a restart, a pool that does not answer) runs beside it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::checks::MEMORY_FULL;
use super::cures::Cure;
use super::look::{Counted, Look};
use super::queries;
use super::reader::Reader;
use super::running::Pool;
use super::service::{Health, Seen};
use crate::clock::{Timestamp, spoken};
use crate::diagnosis::Work;
use crate::error::{Error, Result};
use crate::ids::InstanceId;
use crate::keeper::machine::State;

/// Logs are read so often: what they say is known a second later.
const TICK: Duration = Duration::from_secs(1);
/// Most bytes of one log in one tick; a log that grows faster is caught up with later.
const MOST: usize = 16 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;
/// Which instances there are is read anew so often, besides when it changes.
const LIST: Duration = Duration::from_secs(10);
/// A running client is looked at so often when all is well with it,
const WELL: Duration = Duration::from_secs(60);
/// and so often otherwise: much of what is wrong is so only after a while.
const NOT_WELL: Duration = Duration::from_secs(10);
/// Whether a running client needs a cure is looked at so often.
const WATCHED: Duration = Duration::from_secs(5);
/// How far a log was read is written down so often, besides when something was understood.
const SAVED: Duration = Duration::from_secs(60);
/// A pool is tried so often while an instance mines solo unasked,
const PROBE: Duration = Duration::from_secs(5);
/// and has so long to accept the connection.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);
/// A pool that refused the jobs accepts connections all the time: so long is waited before it is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);
/// A restart is waited for so long before it counts as under way.
const RESTART_PATIENCE: Duration = Duration::from_secs(20);

/// Looks after all instances.
#[derive(Debug)]
pub struct Caretaker {
    health: Health,
    interval: Duration,
    readers: HashMap<InstanceId, Watched>,
    listed: Option<Instant>,
    watched_at: Instant,
}

#[derive(Debug)]
struct Watched {
    /// Absent while its log is being read, and when a reading failed for good.
    reader: Option<Reader>,
    saved_offset: u64,
    saved_at: Instant,
    looked_at: Option<Instant>,
    probed_at: Option<Instant>,
    /// A probe or a restart is under way.
    busy: Option<tokio::task::JoinHandle<()>>,
    is_failing: bool,
}

impl Caretaker {
    /// Looks at everybody at least every `interval`.
    #[must_use]
    pub fn new(health: Health, interval: Duration) -> Self {
        Self { health, interval, readers: HashMap::new(), listed: None, watched_at: Instant::now() }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
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
                tracing::warn!(%error, "health cannot be looked after at the moment; it is tried again");
                self.listed = None;
            }
        }
        // What was understood is written down, so that the next manager begins there.
        let all: Vec<InstanceId> = self.readers.keys().copied().collect();
        for id in all {
            let _ = self.save(id).await;
        }
    }

    async fn tick(&mut self, mut changed: HashSet<InstanceId>, is_listed: bool, is_round: bool) -> Result<()> {
        if !is_listed {
            self.list().await?;
        }
        changed.retain(|id| self.readers.contains_key(id));
        changed.extend(self.read().await?);
        for (id, watched) in &self.readers {
            let age = watched.looked_at.map(|at| at.elapsed());
            if is_round || age.is_none_or(|age| self.health.is_due(*id, age, (WELL, NOT_WELL))) {
                changed.insert(*id);
            }
        }
        for id in &changed {
            match self.health.look(*id, false).await {
                Ok(()) => {}
                // One that is gone must not keep the others waiting.
                Err(Error::NotFound { .. }) => self.listed = None,
                Err(error) => return Err(error),
            }
            if let Some(watched) = self.readers.get_mut(id) {
                watched.looked_at = Some(Instant::now());
            }
        }
        if !changed.is_empty() || self.watched_at.elapsed() >= WATCHED {
            self.watched_at = Instant::now();
            for instance in self.health.instances().list().await? {
                if instance.running {
                    let seen = self.health.seen(instance).await?;
                    self.act(&seen).await?;
                }
            }
        }
        if is_round {
            let all: Vec<InstanceId> = self.readers.keys().copied().collect();
            self.health.record(&all).await?;
        }
        Ok(())
    }

    /// Learns which instances there are.
    async fn list(&mut self) -> Result<()> {
        let instances = self.health.instances().list().await?;
        let present: HashSet<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        self.readers.retain(|id, _| present.contains(id));
        self.health.forget_absent(&present);
        for instance in instances {
            if self.readers.contains_key(&instance.id) {
                continue;
            }
            let kept = self.health.kept(instance.id).await?;
            let reader = Reader::new(&self.health.instances().log_dir(instance.id), kept.offset, kept.standing);
            let watched = Watched {
                reader: Some(reader),
                saved_offset: kept.offset,
                saved_at: Instant::now(),
                looked_at: None,
                probed_at: None,
                busy: None,
                is_failing: false,
            };
            self.readers.insert(instance.id, watched);
        }
        self.listed = Some(Instant::now());
        Ok(())
    }

    /// Reads what is new in all logs; tells whose standing changed.
    async fn read(&mut self) -> Result<Vec<InstanceId>> {
        let readers: Vec<_> = self.readers.iter_mut().filter_map(|(id, w)| Some((*id, w.reader.take()?))).collect();
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; BUFFER];
            let read = |(id, mut reader): (InstanceId, Reader)| {
                let result = reader.read(&mut buffer, MOST);
                (id, reader, result)
            };
            readers.into_iter().map(read).collect::<Vec<_>>()
        });
        let mut changed = Vec::new();
        for (id, reader, result) in read.await.map_err(Error::internal)? {
            let Some(watched) = self.readers.get_mut(&id) else { continue };
            let (offset, standing) = (reader.offset(), reader.standing.clone());
            watched.reader = Some(reader);
            let has_news = match result {
                Ok(has_news) => {
                    watched.is_failing = false;
                    has_news
                }
                Err(error) => {
                    if !std::mem::replace(&mut watched.is_failing, true) {
                        tracing::warn!(instance = %id, %error, "its log cannot be read; trying again");
                    }
                    false
                }
            };
            let is_late = offset != watched.saved_offset && watched.saved_at.elapsed() >= SAVED;
            self.health.0.change(id, |kept| {
                kept.offset = offset;
                kept.standing = standing;
            });
            if has_news || is_late {
                self.save(id).await?;
            }
            if has_news {
                changed.push(id);
            }
        }
        Ok(changed)
    }

    /// Writes down what was understood of a log and up to where.
    async fn save(&mut self, id: InstanceId) -> Result<()> {
        let Some(watched) = self.readers.get_mut(&id) else { return Ok(()) };
        let Some(reader) = &watched.reader else { return Ok(()) };
        let offset = reader.offset();
        if offset == watched.saved_offset {
            return Ok(());
        }
        let standing = serde_json::to_string(&reader.standing).map_err(Error::internal)?;
        let stored = i64::try_from(offset).unwrap_or(i64::MAX);
        self.health.0.db.write(move |c| Ok(queries::set_standing(c, id, stored, &standing)?)).await?;
        (watched.saved_offset, watched.saved_at) = (offset, Instant::now());
        Ok(())
    }

    /// Tries a cure if one is needed, allowed and due.
    async fn act(&mut self, seen: &Seen) -> Result<()> {
        let id = seen.instance.id;
        let Some(watched) = self.readers.get_mut(&id) else { return Ok(()) };
        if watched.busy.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        watched.busy = None;
        let now = Timestamp::now();
        let mut cures = seen.cures.clone();
        if seen.forget_lasting(&mut cures, now) {
            self.keep_cures(id, &cures).await?;
        }
        let Some(watched) = self.readers.get_mut(&id) else { return Ok(()) };
        match seen.needed(now) {
            None => {}
            Some((cure, _)) if seen.off.contains(&cure) || cures.due(cure) > now => {}
            Some((Cure::Solo, _)) => {
                if seen.is_refused_lately(now) || watched.probed_at.is_some_and(|at| at.elapsed() < PROBE) {
                    return Ok(());
                }
                watched.probed_at = Some(Instant::now());
                let (health, pools) = (self.health.clone(), seen.running.pools.clone());
                watched.busy = Some(tokio::spawn(async move {
                    if let Some(pool) = first_that_answers(&pools).await {
                        let words = format!(
                            "mining solo though a pool is configured, and {pool} accepts connections again: restarting the client, which does not go back by itself"
                        );
                        restart(&health, id, Cure::Solo, words).await;
                    }
                }));
            }
            Some((cure, words)) => {
                let health = self.health.clone();
                watched.busy = Some(tokio::spawn(async move { restart(&health, id, cure, words).await }));
            }
        }
        Ok(())
    }

    async fn keep_cures(&self, id: InstanceId, cures: &super::cures::Cures) -> Result<()> {
        self.health.keep_cures(id, cures).await
    }
}

impl Seen {
    /// The cure that would help now, with the reason it is tried for.
    fn needed(&self, now: Timestamp) -> Option<(Cure, String)> {
        if self.instance.status != State::Running || self.instance.desired != "running" {
            return None;
        }
        let look = self.as_look(now);
        if look.is_solo_unasked() {
            return Some((Cure::Solo, String::new()));
        }
        if let Some(still) = look.frozen_for().filter(|_| self.running.refresh_s > 0 && !self.standing.frozen_by_panic) {
            let words = format!("the figures of its monitoring have stood still for {}: restarting the client", spoken(still));
            return Some((Cure::Frozen, words));
        }
        let reached = look.memory_reached().filter(|reached| *reached >= MEMORY_FULL)?;
        let words = format!(
            "it uses {reached:.0} % of its memory limit and would be ended in the middle of its work: restarting the client"
        );
        Some((Cure::Memory, words))
    }

    /// Forgets cures that have lasted; tells whether there were any.
    fn forget_lasting(&self, cures: &mut super::cures::Cures, now: Timestamp) -> bool {
        let Some(started) = self.instance.start_time.map(Timestamp).filter(|_| self.instance.status == State::Running) else {
            return false;
        };
        let look = self.as_look(now);
        let mut has_forgotten = false;
        if let Work::Pool { since } = self.standing.work {
            has_forgotten |= cures.is_well(Cure::Solo, since, now);
        }
        if look.frozen_for().is_none() {
            has_forgotten |= cures.is_well(Cure::Frozen, started, now);
        }
        if look.memory_reached().is_none_or(|reached| reached < MEMORY_FULL) {
            has_forgotten |= cures.is_well(Cure::Memory, started, now);
        }
        has_forgotten
    }

    /// The pool refused its jobs, and not long enough ago to try it again.
    fn is_refused_lately(&self, now: Timestamp) -> bool {
        self.standing.refused.as_ref().is_some_and(|said| now.since(said.at) < AFTER_REFUSAL)
    }

    fn as_look(&self, now: Timestamp) -> Look<'_> {
        Look {
            now,
            instance: &self.instance,
            running: &self.running,
            standing: &self.standing,
            measured: self.measured.as_ref(),
            counted: Counted::default(),
            free: None,
            version: None,
        }
    }
}

/// The first of the pools that accepts connections, its job declarator server included, in words.
async fn first_that_answers(pools: &[Pool]) -> Option<String> {
    for pool in pools {
        let is_there = async |(host, port): &(String, u16)| {
            let connected = tokio::time::timeout(PROBE_PATIENCE, TcpStream::connect((host.as_str(), *port))).await;
            matches!(connected, Ok(Ok(_)))
        };
        let declarator = match &pool.jds {
            Some(jds) => is_there(jds).await,
            None => true,
        };
        if declarator && is_there(&pool.pool).await {
            return Some(pool.words());
        }
    }
    None
}

/// Restarts a client for a reason, which is in the timeline before. That it was tried is written down first: a manager that is killed in
/// between must not try again at once.
async fn restart(health: &Health, id: InstanceId, cure: Cure, words: String) {
    let result = async {
        // Somebody may have stopped it while the pool was asked.
        let instance = health.instances().get(id).await?;
        if instance.status != State::Running || instance.desired != "running" {
            return Ok(());
        }
        // What the cure is for stands in the history before it.
        health.look(id, false).await?;
        let mut cures = health.kept(id).await?.cures;
        cures.tried(cure, Timestamp::now());
        health.keep_cures(id, &cures).await?;
        tracing::info!(instance = %id, cure = cure.as_str(), "{words}");
        health.instances().note(id, words, Some(ACTOR)).await?;
        health.instances().restart(id, ACTOR, RESTART_PATIENCE).await.map(drop)
    };
    let result: Result<()> = result.await;
    if let Err(error) = result {
        tracing::warn!(instance = %id, cure = cure.as_str(), %error, "the cure could not be tried; it is tried again later");
    }
}

/// Who acts, in the timeline.
const ACTOR: &str = "self-healing";
