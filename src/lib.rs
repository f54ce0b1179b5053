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

// Layer 0: vocabulary.
pub mod clock;
pub mod error;
pub mod failpoint;
pub mod files;
pub mod ids;
pub mod outgoing;
pub mod role;
pub mod visible;

// Layer 1: tools that know no domain.
pub mod archive;
pub mod chart;
pub mod db;
pub mod diagnosis;
pub mod executable;
pub mod fetch;
pub mod http;
pub mod keeper;
pub mod listener;
pub mod logbuf;
pub mod notices;
pub mod notify;
pub mod openapi;
pub mod sampling;
pub mod schedule;
pub mod simulate;
pub mod systemd;
pub mod verify;

// Layers 2 and 3: domains, each importing only those before it.
pub mod keys;
pub mod vault;

pub mod access;
pub mod configs;

pub mod instances;

pub mod logs;
pub mod setup;

pub mod first_generation;
pub mod metrics;

pub mod health;

pub mod updates;

pub mod alerts;

pub mod backups;

// The house around them.
pub mod app;
pub mod cli;
pub mod database_checks;
pub mod demo;
pub mod documentation;
pub mod doors;
pub mod locks;
pub mod logging;
pub mod reload;
pub mod remote;
pub mod router;
pub mod settings;
pub mod state;
