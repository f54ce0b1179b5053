//! Access: users, sessions, tokens, roles, and the audit log.
//!
//! While nobody has a password, the machine's own user is trusted: over loopback and over the
//! manager's own socket. From the first user on, everybody who comes over the network signs in or
//! sends a token. The socket stays open to those who can open it: the manager's own user and root.
//!
//! Invariants:
//!
//! * Passwords, sessions and tokens are stored as hashes only; a token is shown once.
//! * Names that exist and names that do not get the same answer in the same time.
//! * An attempt is counted before it is judged.
//! * Once there is a user, there is always an admin.
//! * A change made through the router is in the audit log before it is answered, or waits in memory
//!   for the database and is in jd-manager's own log.
//!
//! Without I/O:
//!
//! * [`model`]: users, sessions, tokens, audit entries. `password`: rules and hash.
//! * `secret_token`: random tokens. `second_factor`: codes of an authenticator app.
//! * `attempts`: how many guesses are allowed.
//!
//! The rest:
//!
//! * [`middleware`]: checks every request. `authenticate`: finds out who sent it.
//! * `sessions`: sign in, sign out, own password. `tokens`: tokens of programs. `service`: users.
//! * `pending_form`: a form sent without a session. `activity`: when sessions were last used.
//! * `audit_queue`: audit entries that wait for the database. `jobs`: prunes sessions and audit
//!   log.
//!
//! Which route needs which role is not known here: the route tables of the domains say so.

mod activity;
mod attempts;
mod audit_queue;
mod authenticate;
mod fields;
mod jobs;
pub mod middleware;
pub mod model;
mod password;
mod pending_form;
pub mod permissions;
mod queries;
mod responses;
pub mod route_table;
pub mod routes;
mod second_factor;
mod secret_token;
mod service;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
pub mod views;

pub use model::{ApiToken, AuditEntry, AuditRow, LoginSession, UserAccount};
pub use permissions::{Permission, PermissionTable};
pub use service::{Access, FirstCode};
pub use tokens::TokenRequest;
