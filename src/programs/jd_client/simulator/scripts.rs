//! The client's log lines when it starts, falls back, fails and exits, in the wording and order of
//! `jd_client_sv2` 0.6.0. They are from logs of the real program or, if there is no log, from its
//! source code.
//!
//! This module has no time and no state: each text is a script for [`super::log_lines::script`].
//! The lines about miners, shares and templates are in [`super::environment`], which has their
//! values.

/// Declares the scripts, and for the tests the list of all of them.
macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $text;)*

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $text)),*];
    };
}

scripts! {
    /// A template provider that speaks Stratum V2, as far as the handshake. `{tp}`: its address.
    CONNECTING = "\
INFO jd_client_sv2::template_receiver::sv2_tp: Connecting to template provider¦attempt=1¦MAX_RETRIES=3
INFO jd_client_sv2::template_receiver::sv2_tp: TCP connection established, starting Noise handshake¦attempt=1";

    /// The rest of the connection with it. `{tp}`: its address.
    CONNECTED = "\
INFO jd_client_sv2::template_receiver::sv2_tp: Noise handshake completed successfully¦attempt=1
INFO jd_client_sv2::template_receiver::sv2_tp: Spawning IO tasks for template receiver¦attempt=1
INFO jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver initialized successfully¦attempt=1
INFO jd_client_sv2::template_receiver::sv2_tp: Initialized state for starting template receiver
INFO jd_client_sv2::template_receiver::sv2_tp: Building setup connection message for upstream¦socket={tp}
INFO jd_client_sv2::template_receiver::sv2_tp: Sending setup connection message to upstream
INFO jd_client_sv2::template_receiver::sv2_tp: Waiting for upstream handshake response
INFO jd_client_sv2::template_receiver::sv2_tp::message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x00000000)
INFO jd_client_sv2::template_receiver::sv2_tp: Handshake with upstream completed successfully
INFO jd_client_sv2::template_receiver::sv2_tp: Setup Connection done. connection with template receiver is now done
INFO jd_client_sv2::jdc_runtime: Sv2 Template Provider setup done";

    /// An interrupt during the handshake.
    HANDSHAKE_INTERRUPTED = "\
INFO jd_client_sv2::template_receiver::sv2_tp: Shutdown received during handshake, dropping connection";

    /// A try at a template provider that refuses the connection. `{attempt}` counts from 1,
    /// `{error}` is the system's.
    TEMPLATE_PROVIDER_REFUSES = "\
INFO jd_client_sv2::template_receiver::sv2_tp: Connecting to template provider¦attempt={attempt}¦MAX_RETRIES=3
WARN jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider¦attempt={attempt}¦MAX_RETRIES=3¦error={error}";

    /// After the last of these tries.
    TRIES_EXHAUSTED = "\
ERROR jd_client_sv2::template_receiver::sv2_tp: Exhausted all connection attempts, shutting down TemplateReceiver";

    /// No template provider, no client.
    NO_TEMPLATE_PROVIDER = "\
ERROR jd_client_sv2::jdc_runtime: Failed to initialize SV2 template receiver¦error=JDCError { kind: CouldNotInitiateSystem, action: Shutdown, _owner: PhantomData<jd_client_sv2::error::TemplateProvider> }
ERROR jd_client_sv2: Failed to bootstrap JDC¦kind=CouldNotInitiateSystem";

    /// Bitcoin Core as the template provider. `{socket}`: its socket's path.
    CORE = "\
INFO jd_client_sv2::jdc_runtime: Using Bitcoin Core IPC socket at: {socket}";

    /// The connection with Core, made while the rest goes on. `{socket}`: as above; the target
    /// names Core's major version.
    CORE_CONNECTING_V30 = "\
INFO bitcoin_core_sv2::unix_capnp::v30x::template_distribution_protocol: Creating new BitcoinCoreSv2TDP via IPC over UNIX socket: {socket}";

    /// The same for Core 31.
    CORE_CONNECTING_V31 = "\
INFO bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol: Creating new BitcoinCoreSv2TDP via IPC over UNIX socket: {socket}";

    /// Core is not there. `{version}`: 30 or 31.
    CORE_MISSING = "\
ERROR jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: BitcoinCoreSv2Error { version: V{version}X, protocol: TDP, details: \"CannotConnectToUnixSocket(\\\"{socket}\\\", \\\"No such file or directory (os error 2)\\\")\" }";

    /// Between the template provider and the mining side.
    CHANNEL_MANAGER = "\
INFO jd_client_sv2::channel_manager: past-jobs retention cap: using channels_sv2 default";

    /// The first words about pools.
    UPSTREAMS = "\
INFO jd_client_sv2::jdc_runtime: Attempting to initialize upstream...";

    /// One pool of the list. `{i}` of `{n}`, `{pool}` and `{jds}`: `host:port`.
    UPSTREAM = "\
INFO jd_client_sv2::jdc_runtime: Trying upstream {i} of {n}: pool={pool}, jds={jds}";

    /// A pool that was used before in this process and is not retried.
    UPSTREAM_USED_UP = "\
INFO jd_client_sv2::jdc_runtime: Upstream previously marked as malicious, skipping initial attempt warnings.";

    /// Pool and job declarator server answer. `{inner}` and `{mode}`: the mode's number and name.
    UPSTREAM_CONNECTED = "\
INFO jd_client_sv2::jdc_runtime: Connection attempt 1/3...
INFO jd_client_sv2::jdc_runtime: Upstream connection in-progress at initialize single
INFO jd_client_sv2::upstream: Connected to upstream at {pool}
INFO jd_client_sv2::jdc_runtime: Upstream connection done at initialize single
INFO jd_client_sv2::job_declarator: Connecting to JD Server at [{jds}]
INFO jd_client_sv2::job_declarator: Connection established with JD Server at {jds} in mode: JDMode { inner: 2, config_mode: {mode} }
INFO jd_client_sv2::upstream: Upstream: initiating SV2 handshake...
INFO jd_client_sv2::upstream: Sent `SetupConnection` to upstream, awaiting response...
INFO jd_client_sv2::upstream: Dispatching inbound handshake message¦ext_type=0¦msg_type=1
INFO jd_client_sv2::upstream::message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x00000000)
INFO jd_client_sv2::job_declarator: Sending SetupConnection to JDS at {jds}
INFO jd_client_sv2::job_declarator::message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x0000000{flags})
INFO jd_client_sv2::job_declarator: Job declarator: SV2 handshake completed successfully.
INFO jd_client_sv2::channel_manager: Requested allocation of 2 mining job tokens to JDS";

    /// A pool that refuses the connection, up to the pause before the client counts the try as
    /// failed. `{attempt}` of 3.
    UPSTREAM_REFUSES = "\
INFO jd_client_sv2::jdc_runtime: Connection attempt {attempt}/3...
INFO jd_client_sv2::jdc_runtime: Upstream connection in-progress at initialize single
ERROR jd_client_sv2::jdc_runtime: Upstream and JDS connection terminated";

    /// After that pause. `{error}` is the system's.
    UPSTREAM_TRY_FAILED = "\
WARN jd_client_sv2::jdc_runtime: Attempt {attempt}/3 failed for pool={pool}, jds={jds}: JDCError { kind: Io({error}), action: Fallback, _owner: PhantomData<jd_client_sv2::error::JobDeclaratorClient> }";

    /// After the third failed try.
    UPSTREAM_GIVEN_UP = "\
WARN jd_client_sv2::jdc_runtime: Max retries reached for pool={pool}, jds={jds}, moving to next upstream";

    /// No pool is left.
    UPSTREAMS_FAILED = "\
ERROR jd_client_sv2::jdc_runtime: All upstreams failed after 3 retries each
ERROR jd_client_sv2::jdc_runtime: Failed to initialize upstream: CouldNotInitiateSystem
INFO jd_client_sv2::jdc_runtime: Upstream initialization failed; falling back to solo mining mode";

    /// An interrupt while the client waits before it tries a pool.
    UPSTREAM_INTERRUPTED = "\
INFO jd_client_sv2::jdc_runtime: Shutdown requested while waiting to initialize upstream, aborting retries
ERROR jd_client_sv2::jdc_runtime: Failed to initialize upstream: CouldNotInitiateSystem
INFO jd_client_sv2::jdc_runtime: Upstream initialization failed; falling back to solo mining mode";

    /// A mode with a pool, and no pool configured. `{mode}`: its name.
    NO_UPSTREAM = "\
ERROR jd_client_sv2::jdc_runtime: Invalid configuration: JDC mode is non-solo ({mode}) but no upstream server addresses were configured¦mode={mode}
ERROR jd_client_sv2: Failed to bootstrap JDC¦kind=NoUpstreamConfig({mode})";

    /// Mining without a pool begins.
    SOLO = "\
INFO jd_client_sv2::jdc_runtime: Starting in solo mining mode";

    /// Before the monitoring server binds. `{monitoring}`: its address, `{refresh}`: the interval
    /// as Rust prints a duration.
    MONITORING = "\
INFO jd_client_sv2::jdc_runtime: Initializing monitoring server on http://{monitoring}
INFO stratum_apps::monitoring::http_server: Starting monitoring server on http://{monitoring}
INFO stratum_apps::monitoring::http_server: Cache refresh interval: {refresh}";

    /// After it has bound.
    MONITORING_UP = "\
INFO stratum_apps::monitoring::http_server: Swagger UI available at http://{monitoring}/swagger-ui
INFO stratum_apps::monitoring::http_server: Prometheus metrics available at http://{monitoring}/metrics";

    /// It could not bind. `{error}` is the system's.
    MONITORING_FAILED = "\
ERROR jd_client_sv2::jdc_runtime: Monitoring server error: {error}
INFO jd_client_sv2::jdc_runtime: Monitoring server task exited and signaled fallback coordinator";

    /// Miner telemetry was requested. `{refresh}`: seconds.
    TELEMETRY_ON = "\
INFO jd_client_sv2::monitoring: Starting JDC miner telemetry loop with interval of {refresh} seconds and discovery interval of 60 seconds";

    /// Miner telemetry was not requested.
    TELEMETRY_OFF = "\
INFO jd_client_sv2::monitoring: JDC miner telemetry discovery disabled: no miner_telemetry cidrs configured
INFO jd_client_sv2::jdc_runtime: JDC miner telemetry task exited and signaled fallback coordinator";

    /// Before the client listens for miners. `{listen}`: the address.
    LISTENING = "\
INFO jd_client_sv2::channel_manager: Starting downstream server at {listen}";

    /// It could not. `{error}` is the system's.
    LISTEN_FAILED = "\
ERROR jd_client_sv2::channel_manager: Failed to bind downstream server at {listen}¦error={error}
ERROR jd_client_sv2: Failed to bootstrap JDC¦kind=Io({error})";

    /// The services run.
    SERVICES_UP = "\
INFO jd_client_sv2::jdc_runtime: Spawning status listener task...";

    /// Logged every second until there is a template.
    WAITING = "\
WARN jd_client_sv2::channel_manager: Waiting for initial template and prevhash from Template Provider...
WARN jd_client_sv2::channel_manager: Is the Bitcoin node undergoing IBD?";

    /// An interrupt during the wait.
    WAITING_INTERRUPTED = "\
INFO jd_client_sv2::channel_manager: Channel Manager: received shutdown while waiting for templates";

    /// One pass of the difficulty loop, nothing to change.
    VARDIFF = "\
INFO jd_client_sv2::channel_manager: Starting vardiff loop for downstreams
INFO jd_client_sv2::channel_manager: Vardiff update cycle complete";

    /// The client is ready for miners.
    READY = "\
INFO jd_client_sv2::channel_manager: Required template data received, ready to accept connections";

    /// The connection with the pool ends, and what follows until the client tries the list of pools
    /// again.
    POOL_LOST = "\
ERROR jd_client_sv2::io_task: Reader error¦error=SocketClosed
WARN jd_client_sv2::io_task: Reader task exited.
WARN jd_client_sv2::io_task: Outbound channel closed
WARN jd_client_sv2::io_task: Writer task exited.
ERROR jd_client_sv2::io_task: Reader error¦error=SocketClosed
WARN jd_client_sv2::io_task: Reader task exited.
WARN jd_client_sv2::io_task: Outbound channel closed
WARN jd_client_sv2::io_task: Writer task exited.
ERROR jd_client_sv2::upstream: Upstream: error handling pool message.¦error=JDCError { kind: ChannelErrorReceiver(RecvError), action: Fallback, _owner: PhantomData<jd_client_sv2::error::Upstream> }
WARN jd_client_sv2::upstream: Upstream::handle_pool_message_frame requested fallback¦error_kind=ChannelErrorReceiver(RecvError)
INFO jd_client_sv2::job_declarator: Job Declarator: fallback triggered
WARN jd_client_sv2::job_declarator: JobDeclarator: unified message loop exited.
INFO jd_client_sv2::channel_manager: Channel Manager: fallback triggered";

    /// Logged once for each disconnected miner.
    MINER_SENT_AWAY = "\
WARN jd_client_sv2::downstream: Downstream: unified message loop exited.
WARN jd_client_sv2::io_task: Writer task exited.
WARN jd_client_sv2::io_task: Reader task exited.";

    /// The client notices that it has to fall back.
    RECONNECTING = "\
WARN jd_client_sv2::jdc_runtime: Upstream/Job Declarator connection dropped — attempting reconnection...";

    /// The monitoring server stops because of that.
    MONITORING_FALLS_BACK = "\
INFO jd_client_sv2::jdc_runtime: Monitoring server: fallback triggered.
INFO stratum_apps::monitoring::http_server: Monitoring server received shutdown signal, stopping...
INFO stratum_apps::monitoring::http_server: Monitoring server stopped
INFO jd_client_sv2::jdc_runtime: Monitoring server task exited and signaled fallback coordinator";

    /// Everything that belonged to the old pool is gone.
    FALLEN_BACK = "\
WARN jd_client_sv2::upstream: Upstream: unified message loop exited.
INFO jd_client_sv2::channel_manager: Downstream Server: received fallback signal
INFO jd_client_sv2::channel_manager: Downstream server: Unified loop break
INFO jd_client_sv2::jdc_runtime: All components finished fallback cleanup
INFO jd_client_sv2::jdc_runtime: Existing Upstream or JD instance taken out. Preparing fallback.
INFO jd_client_sv2::channel_manager: past-jobs retention cap: using channels_sv2 default";

    /// The connection with the template provider ends while the client runs.
    TEMPLATE_PROVIDER_LOST = "\
ERROR jd_client_sv2::io_task: Reader error¦error=SocketClosed
WARN jd_client_sv2::io_task: Reader task exited.
WARN jd_client_sv2::io_task: Outbound channel closed
WARN jd_client_sv2::io_task: Writer task exited.
ERROR jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: ChannelErrorReceiver(RecvError), action: Shutdown, _owner: PhantomData<jd_client_sv2::error::TemplateProvider> }
WARN jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver::handle_template_provider_message requested shutdown¦error_kind=ChannelErrorReceiver(RecvError)
WARN jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver: unified message loop exited.";

    /// Core stops while the client is running; from the source code, not from a log.
    CORE_LOST = "\
ERROR bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol::monitors: Failed to get response: Disconnected: Peer disconnected.
WARN bitcoin_core_sv2::unix_capnp::v31x::template_distribution_protocol::monitors: Terminating Sv2 Bitcoin Core IPC Connection";

    /// SIGINT came.
    INTERRUPTED = "\
INFO jd_client_sv2: Ctrl+C received — initiating graceful shutdown...";

    /// The miners' side stops.
    DOWNSTREAM_STOPS = "\
INFO jd_client_sv2::channel_manager: Downstream Server: received shutdown signal
INFO jd_client_sv2::channel_manager: Downstream server: Unified loop break";

    /// The monitoring server stops.
    MONITORING_STOPS = "\
INFO jd_client_sv2::jdc_runtime: Monitoring server: received shutdown signal.
INFO stratum_apps::monitoring::http_server: Monitoring server received shutdown signal, stopping...
INFO stratum_apps::monitoring::http_server: Monitoring server stopped
INFO jd_client_sv2::jdc_runtime: Monitoring server task exited and signaled fallback coordinator";

    /// The pool's side stops.
    UPSTREAM_STOPS = "\
INFO jd_client_sv2::upstream: Upstream: received shutdown signal
WARN jd_client_sv2::upstream: Upstream: unified message loop exited.
INFO jd_client_sv2::job_declarator: Job Declarator: received shutdown signal
WARN jd_client_sv2::job_declarator: JobDeclarator: unified message loop exited.
WARN jd_client_sv2::io_task: Writer task exited.
WARN jd_client_sv2::io_task: Reader task exited.";

    /// The connection with an Sv2 template provider stops.
    TEMPLATE_RECEIVER_STOPS = "\
WARN jd_client_sv2::io_task: Writer task exited.
INFO jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver received shutdown signal
WARN jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver: unified message loop exited.
WARN jd_client_sv2::io_task: Reader task exited.";

    /// The connection with Core stops.
    CORE_STOPS = "\
INFO jd_client_sv2::jdc_runtime: Waiting for BitcoinCoreSv2TDP dedicated thread to shutdown...
INFO jd_client_sv2::jdc_runtime: BitcoinCoreSv2TDP dedicated thread shutdown complete.";

    /// The mining side stops.
    CHANNEL_MANAGER_STOPS = "\
INFO jd_client_sv2::channel_manager: Channel Manager: received shutdown signal";

    /// The last lines, also after a failed start.
    STOPPED = "\
WARN jd_client_sv2::jdc_runtime: Graceful shutdown: waiting 5 seconds for tasks to finish
INFO jd_client_sv2::jdc_runtime: All tasks joined cleanly
INFO jd_client_sv2::jdc_runtime: JD Client shutdown complete.
INFO jd_client_sv2: JobDeclaratorClient dropped";

    /// Logged once for each other part of the program that held the client at its exit.
    DROPPED = "\
INFO jd_client_sv2: JobDeclaratorClient dropped
INFO jd_client_sv2: JobDeclaratorClient dropped";
}

