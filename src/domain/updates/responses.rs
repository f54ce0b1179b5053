//! JSON responses of updates that have no page. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::ReleaseSkip;
use super::queries::KnownRelease;
use super::settings::UpdateSettings;
use crate::base::ids::JobId;

/// All known releases and installed clients.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AllUpdates")]
pub struct ReleaseList {
    /// Newest first.
    pub updates: Vec<KnownRelease>,
    /// `before` of the next older page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// An update job was started.
#[derive(Debug, JsonSchema, Serialize)]
pub struct JobStartResponse {
    /// Id of the job.
    pub job: JobId,
    /// Version of the job.
    pub version: String,
    /// The result as text.
    pub message: String,
}

/// An update job is being canceled.
#[derive(Debug, JsonSchema, Serialize)]
pub struct JobCancelResponse {
    /// Id of the job.
    pub job: JobId,
    /// The result as text.
    pub message: String,
}

/// Result of changing the update settings.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UpdateSettingsResponse {
    /// The result as text.
    pub message: String,
    /// The new settings.
    pub settings: UpdateSettings,
}

/// Result of skipping a release or offering it again.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReleaseSkipResponse {
    /// Its tag.
    pub version: String,
    /// The result as text.
    pub message: String,
    /// All skipped releases, last skipped first.
    pub skipped: Vec<ReleaseSkip>,
}
