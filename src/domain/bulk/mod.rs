//! Actions on several instances. Each is a job: a few instances at a time, with a result for each.
//!
//! It comes after the domains whose use cases it runs, so an action may belong to any of them.
//!
//! Files:
//!
//! * `action`: the actions and their parameters. `request`: request bodies. [`model`]: jobs.
//! * `host_action`: an action on an instance of another host. `jobs`: runs and stores jobs. `queries`: SQL.
//! * [`views`], [`routes`], [`route_table`]: pages and API. `question`: the page that asks before an
//!   action.

mod action;
mod host_action;
mod jobs;
pub mod model;
mod queries;
mod question;
mod request;
pub mod route_table;
pub mod routes;
pub mod views;

pub use jobs::{BulkJobs, BulkServices};
