//! What somebody may do.
//!
//! Vocabulary: knows nothing of users, passwords or addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody may do. Each may do what the ones before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = refuse_role)]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Runs what is there: starts, stops, switches between installed clients, silences alerts.
    Operator,
    /// Decides where the income goes and who may do what: configurations, keys, channels, users,
    /// backups.
    Admin,
}

impl Role {
    /// Its name in JSON, in forms and in the database.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it may do, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::Viewer => "views everything except secrets",
            Self::Operator => "starts, stops and updates instances, and mutes alerts",
            Self::Admin => {
                "full access, including configurations, keys, channels, users and backups"
            }
        }
    }
}

fn refuse_role(_: &str) -> String {
    "the role must be viewer, operator or admin".into()
}
