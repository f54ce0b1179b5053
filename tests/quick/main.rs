//! Everything that needs no more than this program: real managers, keepers and simulated clients on
//! loopback.
//!
//! One area: `cargo test --test quick supervision::`.

#[path = "../harness/mod.rs"]
mod harness;

mod access;
mod architecture;
mod automatic_restarts;
mod backups;
mod cli;
mod client_commands;
mod container;
mod documentation;
mod listener;
mod negotiation;
mod reconciliation;
mod routes;
mod security;
mod service;
mod simulate;
mod supervision;
mod updates;
