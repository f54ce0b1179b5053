//! The overview of an instance, which its page opens on, and the page of its configuration.
//!
//! This is a domain of its own because it shows those before it: instances, metrics and miners.
//!
//! * `config_summary`: addresses, warnings and saved changes, from the configuration.
//! * `widget`: a summary of all instances for dashboards that cannot sign in.
//! * `service`: reads everything. `views`: the pages, which are also their JSON.

mod config_summary;
pub mod route_table;
mod routes;
mod service;
pub mod views;
mod widget;

pub use service::OverviewService;
