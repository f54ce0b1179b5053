//! What the first generation's API answers, in its own words. No I/O.

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
    /// A client is there and was not told to end.
    running: bool,
    /// Its process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// For how long it has run, whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<u64>,
    /// When it was started, milliseconds since 1970.
    #[serde(rename = "startTime", skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    /// The state in today's words; none before the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<InstanceState>,
    /// The instance it is about; none before the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<InstanceId>,
}

impl LegacyStatus {
    /// Of the instance, or of none.
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
    /// Nothing was written yet.
    logs: [(); 0],
}

/// `GET /config`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ActiveConfig")]
pub struct LegacyConfig {
    success: bool,
    /// The file for the client in use, secret masked.
    toml: String,
    /// The configuration, secret masked.
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

/// `POST /config/validate`, when nothing is wrong.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "legacy_api/valid.html", blocks = ["main"])]
#[schemars(rename = "ConfigValid")]
pub struct ValidPage {
    valid: bool,
    /// The file for the client in use, secret masked.
    toml: String,
    /// What works but is probably not meant.
    warnings: Vec<FieldError>,
    /// What is good to know.
    hints: Vec<FieldError>,
}

crate::view!(ValidPage { "main" => as_main });

impl ValidPage {
    /// The file that would come of it, and what is doubtful.
    pub fn new((toml, found): (String, ConfigFindings)) -> Self {
        Self {
            valid: true,
            toml,
            warnings: found.warnings,
            hints: found.hints,
        }
    }
}
