//! Miners: which of an instance's miners work, with hashrate and shares of each.
//!
//! ```text
//! sampler's round ───▶ tracker ──▶ observation ──▶ counting ──▶ queries ──▶ service ──▶ page, JSON
//! translator's log ──▶ one task    who is there    increments   tables
//! ```
//!
//! Invariants: a miner is known by protocol, address and name, never by the number of its
//! connection or channel. What is counted is stored with the state it was counted from, in one
//! transaction for each round. A miner of the translator is listed once, as a Stratum V1 miner.
//!
//! * [`model`]: a miner as it is shown. `observation`: who is there, from what the programs say.
//! * `share_log`: the shares of each channel, from the translator's log; pure.
//! * `counting`: increments, averages and states; pure. `counting/memory`: one miner.
//! * `translator_report`: what a round shows about a translator, for health.
//! * `series`: the time series of a miner.
//! * `tracker`: the task. `queries`: the table. `service`: the use cases.

mod counting;
pub mod model;
mod observation;
mod queries;
pub mod route_table;
pub mod routes;
mod series;
mod service;
mod share_log;
mod tracker;
mod translator_report;
pub mod views;

pub use model::{ListedMiner, MinerFilter, MinerState, is_many_rejected};
pub use series::detail as series_detail;
pub use service::{MinerPart, MinerService};
pub use tracker::{MinerTracker, UnlistedMiners};
pub use translator_report::{TranslatorReport, TranslatorReports};
