//! What programs alone are answered of health: parts of what its page shows. No I/O.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::model::{Checked, Grade};
use super::queries::Row;

/// What a look found.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Looked {
    /// One result for each check.
    pub results: Vec<Checked>,
}

/// What checks found before.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "HealthHistory")]
pub struct Past {
    /// Newest first.
    pub history: Vec<Row>,
}

/// Every check's last result.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Statuses {
    /// By the name of the check.
    pub status: BTreeMap<&'static str, Checked>,
}

impl Statuses {
    /// By their names.
    #[must_use]
    pub fn of(results: Vec<Checked>) -> Self {
        Self { status: results.into_iter().map(|result| (result.check_type.as_str(), result)).collect() }
    }
}

/// How an instance is, in one number.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Score {
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// The worst of the checks.
    pub status: Grade,
}

/// Which cures are tried was changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CuresSaved {
    /// It was.
    pub success: bool,
    /// As it is now.
    pub cures: BTreeMap<&'static str, bool>,
}
