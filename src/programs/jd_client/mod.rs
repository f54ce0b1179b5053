//! `jd_client_sv2`, the Job Declarator Client.
//!
//! * [`config_fields`]: the fields of its configuration, and which versions read them.
//! * [`examples`]: values of published example configurations.
//! * [`version`]: known versions.
//! * [`diagnosis`]: the meaning of log lines, why a client exited, and the status of a running
//!   client.
//! * [`monitoring`]: reads its HTTP API, page by page.
//! * [`simulator`]: `jd-manager simulate`, a simulated client for the demo and the tests.

pub mod config_fields;
pub mod diagnosis;
pub mod examples;
pub mod monitoring;
pub mod simulator;
pub mod version;
