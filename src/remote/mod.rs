//! A running manager, asked from another process: how it is reached, and whether it is well.
//!
//! It goes through the manager's own doors and knows its API alone, no domain and no database.

mod connection;
mod healthcheck;

pub use healthcheck::healthcheck;
