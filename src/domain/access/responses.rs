//! JSON responses to changes of users and sessions. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::UserAccount;
use crate::base::ids::UserId;

/// A successful sign-in.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LoginResponse {
    /// A message.
    pub message: String,
    /// The user.
    pub user: UserAccount,
}

/// A user was created.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UserCreatedResponse {
    /// The new user's id.
    pub user_id: UserId,
    /// A message.
    pub message: String,
    /// The user after the change.
    pub user: UserAccount,
}

/// A user was changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UserChangeResponse {
    /// A message.
    pub message: String,
    /// The user after the change.
    pub user: UserAccount,
}
