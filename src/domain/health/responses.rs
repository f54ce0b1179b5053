//! JSON responses for programs: parts of the health page. No I/O.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::model::{CheckResult, HealthGrade};
use super::queries::HealthCheckRow;

/// What a look found.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CheckResponse {
    /// One result for each check.
    pub results: Vec<CheckResult>,
}

/// What checks found before.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "HealthHistory")]
pub struct CheckHistory {
    /// Newest first.
    pub history: Vec<HealthCheckRow>,
}

/// Every check's last result.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HealthStatuses {
    /// By the name of the check.
    pub status: BTreeMap<&'static str, CheckResult>,
}

impl HealthStatuses {
    /// By their names.
    pub fn of(results: Vec<CheckResult>) -> Self {
        Self {
            status: results
                .into_iter()
                .map(|result| (result.check_type.as_str(), result))
                .collect(),
        }
    }
}

/// How an instance is, in one number.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HealthScore {
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// The worst of the checks.
    pub status: HealthGrade,
}

/// Which cures are tried was changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RemediationSettingsResponse {
    /// As it is now.
    pub cures: BTreeMap<&'static str, bool>,
}
