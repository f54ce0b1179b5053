//! Hosts: other machines with a jd-manager, used through SSH.
//!
//! The jd-manager on each host is authoritative for its clients. This one stores only the address of a
//! host and what it last reported. Without a connection a host is *unreachable*, not *stopped*.
//!
//! * [`model`]: a host, its state, its report. Pure. `setup`: the lines that a host needs.
//! * `remote`: asks a host once. `monitor`: time limits and pauses. `service`: asks each host again
//!   and again; the use cases.
//! * `queries`: the SQL. `views`, `responses`, `routes`, [`route_table`]: `/hosts`.

pub mod model;
mod monitor;
mod queries;
mod remote;
mod responses;
pub mod route_table;
pub mod routes;
mod service;
mod setup;
mod views;

pub use service::HostService;
