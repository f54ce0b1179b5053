//! The life of the simulated translator, from its first line to its last.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::TranslatorSimulatorArgs;
use super::file::SimulatedTranslatorFile;
use super::miners::SimulatedMiners;
use super::monitoring::{self, SharedMiners};
use crate::keeper::level::LogLevel;
use crate::programs::jd_client::simulator::log_lines::{SimulatedLine, SimulatedLog, script};
use crate::programs::jd_client::simulator::services::TRANSLATOR_GREETING;

const MAIN: &str = "translator_sv2";
const RUNTIME: &str = "translator_sv2::translator_runtime";
const UPSTREAM: &str = "translator_sv2::sv2::upstream";
const SERVER: &str = "translator_sv2::sv1::sv1_server";

/// How often it tries an upstream.
const TRIES: u32 = 3;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Real connections at the miners' port at a time; more have to wait.
const MOST_STRANGERS: usize = 64;

const CONNECTED: &str = "\
INFO translator_sv2::sv2::upstream: Connected to upstream at {address}
INFO translator_sv2::sv2::upstream::common_message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x00000000)
INFO translator_sv2::translator_runtime: Launching SV1 server...
INFO translator_sv2::sv1::sv1_server: Starting SV1 server on {listening}";

const LOST: &str = "\
ERROR translator_sv2::io_task: Reader error¦error=SocketClosed
WARN translator_sv2::io_task: Reader task exited.
WARN translator_sv2::io_task: Outbound channel closed
WARN translator_sv2::io_task: Writer task exited.
WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback¦error_kind=ChannelErrorReceiver(RecvError)
WARN translator_sv2::sv2::upstream: Upstream: task shutting down cleanly.
INFO translator_sv2::sv2::channel_manager: ChannelManager: fallback triggered
WARN translator_sv2::sv2::channel_manager: ChannelManager: unified message loop exited.";

const FALLS_BACK: &str = "\
INFO translator_sv2::sv1::sv1_server: SV1 Server: fallback triggered, clearing state
INFO translator_sv2::translator_runtime: Preparing fallback
INFO translator_sv2::translator_runtime: All components finished fallback cleanup";

const INTERRUPTED: &str = "\
INFO translator_sv2: Ctrl+C received — initiating graceful shutdown...
INFO translator_sv2::sv2::channel_manager: ChannelManager: received shutdown signal
WARN translator_sv2::sv2::channel_manager: ChannelManager: unified message loop exited.
INFO translator_sv2::translator_runtime: Monitoring server: received shutdown signal.";

const STOPS: &str = "\
WARN translator_sv2::translator_runtime: Graceful shutdown: waiting 5 seconds for tasks to finish
INFO translator_sv2::translator_runtime: All tasks joined cleanly
INFO translator_sv2::translator_runtime: TranslatorSv2 shutdown complete.";

const INTERRUPTED_TRY: &str = "\
INFO translator_sv2: Ctrl+C received — initiating graceful shutdown...
INFO translator_sv2::sv2::upstream: Shutdown signal received during upstream connection attempt. Aborting.
ERROR translator_sv2::translator_runtime: Fatal shutdown signal during upstream setup: CouldNotInitiateSystem
ERROR translator_sv2: Failed to bootstrap Translator Proxy¦kind=CouldNotInitiateSystem";

/// What came of the tries with one upstream.
enum Tries {
    Connection(TcpStream),
    Failure,
    /// SIGINT.
    Interrupt,
}

/// How one connection with a client ended.
enum TranslatorSessionEnd {
    /// The client ended it.
    ClientGone,
    /// SIGINT.
    Interrupt,
    /// The miners' port, with the error.
    PortTaken(io::Error),
    /// The monitoring port, with the error.
    MonitoringTaken(io::Error),
}

