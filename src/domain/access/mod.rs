//! Access: users, sessions, tokens, roles, and the audit log.
//!
//! While there is no user, the local account is trusted: over loopback and over the manager's own
//! socket. After the first user is created, everyone who connects over the network signs in or sends
//! a token. The socket stays available to those who can open it: the manager's system user and root.
//!
//! Invariants:
//!
//! * Passwords, sessions and tokens are stored as hashes only; a token is shown once.
//! * Sign-in attempts for existing and unknown names get the same response in the same time.
//! * An attempt is counted before the password is checked.
//! * Once there is a user, there is always an admin.
//! * A change made through the router is in the audit log before the response is sent, or waits in memory
//!   for the database and is in jd-manager's own log. If the client closes the connection before the
//!   response, the request is in the audit log with status 499.
//!
//! Without I/O:
//!
//! * [`model`]: users, sessions, tokens, audit entries. `password`: rules and hash.
//! * `secret_token`: random tokens. `second_factor`: codes of an authenticator app.
//! * `attempts`: limits on sign-in attempts.
//!
//! The rest:
//!
//! * [`middleware`]: checks every request. `authenticate`: identifies the caller. `index`: users,
//!   sessions and tokens in memory.
//! * `sessions`: sign in, sign out, own password. `tokens`: tokens of programs. `service`: users.
//! * `pending_form`: a form sent without a session. `activity`: times of last use.
//! * `audit_queue`: audit entries waiting for the database. `jobs`: prunes sessions and the audit
//!   log.
//!
//! The required role of each route is in the route tables of the domains.

mod activity;
mod attempts;
mod audit_queue;
mod authenticate;
mod fields;
mod index;
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
pub use service::{Access, FirstCode, any_users, check_exposure};
pub use tokens::TokenRequest;
