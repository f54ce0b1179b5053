//! The running manager.
//!
//! * [`app`]: the composition root: start and stop, in order. [`state`]: the services handlers use.
//! * [`route_table`]: every route. [`router`]: the router of them and the order of middleware.
//! * [`listener`]: TCP, TLS and Unix socket, and their limits. [`api_docs`]: the API documentation.
//! * [`glossary`]: the page that explains terms.
//! * [`settings`]: flags, environment and file. [`reload`]: SIGHUP. [`logging`]: the manager's log.
//!   [`ready_message`]: what is printed at the start.
//! * [`database_checks`]: notices about the database. [`systemd`]: readiness and watchdog.

pub mod api_docs;
pub mod app;
pub mod database_checks;
pub mod glossary;
pub mod listener;
pub mod logging;
pub mod ready_message;
pub mod reload;
pub mod route_table;
pub mod router;
pub mod settings;
pub mod state;
pub mod systemd;