/// Runs the translator until it exits; returns its exit code.
///
/// # Errors
/// The handler of SIGINT cannot be installed.
pub(super) async fn run(
    file: SimulatedTranslatorFile,
    args: TranslatorSimulatorArgs,
    log: SimulatedLog,
) -> io::Result<u8> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    log.say([info(MAIN, "Starting Translator Proxy...")]);
    let Ok(ip) = file.downstream_address.parse::<IpAddr>() else {
        // The real one says no more, either.
        log.say([dropped()]);
        return Ok(1);
    };
    let listening = SocketAddr::new(ip, file.downstream_port);
    let mut was_connected = false;
    // An upstream is tried once in the life of the process; only one that connects is left early.
    for number in 0..file.upstreams.len() {
        let stream = match connect(&file, number, &args, &log, &mut interrupts).await {
            Tries::Connection(stream) => stream,
            Tries::Failure => continue,
            Tries::Interrupt => {
                log.say(script(INTERRUPTED_TRY, &[]));
                return Ok(stop(&log, 1));
            }
        };
        was_connected = true;
        let identity = &file.upstreams[number].user_identity;
        let miners =
            SimulatedMiners::new(&file, identity, args.miners, args.miners_without_channel);
        match session(stream, &file, listening, miners, &log, &mut interrupts).await {
            TranslatorSessionEnd::ClientGone => {}
            TranslatorSessionEnd::Interrupt => return Ok(stop(&log, 0)),
            TranslatorSessionEnd::MonitoringTaken(error) => {
                log.say([SimulatedLine::new(
                    LogLevel::Error,
                    RUNTIME,
                    format!("Monitoring server error: {error:?}"),
                )]);
                return Ok(stop(&log, 0));
            }
            TranslatorSessionEnd::PortTaken(error) => {
                log.say([
                    SimulatedLine::new(
                        LogLevel::Error,
                        SERVER,
                        format!("Failed to bind to {listening}: {error}"),
                    ),
                    SimulatedLine::new(
                        LogLevel::Error,
                        RUNTIME,
                        format!(
                            "SV1 server startup failed: TproxyError {{ kind: Io({error:?}), action: Shutdown, _owner: \
                             PhantomData<translator_sv2::error::Sv1Server> }}"
                        ),
                    ),
                    failed_to("bootstrap", &format!("Io({error:?})")),
                ]);
                return Ok(stop(&log, 1));
            }
        }
    }
    let what = if was_connected {
        "reconnect"
    } else {
        "bootstrap"
    };
    log.say([
        SimulatedLine::new(
            LogLevel::Error,
            RUNTIME,
            format!("All upstreams failed after {TRIES} retries each"),
        ),
        failed_to(what, "CouldNotInitiateSystem"),
    ]);
    Ok(stop(&log, 1))
}

