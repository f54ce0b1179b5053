//! JSON responses to changes of backups. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::settings::BackupSettings;

/// A backup was started.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupBegun")]
pub struct BackupStartResponse {
    /// The name of the new backup.
    pub name: String,
    /// A message.
    pub message: &'static str,
}

/// The settings of nightly backups were changed.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "BackupSettingsSaved")]
pub struct BackupSettingsResponse {
    /// The settings after the change.
    pub settings: BackupSettings,
}
