//! The running manager: its settings, its listener, all routes and who may use them, and the order in which parts start and stop.

pub mod api_docs;
pub mod app;
pub mod database_checks;
pub mod listener;
pub mod logging;
pub mod permissions;
pub mod reload;
pub mod router;
pub mod settings;
pub mod state;
pub mod systemd;
