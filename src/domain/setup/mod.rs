//! Setup: from nothing to a running client, page by page or in one request.
//!
//! ```text
//! pages ──▶ answers ─┐
//!                    ├─▶ validate ─▶ finish: save configuration ─▶ create, start, watch instance
//! JSON body ─────────┘
//! ```
//!
//! Invariants: nothing is saved, created or started before everything is valid. The client's key
//! pair is created with the configuration and is never part of the answers. Answers are kept until
//! setup is finished or discarded, so the user can leave and come back.
//!
//! * `step`: the pages and their fields. `responses`: the answers. `validate`: what they mean and
//!   what is wrong. `defaults`: what a step suggests.
//! * `service`: the use cases. `finish`: saves, creates and starts.

mod defaults;
mod finish;
mod queries;
mod responses;
pub mod route_table;
pub mod routes;
mod service;
mod step;
mod validate;
mod views;

pub use service::SetupService;
