//! Tests Bitcoin Core with a real client: does the node accept the client, with which version of
//! its interface, and does it send a block template? Nothing is mined: no miner can reach the
//! client.
//!
//! The client runs in a sandbox, with a configuration for solo mining and a link to the node's
//! socket in its data directory. It is interrupted and not killed: a node of version 30 can crash
//! if a client disappears while it waits (bitcoin#34250).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::config_trial::{TrialDirectory, harmless};
use super::program::environment;
use super::service::InstanceService;
use crate::base::error::{Error, FileError, Result};
use crate::domain::configs::{
    self, BitcoinNetwork, ClientConfig, ClientVersion, MiningMode, TemplateProvider,
};
use crate::domain::keys::KeyPair;
use crate::infra::executable::trial::{self, TrialOutput, TrialRules};
use crate::infra::free_ports::free_ports;
use crate::keeper::names;
use crate::programs::bitcoin_core::client_lines::{self, NodeReply};
use crate::programs::bitcoin_core::socket_check::LONGEST_PATH;

/// A synced node sends its first template within a second (0.6.0 with Bitcoin Core 31, measured:
/// 20 ms on regtest).
pub const NODE_TRIAL_PATIENCE: Duration = Duration::from_secs(4);
/// Time for a client to exit.
const GRACE: Duration = Duration::from_secs(2);
/// The example of BIP 173. No block can be found with it here.
const PAYOUT: &str = "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)";

/// Result of a node test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeTrialOutcome {
    /// It received a template, for a block with this compact target if known.
    Template(Option<u32>),
    /// The node accepted it but sent no template in time.
    NoTemplate,
    /// The node did not answer in time.
    NoAnswer,
    /// The node supports none of the tested versions. `is_newer`: it requires a newer one than the
    /// last.
    WrongVersion {
        /// The node is newer.
        is_newer: bool,
    },
    /// The client could not use the node; the reason as a sentence.
    Unusable(String),
    /// The test could not run; the reason as a sentence.
    NotTried(String),
}

/// A node test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTrial {
    /// The client of the test.
    pub client_version: ClientVersion,
    /// The version in the configuration of the last attempt; none: the configuration of this client
    /// has no version.
    pub version: Option<u8>,
    /// The result.
    pub outcome: NodeTrialOutcome,
}

impl InstanceService {
    /// Tests the node behind a socket with the client in use, with each value of `version` until
    /// the node accepts one.
    ///
    /// # Errors
    /// No usable client, a disk error, or no randomness on this machine.
    pub async fn try_node(
        &self,
        socket: &Path,
        network: BitcoinNetwork,
        versions: &[u8],
    ) -> Result<NodeTrial> {
        let program = self.source.program(None).await?;
        let _one_at_a_time = self.trying.lock().await;
        let dir = TrialDirectory::make(self.root.with_file_name("trials")).await?;
        let link = network.socket_in(&dir.0);
        let mut trial = NodeTrial {
            client_version: program.version,
            version: None,
            outcome: NodeTrialOutcome::NotTried("No version was tested.".into()),
        };
        if link.as_os_str().len() > LONGEST_PATH {
            trial.outcome = NodeTrialOutcome::NotTried(format!(
                "Cannot run a test client: the data directory path is too long for a socket ({}). Use a shorter data directory path.",
                link.display()
            ));
            return Ok(trial);
        }
        link_to(socket.to_owned(), link).await?;
        let [port, monitoring] = free_ports().map_err(Error::internal)?;
        let keys = KeyPair::generate().map_err(Error::internal)?;
        let starting = ClientConfig::starting(keys);
        let mut earlier: Option<String> = None;
        for version in versions {
            let config = ClientConfig {
                mode: MiningMode::SoloMining,
                coinbase_reward_script: PAYOUT.into(),
                template_provider_type: TemplateProvider::BitcoinCoreIpc {
                    version: *version,
                    network,
                    data_dir: None,
                    fee_threshold: 100,
                    min_interval: 5,
                },
                ..starting.clone()
            };
            let config = harmless(&config, dir.0.clone(), [port, monitoring, 1]);
            let toml = match configs::render(&config, &program.version) {
                Ok(toml) => toml,
                Err(errors) => {
                    let reasons: Vec<String> = errors.into_iter().map(|one| one.detail).collect();
                    trial.outcome = NodeTrialOutcome::NotTried(reasons.join(" "));
                    break;
                }
            };
            // Older clients have no key for the version, so there is nothing else to test.
            if earlier.as_ref() == Some(&toml) {
                trial.version = None;
                break;
            }
            earlier = Some(toml.clone());
            let args = dir
                .config_arguments(&program.first_args, names::CONFIG, toml)
                .await?;
            let env = environment().chain([("RUST_LOG".to_owned(), "info".to_owned())]);
            let rules = TrialRules {
                ports: vec![port, monitoring],
                grace: Some(GRACE),
            };
            let (mut reply, mut is_accepted) = (None, false);
            let is_reply = |line: &str| {
                let found = client_lines::read(line);
                is_accepted |= found == Some(NodeReply::Accepted);
                reply = found.filter(|found| *found != NodeReply::Accepted);
                reply.is_some()
            };
            let heard = trial::listen(
                &program.path,
                &args,
                env,
                rules,
                is_reply,
                NODE_TRIAL_PATIENCE,
            )
            .await;
            trial.version = Some(*version);
            trial.outcome = outcome(heard, reply, is_accepted);
            if !matches!(trial.outcome, NodeTrialOutcome::WrongVersion { .. }) {
                break;
            }
        }
        Ok(trial)
    }
}

async fn link_to(socket: PathBuf, link: PathBuf) -> Result<()> {
    tokio::task::spawn_blocking(move || {
        if let Some(parent) = link.parent() {
            std::fs::create_dir_all(parent).map_err(FileError::at(parent))?;
        }
        std::os::unix::fs::symlink(socket, &link).map_err(FileError::at(&link))
    })
    .await
    .map_err(Error::internal)??;
    Ok(())
}

fn outcome(
    heard: std::result::Result<TrialOutput, String>,
    reply: Option<NodeReply>,
    is_accepted: bool,
) -> NodeTrialOutcome {
    match (heard, reply) {
        (Ok(TrialOutput::Line), Some(NodeReply::Template(n_bits))) => {
            NodeTrialOutcome::Template(n_bits)
        }
        (Ok(TrialOutput::Line), Some(NodeReply::NewerInterface)) => {
            NodeTrialOutcome::WrongVersion { is_newer: true }
        }
        (Ok(TrialOutput::Line), Some(NodeReply::OlderInterface)) => {
            NodeTrialOutcome::WrongVersion { is_newer: false }
        }
        (Ok(TrialOutput::Line), Some(NodeReply::Failure(why))) => {
            NodeTrialOutcome::Unusable(format!("The client could not use the node: {why}."))
        }
        (Ok(TrialOutput::Nothing), _) if is_accepted => NodeTrialOutcome::NoTemplate,
        (Ok(TrialOutput::Nothing), _) => NodeTrialOutcome::NoAnswer,
        (Ok(TrialOutput::End { code, .. }), _) => {
            let how = code.map_or("was killed by a signal".to_owned(), |code| {
                format!("exited with code {code}")
            });
            NodeTrialOutcome::Unusable(format!(
                "The client {how} before it logged anything about the node."
            ))
        }
        (Err(why), _) => NodeTrialOutcome::NotTried(format!("The client program {why}.")),
        (Ok(TrialOutput::Line), None | Some(NodeReply::Accepted)) => {
            NodeTrialOutcome::NotTried("The client logged nothing about the node.".into())
        }
    }
}
