//! Everything known about a managed program, one folder per program. When a program has a new
//! release, start here.
//!
//! A folder has: versions and their configuration schema, the meaning of log lines, a reader of the
//! monitoring API, and a simulator for the demo and the tests. [`sv2_peer`] is about those that
//! such a program connects to: pool, job declaration server and template provider.

pub mod jd_client;
pub mod sv2_peer;
