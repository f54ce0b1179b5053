//! Use cases of tokens, with which programs sign in.

use std::time::Duration;

use super::model::{ApiToken, LONGEST_TOKEN, check_token_name};
use super::queries;
use super::secret_token;
use super::service::Access;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{TokenId, UserId};
use crate::base::role::Role;
use crate::web::Caller;

/// Maximum number of tokens per user.
const MOST_TOKENS: i64 = 100;

/// A new token and its value.
pub struct NewToken {
    /// The stored data.
    pub token: ApiToken,
    /// The token itself; available only here.
    pub secret: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// The properties of a new token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Validity in days; `None`: unlimited.
    pub days: Option<i64>,
}

impl Access {
    /// The tokens that the caller can see, by name: an admin all, others their own; a token without the admin role
    /// only itself.
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<ApiToken>> {
        let (now, caller) = (self.now(), caller.clone());
        let all = self
            .db
            .read(move |c| Ok(queries::all_tokens(c, now)?))
            .await?;
        Ok(all
            .into_iter()
            .filter(|token| may_see(&caller, token))
            .collect())
    }

    /// Creates a token of the caller, with at most the caller's role.
    ///
    /// # Errors
    /// The name is invalid or already in use; the role is too high; the validity is out of range.
    pub async fn create_token(&self, caller: &Caller, wish: TokenRequest) -> Result<NewToken> {
        let mut errors: Vec<FieldError> = check_token_name(&wish.name).err().into_iter().collect();
        if wish.role > caller.role {
            errors.push(FieldError::new(
                "/role",
                format!(
                    "Your role is {}. You cannot create a token with the {} role.",
                    caller.role, wish.role
                ),
            ));
        }
        if wish
            .days
            .is_some_and(|days| !(1..=LONGEST_TOKEN).contains(&days))
        {
            errors.push(FieldError::new(
                "/days",
                format!("days must be a whole number from 1 to {LONGEST_TOKEN}."),
            ));
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let user: Option<UserId> = match caller.name == Caller::MACHINE {
            true => None,
            false => Some(self.me(caller).await?.id),
        };
        let (secret, now) = (secret_token::fresh(secret_token::TOKEN)?, self.now());
        let hash = secret_token::hash(&secret);
        let days = |days: i64| now.after(Duration::from_secs(days.unsigned_abs() * 86_400));
        let token = ApiToken {
            id: TokenId::random(),
            name: wish.name,
            user: user.map(|_| caller.name.clone()),
            role: wish.role,
            created_at: now,
            expires_at: wish.days.map(days),
            used_at: None,
            expired: false,
        };
        let token = self
            .change(move |c| {
                if queries::token_name_is_taken(c, &token.name)? {
                    return Err(Error::Conflict(format!(
                        "A token named \"{}\" already exists. Choose another name.",
                        token.name
                    )));
                }
                if queries::tokens_of(c, user)? >= MOST_TOKENS {
                    return Err(Error::Conflict(format!(
                        "You already have {MOST_TOKENS} tokens. Revoke one first."
                    )));
                }
                queries::insert_token(c, &token, &hash, user)?;
                Ok(token)
            })
            .await?;
        Ok(NewToken { token, secret })
    }

    /// Revokes a token that the caller can see.
    ///
    /// # Errors
    /// The caller can see no token with this id.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<ApiToken> {
        let mine = self.tokens(caller).await?;
        let token = mine
            .into_iter()
            .find(|token| token.id == id)
            .ok_or_else(|| Error::not_found("token", id))?;
        self.change(move |c| Ok(queries::delete_token(c, id)?))
            .await?;
        Ok(token)
    }
}

fn may_see(caller: &Caller, token: &ApiToken) -> bool {
    match &caller.token {
        _ if caller.role == Role::Admin => true,
        Some(own) => token.name == *own,
        None => token.user.as_ref() == Some(&caller.name),
    }
}
