//! Hosts: other machines with a jd-manager, used through SSH.
//!
//! The jd-manager on each host is authoritative for its clients. This one stores only the address of a
//! host and what it last reported. Without a connection a host is *unreachable*, not *stopped*.
//!
//! * [`model`]: a host, its state, its report. Pure. `setup`: the lines that a host needs.
//! * `remote`: a connection to a host, and what it reports. `forward`: one request. `monitor`: time
//!   limits and pauses. `service`: asks each host again and again; the use cases.
//! * `queries`: the SQL. `views`, `responses`, `routes`, [`route_table`]: `/hosts`.
//! * `instance_views`, `instance_routes`, `instance_route_table`: the pages of its instances.

mod forward;
pub mod instance_route_table;
mod instance_routes;
mod instance_views;
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

pub use forward::{RemoteProblem, RemoteRequest, read_json};
pub use service::HostService;
