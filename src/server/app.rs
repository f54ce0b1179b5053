//! The composition root: starts everything in order, and stops it in reverse order.

use std::fs::{File, TryLockError};
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::base::clock::{SystemClock, Timestamp};
use crate::base::files::open_regular;
use crate::domain::access::{Access, FirstCode};
use crate::domain::alerts::{AlertFeed, Alerts};
use crate::domain::backups::{self, Backups};
use crate::domain::bulk::{BulkJobs, BulkServices};
use crate::domain::configs::{ConfigService, add_secrets};
use crate::domain::health::routes::HealthRoutesState;
use crate::domain::health::{self, HealthMonitor, HealthService};
use crate::domain::hosts::HostService;
use crate::domain::instances::list_cache::ListCache;
use crate::domain::instances::list_page::{InstanceListServices, InstanceListState};
use crate::domain::instances::{InstanceService, ProgramSource, ShutdownMode};
use crate::domain::legacy_api::FirstGeneration;
use crate::domain::logs::LogService;
use crate::domain::metrics::routes::MetricsRoutesState;
use crate::domain::metrics::{
    self, LatestMetrics, MetricService, Retention, Sampler, TranslatorBoard,
};
use crate::domain::miners::{MinerService, MinerTracker, TranslatorReports, UnlistedMiners};
use crate::domain::node::NodeService;
use crate::domain::overview::OverviewService;
use crate::domain::rollouts::RolloutService;
use crate::domain::setup::SetupService;
use crate::domain::updates::{self, ReleaseSource, UpdateService};
use crate::domain::vault::{self, Vault};
use crate::infra::db::{Db, WriteMode, has_table};
use crate::infra::notices::ManagerNotices;
use crate::infra::notify::NotifySender;
use crate::infra::schedule::JobSchedule;
use crate::keeper::machine::InstanceState;
use crate::server::api_docs::OperationSource;
use crate::server::listener::{BoundListener, ListenConfig, SocketRequirement, TlsState};
use crate::server::ready_message::print_ready;
use crate::server::route_table;
use crate::server::settings::{OnShutdown, Settings, SocketAt};
use crate::server::state::{AppServices, AppState};
use crate::server::{database_checks, reload, router, systemd};
use crate::web::PageFrame;
use crate::web::origin::AllowedHosts;
use crate::web::rate_limit::RateLimiter;

/// Time for open requests to finish when the manager stops.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Interval of returning free memory to the system. Without it, the memory of two thousand streams stays
/// with the process after they have ended (docs/PERFORMANCE.md).
const RELEASE_MEMORY: Duration = Duration::from_secs(30);

/// The subcommand `serve`.
///
/// # Errors
/// The reason for the failure, for the person at the terminal.
pub async fn serve(settings: Settings) -> Result<(), String> {
    let client = ProgramSource::new(settings.client.clone(), &settings.data_dir)
        .with_translator(settings.translator.clone());
    let ready = |_: AppState| async {};
    serve_with(
        settings,
        client,
        PageFrame {
            simulated: false,
            version: env!("CARGO_PKG_VERSION"),
            ..PageFrame::default()
        },
        ready,
    )
    .await
}

