//! Updates: releases, installed clients, the version in use, and switching between versions.
//!
//! Invariants:
//!
//! * An installed client is never changed, only added and removed. It enters `clients/` by one
//!   rename, complete and tried, or not at all.
//! * A version comes into use only after an instance has shown that it works. Otherwise the
//!   instance is rolled back.
//! * There is one job at a time. After a kill at any moment, the next start finds a working client
//!   and records the result of the job.
//!
//! Files:
//!
//! * [`model`]: releases, manifests, jobs. `tags`: release tags and client versions, which differ.
//!   `offer`: which release is offered here. `github`: the release API's answers. `notes`: release
//!   notes as HTML. `requests`: bodies of requests. All pure.
//! * `store`: the directory of installed clients. `source`: a release, cargo or a file. `install`:
//!   from a source into the store. `upload`: files sent with a request.
//! * `plan`: starts a switch. `switch`: switches instances one at a time. `health_gate`: is an
//!   instance healthy. `revert`: rolls it back. `recovery`: continues the job of a killed manager.
//! * `job_tracker`: the job in progress. `manager_release`: is there a newer jd-manager. `release_check`: checks for releases. `release_status`:
//!   the status of known releases. `skips`: skipped releases. `settings`, `jobs`: automatic updates.
//!   `service`: the use cases.

mod github;
mod health_gate;
mod job_tracker;
mod jobs;
mod manager_release;
mod release_check;
mod release_status;
mod responses;
mod revert;
pub mod route_table;

mod install;
pub mod model;
mod notes;
mod offer;
mod plan;
mod queries;
mod recovery;
mod requests;
pub mod routes;
mod service;
mod settings;
mod skips;
mod source;
mod store;
mod switch;
mod tags;
mod upload;
pub mod views;

pub use install::check_version;
pub use jobs::begin;
pub use requests::{gate_fields, read_gate};
pub use service::{ReleaseSource, UpdateService};
pub use tags::client_of_tag;
