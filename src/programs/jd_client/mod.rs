//! `jd_client_sv2`, the Job Declarator Client.
//!
//! * [`version`]: known versions, and which keys each reads from its configuration file.
//! * [`diagnosis`]: what a log line means, why a client exited, and the status of a running client.
//! * [`monitoring`]: reads its HTTP API, page by page.
//! * [`simulator`]: `jd-manager simulate`, a stand-in for the demo and the tests.

pub mod diagnosis;
pub mod monitoring;
pub mod simulator;
pub mod version;
