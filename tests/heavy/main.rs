//! What needs other programs: a real client with mock peers, a browser, strace, sshd, Prometheus,
//! Schemathesis, debootstrap.
//!
//! `scripts/test` installs them and says where they are. One area: `cargo test --test heavy
//! database::`.

#![expect(clippy::unwrap_used, reason = "in a test it says what is expected")]

#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each test program uses the part it needs")]
mod harness;

mod browser;
mod container;
mod database;
mod home_assistant;
mod prometheus;
mod real_client;
mod schemathesis;
mod ssh;
