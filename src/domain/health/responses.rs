//! JSON responses for programs: parts of the health page. No I/O.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::model::{CheckResult, HealthGrade};
use super::queries::HealthCheckRow;

/// Results of a health check.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CheckResponse {
    /// One result for each check.
    pub results: Vec<CheckResult>,
}

/// Past health check results.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "HealthHistory")]
pub struct CheckHistory {
    /// Newest first.
    pub history: Vec<HealthCheckRow>,
}

/// Latest result of each check.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HealthStatuses {
    /// By name of the check.
    pub status: BTreeMap<&'static str, CheckResult>,
}

impl HealthStatuses {
    /// By name of the check.
    pub fn of(results: Vec<CheckResult>) -> Self {
        Self {
            status: results
                .into_iter()
                .map(|result| (result.check_type.as_str(), result))
                .collect(),
        }
    }
}

/// Health score of an instance.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HealthScore {
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// The worst grade of all checks.
    pub status: HealthGrade,
}

/// Result of turning automatic fixes on or off.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RemediationSettingsResponse {
    /// Automatic fixes: on or off.
    pub cures: BTreeMap<&'static str, bool>,
}
