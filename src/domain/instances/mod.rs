//! Instances: JD clients that the user named and wants to run, each under its own keeper.
//!
//! Invariants: an instance has at most one client (its keeper's lock); what the user wants (`desired`) is stored before it is
//! carried out; what happened is in the keeper's journal first and read into the history exactly once; a state shown as
//! running was told by a keeper that is alive.
//!
//! * `ports`: are its ports free. `places`: the same and free names for those who make new ones. [`program`]: which client program, can it run here, which version is it.
//! * `preparation`: what a start needs on disk. `commands`: what an instance's task
//!   can be asked. `supervisor`: all instances' tasks;
//!   `minder`: one of them, which talks with the keeper. `trying`: whether a client takes a configuration, without an instance.
//! * `miner_address`: what to enter in a miner. `service`: the use cases. `looking`: for those who look after them. `glance`: what other domains know of an instance, for lists.

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
pub mod openapi;
mod ports;
mod preparation;
pub mod program;
mod queries;
pub mod routes;
mod service;
pub mod streams;
mod supervisor;
mod task;
mod versions;
pub mod views;

pub use display::size_words;
pub use draft::Wishes;
pub use history::{Event, KEEPER_LOST};
pub use list_extras::{Glance, Glances, Wellbeing};
pub use miner_address::miner_urls;
pub use model::Instance;
pub use program::{ClientSource, Program};
pub use service::{Instances, Outcome};
pub use supervisor::Ending;