/// Serves with a given source of clients; `ready` runs once everything is up.
///
/// # Errors
/// The reason for the failure, for the person at the terminal.
pub async fn serve_with<F>(
    mut settings: Settings,
    client: ProgramSource,
    frame: PageFrame,
    ready: impl FnOnce(AppState) -> F,
) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (begun, started_at) = (Instant::now(), Timestamp::now());
    // Before anything is opened.
    let tls = settings
        .tls
        .clone()
        .map(TlsState::load)
        .transpose()?
        .map(Arc::new);
    let _lock = own_data_dir(&settings.data_dir)?;
    backups::remove_stale_staging(&settings.data_dir);
    backups::check_for_half_restored(&settings.data_dir).map_err(|e| e.to_string())?;
    let db = Db::open(&settings.data_dir).map_err(|e| e.to_string())?;
    let vault = open_vault(&settings.data_dir, &db)
        .await
        .map_err(|e| e.to_string())?;
    let access = locks(&db, &vault, &settings).await?;
    access
        .may_listen(settings.listen, &settings.data_dir)
        .await?;
    let listener = BoundListener::open(entrances(&settings, tls)).await?;
    let url = listener.url();
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| format!("cannot handle signals: {e}"))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| format!("cannot handle signals: {e}"))?;
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|e| format!("cannot handle signals: {e}"))?;
    let had_terminal = std::io::stdin().is_terminal();

    let stop = CancellationToken::new();
    let notices = ManagerNotices::default();
    let checkpoints = tokio::spawn(db.clone().run_checkpoints(stop.clone()));
    let configs =
        ConfigService::new(db.clone(), vault.clone()).with_miner_ports(settings.miner_ports);
    configs
        .load_secrets()
        .await
        .map_err(|e| format!("cannot read the configurations: {e}"))?;
    let instances = InstanceService::new(
        db.clone(),
        configs.clone(),
        client,
        &settings.data_dir,
        settings.slow_start,
    )
    .advertising(settings.advertised_host.clone());
    instances
        .adopt_all()
        .await
        .map_err(|e| format!("cannot take over the instances: {e}"))?;
    let logs = LogService::new(instances.clone(), stop.clone());
    let schedule = JobSchedule::new(stop.clone())
        .await
        .map_err(|e| format!("cannot set up the schedule: {e}"))?;
    let reports = TranslatorReports::default();
    let (metrics, miners) =
        measure(&db, &instances, &settings, (&schedule, &stop), &reports).await?;
    let health = HealthService::new(
        db.clone(),
        instances.clone(),
        metrics.clone(),
        settings.data_dir.clone(),
        reports,
    );
    health::schedule_pruning(&schedule, db.clone(), settings.retention_days)
        .await
        .map_err(|e| format!("cannot schedule the nightly pruning of health checks: {e}"))?;
    let place = ReleaseSource {
        base: settings.release_api.clone(),
        token_file: settings.release_token_file.clone(),
        manager: settings.manager_release_api.clone(),
    };
    let updates = UpdateService::new(
        db.clone(),
        health.clone(),
        logs.clone(),
        place,
        notices.clone(),
        stop.clone(),
    )?;
    updates::begin(&updates, &schedule, &stop)
        .await
        .map_err(|e| format!("cannot schedule the daily release check: {e}"))?;
    let alerts = alert(&db, vault, &schedule, settings.public_url.as_deref()).await?;
    let backups = Backups::new(db.clone(), &settings.data_dir, stop.clone()).hiding(add_secrets);
    backups::nightly(&backups, &schedule)
        .await
        .map_err(|e| format!("cannot schedule the nightly backup: {e}"))?;
    tokio::spawn(backups.clone().follow_failures(notices.clone()));
    access
        .schedule_pruning(&schedule, settings.audit_days)
        .await
        .map_err(|e| format!("cannot schedule the nightly pruning of the audit log: {e}"))?;
    database_checks::begin(
        db.clone(),
        instances.clone(),
        notices.clone(),
        &schedule,
        &stop,
    )
    .await
    .map_err(|e| format!("cannot schedule the nightly database check: {e}"))?;
    schedule
        .start()
        .await
        .map_err(|e| format!("cannot start the schedule: {e}"))?;
    let alerting = alerts.clone().run(stop.clone());
    // Unfinished work of the previous manager. The first health checks run afterward: they report
    // a newer client only if it is offered.
    updates.recover().await;
    let caretaker = tokio::spawn(
        HealthMonitor::new(health.clone(), settings.health_interval).run(stop.clone()),
    );
    let setups = SetupService::new(
        db.clone(),
        configs.clone(),
        instances.clone(),
        &settings.data_dir,
        stop.clone(),
    );
    let instance_lists = InstanceListServices {
        instances: instances.clone(),
        configs: configs.clone(),
        notices: notices.clone(),
        responses: ListCache::default(),
        stop: stop.clone(),
    };
    let instance_lists = InstanceListState::from(instance_lists);
    let hosts = HostService::new(db.clone(), instances.clone());
    hosts
        .start()
        .await
        .map_err(|e| format!("cannot read the hosts: {e}"))?;
    let rollouts = RolloutService::new(db.clone(), hosts.clone(), stop.clone());
    rollouts
        .start()
        .await
        .map_err(|e| format!("cannot read the rollouts: {e}"))?;
    tokio::spawn(
        AlertFeed::new(
            alerts.clone(),
            health.clone(),
            metrics.clone(),
            miners.clone(),
            hosts.clone(),
        )
        .run(stop.clone()),
    );
    let bulk = BulkJobs::new(BulkServices {
        db: db.clone(),
        lists: instance_lists.clone(),
        mutes: alerts.mutes().clone(),
        hosts: hosts.clone(),
        stop: stop.clone(),
    });
    let state = AppState::from(AppServices {
        access,
        legacy: FirstGeneration::new(configs.clone(), instances.clone()),
        overview: OverviewService::new(
            instances.clone(),
            configs.clone(),
            metrics.clone(),
            miners.clone(),
        )
        .with_widget(settings.public_widget),
        logs,
        configs,
        instances: instances.clone(),
        instance_lists,
        bulk,
        nodes: NodeService::new(instances.clone(), &settings.data_dir),
        setups,
        metrics: MetricsRoutesState {
            metrics,
            stop: stop.clone(),
            started: started_at,
        },
        miners,
        health: HealthRoutesState {
            health,
            stop: stop.clone(),
        },
        updates,
        alerts,
        backups,
        hosts: hosts.clone(),
        rollouts,
        notices,
        api: OperationSource(route_table::operation_groups),
        started: begun,
    });
    let allowed = AllowedHosts::of(settings.listen, &own_name(), &settings.allow_hosts);
    let has_users = state.access.has_users().await.map_err(|e| e.to_string())?;
    let app = router::router(
        state.clone(),
        frame,
        allowed,
        RateLimiter::of(settings.max_requests),
    );

    let listener_control = listener.control();
    let socket = listener.socket().map(Path::to_path_buf);
    let serving = tokio::spawn(listener.serve(app, stop.clone()));
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%url, socket = socket.map(|path| path.display().to_string()), data_dir = %settings.data_dir.display(), elapsed_ms, "serving");
    print_ready(&url, has_users).await;
    let serves = format!("serving {url}");
    systemd::ready(&serves);
    tokio::spawn(show_life(instances.clone(), db.clone(), serves.clone()));
    tokio::spawn(release_memory());
    tokio::spawn(ready(state));

    let (cause, ending) = loop {
        let asked = |on_shutdown| {
            if on_shutdown == OnShutdown::Stop {
                ShutdownMode::Stop
            } else {
                ShutdownMode::Leave
            }
        };
        tokio::select! {
            _ = terminate.recv() => break ("SIGTERM", asked(settings.on_shutdown)),
            _ = interrupt.recv() => break ("SIGINT", asked(settings.on_shutdown)),
            _ = hangup.recv() => {
                if had_terminal && !std::io::stdin().is_terminal() {
                    // Its terminal window was closed: this is not a request to stop mining.
                    break ("SIGHUP", ShutdownMode::Leave);
                }
                systemd::reloading();
                let outcome = reload::reload_and_tell(&mut settings, &listener_control);
                systemd::ready(&format!("{serves}; {outcome}"));
            }
        }
    };
    tracing::info!(cause, "stopping");
    systemd::stopping(if ending == ShutdownMode::Stop {
        "stopping the clients"
    } else {
        "stopping; the clients keep running"
    });
    // First streams and new requests stop, then the clients.
    stop.cancel();
    hosts.stop();
    let ended = instances.end(ending);
    tokio::select! {
        () = ended => {}
        _ = terminate.recv() => tracing::warn!("second signal: exiting now; the keepers will finish stopping their clients"),
        _ = interrupt.recv() => tracing::warn!("second signal: exiting now; the keepers will finish stopping their clients"),
    }
    // Stores the state from the logs, and waits for alerts that are being sent.
    let (serving, alerting, _) = tokio::join!(
        tokio::time::timeout(LAST_REQUESTS, serving),
        tokio::time::timeout(LAST_REQUESTS, alerting),
        tokio::time::timeout(LAST_REQUESTS, caretaker)
    );
    let _ = tokio::time::timeout(LAST_REQUESTS, checkpoints).await;
    if serving.is_err() {
        tracing::warn!("some requests were aborted");
    }
    if alerting.is_err() {
        tracing::warn!("sending an alert was interrupted; it may be sent twice");
    }
    tracing::info!("jd-manager stopped");
    Ok(())
}

