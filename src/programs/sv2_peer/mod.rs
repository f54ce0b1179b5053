//! The servers that a client connects to: pool, job declaration server, template provider. Whether
//! one of them would accept the client now, found out with the Stratum V2 protocol.
//!
//! * [`peer`]: which server, where, and what it has to prove. [`outcome`]: what a probe found, in
//!   plain English. Both pure.
//! * [`mod@probe`]: connects, shakes hands, checks the certificate and sets up a connection.

pub mod outcome;
pub mod peer;
pub mod probe;

#[cfg(test)]
pub(crate) mod fake_peer;

pub use outcome::{ProbeOutcome, ProbeStep};
pub use peer::{PeerRole, PeerTarget};
pub use probe::probe;
