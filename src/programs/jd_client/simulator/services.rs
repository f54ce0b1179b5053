//! Serves the two ports of a mining session: the monitoring API, and connections to the miner port.
//!
//! This module knows neither why the ports are opened nor the client's log lines about them; it
//! only writes the lines about connections to the miner port.

use super::channels::ChannelAccounts;
use super::log_lines::SimulatedLog;
use super::{messages, monitoring};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The tasks of one mining session that hold its ports.
#[derive(Default)]
pub(super) struct SimulatedServices {
    /// The miner port before it is served: until then, connections wait in the system's queue.
    waiting: Option<TcpListener>,
    miners: Option<JoinHandle<()>>,
    monitoring: Option<JoinHandle<()>>,
    /// Dropping this shuts down the API gracefully.
    monitoring_runs: Option<oneshot::Sender<()>>,
}

impl SimulatedServices {
    /// No task yet, but the miner port is held, if there is one.
    pub(super) fn listening(miners: Option<TcpListener>) -> Self {
        Self {
            waiting: miners,
            ..Self::default()
        }
    }

    /// Serves the monitoring API with these statistics. Its metrics stop updating after
    /// `still_after`.
    pub(super) fn monitor(
        &mut self,
        listener: TcpListener,
        accounts: watch::Receiver<Arc<ChannelAccounts>>,
        still_after: Option<Duration>,
    ) {
        let (runs, ended) = oneshot::channel::<()>();
        self.monitoring_runs = Some(runs);
        self.monitor_by(async move {
            let ended = async move { ended.await.unwrap_or(()) };
            // Stops only on request; axum never returns the error that the type allows.
            axum::serve(listener, monitoring::router(accounts, still_after))
                .with_graceful_shutdown(ended)
                .await
                .unwrap_or(());
        });
    }

    /// Serves the monitoring port with another task.
    pub(super) fn monitor_by(&mut self, answers: impl Future<Output = ()> + Send + 'static) {
        self.monitoring = Some(tokio::spawn(answers));
    }

    /// Whether the monitoring port is served.
    pub(super) fn monitors(&self) -> bool {
        self.monitoring.is_some()
    }

    /// Serves connections to the miner port.
    pub(super) fn answer_strangers(&mut self, log: &SimulatedLog) {
        self.miners = self
            .waiting
            .take()
            .map(|listener| tokio::spawn(accept_strangers(listener, log.clone())));
    }

    /// Releases the ports. Running monitoring requests get half a second to finish.
    pub(super) async fn stop(self) {
        drop(self.monitoring_runs);
        if let Some(mut task) = self.monitoring
            && timeout(Duration::from_millis(500), &mut task)
                .await
                .is_err()
        {
            end(task).await;
        }
        if let Some(task) = self.miners {
            end(task).await;
        }
    }
}

/// Stops a task and waits until its resources are free.
async fn end(task: JoinHandle<()>) {
    task.abort();
    // The error only reports the abort.
    let _ = task.await;
}

/// Real connections to the miner port. The simulator does not speak the miners' protocol, so each
/// connection ends like one with a failed handshake.
async fn accept_strangers(listener: TcpListener, log: SimulatedLog) {
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            // Probably out of descriptors: an immediate retry would only use CPU time.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        log.say([messages::connection(address)]);
        let log = log.clone();
        tokio::spawn(async move { log.say([messages::handshake_failed(handshake(stream).await)]) });
    }
}

/// The name of the client's error after a handshake with such a peer.
async fn handshake(mut stream: TcpStream) -> &'static str {
    /// Length of a miner's first message, and how long the client waits for it.
    const FIRST_MESSAGE_BYTES: usize = 64;
    const PATIENCE: Duration = Duration::from_secs(10);
    match timeout(PATIENCE, stream.read_exact(&mut [0; FIRST_MESSAGE_BYTES])).await {
        Err(_) => "HandshakeTimeout",
        Ok(Err(_)) => "SocketClosed",
        Ok(Ok(_)) => "HandshakeRemoteInvalidMessage",
    }
}
