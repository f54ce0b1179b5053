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
use tokio::select;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// What a simulated translator sends first, as long as a miner's first message is, so that the
/// simulated client keeps the connection. A real one shakes hands.
pub(in crate::programs) const TRANSLATOR_GREETING: &[u8; 64] =
    b"jd-manager simulate translator, please keep this connection open";

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
    // They end with this task: the client disconnects everybody when it leaves a pool.
    let mut open = JoinSet::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
        };
        let Ok((stream, address)) = accepted else {
            // Probably out of descriptors: an immediate retry would only use CPU time.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        log.say([messages::connection(address)]);
        let log = log.clone();
        open.spawn(async move {
            if let Err(error) = handshake(stream).await {
                log.say([messages::handshake_failed(error)]);
            }
        });
    }
}

/// The name of the client's error after a handshake with such a peer. A simulated translator is
/// accepted: its connection stays open until the translator closes it.
async fn handshake(mut stream: TcpStream) -> Result<(), &'static str> {
    /// How long the client waits for a miner's first message.
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut first = [0; TRANSLATOR_GREETING.len()];
    match timeout(PATIENCE, stream.read_exact(&mut first)).await {
        Err(_) => Err("HandshakeTimeout"),
        Ok(Err(_)) => Err("SocketClosed"),
        Ok(Ok(_)) if first == *TRANSLATOR_GREETING => {
            while let Ok(1..) = stream.read(&mut first).await {}
            Ok(())
        }
        Ok(Ok(_)) => Err("HandshakeRemoteInvalidMessage"),
    }
}
