//! Roles of users and tokens.
//!
//! Vocabulary: independent of users, passwords and addresses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role. Each role includes the permissions of the ones before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[derive(
    strum::Display, strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = refuse_role)]
pub enum Role {
    /// Can view everything except secrets.
    Viewer,
    /// Can start, stop and update instances, switch between installed clients, and mute alerts.
    Operator,
    /// Full access, including configurations, keys, channels, users and
    /// backups.
    Admin,
}

impl Role {
    /// The name in JSON, in forms and in the database.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it has the permissions of an operator. For pages, which do not offer other actions.
    pub fn may_operate(self) -> bool {
        self >= Self::Operator
    }

    /// Whether it has the permissions of an admin.
    pub fn may_administer(self) -> bool {
        self >= Self::Admin
    }

    /// The permissions, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::Viewer => "can view everything except secrets",
            Self::Operator => "can start, stop and update instances, and mute alerts",
            Self::Admin => {
                "has full access, including configurations, keys, channels, users and backups"
            }
        }
    }
}

fn refuse_role(_: &str) -> String {
    "the role must be viewer, operator or admin".into()
}
