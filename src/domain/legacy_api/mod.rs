//! The original API: one client, one configuration, no ids.
//!
//! An adapter: the client is the instance named [`NAME`], the configuration is the active one. The
//! services and handlers of `configs`, `instances` and `logs` do the work. Invariants:
//! it has no state of its own; the first start creates the instance, which runs whatever
//! configuration is active at each start.

pub mod route_table;
pub mod routes;
mod service;
mod views;

pub use service::{FirstGeneration, NAME};
