//! Everything that needs no more than this program: real managers, keepers and simulated clients on
//! loopback.
//!
//! One area: `cargo test --test quick supervision::`.

#![expect(clippy::unwrap_used, reason = "in a test it says what is expected")]

#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each test program uses the part it needs")]
mod harness;

mod access;
mod alert_incidents;
mod architecture;
mod automatic_restarts;
mod backups;
mod cli;
mod client_commands;
mod container;
mod documentation;
mod listener;
mod negotiation;
mod package;
mod reconciliation;
mod routes;
mod security;
mod service;
mod simulate;
mod supervision;
mod translator_supervision;
mod updates;
mod wording;
