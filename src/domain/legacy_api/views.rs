//! Responses of the original API in its own format. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::error::FieldError;
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::configs::{ClientConfig, ConfigFindings, SavedConfig};
use crate::domain::instances::Instance;
use crate::keeper::machine::InstanceState;

/// `GET /jdc/status`.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "DefaultStanding")]
pub struct LegacyStatus {
    /// Whether the client is running and not stopping.
    running: bool,
    /// The process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Uptime in whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<u64>,
    /// Start time, milliseconds since 1970.
    #[serde(rename = "startTime", skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    /// The state of the instance; missing before the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<InstanceState>,
    /// The instance; missing before the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<InstanceId>,
}

impl LegacyStatus {
    /// The status of the instance, if it exists.
    pub fn of(instance: Option<Instance>) -> Self {
        instance.map_or_else(Self::default, |instance| Self {
            running: instance.running,
            pid: instance.pid,
            uptime: instance.uptime,
            start_time: instance.start_time,
            status: Some(instance.status),
            instance_id: Some(instance.id),
        })
    }
}

/// `GET /jdc/logs` before the first start.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "EmptyLog")]
pub struct NoLog {
    /// Empty.
    logs: [(); 0],
}

/// `GET /config`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ActiveConfig")]
pub struct LegacyConfig {
    success: bool,
    /// The file for the client version in use, with the secret masked.
    toml: String,
    /// The configuration, with the secret masked.
    config: ClientConfig,
    config_id: ConfigId,
    name: String,
    revision: i32,
}

impl LegacyConfig {
    /// The active configuration and its file.
    pub fn new((saved, toml): (SavedConfig, String)) -> Self {
        let SavedConfig {
            id,
            name,
            revision,
            config,
            ..
        } = saved;
        Self {
            success: true,
            toml,
            config,
            config_id: id,
            name,
            revision,
        }
    }
}

/// `POST /config/validate` for a valid configuration.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "legacy_api/valid.html", blocks = ["main"])]
#[schemars(rename = "ConfigValid")]
pub struct ValidPage {
    valid: bool,
    /// The file for the client version in use, with the secret masked.
    toml: String,
    /// Warnings.
    warnings: Vec<FieldError>,
    /// Notes.
    hints: Vec<FieldError>,
}

crate::view!(ValidPage { "main" => as_main });

impl ValidPage {
    /// The resulting file, warnings and notes.
    pub fn new((toml, found): (String, ConfigFindings)) -> Self {
        Self {
            valid: true,
            toml,
            warnings: found.warnings,
            hints: found.hints,
        }
    }
}
