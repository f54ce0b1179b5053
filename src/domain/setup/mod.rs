//! Setup: from nothing to a client that serves miners, page by page or in one request.
//!
//! ```text
//! pages ──▶ answers ─┐
//!                    ├─▶ whole ─▶ configs (saved) ─▶ instances (made, started, watched)
//! JSON body ─────────┘
//! ```
//!
//! Invariants: nothing is saved, made or started before all of it was found right; the client's own pair of keys is made with the
//! configuration and is never among the answers; what was typed is kept from page to page until it led to an instance or was thrown
//! away, so that a setup can be left and come back to.
//!
//! * `step`, `answers`, `whole`, `known`: the pages' fields, what was typed, what it means, pools of the list. Pure.
//! * `service`, `proposals`, `making`: the use cases; what a step proposes; the end of it, which saves, makes and starts.
//! * `node`, `reach`: is there a node, does somebody listen. They connect and say nothing.

mod defaults;
mod finish;
mod node;
pub mod openapi;
mod pool_list;
mod probe;
mod queries;
mod responses;
pub mod routes;
mod service;
mod step;
mod validate;
mod views;

pub use service::Setups;
