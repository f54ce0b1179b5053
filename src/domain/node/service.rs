//! The use case of the node check.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::query_params::{NodeQuery, VERSIONS};
use crate::base::error::{Error, Result};
use crate::domain::instances::{InstanceService, NODE_TRIAL_PATIENCE, NodeTrial, NodeTrialOutcome};
use crate::programs::bitcoin_core::{BitcoinNetwork, NodeCheckResult, NodeStatus, socket_check};

/// Checks nodes; cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeService {
    instances: InstanceService,
    /// Where a link to a socket may be created.
    data_dir: Arc<Path>,
}

impl NodeService {
    /// Creates the service. Trials use the client of `instances`; `data_dir` is that of jd-manager.
    pub fn new(instances: InstanceService, data_dir: &Path) -> Self {
        Self {
            instances,
            data_dir: data_dir.into(),
        }
    }

    /// Checks the socket and, if a node answers on it, the node itself with a client.
    ///
    /// # Errors
    /// An internal error.
    pub async fn check(&self, query: NodeQuery) -> Result<NodeCheckResult> {
        let (path, network): (Option<PathBuf>, _) = (query.path, query.network);
        let result =
            tokio::task::spawn_blocking(move || socket_check::check(path.as_deref(), network))
                .await
                .map_err(Error::internal)?;
        if result.status != NodeStatus::Connected {
            return Ok(result);
        }
        let versions = query
            .version
            .map_or_else(|| VERSIONS.to_vec(), |version| vec![version]);
        // A separate task, so that it finishes after the request is canceled: killing the client
        // during a trial can crash a version 30 node.
        let (instances, path, network) = (
            self.instances.clone(),
            PathBuf::from(&result.path),
            result.network,
        );
        let tried =
            tokio::spawn(async move { instances.try_node(&path, network, &versions).await })
                .await
                .map_err(Error::internal)?;
        let mut result = match tried {
            Ok(trial) => with_trial(result, trial, query.version),
            Err(Error::Unavailable { detail, .. }) => {
                let found = format!(
                    "{} The version, network and templates were not checked, because no client could be started: {detail}",
                    result.detail
                );
                result.with(NodeStatus::Connected, found, "")
            }
            Err(other) => return Err(other),
        };
        if let Some(link) = socket_check::link_advice(&result, &self.data_dir) {
            let gap = if result.advice.is_empty() { "" } else { "\n\n" };
            result.advice = format!("{}{gap}{link}", result.advice);
        }
        Ok(result)
    }
}

/// Adds the result of a trial with a client. `wanted`: the version in the caller's configuration.
fn with_trial(
    mut result: NodeCheckResult,
    trial: NodeTrial,
    wanted: Option<u8>,
) -> NodeCheckResult {
    let client = trial.client_version;
    let path = result.path.clone();
    let patience = NODE_TRIAL_PATIENCE.as_secs();
    match trial.outcome {
        NodeTrialOutcome::Template(n_bits) => {
            result.version = trial.version;
            let chains = n_bits.and_then(BitcoinNetwork::of_target);
            if let Some(chains) = chains.filter(|chains| !chains.contains(&result.network)) {
                return wrong_network(result, chains);
            }
            let version = trial
                .version
                .map(|version| format!(" with version {version}"))
                .unwrap_or_default();
            let detail = format!(
                "Client {client} connected to the node at {path}{version} and received a block template."
            );
            result.with(NodeStatus::Connected, detail, "")
        }
        NodeTrialOutcome::NoTemplate => {
            result.version = trial.version;
            result.with(
                NodeStatus::Syncing,
                format!(
                    "The node at {path} accepted client {client}, but sent no block template within {patience} s."
                ),
                "Wait until the node has downloaded and verified the blockchain and bitcoin-cli getblockchaininfo shows \"initialblockdownload\": false. Running clients will continue when the node is ready. On regtest, mine 16 blocks first.",
            )
        }
        NodeTrialOutcome::NoAnswer => result.with(
            NodeStatus::Silent,
            format!(
                "The node at {path} responded to the first message, but did not respond to client {client} within {patience} s."
            ),
            "Check the node's debug.log, and restart the node.",
        ),
        NodeTrialOutcome::WrongVersion { is_newer } => {
            wrong_version(result, &trial, is_newer, wanted)
        }
        NodeTrialOutcome::Unusable(why) => {
            let detail = format!(
                "The node at {path} responded to the first message, but client {client} cannot use it. {why}"
            );
            result.with(
                NodeStatus::Unusable,
                detail,
                "Check the node's debug.log, and restart the node.",
            )
        }
        NodeTrialOutcome::NotTried(why) => {
            let detail = format!(
                "{} The version, network and templates were not checked with client {client}. {why}",
                result.detail
            );
            result.with(NodeStatus::Connected, detail, "")
        }
    }
}

