//! `translator_sv2`, the proxy that connects Stratum V1 miners to a JD client.
//!
//! It runs next to a client: miners connect to the translator, and the translator opens channels
//! with the client. Each translator has one client.
//!
//! * [`version`]: known versions and the client of the same release.
//! * [`config`]: the configuration file: values, checks, writing and reading.
//! * [`diagnosis`]: the meaning of log lines, why a translator exited, and the status of a running
//!   translator.
//! * [`monitoring`]: reads its HTTP API. [`recognition`]: which of a client's connections are its own.
//! * [`share_lines`]: its log lines about the shares of a channel.
//! * [`simulator`]: `jd-manager simulate translator`, a stand-in for the demo and the tests.

pub mod config;
pub mod diagnosis;
pub mod monitoring;
pub mod recognition;
pub mod share_lines;
pub mod simulator;
pub mod version;
