//! The lifecycle of the simulated client, from its first log line to its last.
//!
//! This module defines the order of the steps: template provider, pool, services, miners, and each
//! way to exit. One task runs all steps; the monitoring API, connections to the miner port and
//! SIGINT have their own tasks. It never speaks with a real template provider or pool: those in the
//! configuration only appear in the log, unless a flag opens a connection to the template provider
//! ([`super::provider_link`]). It is one file because the order of the steps is its
//! purpose.

use super::SimulatorArgs;
use super::channels::ChannelAccounts;
use super::config::{SimulatedMode, SimulatedTemplateProvider, SimulatorConfig};
use super::environment::{SimulatedNetwork, SimulatedPool, SimulationPlan};
use super::faults::{self, MemoryBallast, StartFailure};
use super::line_counter::NumberedLines;
use super::log_lines::{SimulatedLine, SimulatedLog, script};
use super::monitoring;
use super::provider_link::ProviderLink;
use super::scripts as say;
use super::services::SimulatedServices;
use crate::keeper::level::LogLevel;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How the process exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitKind {
    /// With this exit code.
    Exit(u8),
    /// By this signal.
    Signal(i32),
}

/// Runs the lifecycle of the client.
///
/// # Errors
///
/// The signal handlers cannot be installed.
pub(super) async fn live(
    config: SimulatorConfig,
    args: SimulatorArgs,
    log: SimulatedLog,
    seed: u64,
) -> io::Result<ExitKind> {
    let wrong = args.misbehaviour.clone();
    let interrupted = watch_interrupts(log.clone(), wrong.ignore_sigint)?;
    if wrong.ignore_sigterm {
        let mut terminations = signal(SignalKind::terminate())?;
        tokio::spawn(async move { while terminations.recv().await.is_some() {} });
    }
    if wrong.fork_grandchild {
        let pid = faults::start_grandchild()?;
        log.say([SimulatedLine::new(
            LogLevel::Info,
            "jd_client_sv2::simulate",
            format!("grandchild pid={pid}"),
        )]);
    }
    let death = async {
        match wrong.die_after {
            Some(after) => sleep(after).await,
            None => std::future::pending().await,
        }
        wrong
            .die_by_signal
            .map_or(ExitKind::Exit(wrong.exit_code), ExitKind::Signal)
    };
    let life = SimulatedClient::new(config, args, log, seed, interrupted).live();
    Ok(select! {
        biased;
        ending = death => ending,
        code = life => ExitKind::Exit(code),
    })
}

/// Becomes true at the first SIGINT, after the client has logged it. Later signals have no effect.
fn watch_interrupts(log: SimulatedLog, ignore: bool) -> io::Result<watch::Receiver<bool>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            if !ignore && !tell.send_replace(true) {
                log.say(script(say::INTERRUPTED, &[]));
            }
        }
    });
    Ok(told)
}