/// Three tries with one upstream.
async fn connect(
    file: &SimulatedTranslatorFile,
    number: usize,
    args: &TranslatorSimulatorArgs,
    log: &SimulatedLog,
    interrupts: &mut Signal,
) -> Tries {
    let upstream = &file.upstreams[number];
    let address = format!("{}:{}", upstream.address, upstream.port);
    let count = file.upstreams.len();
    log.say([info(
        RUNTIME,
        format!("Trying upstream {} of {count}: {address}", number + 1),
    )]);
    for attempt in 1..=TRIES {
        log.say([info(
            RUNTIME,
            format!("Connection attempt {attempt}/{TRIES}..."),
        )]);
        select! {
            () = sleep(args.retry_pause) => {}
            _ = interrupts.recv() => return Tries::Interrupt,
        }
        log.say([info(
            UPSTREAM,
            format!("Trying to connect to upstream at {address}"),
        )]);
        let target = (upstream.address.as_str(), upstream.port);
        let error = match timeout(PATIENCE, greet(target)).await {
            Ok(Ok(stream)) => return Tries::Connection(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        log.say([
            SimulatedLine::new(
                LogLevel::Error,
                UPSTREAM,
                format!("Failed to connect to any of [{address}]: {error}."),
            ),
            SimulatedLine::new(
                LogLevel::Warn,
                RUNTIME,
                format!(
                    "Attempt {attempt}/{TRIES} failed for {address}: TproxyError {{ kind: Io({error:?}), action: Fallback, _owner: \
                     PhantomData<translator_sv2::error::Upstream> }}"
                ),
            ),
        ]);
    }
    log.say([SimulatedLine::new(
        LogLevel::Warn,
        RUNTIME,
        format!("Max retries reached for {address}, moving to next upstream"),
    )]);
    Tries::Failure
}

/// Connects and says who it is, so that a simulated client keeps the connection.
async fn greet(target: (&str, u16)) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(target).await?;
    stream.write_all(TRANSLATOR_GREETING).await?;
    Ok(stream)
}

/// One connection with a client, from its beginning to its end.
async fn session(
    mut client: TcpStream,
    file: &SimulatedTranslatorFile,
    listening: SocketAddr,
    miners: SimulatedMiners,
    log: &SimulatedLog,
    interrupts: &mut Signal,
) -> TranslatorSessionEnd {
    let address = client
        .peer_addr()
        .map_or_else(|_| String::new(), |address| address.to_string());
    log.say(script(
        CONNECTED,
        &[("address", &address), ("listening", &listening)],
    ));
    let listener = match TcpListener::bind(listening).await {
        Ok(listener) => listener,
        Err(error) => return TranslatorSessionEnd::PortTaken(error),
    };
    log.say([info(
        SERVER,
        format!("Translator Proxy: listening on {listening}"),
    )]);
    let miners: SharedMiners = Arc::new(Mutex::new(miners));
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    if let Some(address) = file.monitoring_address {
        log.say([info(
            RUNTIME,
            format!("Initializing monitoring server on http://{address}"),
        )]);
        let api = match TcpListener::bind(address).await {
            Ok(api) => api,
            Err(error) => return TranslatorSessionEnd::MonitoringTaken(error),
        };
        let router = monitoring::router(Arc::clone(&miners));
        // Serves until it is aborted; the type allows for an error that axum never gives.
        tasks.push(tokio::spawn(async move {
            axum::serve(api, router).await.unwrap_or(());
        }));
    }
    let keepalive = file
        .downstream_difficulty_config
        .job_keepalive_interval_secs;
    if keepalive > 0 {
        log.say([info(
            SERVER,
            format!("Starting job keepalive loop with interval of {keepalive} seconds"),
        )]);
    }
    let connected = with(&miners, |miners| (miners.connect(), miners.list.len()));
    log.say(connected.0);
    tasks.push(tokio::spawn(accept_strangers(
        listener,
        connected.1,
        log.clone(),
    )));
    let mut unread = [0; 256];
    let end = loop {
        let pause = with(&miners, |miners| miners.pause());
        select! {
            read = client.read(&mut unread) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => break TranslatorSessionEnd::ClientGone,
            },
            _ = interrupts.recv() => break TranslatorSessionEnd::Interrupt,
            () = sleep(pause) => {
                let lines = with(&miners, SimulatedMiners::mine);
                log.say(lines);
            }
        }
    };
    for task in tasks {
        task.abort();
        // The error says that it was aborted.
        let _ = task.await;
    }
    let gone = with(&miners, |miners| miners.disconnect());
    match end {
        TranslatorSessionEnd::ClientGone => {
            log.say(script(LOST, &[]));
            log.say(gone);
            log.say(script(FALLS_BACK, &[]));
        }
        TranslatorSessionEnd::Interrupt => {
            log.say(script(INTERRUPTED, &[]));
            log.say(gone);
        }
        TranslatorSessionEnd::PortTaken(_) | TranslatorSessionEnd::MonitoringTaken(_) => {}
    }
    end
}

fn with<T>(miners: &SharedMiners, work: impl FnOnce(&mut SimulatedMiners) -> T) -> T {
    work(&mut miners.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Real connections to the miners' port. They get a number, and no answer: the stand-in does not
/// speak their protocol.
async fn accept_strangers(listener: TcpListener, before: usize, log: SimulatedLog) {
    let mut number = before as u64;
    let mut open = JoinSet::new();
    loop {
        while open.len() >= MOST_STRANGERS {
            open.join_next().await;
        }
        let Ok((mut stream, address)) = listener.accept().await else {
            // Out of descriptors, most likely.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        number += 1;
        let miner = number;
        log.say([
            info(SERVER, format!("New SV1 downstream connection from {address}")),
            info(
                SERVER,
                format!("Downstream {miner} registered successfully (channel will be opened after first message)"),
            ),
        ]);
        let log = log.clone();
        open.spawn(async move {
            let mut unread = [0; 1024];
            while let Ok(1..) = stream.read(&mut unread).await {}
            log.say([info(
                SERVER,
                format!(
                    "🔌 Downstream: {miner} disconnected and removed from sv1 server downstreams"
                ),
            )]);
        });
    }
}

fn info(target: &'static str, message: impl Into<String>) -> SimulatedLine {
    SimulatedLine::new(LogLevel::Info, target, message)
}

fn failed_to(what: &str, kind: &str) -> SimulatedLine {
    SimulatedLine::new(
        LogLevel::Error,
        MAIN,
        format!("Failed to {what} Translator Proxy"),
    )
    .with("kind", kind)
}

fn dropped() -> SimulatedLine {
    info(MAIN, "TranslatorSv2 dropped")
}

/// The last lines. Returns the exit code.
fn stop(log: &SimulatedLog, code: u8) -> u8 {
    log.say(script(STOPS, &[]));
    log.say([dropped()]);
    code
}
