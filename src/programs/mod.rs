//! Everything known about other programs, one folder per program. When a program has a new release,
//! start here.
//!
//! The folder of a managed program has: versions and their configuration schema, the meaning of log
//! lines, a reader of the monitoring API, and a simulator for the demo and the tests. Two programs
//! have one: the client and the translator. `log_line` is the format of their logs. Bitcoin Core
//! is not managed; its folder checks whether a client can use it.
//! `telemetry_network` is what client and translator search for miners.
//! [`sv2_peer`] is about the servers that a client connects to: pool, job declaration server and
//! template provider. [`openssh`] connects to jd-manager on other machines.

pub mod bitcoin_core;
pub mod jd_client;
mod log_line;
pub mod openssh;
pub mod sv2_peer;
pub mod telemetry_network;
pub mod translator;
