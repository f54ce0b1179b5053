//! Vocabulary used by every other folder. Imports nothing from other folders and starts nothing.
//!
//! * [`actor`]: who caused a change. [`clock`]: timestamps, and time as a parameter. [`error`]: errors in the product's own terms.
//! * [`ids`]: one type per kind of id. [`role`]: viewer, operator, admin.
//! * [`units`]: values as text for people. [`quantity`]: values as people type them.
//! * [`ssh_access`]: what a connection through `dial-stdio` may do.
//! * [`listeners`]: whether two programs can listen at the same time. [`port_range`]: a range of ports.
//! * [`visible`]: shows invisible characters in text from others.
//! * [`files`]: opens files at places where other users may have put something else.
//! * [`failpoint`]: places where tests kill the program; no effect in a release build.

pub mod actor;
pub mod clock;
pub mod error;
pub mod failpoint;
pub mod files;
pub mod ids;
pub mod listeners;
pub mod port_range;
pub mod quantity;
pub mod role;
pub mod ssh_access;
pub mod units;
pub mod visible;