fn wrong_version(
    result: NodeCheckResult,
    trial: &NodeTrial,
    is_newer: bool,
    wanted: Option<u8>,
) -> NodeCheckResult {
    let client = trial.client_version;
    let age = if is_newer { "newer" } else { "older" };
    let (what, advice) = match (trial.version, wanted) {
        // This client supports only one version.
        (None, _) => (
            "the version that this client supports".to_owned(),
            "Install client 0.4.0 or newer under Updates. Its configuration contains the Bitcoin Core version.".to_owned(),
        ),
        (Some(tried), Some(_)) => {
            let other = VERSIONS
                .iter()
                .copied()
                .find(|version| (*version > tried) == is_newer && *version != tried);
            let advice = other.map_or_else(
                || format!("Run Bitcoin Core 30 or 31, or install a newer client under Updates. The node is not version {tried}."),
                |other| format!("Set the Bitcoin Core version to {other} in the configuration."),
            );
            (format!("version {tried}"), advice)
        }
        (Some(_), None) => (
            "versions 30 and 31".to_owned(),
            "Run Bitcoin Core 30 or 31, or install a newer client under Updates.".to_owned(),
        ),
    };
    let detail = format!(
        "The node at {} rejected client {client}: its interface is {age} than {what}.",
        result.path
    );
    result.with(NodeStatus::WrongVersion, detail, advice)
}

fn wrong_network(result: NodeCheckResult, chains: &[BitcoinNetwork]) -> NodeCheckResult {
    let names: Vec<&str> = chains.iter().map(|chain| chain.as_str()).collect();
    let names = names.join(" or ");
    let detail = format!(
        "Expected a {} node at {}, but its block difficulty matches {names}.",
        result.network, result.path
    );
    let advice = format!(
        "Set the network to {names} in the configuration, and set the data directory to the one with that network's node.sock."
    );
    result.with(NodeStatus::WrongNetwork, detail, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::ClientVersion;

    fn judged(
        outcome: NodeTrialOutcome,
        version: Option<u8>,
        wanted: Option<u8>,
    ) -> NodeCheckResult {
        let socket = Path::new("/b/node.sock");
        let answers = NodeCheckResult::new(
            socket,
            BitcoinNetwork::Mainnet,
            NodeStatus::Connected,
            "A node is responding.",
            "",
        );
        let client_version: ClientVersion = "0.6.0".parse().unwrap();
        let trial = NodeTrial {
            client_version,
            version,
            outcome,
        };
        with_trial(answers, trial, wanted)
    }

    #[test]
    fn what_a_client_found_out_decides() {
        let mainnet = judged(
            NodeTrialOutcome::Template(Some(0x1702_2e19)),
            Some(31),
            None,
        );
        assert_eq!(
            (mainnet.status, mainnet.version),
            (NodeStatus::Connected, Some(31))
        );
        let regtest = judged(
            NodeTrialOutcome::Template(Some(0x207f_ffff)),
            Some(31),
            None,
        );
        assert_eq!(regtest.status, NodeStatus::WrongNetwork);
        assert!(
            regtest.advice.contains("Set the network to regtest"),
            "{regtest:?}"
        );
        let unknown = judged(NodeTrialOutcome::Template(None), Some(30), None);
        assert_eq!(
            (unknown.status, unknown.version),
            (NodeStatus::Connected, Some(30))
        );
        let waits = judged(NodeTrialOutcome::NoTemplate, Some(31), None);
        assert_eq!(waits.status, NodeStatus::Syncing);
        let hangs = judged(NodeTrialOutcome::NoAnswer, Some(31), None);
        assert_eq!(hangs.status, NodeStatus::Silent);
        let ended = judged(
            NodeTrialOutcome::NotTried("The client ended.".into()),
            Some(31),
            None,
        );
        assert_eq!(ended.status, NodeStatus::Connected);
        assert!(ended.detail.contains("were not checked"), "{ended:?}");
        let unusable = judged(
            NodeTrialOutcome::Unusable("The client could not use the node: x.".into()),
            Some(31),
            None,
        );
        assert_eq!(unusable.status, NodeStatus::Unusable);
        assert_eq!(unusable.status.title(), "The client cannot use the node");
        assert!(unusable.detail.contains("cannot use it"), "{unusable:?}");
    }

    #[test]
    fn a_wrong_version_comes_with_the_right_one() {
        let wrong = |is_newer, version, wanted| {
            let result = judged(NodeTrialOutcome::WrongVersion { is_newer }, version, wanted);
            assert_eq!(result.status, NodeStatus::WrongVersion);
            result.advice
        };
        assert!(wrong(true, Some(30), Some(30)).contains("to 31 in the configuration"));
        assert!(wrong(false, Some(31), Some(31)).contains("to 30 in the configuration"));
        assert!(wrong(true, Some(31), Some(31)).contains("newer client"));
        assert!(wrong(false, Some(30), None).contains("Bitcoin Core 30 or 31"));
        assert!(wrong(true, None, None).contains("client 0.4.0"));
    }
}