/// A refresh interval of zero: the refresh task panics, the rest continues with metrics that never
/// change.
pub(super) const REFRESH_PANIC: &str =
    "stratum-apps-0.8.0/src/monitoring/http_server.rs:253:32:\n`period` must be non-zero.";

/// A panic's backtrace, much shortened. It only needs to have several lines.
pub(super) const BACKTRACE: &str =
    "   0: stratum_apps::config_helpers::logging::init_logging::{{closure}}
   1: std::panicking::panic_with_hook
   2: std::panicking::panic_handler::{closure#0}
   3: __rustc::rust_begin_unwind
   4: tokio::runtime::task::harness::Harness<T,S>::poll
             at ./nptl/pthread_create.c:442:8
   5: clone3
             at ./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S:81:0
";

#[cfg(test)]
mod tests {
    use super::super::log_lines::script;
    use super::ALL;

    #[test]
    fn every_script_can_be_said_and_names_targets_of_the_client() {
        for (name, text) in ALL {
            let lines = script(text, &[]);
            assert_eq!(lines.len(), text.lines().count(), "{name}");
            for (line, written) in lines.iter().zip(text.lines()) {
                assert!(
                    ["jd_client_sv2", "stratum_apps", "bitcoin_core_sv2"]
                        .iter()
                        .any(|crate_| line.target.starts_with(crate_)),
                    "{written}"
                );
                let head = format!("{} {}: {}", line.level, line.target, line.message);
                assert!(written.starts_with(&head), "{written}");
                assert_eq!(line.fields.len(), written.matches('¦').count(), "{written}");
            }
        }
    }
}
