//! What programs are told of a change in backups. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::settings::BackupSettings;

/// A backup is being made.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupBegun")]
pub struct BackupStartResponse {
    /// What it will be called.
    pub name: String,
    /// That in a sentence.
    pub message: &'static str,
}

/// What is wanted every night was changed.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupSettingsSaved")]
pub struct BackupSettingsResponse {
    /// As it is now.
    pub settings: BackupSettings,
}
