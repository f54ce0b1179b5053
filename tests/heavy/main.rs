//! What needs other programs: a real client with mock peers, a browser, strace, Prometheus,
//! Schemathesis.
//!
//! `scripts/test` installs them and says where they are. One area: `cargo test --test heavy
//! database::`.

#[path = "../harness/mod.rs"]
mod harness;

mod browser;
mod database;
mod prometheus;
mod real_client;
mod schemathesis;
