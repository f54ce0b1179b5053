//! `translator_sv2`, the proxy that connects Stratum V1 miners to a JD client.
//!
//! It runs beside a client: miners connect to the translator, and the translator opens channels at
//! the client. One translator has one client.
//!
//! * [`version`]: known versions, and which client belongs to each.
//! * [`config`]: its configuration file: values, checks, writing and reading.
//! * [`diagnosis`]: what a log line means, why a translator exited, and the status of a running
//!   translator.
//! * [`monitoring`]: reads its HTTP API.
//! * [`simulator`]: `jd-manager simulate translator`, a stand-in for the demo and the tests.

pub mod config;
pub mod diagnosis;
pub mod monitoring;
pub mod simulator;
pub mod version;
