//! The pages as people see them: a real headless Chromium with a real manager and simulated
//! clients.
//!
//! Every flow that does not need scripts is gone through with and without them. The order of the
//! modules is that of a first evening with the program.

mod access;
mod backups;
mod charts;
mod connection;
pub mod driver;
mod first_steps;
mod form_errors;
mod health;
mod instance_table;
mod layout;
mod lists;
mod live_log;
mod setup;
mod updates;
