//! Access: who may do what, and who did what.
//!
//! While nobody has a password, the machine's own user is trusted: over loopback and over the manager's own socket. From the first user on,
//! whoever comes over the network logs in or brings a token; the socket, which only the manager's own user and root can open, stays open to them.
//!
//! Invariants: what lets somebody in is kept as a hash only and shown once; names that exist and names that do not are answered alike and
//! equally fast; an attempt is counted before it is judged; there is always an admin once there is a user; what is changed through the
//! router is in the audit log before it is answered, or waits for the database in memory and stands in jd-manager's own log.
//!
//! * [`model`]: users, sessions, tokens, the log's lines. `password`: what one has to be, and its hash. `keepsake`: random texts that let in.
//!   `second_factor`: codes of an authenticator. `attempts`: how many guesses are allowed. All without I/O.
//! * `recognising`: who sent a request. `service`: the use cases of users; `signing_in`: those of the login; `tokens`: those of programs. [`gate`]: the middleware that asks them.
//! * `audit_queue`: audit entries on their way into the database. `last_used`: when sessions and tokens were last used. `jobs`: what is forgotten.
//!
//! Knows nothing of what lies behind the doors: which door needs which role is told to the gate by the house.

mod activity;
mod attempts;
mod audit_queue;
mod authenticate;
mod jobs;
pub mod middleware;
pub mod model;
pub mod openapi;
mod password;
mod pending_form;
mod queries;
mod responses;
pub mod routes;
mod second_factor;
mod secret_token;
mod service;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
pub mod views;

pub use middleware::{Door, Who};
pub use model::{Deed, Entry, Session, Token, User};
pub use service::{Access, FirstCode};
pub use tokens::Wish;
