//! The pages as people see them: a real headless Chromium with a real manager and simulated
//! clients.
//!
//! Every flow that does not need scripts is gone through with and without them. The order of the
//! modules is that of a first evening with the program.

/// Held by the tests that keep a browser busy for minutes, and alone by the one that needs a
/// processor for its browser: without one its page answers no question within WebDriver's 30 s.
static BUSY_BROWSERS: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

mod access;
mod backups;
mod charts;
mod connection;
pub mod driver;
mod first_steps;
mod form_errors;
mod frame;
mod health;
mod instance_table;
mod layout;
mod lists;
mod live_log;
mod setup;
mod updates;
