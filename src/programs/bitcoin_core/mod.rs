//! Bitcoin Core as the template provider of a client on the same machine.
//!
//! Bitcoin Core 30 and newer, started with `ipcbind=unix` as `bitcoin node` (or `bitcoin-node`, not
//! `bitcoind`), listens on the Unix socket `node.sock` in the directory of its chain. The client
//! speaks Cap'n Proto RPC on it and gets block templates.
//!
//! * [`network`]: the chains, and the socket path of each. `places`: the usual places of the node's
//!   data.
//! * [`socket_check`]: checks whether there is a socket and whether a node answers on it. Blocking.
//! * `bootstrap`: the first message of Cap'n Proto RPC and its reply.
//! * `permissions`: why access to a socket is denied, and the command to fix it.
//! * [`node_sockets`]: the socket of each network on this machine.
//! * [`node_status`]: the result of the check. `advice`: the fix, for each system.
//! * [`client_lines`]: the node's replies in a client's log.

mod advice;
mod bootstrap;
pub mod client_lines;
pub mod network;
pub mod node_sockets;
pub mod node_status;
mod permissions;
pub mod places;
pub mod socket_check;

pub use network::BitcoinNetwork;
pub use node_status::{NodeCheckResult, NodeStatus};
