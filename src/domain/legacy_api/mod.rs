//! The first generation's API: one client, one configuration, no ids.
//!
//! An adapter. The one client is the instance called [`NAME`], the one configuration is the active
//! one. The services and handlers of `configs`, `instances` and `logs` do everything. Invariants:
//! it has no state of its own; the first start creates the instance, which runs whatever
//! configuration is active when it is started.

pub mod route_table;
pub mod routes;
mod service;
mod views;

pub use service::{FirstGeneration, NAME};
