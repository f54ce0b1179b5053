//! Bitcoin Core on this machine: is there a node whose socket a client could use, and if not, what
//! is missing.
//!
//! Looks and connects, and says nothing on the connection. Blocking. The socket of a node started
//! with `ipcbind=unix` is `node.sock` in the directory of its chain, which only `bitcoin-node`
//! opens (Bitcoin Core 30 and newer), not `bitcoind`.

use schemars::JsonSchema;
use serde::Serialize;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use strum::IntoEnumIterator;

use crate::domain::configs::BitcoinNetwork;

/// A socket's path has room for 107 bytes.
const LONGEST_PATH: usize = 107;

/// How a node's socket was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "NodeStanding")]
pub enum NodeSocketState {
    /// A node answers.
    Answers,
    /// The file is there and nobody listens.
    Silent,
    /// This user may not connect.
    Denied,
    /// There is no such file.
    Missing,
    /// The path is too long for a socket.
    TooLong,
}

/// The socket of one chain in one data directory.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct NodeSocket {
    /// The chain.
    pub network: BitcoinNetwork,
    /// The data directory as a configuration names it; empty: the usual one.
    pub data_dir: String,
    /// The socket.
    pub path: String,
    /// How it was found.
    pub standing: NodeSocketState,
}

impl NodeSocket {
    /// How it was found, in a few words.
    pub fn words(&self) -> &'static str {
        match self.standing {
            NodeSocketState::Answers => "answers",
            NodeSocketState::Silent => "is there, but no node listens",
            NodeSocketState::Denied => "is there, but this user may not connect",
            NodeSocketState::Missing => "is not there",
            NodeSocketState::TooLong => "has too long a path for a socket",
        }
    }

    /// What to do so that a client can use it; nothing if one can.
    pub fn advice(&self) -> Option<String> {
        let conf = match self.network {
            BitcoinNetwork::Mainnet => "ipcbind=unix".to_owned(),
            other => format!("[{other}] ipcbind=unix"),
        };
        match self.standing {
            NodeSocketState::Answers => None,
            NodeSocketState::Silent => {
                Some("Start the node. The file is left from an earlier run.".into())
            }
            NodeSocketState::Denied => Some(format!(
                "jd-manager runs as another user than the node. Run both as the same user, or give this one the right to write to {}.",
                self.path
            )),
            NodeSocketState::Missing => Some(format!(
                "Put {conf} into bitcoin.conf and start Bitcoin Core 30 or 31 as \"bitcoin -m node\" (or bitcoin-node): bitcoind alone has no such socket."
            )),
            NodeSocketState::TooLong => Some("Choose a data directory with a shorter path.".into()),
        }
    }
}

/// The sockets of all chains in the usual data directory and in `given`, and those that are there
/// in other places where systems keep the node.
pub fn look(given: &str) -> Vec<NodeSocket> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".bitcoin"));
    probe_socket(
        home.as_deref(),
        given,
        &["/var/lib/bitcoind", "/var/lib/bitcoin"],
    )
}

fn probe_socket(usual: Option<&Path>, given: &str, others: &[&str]) -> Vec<NodeSocket> {
    let mut found = Vec::new();
    if given.is_empty() {
        found.extend(usual.map(|dir| sockets(dir, "")).into_iter().flatten());
        let there = others
            .iter()
            .flat_map(|dir| sockets(Path::new(dir), dir))
            .filter(|one| one.standing != NodeSocketState::Missing);
        found.extend(there);
    } else {
        found.extend(sockets(Path::new(given), given));
    }
    found
}

/// The socket that a client with these settings will use; none: the usual data directory is not
/// known.
pub fn socket(network: BitcoinNetwork, data_dir: &str) -> Option<NodeSocket> {
    let usual = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".bitcoin"));
    let found = probe_socket(usual.as_deref(), data_dir, &[]);
    found.into_iter().find(|one| one.network == network)
}

fn sockets(dir: &Path, named: &str) -> Vec<NodeSocket> {
    let of = |network: BitcoinNetwork| {
        let path = match network {
            BitcoinNetwork::Mainnet => dir.join("node.sock"),
            other => dir.join(other.as_str()).join("node.sock"),
        };
        NodeSocket {
            network,
            data_dir: named.into(),
            standing: standing(&path),
            path: path.display().to_string(),
        }
    };
    BitcoinNetwork::iter().map(of).collect()
}

fn standing(path: &Path) -> NodeSocketState {
    if path.as_os_str().len() > LONGEST_PATH {
        return NodeSocketState::TooLong;
    }
    match UnixStream::connect(path).map_err(|e| e.kind()) {
        Ok(_) => NodeSocketState::Answers,
        Err(io::ErrorKind::PermissionDenied) => NodeSocketState::Denied,
        Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => NodeSocketState::Missing,
        Err(_) => NodeSocketState::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn each_chains_socket_is_tried_and_what_is_missing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("signet")).unwrap();
        std::fs::create_dir(dir.path().join("regtest")).unwrap();
        let _node = UnixListener::bind(dir.path().join("signet/node.sock")).unwrap();
        drop(UnixListener::bind(dir.path().join("regtest/node.sock")).unwrap());
        let found = look(given);
        let standings: Vec<_> = found
            .iter()
            .map(|one| (one.network, one.standing))
            .collect();
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        assert_eq!(
            standings,
            [
                (Mainnet, NodeSocketState::Missing),
                (Testnet4, NodeSocketState::Missing),
                (Signet, NodeSocketState::Answers),
                (Regtest, NodeSocketState::Silent)
            ]
        );
        assert!(found.iter().all(|one| one.data_dir == given));
        assert_eq!(found[2].advice(), None);
        assert!(
            found[0]
                .advice()
                .unwrap()
                .contains("Put ipcbind=unix into bitcoin.conf")
        );
        assert!(
            found[1]
                .advice()
                .unwrap()
                .contains("[testnet4] ipcbind=unix")
        );
        assert!(found[3].advice().unwrap().contains("Start the node"));
        assert_eq!(socket(Signet, given).unwrap(), found[2]);
    }

    #[test]
    fn without_a_directory_the_usual_ones_are_looked_into() {
        let (usual, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let _node = UnixListener::bind(other.path().join("node.sock")).unwrap();
        let other = other.path().to_str().unwrap();
        let found = probe_socket(Some(usual.path()), "", &[other]);
        let named: Vec<_> = found
            .iter()
            .map(|one| (one.data_dir.as_str(), one.standing))
            .collect();
        let nothing = ("", NodeSocketState::Missing);
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
        assert_eq!(probe_socket(None, "", &[]), []);
        let long = format!("/{}", "x".repeat(200));
        assert!(
            look(&long)
                .iter()
                .all(|one| one.standing == NodeSocketState::TooLong)
        );
    }
}
