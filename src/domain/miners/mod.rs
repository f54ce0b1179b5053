//! Miners: which of an instance's miners work, with hashrate and shares of each.
//!
//! ```text
//! sampler's round ──▶ tracker ──▶ observation ──▶ counting ──▶ queries ──▶ service ──▶ page, JSON
//! translator's API ──▶ one task    who is there    increments   table
//! ```
//!
//! Invariants: a miner is known by protocol, address and name, never by the number of its
//! connection or channel. What is counted is stored with the state it was counted from, in one
//! transaction for each round. A miner of the translator is listed once, as a Stratum V1 miner.
//!
//! * [`model`]: a miner as it is shown. `observation`: who is there, from what the programs say.
//! * `counting`: increments, averages and states; pure. `counting/memory`: one miner.
//! * `translator_report`: what a round shows about a translator, for health.
//! * `tracker`: the task. `queries`: the table. `service`: the use cases.

mod counting;
pub mod model;
mod observation;
mod queries;
pub mod route_table;
pub mod routes;
mod service;
mod tracker;
mod translator_report;
pub mod views;

pub use model::is_many_rejected;
pub use service::MinerService;
pub use tracker::{MinerTracker, UnlistedMiners};
pub use translator_report::{TranslatorReport, TranslatorReports};
