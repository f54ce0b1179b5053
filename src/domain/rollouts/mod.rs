//! Rollouts: a client version for several hosts, one host after the other.
//!
//! Each host updates its own instances: one of them first, and it rolls back if the new client does not
//! work. The next host follows only after that. A rollout stops at the first host that fails, and a user
//! can resume it there.
//!
//! * [`model`]: a rollout and its hosts. Pure. `queries`: the SQL.
//! * `service`: runs one rollout at a time; the use cases. `host_update`: one host.
//! * `views`, `routes`, [`route_table`]: `/rollouts`.

mod host_update;
pub mod model;
mod queries;
pub mod route_table;
mod routes;
mod service;
mod views;

pub use service::RolloutService;
