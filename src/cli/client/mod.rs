//! Commands for a running manager: connecting to it, also for other machines (`dial-stdio`), the
//! health check, and the commands for daily work.
//!
//! The commands use only the manager's HTTP API, not the domains or the database. People get tables
//! that fit their terminal; programs (`--json`) get the API's JSON unchanged.

mod alerts;
mod bulk_jobs;
mod change;
mod commands;
mod configs;
mod confirm;
mod connection;
mod dial_stdio;
mod error;
mod findings;
mod health;
mod healthcheck;
mod hosts;
mod instance;
mod instances;
mod jobs;
mod lifecycle;
mod logs;
mod manager;
mod miners;
mod mutes;
mod naming;
mod node;
mod output;
mod ssh_bridge;
mod stream;
mod table;
mod target;
mod text;
mod time;
mod token;
mod updates;

pub use commands::{ClientCommand, run};
pub use dial_stdio::{DialArgs, dial_stdio};
pub use healthcheck::{check_manager, healthcheck};
