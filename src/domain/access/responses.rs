//! What programs are told of a change in who may do what. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::UserAccount;
use crate::base::ids::UserId;

/// Somebody was let in.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LoginResponse {
    /// It was.
    pub success: bool,
    /// That in a sentence.
    pub message: String,
    /// Who.
    pub user: UserAccount,
}

/// A user was made.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UserCreatedResponse {
    /// It was.
    pub success: bool,
    /// Which.
    pub user_id: UserId,
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub user: UserAccount,
}

/// A user was changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UserChangeResponse {
    /// It was.
    pub success: bool,
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub user: UserAccount,
}
