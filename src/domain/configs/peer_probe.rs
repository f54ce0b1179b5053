//! The connection test of setup and of a saved configuration: would the servers of a configuration
//! accept its client. Failures are only warnings, because a server can be down for a while.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ClientConfig, TemplateProvider};
use crate::programs::bitcoin_core::node_sockets::{self, NodeSocketState};
use crate::programs::sv2_peer::{PeerRole, PeerTarget, probe};

/// The result of one connection test.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "TriedAddress")]
pub struct PeerProbeResult {
    /// The server: `Template provider`, `Pool 1`.
    pub what: String,
    /// Host and port, or a path.
    pub place: String,
    /// True if the server would accept the client: a pool, job declaration server or template
    /// provider completed the handshake with the right key, or Bitcoin Core accepts connections.
    pub listens: bool,
    /// The result, and how to fix a problem.
    pub detail: String,
}

/// Tests all servers of a configuration at the same time. Takes as long as the slowest test, at
/// most 5 s.
pub async fn probe_peers(config: &ClientConfig) -> Vec<PeerProbeResult> {
    let mut targets: Vec<(String, PeerTarget, Option<usize>)> = Vec::new();
    let mut tried = Vec::new();
    if let TemplateProvider::BitcoinCoreIpc {
        network, data_dir, ..
    } = &config.template_provider_type
    {
        let (network, dir) = (*network, data_dir.clone().unwrap_or_default());
        if let Ok(Some(socket)) =
            tokio::task::spawn_blocking(move || node_sockets::socket(network, &dir)).await
        {
            let listens = socket.standing == NodeSocketState::Answers;
            let advice = socket
                .advice()
                .map(|advice| format!(". {advice}"))
                .unwrap_or_default();
            let detail = format!("The socket {}{advice}", socket.words());
            tried.push(PeerProbeResult {
                what: format!("Bitcoin Core, {network}"),
                place: socket.path,
                listens,
                detail,
            });
        }
    }
    if let Some(provider) = config.provider_target() {
        targets.push(("Template provider".into(), provider, None));
    }
    for (at, pool) in config
        .upstreams
        .iter()
        .enumerate()
        .filter(|_| config.mode.needs_pool())
    {
        let number = at + 1;
        let pair = [
            (format!("Pool {number}"), config.pool_target(pool)),
            (
                format!("Job declaration server {number}"),
                config.jds_target(pool),
            ),
        ];
        targets.extend(
            pair.into_iter()
                .map(|(what, target)| (what, target, Some(number))),
        );
    }
    let tries = targets
        .into_iter()
        .map(|(what, target, pool)| try_target(what, target, pool));
    tried.extend(futures_util::future::join_all(tries).await);
    tried
}

async fn try_target(what: String, target: PeerTarget, pool: Option<usize>) -> PeerProbeResult {
    let outcome = probe(&target).await;
    let detail = match (outcome.is_answer(), target.role()) {
        (true, PeerRole::TemplateProvider) => "Reachable.".to_owned(),
        (true, PeerRole::Pool | PeerRole::JobDeclarationServer) => {
            "Reachable, public key verified.".to_owned()
        }
        (false, role) => outcome.text(role, &target.name(pool)),
    };
    PeerProbeResult {
        what,
        place: target.address(),
        listens: outcome.is_answer(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::sv2_peer::fake_peer::{FakePeer, OTHER_KEY, PUBLIC_KEY};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_answers_is_told_from_one_that_only_listens() {
        let target = |port, key: &str| {
            PeerTarget::new(PeerRole::JobDeclarationServer, "127.0.0.1", port)
                .with_key(Some(key.into()))
        };
        let find = |port, key| try_target("JDS".into(), target(port, key), Some(1));
        let (answering, _) = FakePeer::Answering.serve().await;
        assert_eq!(
            find(answering, PUBLIC_KEY).await,
            PeerProbeResult {
                what: "JDS".into(),
                place: format!("127.0.0.1:{answering}"),
                listens: true,
                detail: "Reachable, public key verified.".into(),
            }
        );
        let (closing, _) = FakePeer::Closing.serve().await;
        let gone = FakePeer::free_port().await;
        for (port, key, words) in [
            (answering, OTHER_KEY, "a different key"),
            (closing, PUBLIC_KEY, "closes it immediately"),
            (gone, PUBLIC_KEY, "refused the connection"),
        ] {
            let found = find(port, key).await;
            assert!(
                !found.listens
                    && found.detail.contains(words)
                    && found
                        .detail
                        .starts_with("The job declaration server of pool 1 (127.0.0.1:"),
                "{found:?}"
            );
        }
    }
}
