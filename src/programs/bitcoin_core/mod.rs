//! Bitcoin Core as the template provider of a client on the same machine.
//!
//! Bitcoin Core 30 and newer, started with `ipcbind=unix` as `bitcoin node` (or `bitcoin-node`, not
//! `bitcoind`), listens on the Unix socket `node.sock` in the directory of its chain. The client
//! speaks Cap'n Proto RPC on it and gets block templates.
//!
//! * [`network`]: the chains, and where each keeps its socket. `places`: where systems keep the
//!   node's data.
//! * [`socket_check`]: is there a socket, and does a node answer on it. Blocking.
//! * `bootstrap`: the first message of Cap'n Proto RPC, and what came back.
//! * `permissions`: why a socket may not be used, and the command that changes that.
//! * [`node_status`]: what the check answers. `advice`: what to do, by system.
//! * [`client_lines`]: what a client's log says about the node.

mod advice;
mod bootstrap;
pub mod client_lines;
pub mod network;
pub mod node_status;
mod permissions;
pub mod places;
pub mod socket_check;

pub use network::BitcoinNetwork;
pub use node_status::{NodeCheckResult, NodeStatus};