/// Opens the vault with the secrets of all domains.
///
/// # Errors
/// The key is missing or wrong.
pub async fn open_vault(data_dir: &Path, db: &Db) -> Result<Vault, vault::VaultRefusal> {
    Vault::begin(
        data_dir,
        db,
        &[crate::domain::configs::seal, crate::domain::alerts::seal],
    )
    .await
}

/// This machine's host name.
fn own_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The user whose password is in the settings.
const ADMIN: &str = "admin";

/// Sets up access: the password from the settings, and a code for initial setup if it is enabled and
/// there is no user.
async fn locks(db: &Db, vault: &Vault, settings: &Settings) -> Result<Access, String> {
    let access = Access::new(db.clone(), vault.clone(), SystemClock, None);
    if let Some(password) = &settings.password {
        let changed = access
            .set_password(ADMIN, None, password.reveal().to_owned())
            .await;
        if changed.map_err(|e| format!("cannot use the password from the settings: {e}"))? {
            tracing::info!(user = ADMIN, "applied the password from the settings");
        }
    }
    let is_needed = settings.setup && !access.has_users().await.map_err(|e| e.to_string())?;
    if !is_needed {
        return Ok(access);
    }
    let code = FirstCode::fresh().map_err(|e| e.to_string())?;
    println!(
        "There are no users yet. Create the first user at /login/first with this code: {}",
        code.reveal()
    );
    Ok(Access::new(
        db.clone(),
        vault.clone(),
        SystemClock,
        Some(code),
    ))
}

