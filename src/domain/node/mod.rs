//! The check of a node: can a client use Bitcoin Core on this machine, and if not, what to do.
//!
//! * `service`: the socket first (`programs/bitcoin_core/socket_check.rs`), then a trial start of the
//!   client in use (`instances/node_trial.rs`). `query_params`: which socket.
//! * `views`, `routes`, `route_table`: `/node/check` as a page and as JSON.

mod query_params;
pub mod route_table;
pub mod routes;
mod service;
mod views;

pub use service::NodeService;
