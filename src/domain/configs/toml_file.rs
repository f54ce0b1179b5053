//! The client's file: written for one client version, and read from any.
//!
//! Only the `toml` crate creates TOML, so no value can break out of its quotes. The list in
//! `programs/jd_client/config_fields.rs` decides which keys a version gets. This module must not
//! access the file system.

mod environment;
mod export;
mod former_keys;
mod import;
mod render;

pub use environment::{EnvironmentText, environment};
pub use export::{export, export_whole, text_of};
pub use import::{FileRemark, SOLO_OFFER, TomlConfig, TomlImport, import, parse};
pub use render::{lacking, left_out, render, render_masked};
