//! The node check: can a client use Bitcoin Core on this machine, and if not, how to fix it.
//!
//! * `service`: checks the socket (`programs/bitcoin_core/socket_check.rs`), then starts the client
//!   in use for a trial (`instances/node_trial.rs`). `query_params`: the parameters.
//! * `views`, `routes`, `route_table`: `/node/check` as a page and as JSON.

mod query_params;
pub mod route_table;
pub mod routes;
mod service;
mod views;

pub use service::NodeService;
