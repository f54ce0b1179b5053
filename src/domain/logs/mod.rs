//! The logs of instances, read back and followed live, and the page of an instance, which shows its log.
//!
//! The files are the truth: nothing about a log is stored anywhere else. A record's sequence number is its place in the files, so
//! paging and resuming survive every restart.

pub mod openapi;
pub mod routes;
mod service;
pub mod views;

pub use service::{Logs, Place};