/// Opens the listener.
fn entrances(settings: &Settings, tls: Option<Arc<TlsState>>) -> ListenConfig {
    let needed = if settings.socket == SocketAt::DataDir {
        SocketRequirement::No
    } else {
        SocketRequirement::Yes
    };
    ListenConfig {
        listen: settings.listen,
        tls,
        socket: settings.socket_path().map(|path| (path, needed)),
        proxies: settings.trusted_proxies.clone(),
        max_connections: usize::try_from(settings.max_connections).unwrap_or(usize::MAX),
    }
}

/// Returns free memory to the system regularly; never returns.
async fn release_memory() {
    loop {
        tokio::time::sleep(RELEASE_MEMORY).await;
        // Other threads wait for it in any case.
        jd_manager_heap::release_free_memory();
    }
}

/// Notifies the service manager's watchdog while the runtime and the database work; never
/// returns.
async fn show_life(instances: InstanceService, db: Db, serves: String) {
    let Some(pulse) = systemd::watchdog_loop() else {
        return;
    };
    loop {
        // Reading and writing are different connections.
        let look = async {
            let all = instances.list().await?;
            // The list may come from memory.
            let is_readable = db.read(|c| Ok(has_table(c, "instances")?)).await?;
            if !is_readable {
                return Err(crate::base::error::Error::internal(
                    "the database has no instances table",
                ));
            }
            match db.write_as(WriteMode::UNSYNCED.prompt(), |_| Ok(())).await {
                // Restarting the manager would not help.
                Err(_) if db.is_locked() => Ok((all, "; another program has locked the database")),
                written => written.map(|()| (all, "")),
            }
        };
        match tokio::time::timeout(pulse * 2, look).await {
            Ok(Ok((all, trouble))) => {
                let running = all
                    .iter()
                    .filter(|instance| instance.status == InstanceState::Running)
                    .count();
                systemd::alive(&format!(
                    "{serves}; {running} of {} instances running{trouble}",
                    all.len()
                ));
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "not notifying the service manager's watchdog: the database is failing")
            }
            Err(_) => tracing::error!(
                "not notifying the service manager's watchdog: the database is not responding"
            ),
        }
        tokio::time::sleep(pulse).await;
    }
}

