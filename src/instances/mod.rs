//! Instances: JD clients that the user named and wants to run, each under its own keeper.
//!
//! Invariants: an instance has at most one client (its keeper's lock); what the user wants (`desired`) is stored before it is
//! carried out; what happened is in the keeper's journal first and read into the history exactly once; a state shown as
//! running was told by a keeper that is alive.
//!
//! * [`program`]: which client program, can it run here, which version is it.
//! * [`supervisor`]: one task per instance that talks with its keeper.
//! * [`service`]: the use cases.

pub mod model;
mod preparation;
pub mod program;
mod queries;
pub mod routes;
mod service;
mod supervisor;
pub mod views;

pub use model::{Event, Instance};
pub use program::ClientSource;
pub use service::{Instances, Outcome};
pub use supervisor::Ending;
