//! jd-manager: run, watch and update Stratum V2 Job Declarator Clients.
//!
//! Two processes, one binary:
//!
//! ```text
//! browser / curl ──HTTP──▶ jd-manager serve ──unix socket──▶ jd-manager keep DIR ──▶ jd_client_sv2
//!                           (the manager)                     (the keeper, one        (the client)
//!                           pages, API, SQLite                 per running instance)
//! ```
//!
//! Mining never depends on the web server: the keeper owns the client, its log files and its restart policy; the manager asks, watches
//! and remembers. Data goes one way through the layers below, and each folder is one domain. `tests/architecture.rs` keeps it so.
//!
//! Words: a *client* is a `jd_client_sv2` process; an *instance* is a named client that the user wants to run; its *keeper* is the process
//! that holds it up; a *saved configuration* is what an instance's client is told, kept in *revisions*; a *template provider* gives
//! block templates; an *upstream* is a pool and its job declaration server.

#![warn(clippy::unwrap_used)]

pub mod base;

pub mod keeper;
pub mod web;

pub mod infra;

pub mod programs;

pub mod domain;

pub mod server;

pub mod cli;
