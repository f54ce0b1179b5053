//! What programs are told of a change in who may do what. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::UserAccount;
use crate::base::ids::UserId;

/// Somebody was let in.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LoginResponse {
    /// That in a sentence.
    pub message: String,
    /// Who.
    pub user: UserAccount,
}

/// A user was made.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UserCreatedResponse {
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
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub user: UserAccount,
}
