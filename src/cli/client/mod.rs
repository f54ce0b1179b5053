//! A running manager, asked from another process: how it is reached, whether it is well, and the commands for daily work.
//!
//! It goes through the manager's own doors and knows its API alone, no domain and no database. What people read is a table as wide as their
//! terminal; what programs read (`--json`) is the API's JSON as it comes.

mod alerts;
mod asking;
mod configs;
mod connection;
mod daily;
mod deeds;
mod health;
mod healthcheck;
mod instance;
mod instances;
mod jobs;
mod logs;
mod manager;
mod moments;
mod naming;
mod paper;
mod stream;
mod table;
mod token;
mod trouble;
mod updates;
mod way;

pub use daily::{Daily, run};
pub use healthcheck::healthcheck;
