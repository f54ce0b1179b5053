//! Bitcoin Core on this machine, as setup and the test of a configuration show it: the socket of
//! each network and whether a client can use it.
//!
//! `socket_check` does the check; this module starts no client. Blocks for at most `PATIENCE`.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use strum::IntoEnumIterator;

use super::network::BitcoinNetwork;
use super::node_status::NodeStatus;
use super::places;
use super::socket_check::{self, LONGEST_PATH};

/// The time limit for all sockets together, because a page waits for the result.
const PATIENCE: Duration = socket_check::PATIENCE;

/// The state of a node's socket, with fewer values than `status`. Older than `status` and kept for
/// API clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "NodeStanding")]
pub enum NodeSocketState {
    /// A node accepts connections.
    Answers,
    /// The file exists, but no node is responding.
    Silent,
    /// This user is not allowed to connect.
    Denied,
    /// The file does not exist.
    Missing,
    /// The path is too long for a socket.
    TooLong,
}

/// The socket of one network in one data directory.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct NodeSocket {
    /// The network.
    pub network: BitcoinNetwork,
    /// The data directory as in a configuration; empty for the default.
    pub data_dir: String,
    /// The path of the socket.
    pub path: String,
    /// The state of the socket.
    pub standing: NodeSocketState,
    /// The status as in `/node/check`.
    pub status: NodeStatus,
    /// The result in sentences.
    pub detail: String,
    #[serde(skip)]
    advice: String,
}

impl NodeSocket {
    /// The state of the socket in a few words.
    pub fn words(&self) -> &'static str {
        match (self.standing, self.status) {
            (NodeSocketState::Answers, _) => "accepts connections",
            (NodeSocketState::Silent, NodeStatus::NotASocket) => "is not a socket",
            (NodeSocketState::Silent, NodeStatus::Stale) => "exists, but no node is listening",
            (NodeSocketState::Silent, _) => "exists, but the node is not responding",
            (NodeSocketState::Denied, _) => {
                "exists, but jd-manager does not have permission to connect"
            }
            (NodeSocketState::Missing, _) => "does not exist",
            (NodeSocketState::TooLong, _) => "is too long for a socket path",
        }
    }

    /// The first step that makes the socket usable; none if it is usable. `/node/check` has the
    /// full advice.
    pub fn advice(&self) -> Option<String> {
        let first = self.advice.split("\n\n").next()?;
        (!first.is_empty()).then(|| first.to_owned())
    }
}

/// The sockets of all networks in `given`, or else in the default data directory, plus existing
/// sockets in other common locations.
pub fn look(given: &str) -> Vec<NodeSocket> {
    check_sockets(places::usual().as_deref(), given, &places::others())
}

fn check_sockets(usual: Option<&Path>, given: &str, others: &[PathBuf]) -> Vec<NodeSocket> {
    let deadline = Instant::now() + PATIENCE;
    if !given.is_empty() {
        return sockets(Path::new(given), given, deadline);
    }
    let mut found = usual.map_or_else(Vec::new, |dir| sockets(dir, "", deadline));
    for dir in others {
        // A configuration cannot hold a path that is not UTF-8.
        let Some(named) = dir.to_str() else { continue };
        let is_there = |one: &NodeSocket| {
            // A directory that this user cannot enter shows nothing.
            !matches!(
                one.standing,
                NodeSocketState::Missing | NodeSocketState::Denied
            ) || std::fs::symlink_metadata(&one.path).is_ok()
        };
        found.extend(sockets(dir, named, deadline).into_iter().filter(is_there));
    }
    found
}

/// The socket that a client with these settings uses; none if the default data directory is
/// unknown.
pub fn socket(network: BitcoinNetwork, data_dir: &str) -> Option<NodeSocket> {
    let dir = match data_dir {
        "" => places::usual()?,
        given => PathBuf::from(given),
    };
    Some(of(&dir, data_dir, network, Instant::now() + PATIENCE))
}

fn sockets(dir: &Path, named: &str, deadline: Instant) -> Vec<NodeSocket> {
    BitcoinNetwork::iter()
        .map(|network| of(dir, named, network, deadline))
        .collect()
}

fn of(dir: &Path, named: &str, network: BitcoinNetwork, deadline: Instant) -> NodeSocket {
    let result = socket_check::check_data_dir(dir, network, socket_check::turn(deadline));
    let standing = match result.status {
        NodeStatus::NoSocket if result.path.len() > LONGEST_PATH => NodeSocketState::TooLong,
        NodeStatus::NoSocket => NodeSocketState::Missing,
        NodeStatus::Forbidden => NodeSocketState::Denied,
        NodeStatus::Connected => NodeSocketState::Answers,
        NodeStatus::NotASocket
        | NodeStatus::Stale
        | NodeStatus::Silent
        | NodeStatus::Unusable
        | NodeStatus::WrongVersion
        | NodeStatus::WrongNetwork
        | NodeStatus::Syncing => NodeSocketState::Silent,
    };
    NodeSocket {
        network,
        data_dir: named.into(),
        path: result.path,
        standing,
        status: result.status,
        detail: result.detail,
        advice: result.advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A node that answers `count` clients.
    fn node(socket: &Path, count: usize) -> thread::JoinHandle<()> {
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().take(count) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 48]);
                let answer = [
                    0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0,
                ];
                let _ = stream.write_all(&answer);
            }
        })
    }

    #[test]
    fn each_chains_socket_is_checked_and_the_fix_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("signet")).unwrap();
        std::fs::create_dir_all(dir.path().join("testnet4/node.sock")).unwrap();
        std::fs::create_dir(dir.path().join("regtest")).unwrap();
        let node = node(&dir.path().join("signet/node.sock"), 2);
        drop(UnixListener::bind(dir.path().join("regtest/node.sock")).unwrap());
        let found = look(given);
        let standings: Vec<_> = found
            .iter()
            .map(|one| (one.network, one.standing, one.words()))
            .collect();
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        assert_eq!(
            standings,
            [
                (Mainnet, NodeSocketState::Missing, "does not exist"),
                (Testnet4, NodeSocketState::Silent, "is not a socket"),
                (Signet, NodeSocketState::Answers, "accepts connections"),
                (
                    Regtest,
                    NodeSocketState::Silent,
                    "exists, but no node is listening"
                )
            ]
        );
        assert!(found.iter().all(|one| one.data_dir == given));
        assert_eq!(found[2].advice(), None);
        let advice = |at: usize| found[at].advice().unwrap();
        assert!(advice(0).contains("ipcbind=unix"));
        assert!(advice(1).contains("Docker"));
        assert!(advice(3).contains("Start the node"));
        assert_eq!(socket(Signet, given).unwrap(), found[2]);
        node.join().unwrap();
    }

    #[test]
    fn without_a_directory_the_usual_ones_are_looked_into() {
        let (usual, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let node = node(&other.path().join("node.sock"), 1);
        let other = other.path().to_owned();
        let found = check_sockets(Some(usual.path()), "", std::slice::from_ref(&other));
        let named: Vec<_> = found
            .iter()
            .map(|one| (one.data_dir.as_str(), one.standing))
            .collect();
        let nothing = ("", NodeSocketState::Missing);
        let other = other.to_str().unwrap();
        assert_eq!(
            named,
            [
                nothing,
                nothing,
                nothing,
                nothing,
                (other, NodeSocketState::Answers)
            ]
        );
        node.join().unwrap();
        assert_eq!(check_sockets(None, "", &[]), []);
        let long = format!("/{}", "x".repeat(200));
        assert!(
            look(&long)
                .iter()
                .all(|one| one.standing == NodeSocketState::TooLong)
        );
    }
}
