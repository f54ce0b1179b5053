//! A running manager, asked from another process: how it is reached, whether it is well, and the
//! commands for daily work.
//!
//! It goes through the manager's own addresses and knows its API alone, no domain and no database. What
//! people read is a table as wide as their terminal; what programs read (`--json`) is the API's
//! JSON as it comes.

mod alerts;
mod change;
mod commands;
mod configs;
mod confirm;
mod connection;
mod error;
mod health;
mod healthcheck;
mod instance;
mod instances;
mod jobs;
mod lifecycle;
mod logs;
mod manager;
mod naming;
mod node;
mod output;
mod stream;
mod table;
mod target;
mod text;
mod time;
mod token;
mod updates;

pub use commands::{ClientCommand, run};
pub use healthcheck::healthcheck;
