//! The client's own file: written for a given version of the client, and read from any.
//!
//! Text becomes TOML only through the `toml` crate, so no value can break out of its quotes. Which
//! keys a version gets is decided by the list in `programs/jd_client/config_fields.rs`. Must not
//! touch the file system.

mod environment;
mod export;
mod former_keys;
mod import;
mod render;

pub use environment::{EnvironmentText, environment};
pub use export::{export, export_whole, text_of};
pub use import::{FileRemark, SOLO_OFFER, TomlConfig, TomlImport, import, parse};
pub use render::{lacking, left_out, render, render_masked};
