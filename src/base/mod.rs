//! Vocabulary that every other folder uses. Imports nothing of ours and starts nothing.
//!
//! * [`actor`]: who caused a change. [`clock`]: moments, and time as a parameter. [`error`]: errors in the product's own terms.
//! * [`ids`]: one type per kind of id. [`role`]: viewer, operator, admin.
//! * [`units`]: values as text for people. [`quantity`]: values as people type them.
//! * [`visible`]: shows invisible characters in text from others.
//! * [`files`]: opens files in places where somebody else may have put something.
//! * [`failpoint`]: places where tests kill the program; nothing in a release build.

pub mod actor;
pub mod clock;
pub mod error;
pub mod failpoint;
pub mod files;
pub mod ids;
pub mod quantity;
pub mod role;
pub mod units;
pub mod visible;
