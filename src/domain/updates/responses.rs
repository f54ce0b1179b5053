//! JSON responses of updates that have no page. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::ReleaseSkip;
use super::queries::KnownRelease;
use super::settings::UpdateSettings;
use crate::base::ids::JobId;

/// Every release that is known, and every client that was installed otherwise.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AllUpdates")]
pub struct ReleaseList {
    /// The newest first.
    pub updates: Vec<KnownRelease>,
    /// `before` for the next older ones, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// A piece of work has begun.
#[derive(Debug, JsonSchema, Serialize)]
pub struct JobStartResponse {
    /// Which.
    pub job: JobId,
    /// About which client.
    pub version: String,
    /// That in a sentence.
    pub message: String,
}

/// A piece of work is being cancelled.
#[derive(Debug, JsonSchema, Serialize)]
pub struct JobCancelResponse {
    /// Which.
    pub job: JobId,
    /// That in a sentence.
    pub message: String,
}

/// What is wanted of updates was changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UpdateSettingsResponse {
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub settings: UpdateSettings,
}

/// A release was skipped, or is offered again.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReleaseSkipResponse {
    /// Its tag.
    pub version: String,
    /// That in a sentence.
    pub message: String,
    /// The releases that are skipped now, the last one first.
    pub skipped: Vec<ReleaseSkip>,
}