/// Waits for the first SIGINT, or forever if the sender is gone.
async fn interruption(mut told: watch::Receiver<bool>) {
    if told.wait_for(|interrupted| *interrupted).await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the given time, or forever if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits until the template provider is lost: at the given time, or when the connection ends.
async fn lost(moment: Option<Instant>, link: &mut Option<ProviderLink>) {
    let closed = async {
        match link {
            Some(link) => link.closed().await,
            None => std::future::pending().await,
        }
    };
    select! {
        () = at(moment) => {}
        () = closed => {}
    }
}

/// Why a mining session ends.
enum SessionEnd {
    /// The pool is gone. Continue with the next pool, or without one.
    PoolLost,
    /// The process exits with this code.
    End(u8),
}

struct SimulatedClient {
    config: SimulatorConfig,
    args: SimulatorArgs,
    log: SimulatedLog,
    interrupted: watch::Receiver<bool>,
    world: SimulatedNetwork,
    /// The start of the simulation.
    began: Instant,
    accounts: watch::Sender<Arc<ChannelAccounts>>,
    /// How many of the configured pools have been tried. Each pool is tried only once per process.
    used: usize,
    /// When pool and template provider are lost; set when the client is ready for miners for the
    /// first time.
    losses: Option<(Option<Instant>, Option<Instant>)>,
    numbered: Option<NumberedLines>,
    ballast: Option<MemoryBallast>,
    /// The connection to the template provider, if a flag asks for one.
    link: Option<ProviderLink>,
}

impl SimulatedClient {
    fn new(
        config: SimulatorConfig,
        args: SimulatorArgs,
        log: SimulatedLog,
        seed: u64,
        interrupted: watch::Receiver<bool>,
    ) -> Self {
        let plan = SimulationPlan {
            miners: args.miners,
            hashrate: args.hashrate,
            shares_per_minute: config.shares_per_minute,
            share_batch_size: config.share_batch_size,
            reject_percent: args.reject_percent,
            block_after: args.block_after,
            template_interval: args.template_interval.max(Duration::from_millis(10)),
            listening: config.listening,
            began: monitoring::epoch_seconds(),
        };
        Self {
            world: SimulatedNetwork::new(plan, seed),
            began: Instant::now(),
            accounts: watch::Sender::default(),
            used: 0,
            losses: None,
            numbered: None,
            ballast: None,
            link: None,
            config,
            args,
            log,
            interrupted,
        }
    }

    fn say(&self, text: &'static str, values: &[(&str, &dyn Display)]) {
        self.log.say(script(text, values));
    }

    fn fails_with(&self, failure: StartFailure) -> bool {
        self.args.misbehaviour.fail_with == Some(failure)
    }

    async fn live(mut self) -> u8 {
        if let Err(code) = self.find_template_provider().await {
            return code;
        }
        self.say(say::CHANNEL_MANAGER, &[]);
        let mut again = false;
        loop {
            let pool = match self.find_pool(again).await {
                Ok(pool) => pool,
                Err(code) => return code,
            };
            match self.mine(pool).await {
                SessionEnd::PoolLost => again = true,
                SessionEnd::End(code) => return code,
            }
        }
    }

    /// Waits unless interrupted; true if the time has passed.
    async fn pause(&self, length: Duration) -> bool {
        select! {
            biased;
            () = interruption(self.interrupted.clone()) => false,
            () = sleep(length) => true,
        }
    }

    async fn find_template_provider(&mut self) -> Result<(), u8> {
        let tp = match &self.config.template_provider {
            SimulatedTemplateProvider::Core { socket, .. } => {
                self.say(say::CORE, &[("socket", &socket.display())]);
                return Ok(());
            }
            SimulatedTemplateProvider::Sv2 { address } => address.clone(),
        };
        let is_refused = self.fails_with(StartFailure::TemplateProvider);
        if is_refused || self.args.connect {
            // The real client does not check for an interrupt until it has given up.
            for attempt in 1..=3 {
                let link = match is_refused {
                    true => Err(refused()),
                    false => ProviderLink::open(&tp).await,
                };
                let error = match link {
                    Ok(link) => {
                        self.link = Some(link);
                        break;
                    }
                    Err(error) => format!("{error:?}"),
                };
                self.say(
                    say::TEMPLATE_PROVIDER_REFUSES,
                    &[("attempt", &attempt), ("error", &error)],
                );
                if attempt < 3 {
                    sleep(self.args.retry_pause).await;
                }
            }
        }
        if is_refused || (self.args.connect && self.link.is_none()) {
            self.say(say::TRIES_EXHAUSTED, &[]);
            self.say(say::NO_TEMPLATE_PROVIDER, &[]);
            self.say(say::STOPPED, &[]);
            return Err(1);
        }
        self.say(say::CONNECTING, &[]);
        if !self.pause(self.args.startup_delay).await {
            self.say(say::HANDSHAKE_INTERRUPTED, &[]);
            self.say(say::NO_TEMPLATE_PROVIDER, &[]);
            self.say(say::STOPPED, &[]);
            return Err(1);
        }
        self.say(say::CONNECTED, &[("tp", &tp)]);
        Ok(())
    }

    /// The next pool that has not been tried, or none. After a fallback the client waits a second
    /// before each.
    async fn find_pool(&mut self, again: bool) -> Result<Option<SimulatedPool>, u8> {
        let mode = self.config.mode;
        if mode == SimulatedMode::SoloMining {
            self.say(say::SOLO, &[]);
            return Ok(None);
        }
        let name = format!("{mode:?}");
        if self.config.upstreams.is_empty() {
            self.say(say::NO_UPSTREAM, &[("mode", &name)]);
            self.say(say::STOPPED, &[]);
            return Err(1);
        }
        self.say(say::UPSTREAMS, &[]);
        let upstreams = self.config.upstreams.clone();
        for (i, upstream) in upstreams.iter().enumerate() {
            let (pool, jds) = (&upstream.pool, &upstream.jds);
            self.say(
                say::UPSTREAM,
                &[
                    ("i", &(i + 1)),
                    ("n", &upstreams.len()),
                    ("pool", pool),
                    ("jds", jds),
                ],
            );
            if again && !self.pause(Duration::from_secs(1)).await {
                return Err(self.give_up_pools());
            }
            if i < self.used {
                self.say(say::UPSTREAM_USED_UP, &[]);
                continue;
            }
            self.used = i + 1;
            if !self.fails_with(StartFailure::Pool) {
                let flags = u8::from(mode == SimulatedMode::FullTemplate);
                self.say(
                    say::UPSTREAM_CONNECTED,
                    &[
                        ("pool", pool),
                        ("jds", jds),
                        ("mode", &name),
                        ("flags", &flags),
                    ],
                );
                return Ok(Some(SimulatedPool {
                    user_identity: upstream.user_identity.clone(),
                    mode,
                }));
            }
            for attempt in 1..=3 {
                self.say(say::UPSTREAM_REFUSES, &[("attempt", &attempt)]);
                if !self.pause(self.args.retry_pause / 2).await {
                    return Err(self.give_up_pools());
                }
                let error = format!("{:?}", refused());
                self.say(
                    say::UPSTREAM_TRY_FAILED,
                    &[
                        ("attempt", &attempt),
                        ("pool", pool),
                        ("jds", jds),
                        ("error", &error),
                    ],
                );
            }
            self.say(say::UPSTREAM_GIVEN_UP, &[("pool", pool), ("jds", jds)]);
        }
        self.say(say::UPSTREAMS_FAILED, &[]);
        self.say(say::SOLO, &[]);
        Ok(None)
    }

    /// An interrupt before a pool is found.
    fn give_up_pools(&self) -> u8 {
        self.say(say::UPSTREAM_INTERRUPTED, &[]);
        self.say(say::SOLO, &[]);
        self.last_words(&RunningParts {
            monitoring: false,
            ..RunningParts::default()
        });
        0
    }

    /// One mining session, with `pool` or alone.
    async fn mine(&mut self, pool: Option<SimulatedPool>) -> SessionEnd {
        let mut services = match self.start_services().await {
            Ok(services) => services,
            Err(code) => return SessionEnd::End(code),
        };
        let with_pool = pool.is_some();
        if !self.wait_for_template().await {
            self.last_words(&RunningParts {
                pool: with_pool,
                ..RunningParts::default()
            });
            services.stop().await;
            return SessionEnd::End(0);
        }
        self.say(say::VARDIFF, &[]);
        let first = self.world.open(self.began.elapsed(), pool);
        self.log.say(first);
        self.say(say::READY, &[]);
        services.answer_strangers(&self.log);
        let (pool_lost, template_provider_lost) =
            self.losses.unwrap_or_else(|| self.begin_to_misbehave());
        if self.fails_with(StartFailure::Panic) {
            self.panics(
                "jd_client_sv2-0.6.0/src/lib/channel_manager/mod.rs:631:17:\nsimulated panic",
            );
            return SessionEnd::End(101);
        }

        let refresh = self.config.refresh;
        let mut refreshed = (services.monitors() && !refresh.is_zero()).then(Instant::now);
        loop {
            let wakes = [
                self.world.next().map(|at| self.began + at),
                refreshed.map(|at| at + refresh),
                self.numbered.as_ref().and_then(NumberedLines::due),
                self.ballast.as_ref().and_then(MemoryBallast::due),
            ];
            select! {
                biased;
                () = interruption(self.interrupted.clone()) => {
                    let miners = Some(self.world.close());
                    self.last_words(&RunningParts { miners, pool: with_pool, ..RunningParts::default() });
                    services.stop().await;
                    return SessionEnd::End(0);
                }
                () = lost(template_provider_lost, &mut self.link) => {
                    let core = matches!(self.config.template_provider, SimulatedTemplateProvider::Core { .. });
                    self.say(if core { say::CORE_LOST } else { say::TEMPLATE_PROVIDER_LOST }, &[]);
                    let miners = Some(self.world.close());
                    self.last_words(&RunningParts { miners, pool: with_pool, template_provider: core, ..RunningParts::default() });
                    services.stop().await;
                    return SessionEnd::End(0);
                }
                () = at(pool_lost.filter(|_| with_pool)) => {
                    // Only once: the next pool works.
                    self.losses = Some((None, template_provider_lost));
                    self.fall_back(services).await;
                    return SessionEnd::PoolLost;
                }
                () = at(wakes.into_iter().flatten().min()) => {}
            }
            let lines = self.world.advance(self.began.elapsed());
            self.log.say(lines);
            let now = Instant::now();
            if let Some(last) = refreshed
                && last + refresh <= now
            {
                self.accounts
                    .send_replace(Arc::new(self.world.accounts().clone()));
                refreshed = Some(now);
            }
            if let Some(ballast) = &mut self.ballast {
                ballast.grow(now);
            }
            if let Some(numbered) = &mut self.numbered
                && numbered.write(now, &self.log)
            {
                // More is due at once, but the other tasks must also run.
                tokio::task::yield_now().await;
            }
        }
    }

    /// The client is ready for miners for the first time: starts all timers. Returns when pool and
    /// template provider are lost.
    fn begin_to_misbehave(&mut self) -> (Option<Instant>, Option<Instant>) {
        let now = Instant::now();
        let wrong = &self.args.misbehaviour;
        let losses = (
            wrong.fall_back_after.map(|after| now + after),
            wrong.lose_template_provider_after.map(|after| now + after),
        );
        self.losses = Some(losses);
        self.numbered = self
            .args
            .lines_per_second
            .map(|rate| NumberedLines::new(rate, self.args.line_bytes, self.args.lines_total));
        self.ballast = wrong.grow_memory.map(MemoryBallast::new);
        losses
    }

    async fn fall_back(&mut self, services: SimulatedServices) {
        self.say(say::POOL_LOST, &[]);
        for _ in 0..self.world.close() {
            self.say(say::MINER_SENT_AWAY, &[]);
        }
        self.say(say::RECONNECTING, &[]);
        services.stop().await;
        if self.config.monitoring.is_some() {
            self.say(say::MONITORING_FALLS_BACK, &[]);
        }
        self.say(say::FALLEN_BACK, &[]);
        self.accounts.send_replace(Arc::default());
    }

    /// Binds and serves both addresses; the exit code on failure.
    async fn start_services(&self) -> Result<SimulatedServices, u8> {
        let refresh = format!("{:?}", self.config.refresh);
        let mut monitoring = Ok(None);
        if let Some(address) = self.config.monitoring {
            self.say(
                say::MONITORING,
                &[("monitoring", &address), ("refresh", &refresh)],
            );
            monitoring = self.bind(address, StartFailure::MonitoringPort).await;
        }
        if let SimulatedTemplateProvider::Core { version, socket } = &self.config.template_provider
        {
            let text = if *version == 30 {
                say::CORE_CONNECTING_V30
            } else {
                say::CORE_CONNECTING_V31
            };
            self.say(text, &[("socket", &socket.display())]);
        }
        let listening = self.config.listening;
        self.say(say::LISTENING, &[("listen", &listening)]);
        let miners = self
            .bind(listening, StartFailure::ListenPort)
            .await
            .map_err(|error| {
                self.say(
                    say::LISTEN_FAILED,
                    &[("listen", &listening), ("error", &format!("{error:?}"))],
                );
                self.say_monitoring_up();
                self.say_template_provider_stops();
                self.say(say::CHANNEL_MANAGER_STOPS, &[]);
                if self.config.monitoring.is_some() {
                    self.say(say::MONITORING_STOPS, &[]);
                }
                self.say(say::STOPPED, &[]);
                1
            })?;
        self.say(say::SERVICES_UP, &[]);
        let monitoring = monitoring.map_err(|error| {
            self.say(say::MONITORING_FAILED, &[("error", &format!("{error:?}"))]);
            self.say_telemetry();
            self.say(say::WAITING, &[]);
            self.last_words(&RunningParts {
                monitoring: false,
                ..RunningParts::default()
            });
            0
        })?;
        self.say_monitoring_up();
        if self.config.monitoring.is_some() && self.config.refresh.is_zero() {
            self.panics(say::REFRESH_PANIC);
        }
        if let SimulatedTemplateProvider::Core { version, socket } = &self.config.template_provider
            && self.fails_with(StartFailure::TemplateProvider)
        {
            self.say(
                say::CORE_MISSING,
                &[("version", version), ("socket", &socket.display())],
            );
            self.say(say::WAITING, &[]);
            self.last_words(&RunningParts::default());
            return Err(0);
        }
        let mut services = SimulatedServices::listening(miners);
        if let Some(listener) = monitoring {
            let wrong = &self.args.misbehaviour;
            if wrong.refuse_monitoring {
                services.monitor_by(faults::never_answer(listener));
            } else if let Some(kind) = wrong.monitoring_garbage {
                services.monitor_by(faults::answer_with(listener, kind));
            } else {
                services.monitor(
                    listener,
                    self.accounts.subscribe(),
                    wrong.freeze_monitoring_after,
                );
            }
        }
        Ok(services)
    }

    /// Binds the address; nothing with `--no-sockets`.
    async fn bind(
        &self,
        address: SocketAddr,
        failure: StartFailure,
    ) -> io::Result<Option<TcpListener>> {
        if self.fails_with(failure) {
            return Err(rustix::io::Errno::ADDRINUSE.into());
        }
        if self.args.no_sockets {
            return Ok(None);
        }
        TcpListener::bind(address).await.map(Some)
    }

    /// False if interrupted. Bitcoin Core's template arrives after `--startup-delay`, a template
    /// provider's at once, because the delay was in the connection.
    async fn wait_for_template(&self) -> bool {
        let mut left = match self.config.template_provider {
            SimulatedTemplateProvider::Core { .. } => self.args.startup_delay,
            SimulatedTemplateProvider::Sv2 { .. } => Duration::ZERO,
        };
        loop {
            self.say(say::WAITING, &[]);
            let pause = left.min(Duration::from_secs(1));
            if !self.pause(pause).await {
                return false;
            }
            left -= pause;
            if left.is_zero() {
                return true;
            }
        }
    }

    fn say_monitoring_up(&self) {
        if let Some(address) = self.config.monitoring {
            self.say(say::MONITORING_UP, &[("monitoring", &address)]);
            self.say_telemetry();
        }
    }

    fn say_telemetry(&self) {
        if self.config.telemetry {
            self.say(
                say::TELEMETRY_ON,
                &[("refresh", &self.config.refresh.as_secs().max(1))],
            );
        } else {
            self.say(say::TELEMETRY_OFF, &[]);
        }
    }

    fn say_template_provider_stops(&self) {
        self.say(
            match self.config.template_provider {
                SimulatedTemplateProvider::Core { .. } => say::CORE_STOPS,
                SimulatedTemplateProvider::Sv2 { .. } => say::TEMPLATE_RECEIVER_STOPS,
            },
            &[],
        );
    }

    /// Writes the output of a panic of a task to the log and to standard error.
    fn panics(&self, place: &str) {
        let error = |message: String| {
            SimulatedLine::new(
                LogLevel::Error,
                "stratum_apps::config_helpers::logging",
                message,
            )
        };
        self.log.say([
            error(format!("panic: panicked at {place}")),
            error(format!("Backtrace: {}", say::BACKTRACE)),
        ]);
        let thread = std::process::id();
        // Standard error may be closed.
        let _ = writeln!(
            io::stderr(),
            "\nthread 'tokio-rt-worker' ({thread}) panicked at {place}\nnote: run with `RUST_BACKTRACE=1` environment variable \
             to display a backtrace"
        );
    }

    /// The log lines of a shutdown while these parts are running.
    fn last_words(&self, running: &RunningParts) {
        match running.miners {
            None => self.say(say::WAITING_INTERRUPTED, &[]),
            Some(miners) => {
                self.say(say::DOWNSTREAM_STOPS, &[]);
                for _ in 0..miners {
                    self.say(say::MINER_SENT_AWAY, &[]);
                }
            }
        }
        if running.monitoring && self.config.monitoring.is_some() {
            self.say(say::MONITORING_STOPS, &[]);
        }
        if running.pool {
            self.say(say::UPSTREAM_STOPS, &[]);
        }
        if running.template_provider {
            self.say_template_provider_stops();
        }
        self.say(say::CHANNEL_MANAGER_STOPS, &[]);
        self.say(say::STOPPED, &[]);
        self.say(say::DROPPED, &[]);
    }
}

/// The parts of the client that are running when it stops. By default: everything except a pool,
/// and no miners yet.
struct RunningParts {
    /// The number of miners; `None` before the client accepts miners.
    miners: Option<usize>,
    monitoring: bool,
    pool: bool,
    template_provider: bool,
}

impl Default for RunningParts {
    fn default() -> Self {
        Self {
            miners: None,
            monitoring: true,
            pool: false,
            template_provider: true,
        }
    }
}

fn refused() -> io::Error {
    rustix::io::Errno::CONNREFUSED.into()
}
