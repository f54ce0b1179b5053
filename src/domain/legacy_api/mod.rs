//! The first generation's API: one client, one configuration, without ids.
//!
//! An adapter and nothing more. The one client is the instance called [`NAME`], the one configuration is the active one; everything
//! is done by the services and handlers of `configs`, `instances` and `logs`. Invariants: no state of its own, no second
//! supervisor; the instance is made by the first start and runs whatever is the active configuration when it is started.

pub mod openapi;
pub mod routes;
mod service;
mod views;

pub use service::{FirstGeneration, NAME};
