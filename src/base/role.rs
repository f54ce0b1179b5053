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
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name in JSON, in forms and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// What it may do, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::Viewer => "sees everything but secrets",
            Self::Operator => "starts, stops and updates what is there, and silences alerts",
            Self::Admin => "decides everything: configurations, keys, channels, users, backups",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| "a role is viewer, operator or admin".into())
    }
}
