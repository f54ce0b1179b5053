//! Health: whether an instance works, what is wrong, and automatic restarts that are safe to try.
//!
//! ```text
//! log ─▶ log_reader ─▶ client status ─┐
//! instance, samples, ─────────────────┼─▶ snapshot ─▶ checks ─▶ results: stored, shown, acted upon
//! running_config         (collect)    ┘
//! ```
//!
//! Independent of notifications.
//!
//! * [`model`]: checks, grades, score. `checks`: one function per check. `snapshot`: their input.
//!   [`remediation_policy`]: when an automatic restart may be tried. All pure.
//! * `log_reader`: reads one log. `collect`: the rest of a snapshot. `running_config`: what the
//!   client was started with.
//! * `monitor`: the task that watches all instances. `remediation`: restarts an instance.
//!   `stagger`: spreads many restarts over time.
//! * `node_state`: checks the node of an instance that does not work.
//! * `translator_state`: what is known about a translator, and the test of its port.
//! * `pool_probes`: tests pools and job declaration servers, once for all waiting instances.
//!   `pool_return`: when a restart leads back to a pool. `pool_report`: the text about pools.
//! * `service`: the use cases. `history`: past results. `reporting`: results for other domains.
//! * `jobs`: prunes old results.

mod checks;
mod collect;
mod history;
mod jobs;
mod log_reader;
pub mod model;
mod monitor;
mod node_state;
mod pool_probes;
mod pool_report;
mod pool_return;
mod queries;
mod remediation;
pub mod remediation_policy;
mod reporting;
mod responses;
pub mod route_table;
pub mod routes;
mod running_config;
mod service;
mod snapshot;
mod stagger;
mod translator_state;
pub mod views;

pub use jobs::schedule_pruning;
pub use monitor::HealthMonitor;
pub use service::{HealthReport, HealthService};
pub use snapshot::LatestRelease;