/// Starts sampling, the list of miners and the pruning of old samples.
async fn measure(
    db: &Db,
    instances: &InstanceService,
    settings: &Settings,
    (schedule, stop): (&JobSchedule, &CancellationToken),
    reports: &TranslatorReports,
) -> Result<(MetricService, MinerService), String> {
    let (told, rounds) = tokio::sync::watch::channel(0);
    let keep = Retention::raw_days(settings.retention_days);
    let board = LatestMetrics::default();
    let sampler = Sampler::new(
        db.clone(),
        instances.clone(),
        settings.sample_interval,
        told,
        board.clone(),
    );
    let (observer, observed) = tokio::sync::mpsc::channel(1);
    let (unlisted, translators) = (UnlistedMiners::default(), TranslatorBoard::default());
    let tracker = MinerTracker::new(
        db.clone(),
        instances.clone(),
        settings.sample_interval,
        unlisted.clone(),
        translators.clone(),
    );
    let tracker = tracker.reporting_to(reports.clone());
    tokio::spawn(tracker.run(observed, stop.clone()));
    tokio::spawn(sampler.with_observer(observer).run(stop.clone()));
    metrics::schedule_pruning(schedule, db.clone(), keep)
        .await
        .map_err(|e| format!("cannot schedule the nightly pruning: {e}"))?;
    let metrics = MetricService::new(
        db.clone(),
        instances.clone(),
        settings.sample_interval,
        keep,
        rounds,
        board,
    )
    .with_translators(translators);
    let miners = MinerService::new(db.clone(), instances.clone(), unlisted);
    Ok((metrics, miners))
}

/// Sets up alerts and their pruning.
async fn alert(
    db: &Db,
    vault: Vault,
    schedule: &JobSchedule,
    public_url: Option<&str>,
) -> Result<Alerts, String> {
    let alerts =
        Alerts::new(db.clone(), vault, NotifySender::new(), SystemClock).linking_to(public_url);
    alerts
        .schedule_pruning(schedule)
        .await
        .map_err(|e| format!("cannot schedule the nightly pruning: {e}"))?;
    Ok(alerts)
}

/// Creates the data directory, accessible only to its owner.
pub fn make_data_dir(dir: &Path) -> Result<(), String> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|e| format!("cannot use the data directory {}: {e}", dir.display()))
}

/// Creates the data directory and checks that no other manager uses it.
fn own_data_dir(dir: &Path) -> Result<File, String> {
    let told = |e: std::io::Error| format!("cannot use the data directory {}: {e}", dir.display());
    make_data_dir(dir)?;
    let mut options = File::options();
    let file = open_regular(
        &dir.join("manager.lock"),
        options.create(true).truncate(false).write(true),
    )
    .map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another jd-manager is already using the data directory {}. Stop it, or choose another directory with --data-dir.",
            dir.display()
        )),
        Err(TryLockError::Error(e)) => Err(told(e)),
    }
}
