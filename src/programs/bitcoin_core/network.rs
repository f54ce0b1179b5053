//! The chains that a client supports, and the socket of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use strum::IntoEnumIterator;

/// Bitcoin Core's name of the socket, and the only name that a client opens.
pub const SOCKET_NAME: &str = "node.sock";

/// A network that the client supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum BitcoinNetwork {
    /// The main network.
    Mainnet,
    /// Test network 4.
    Testnet4,
    /// Test network with signed blocks.
    Signet,
    /// A private network for tests.
    Regtest,
}

impl BitcoinNetwork {
    /// The name in the client's configuration file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The network's directory in the node's data directory; mainnet has none.
    pub fn directory(self) -> Option<&'static str> {
        (self != Self::Mainnet).then(|| self.as_str())
    }

    /// The socket that a client opens with this data directory.
    pub fn socket_in(self, data_dir: &Path) -> PathBuf {
        self.directory()
            .map_or_else(|| data_dir.to_owned(), |name| data_dir.join(name))
            .join(SOCKET_NAME)
    }

    /// The chain for the path of a socket: its directory has the name of a test network, or the
    /// socket has Bitcoin Core's name in another directory. None: the path does not show the chain.
    pub fn of_socket(socket: &Path) -> Option<Self> {
        let parent = socket.parent()?.file_name().unwrap_or_default();
        let named = Self::iter().find(|network| {
            network
                .directory()
                .is_some_and(|directory| parent == directory)
        });
        let is_usual = socket.file_name().is_some_and(|name| name == SOCKET_NAME);
        named.or_else(|| is_usual.then_some(Self::Mainnet))
    }

    /// The data directory with which a client opens this socket; none if there is no such
    /// directory.
    pub fn data_dir_of(self, socket: &Path) -> Option<PathBuf> {
        let parent = socket.parent()?;
        let data_dir = if self == Self::Mainnet {
            parent
        } else {
            parent.parent()?
        };
        (self.socket_in(data_dir) == socket).then(|| data_dir.to_owned())
    }

    /// The chains that a block with this compact target can be of; none: unknown.
    ///
    /// A regtest block has the easiest target there is, `0x207fffff`. Mainnet has had an exponent
    /// of 0x17 or less since 2018, which means a difficulty above 10¹²; test networks are far below
    /// it.
    pub fn of_target(n_bits: u32) -> Option<&'static [Self]> {
        match n_bits >> 24 {
            _ if n_bits == 0x207f_ffff => Some(&[Self::Regtest]),
            0x01..=0x17 => Some(&[Self::Mainnet]),
            0x1a..=0x1e => Some(&[Self::Testnet4, Self::Signet]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_path_and_its_chain_lead_to_each_other() {
        let data_dir = Path::new("/var/lib/bitcoind");
        for network in BitcoinNetwork::iter() {
            let socket = network.socket_in(data_dir);
            assert_eq!(BitcoinNetwork::of_socket(&socket), Some(network));
            assert_eq!(network.data_dir_of(&socket).as_deref(), Some(data_dir));
        }
        let other = Path::new("/mnt/bitcoind/ipc/bitcoin-core.sock");
        assert_eq!(BitcoinNetwork::of_socket(other), None);
        assert_eq!(BitcoinNetwork::Mainnet.data_dir_of(other), None);
        assert_eq!(
            BitcoinNetwork::Signet.data_dir_of(Path::new("/a/regtest/node.sock")),
            None
        );
        assert_eq!(BitcoinNetwork::of_socket(Path::new("/")), None);
    }

    #[test]
    fn a_blocks_target_tells_the_chain() {
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        let expected: [(u32, Option<&[BitcoinNetwork]>); 5] = [
            (0x207f_ffff, Some(&[Regtest])),
            (0x1702_2e19, Some(&[Mainnet])),
            (0x1d00_ffff, Some(&[Testnet4, Signet])),
            (0x1903_a30c, None),
            (0, None),
        ];
        for (n_bits, networks) in expected {
            assert_eq!(BitcoinNetwork::of_target(n_bits), networks, "{n_bits:#x}");
        }
    }
}
