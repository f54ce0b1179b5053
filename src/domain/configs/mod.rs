//! Saved configurations: what a client is told, checked before it is kept, and written as the client's file.
//!
//! ```text
//! JSON body ─┐
//! form ──────┼─▶ reading (with rules) ─▶ model::ClientConfig ─▶ toml_file::render(version) ─▶ the client's file
//! TOML file ─┘        │                        │
//!                one FieldError            differences
//!                per wrong field
//! ```
//!
//! Invariants: a [`ClientConfig`] that came out of [`read`] or [`import`] obeys all `rules` and has a matching pair of keys;
//! its secret shows only in [`ClientConfig::to_stored_value`] and [`render`], and is stored sealed; the file is written by a library, for one
//! version of the client at a time, after the table in `version`. One object serves all versions.
//!
//! Everything but `active`, `draft`, `exchange`, `history`, `hosts`, `importing`, `sealing`, `service`, `queries`, `routes` and `views` is pure: no clock, no I/O, no HTTP, no database.

mod compatibility;
mod diff;
mod model;
pub mod openapi;
mod parse;
mod rules;
#[cfg(test)]
mod samples;
mod toml_file;

pub use crate::programs::jd_client::version::{ClientVersion, KeyRow, MATRIX, Presence, VersionFault};
pub use compatibility::{Line, Support, compared, support};
pub use diff::{Difference, differences};
pub use model::{BitcoinNetwork, ClientConfig, MASK, MinerTelemetry, Mode, TemplateProvider, Upstream};
pub use parse::{Accepted, form_name, form_to_value, read};
pub use rules::Findings;
pub use rules::reward::{RewardScript, reward_script};
pub use toml_file::{Imported, Parsed, Remark, export, import, lacking, left_out, parse, render, render_masked};

mod active;
mod config_view;
mod dns_check;
mod draft;
pub mod fuzzing;
mod history;
mod import_export;
mod import_source;
mod naming;
mod ports;
mod queries;
pub mod routes;
mod service;
mod storage;
pub mod views;

pub use config_view::{Comparison, Outcome, Revision, Saved, Summary, User, Verdict, judged, versions_for};
pub use draft::Draft;
pub use import_source::Import;
pub use naming::{LONGEST_NAME, check_name};
pub use service::Configs;
pub use storage::{learn_secrets, seal};
