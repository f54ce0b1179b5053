//! The servers that a client connects to: pool, job declaration server, template provider. A probe
//! uses the Stratum V2 protocol to find out whether a server would accept the client now.
//!
//! * [`peer`]: the server, its address and its key. [`outcome`]: the result of a probe, in plain
//!   English. Both are pure.
//! * [`mod@probe`]: connects, completes the handshake, checks the certificate and sets up a
//!   connection.

pub mod outcome;
pub mod peer;
pub mod probe;

#[cfg(test)]
pub(crate) mod fake_peer;

pub use outcome::{ProbeOutcome, ProbeStep};
pub use peer::{PeerRole, PeerTarget};
pub use probe::probe;
