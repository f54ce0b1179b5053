//! The logs of instances: pages, downloads, and live. Also the page of an instance, which shows its
//! log.
//!
//! The files are the truth: nothing about a log is stored anywhere else. A record's sequence number
//! is its offset in the log, so paging and resuming survive every restart.

pub mod route_table;
pub mod routes;
mod service;
pub mod views;

pub use service::{LogPosition, LogService};
