//! `jd_client_sv2`, the Job Declarator Client: its versions, what its log says, its monitoring API, and a simulator of it.
//!
//! * [`version`]: which versions exist and what they can do.
//! * [`diagnosis`]: what a line of its log means, and how things stand with a running client.
//! * [`monitoring`]: its HTTP API, read page by page.
//! * [`simulator`]: a stand-in for the demo and the tests.

pub mod diagnosis;
pub mod monitoring;
pub mod simulator;
pub mod version;
