//! The two ports of a mining session, served: the monitoring API, and strangers at the miners'
//! port.
//!
//! Knows neither why they are opened nor what the client says about it; only the strangers' own
//! lines are written here.

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
    /// The miners' port until somebody answers there: until then the system lets them wait.
    waiting: Option<TcpListener>,
    miners: Option<JoinHandle<()>>,
    monitoring: Option<JoinHandle<()>>,
    /// The API ends in good order when this is dropped.
    monitoring_runs: Option<oneshot::Sender<()>>,
}

impl SimulatedServices {
    /// No task yet, but the miners' port is held, if there is one.
    pub(super) fn listening(miners: Option<TcpListener>) -> Self {
        Self {
            waiting: miners,
            ..Self::default()
        }
    }

    /// Serves the monitoring API with these accounts; its own age stands still after `still_after`.
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
            // Ends only when told to; the type allows for an error that axum never gives.
            axum::serve(listener, monitoring::router(accounts, still_after))
                .with_graceful_shutdown(ended)
                .await
                .unwrap_or(());
        });
    }

    /// Lets somebody else answer at the monitoring port.
    pub(super) fn monitor_by(&mut self, answers: impl Future<Output = ()> + Send + 'static) {
        self.monitoring = Some(tokio::spawn(answers));
    }

    /// Whether anybody answers at the monitoring port.
    pub(super) fn monitors(&self) -> bool {
        self.monitoring.is_some()
    }

    /// Answers whoever connects to the miners' port.
    pub(super) fn answer_strangers(&mut self, log: &SimulatedLog) {
        self.miners = self
            .waiting
            .take()
            .map(|listener| tokio::spawn(accept_strangers(listener, log.clone())));
    }

    /// Gives the ports back. Monitoring requests under way get half a second to end.
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

/// Ends a task and waits until what it held is free.
async fn end(task: JoinHandle<()>) {
    task.abort();
    // The error says that it was ended.
    let _ = task.await;
}

/// Real connections to the miners' port: the stand-in does not speak the miners' protocol, so each
/// ends as with a peer that cannot shake hands.
async fn accept_strangers(listener: TcpListener, log: SimulatedLog) {
    // They end with this task: the client disconnects everybody when it leaves a pool.
    let mut open = JoinSet::new();
    loop {
        let accepted = select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
        };
        let Ok((stream, address)) = accepted else {
            // Out of descriptors, most likely: trying on at once would only burn the processor.
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

/// The name of the error with which the client's handshake with such a peer ends. A simulated
/// translator is no stranger: its connection stays until it ends it.
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
