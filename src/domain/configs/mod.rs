//! Saved configurations: checked before they are saved, and rendered as the client's file.
//!
//! ```text
//! JSON body ─┐
//! form ──────┼─▶ parse (with rules) ─▶ ClientConfig ─▶ toml_file::render(version) ─▶ client's file
//! TOML file ─┘        │                     │
//!              one FieldError             diff
//!              per wrong field
//! ```
//!
//! Invariants:
//!
//! * A [`ClientConfig`] from [`read`] or [`import`] obeys all `rules` and has a matching key pair.
//! * Its secret appears only in [`ClientConfig::to_stored_value`] and [`render`]. It is stored
//!   sealed.
//! * The file is written by a library, for one version of the client, after the list of fields in
//!   `programs/jd_client/config_fields.rs`. One object serves all versions.
//! * Only that list has the labels, help texts and messages of the fields.
//!
//! Pure (no clock, no I/O, no HTTP, no database):
//!
//! * `model`: the configuration. `parse`: reads JSON and forms. `rules`: errors, warnings, hints.
//! * `translator_file`: the translator's file. `translator_import`: its settings for a configuration. `toml_file`: reads and writes the client's file. `compatibility`: which versions can run it.
//! * `peer_targets`: the servers that a configuration names. `peer_probe`: would they accept the
//!   client.
//! * `diff`: changes between two configurations. `naming`, `ports`: free names and ports.
//!   `fuzzing`: properties that hold for any text.
//!
//! The rest:
//!
//! * `draft`: a configuration to be saved. `service`: the use cases. `history`: revisions.
//! * `active`: the active configuration. `config_view`: a saved configuration as others see it.
//! * `import_source`, `import_export`, `import_routes`: files in and out. `other_programs`: files that are not the
//!   client's. `dns_check`: can host names be resolved.
//! * `pool_list`: pools that publish their key, and which of them have a job declaration server.
//! * `storage`: seals the secret key. `survey`: reads all configurations without their keys.

mod compatibility;
mod diff;
mod model;
mod parse;
mod peer_probe;
mod peer_targets;
pub mod pool_list;
pub mod route_table;
mod rules;
#[cfg(test)]
mod samples;
mod toml_file;
mod translator_file;
mod translator_import;

pub use crate::programs::jd_client::version::{ClientVersion, VersionFault};
pub use compatibility::{VersionDiffLine, VersionSupport, compared, support};
pub use diff::{FieldDifference, differences};
pub use model::{
    BitcoinNetwork, ClientConfig, ConfigUpstream, MASK, MinerTelemetry, MiningMode,
    TemplateProvider, TranslatorSettings,
};
pub use parse::{ParsedConfig, form_name, form_to_value, read};
pub use peer_probe::{PeerProbeResult, probe_peers};
pub use rules::ConfigFindings;
pub use rules::address::host as host_without_port;
pub use rules::other_payouts::payout_descriptor;
pub use rules::reward::{RewardScript, reward_script};
pub use toml_file::{
    FileRemark, TomlConfig, TomlImport, export, import, lacking, left_out, parse, render,
    render_masked,
};
pub use translator_file::{client_address, monitoring_near, render_translator};

mod active;
mod config_view;
mod dns_check;
mod draft;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod history;
mod import_export;
mod import_routes;
mod import_source;
mod naming;
mod other_programs;
mod ports;
mod queries;
pub mod routes;
mod service;
mod storage;
mod survey;
pub mod views;

pub use config_view::{
    ConfigChangeResult, ConfigRevision, ConfigSummary, ConfigUser, ConfigValidation,
    RevisionComparison, SavedConfig, judged, versions_for,
};
pub use draft::ConfigDraft;
pub use import_source::ConfigImport;
pub use naming::{LONGEST_NAME, check_name};
pub use service::ConfigService;
pub use storage::{add_secrets, seal};
pub use survey::{SurveyedConfig, survey};
