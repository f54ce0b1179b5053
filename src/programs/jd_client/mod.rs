//! `jd_client_sv2`, the Job Declarator Client.
//!
//! * [`config_fields`]: the fields of its configuration, what each is and which versions read it.
//! * [`examples`]: values of published example configurations.
//! * [`version`]: known versions.
//! * [`diagnosis`]: what a log line means, why a client exited, and the status of a running client.
//! * [`monitoring`]: reads its HTTP API, page by page.
//! * [`simulator`]: `jd-manager simulate`, a stand-in for the demo and the tests.

pub mod config_fields;
pub mod diagnosis;
pub mod examples;
pub mod monitoring;
pub mod simulator;
pub mod version;
