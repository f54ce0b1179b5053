//! What is known about an instance's translator for its health, and the test of its port for miners
//! before an automatic restart.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::service::{CachedHealth, HealthAssessment, HealthService, START_SLACK_MS};
use super::snapshot::TranslatorHealth;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::domain::miners::TranslatorReport;
use crate::programs::translator::diagnosis::TranslatorLogStatus;

/// The first message of every Stratum V1 miner.
const SUBSCRIBE: &[u8] =
    b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"jd-manager\"]}\n";
/// The translator opens a channel with the client before it responds, which takes less than a
/// second.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(5);

impl HealthService {
    /// What the last round of the miner list showed about an instance's translator.
    pub fn translator_report(&self, id: InstanceId) -> Option<TranslatorReport> {
        self.0.translators.get(id)
    }

    /// The translator of an instance; none: its configuration has no port for Stratum V1 miners.
    /// `is_whole`: also if the instance is not running, and whether the program is missing.
    pub(super) async fn translator_health(
        &self,
        instance: &Instance,
        kept: &CachedHealth,
        is_whole: bool,
    ) -> Option<TranslatorHealth> {
        let Some(program) = instance.translator() else {
            let is_enabled = is_whole
                && !instance.running
                && self
                    .0
                    .instances
                    .saved_config(instance)
                    .await
                    .is_ok_and(|config| config.enabled_translator().is_some());
            if !is_enabled {
                return None;
            }
            let client = self.0.instances.client_of(instance).await;
            return Some(TranslatorHealth {
                is_missing: client.is_ok_and(|client| client.translator.is_none()),
                ..TranslatorHealth::default()
            });
        };
        let Some(run) = program.started_at else {
            return Some(TranslatorHealth::default());
        };
        let log = &kept.translator;
        // The log is read from its end, so the start of the run may not be in it.
        let is_of_run = log
            .began
            .or(log.heard)
            .is_some_and(|at| at.0 >= run.0 - START_SLACK_MS);
        let report = self.translator_report(instance.id);
        Some(TranslatorHealth {
            log: if is_of_run {
                log.clone()
            } else {
                TranslatorLogStatus::default()
            },
            report: report.filter(|report| report.run == run.0),
            answered_at: kept.translator_answered.filter(|at| *at >= run),
            is_missing: false,
        })
    }

    /// The reason for a restart of a translator, if it still needs one: it is not connected to its
    /// client, or its port for miners does not respond.
    pub(super) async fn confirm_translator_restart(
        &self,
        seen: &HealthAssessment,
        words: String,
    ) -> Option<String> {
        if seen.is_translator_disconnected(Timestamp::now()) {
            return Some(words);
        }
        let id = seen.instance.id;
        let file = self.0.instances.translator_file(id).await?;
        match answers_miner(local(file.listening), SUBSCRIBE_PATIENCE).await {
            Some(false) => Some(words),
            Some(true) => {
                let now = Timestamp::now();
                self.0
                    .change(id, |kept| kept.translator_answered = Some(now));
                None
            }
            None => None,
        }
    }
}

/// The address at which a program on this machine reaches a listener.
fn local(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Whether a translator responds to a miner's first message; none: unknown, because the connection
/// was refused or could not be tried. A translator that accepts no more connections, because too
/// many are waiting, does not respond.
async fn answers_miner(address: SocketAddr, patience: Duration) -> Option<bool> {
    let connection = tokio::time::timeout(patience, TcpStream::connect(address)).await;
    let mut stream = match connection {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == ErrorKind::TimedOut => return Some(false),
        Ok(Err(_)) => return None,
        Err(_) => return Some(false),
    };
    let mut first = [0; 1];
    let exchange = async {
        stream.write_all(SUBSCRIBE).await?;
        stream.read(&mut first).await
    };
    // A connection that is closed is a response, too: the process is alive.
    Some(tokio::time::timeout(patience, exchange).await.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn a_port_that_accepts_no_more_connections_belongs_to_a_hung_translator() {
        let patience = Duration::from_millis(300);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let mut waiting = Vec::new();
        while waiting.len() < 100 {
            let connection = tokio::time::timeout(patience, TcpStream::connect(address)).await;
            match connection {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => break,
            }
        }
        assert!(waiting.len() < 100, "the queue is never full");
        assert_eq!(answers_miner(address, patience).await, Some(false));
    }

    #[tokio::test]
    async fn a_port_that_accepts_and_stays_silent_belongs_to_a_hung_translator() {
        let patience = Duration::from_millis(300);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        assert_eq!(answers_miner(address, patience).await, Some(false));
        drop(silent);
        assert_eq!(answers_miner(address, patience).await, None);

        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = alive.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = alive.accept().await.unwrap();
            let mut line = vec![0; SUBSCRIBE.len()];
            stream.read_exact(&mut line).await.unwrap();
            assert_eq!(line, SUBSCRIBE);
            stream.write_all(b"{\"id\":1}\n").await.unwrap();
        });
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert_eq!(answers_miner(local(any), 10 * patience).await, Some(true));
        serving.await.unwrap();
    }
}
