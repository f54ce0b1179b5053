//! The logs of instances: pages, downloads and live streams. Also the page of an instance, which shows
//! its log.
//!
//! Logs are stored only in files. The sequence number of a record is its offset in the log, so paging
//! and resuming survive restarts.
//!
//! * `offset`: which program's log is meant, and places in it. `merge`: parts of both programs' logs
//!   by time. `followers`: both live. `download`: both as one text.
//! * `service`: the use cases. `views`, `routes`, `route_table`: pages and API.

mod download;
mod followers;
mod merge;
pub mod offset;
pub mod route_table;
pub mod routes;
mod service;
pub mod views;

pub use offset::LogSelection;
pub use service::{LogPosition, LogService};
