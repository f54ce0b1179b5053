//! The logs of instances: pages, downloads and live streams. Also the page of an instance, which shows
//! its log.
//!
//! Logs are stored only in files. The sequence number of a record is its offset in the log, so paging
//! and resuming survive restarts.

pub mod route_table;
pub mod routes;
mod service;
pub mod views;

pub use service::{LogPosition, LogService};
