//! Instances: named clients that the user wants to run, each under its own keeper.
//!
//! Invariants:
//!
//! * An instance has at most one client (its keeper's lock).
//! * The desired state is stored before a start and after a stop.
//! * An event is in the keeper's journal first, and is read into the history exactly once.
//! * A state shown as running was reported by a living keeper.
//!
//! Files:
//!
//! * `supervisor`: the tasks of all instances. `commands`: what a task can be asked. `task`: one of
//!   them; the only one that starts keepers and talks to them. `conversation`: its connection.
//! * `preparation`: writes what a start needs. [`program`]: which client program, can it run here,
//!   which version is it. `ports`: are the ports free.
//! * `service`: the use cases. `bulk`, `deletion`: many at once, deleting. `draft`: what was sent.
//! * [`model`], `history`, `display`: instances and events, and their text. [`streams`]: live
//!   updates.
//! * `config_trial`: does a client accept a configuration. `node_trial`: does a node accept a client.
//!   `miner_address`: what to enter in a
//!   miner.
//! * `availability`: free names and ports for new instances. `versions`: which client one runs.
//! * `list_extras`: figures of other domains for lists, which those domains put here.

mod availability;
mod bulk;
mod commands;
mod config_trial;
mod conversation;
mod deletion;
mod display;
mod draft;
mod history;
mod list_extras;
pub mod list_page;
mod miner_address;
pub mod model;
mod node_trial;
mod ports;
mod preparation;
pub mod program;
mod programs;
mod queries;
pub mod route_table;
pub mod routes;
mod service;
pub mod streams;
mod supervisor;
mod task;
mod versions;
pub mod views;

pub use display::size_text;
pub use draft::InstanceDraft;
pub use history::{InstanceEvent, KEEPER_LOST};
pub use list_extras::{HealthSummary, ListExtras, ListStats};
pub use miner_address::{MinerAddress, MinerProtocol, miner_addresses, miner_urls};
pub use model::Instance;
pub use node_trial::{NODE_TRIAL_PATIENCE, NodeTrial, NodeTrialOutcome};
pub use program::{ClientProgram, ProgramSource};
pub use service::{InstanceActionResult, InstanceService};
pub use supervisor::ShutdownMode;
