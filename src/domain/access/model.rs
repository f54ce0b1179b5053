//! Users, sessions, tokens and audit log entries, as they are stored and shown. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::error::FieldError;
use crate::base::ids::{SessionId, TokenId, UserId};
use crate::base::role::Role;

/// A session expires after this time without use.
pub const IDLE: Duration = Duration::from_secs(7 * 86_400);
/// Maximum lifetime of a session.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// Maximum length of a user or token name, in characters.
const LONGEST_NAME: usize = 64;
/// Maximum validity of a token, in days.
pub const LONGEST_TOKEN: i64 = 3650;

/// How a caller was authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// A session.
    Session(SessionId),
    /// A token.
    Token(TokenId),
    /// The local connection.
    Connection,
    /// The local connection, through SSH.
    Ssh,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct UserAccount {
    /// The id.
    pub id: UserId,
    /// The username; unique, ignoring case.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Signing in also requires a code from an authenticator app.
    pub second_factor: bool,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time when the password was last set.
    pub password_at: Timestamp,
}

/// A user with the data needed to check a sign-in.
#[derive(Clone, Debug)]
pub struct StoredCredentials {
    /// The user.
    pub user: UserAccount,
    /// The argon2id hash of the password, in PHC form.
    pub password: String,
    /// The encrypted secret of the second factor.
    pub second_factor: Option<String>,
    /// The last time step for which a code was used.
    pub step: i64,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LoginSession {
    /// The id; different from the cookie.
    pub id: SessionId,
    /// The address from which the user signed in.
    pub address: String,
    /// The browser's `User-Agent`.
    pub program: String,
    /// Time of signing in.
    pub created_at: Timestamp,
    /// Time of last use, to the minute.
    pub used_at: Timestamp,
    /// This is the current session.
    pub current: bool,
}

impl LoginSession {
    /// Whether a session with these times has expired.
    pub fn is_over(created_at: Timestamp, used_at: Timestamp, now: Timestamp) -> bool {
        now.since(used_at) >= IDLE || now.since(created_at) >= LONGEST
    }
}

/// A token with which a program signs in.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ApiToken {
    /// The id; different from the token.
    pub id: TokenId,
    /// The name; unique, ignoring case.
    pub name: String,
    /// The owner. The token is deleted with the owner and never has a higher role. `null`: the
    /// local account.
    pub user: Option<String>,
    /// The role.
    pub role: Role,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry time; `null`: never.
    pub expires_at: Option<Timestamp>,
    /// Time of last use, to the minute.
    pub used_at: Option<Timestamp>,
    /// The token has expired.
    pub expired: bool,
}

/// An action to record in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The user behind the actor, for example a token's owner.
    pub user: String,
    /// The actor: a user, a token or the local account; for a failed sign-in the given name, if a
    /// user has that name.
    pub actor: String,
    /// The actor's role; empty for a failed sign-in.
    pub role: String,
    /// The address; empty for the socket and the command line.
    pub address: String,
    /// Description of the action.
    pub action: String,
    /// The path of the request.
    pub path: String,
    /// The HTTP status of the response, or [`CANCELED`].
    pub status: u16,
}

/// The status of a request whose client closed the connection before the response. The change may
/// have been made.
pub const CANCELED: u16 = 499;

impl AuditEntry {
    /// Whether nothing was changed.
    pub fn is_rejected(&self) -> bool {
        self.status >= 400 && self.status != CANCELED
    }
}

/// An audit log entry.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "AuditEntry")]
pub struct AuditRow {
    /// The number; increases with time.
    pub id: i64,
    /// Time of the action; the last time if `times` is more than 1.
    pub at: Timestamp,
    /// Time of the first of the combined actions.
    pub first_at: Timestamp,
    /// The actor.
    pub actor: String,
    /// The actor's role; empty for a failed sign-in.
    pub role: String,
    /// The address; empty for the socket and the command line; `several` if requests from several
    /// addresses are combined.
    pub address: String,
    /// Description of the action.
    #[serde(rename = "deed")]
    pub action: String,
    /// The path of the request; if different paths are combined, their common
    /// part.
    pub path: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// How often it occurred. Identical rejected requests within an hour are combined in one entry.
    pub times: u32,
}

impl AuditRow {
    /// Whether the action was done, not rejected.
    pub fn is_done(&self) -> bool {
        self.status < 400
    }

    /// Whether the connection was closed before the response, so the result is not known.
    pub fn is_canceled(&self) -> bool {
        self.status == CANCELED
    }
}

/// Names in histories that are not users.
const RESERVED: [&str; 4] = ["jd-manager", "automatic", "update", "self-healing"];

/// Checks the name of a new user. Only few characters are allowed, so that no name looks like another one or
/// like the title of a token.
pub fn check_user_name(name: &str) -> Result<(), FieldError> {
    let is_reserved = RESERVED
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved));
    if is_reserved {
        return Err(FieldError::new(
            "/name",
            format!("The name {name} is reserved for jd-manager. Choose another name."),
        ));
    }
    let fault = "Use only letters A to Z, digits and . _ - @ +. The name must start with a letter or digit.";
    check_characters(name, is_word)
        .map_err(|empty_or_long| FieldError::new("/name", empty_or_long.unwrap_or(fault)))
}

/// Checks the name of a new token: like a user name, but with single spaces between words.
pub fn check_token_name(name: &str) -> Result<(), FieldError> {
    let fault = "Use only letters A to Z, digits, single spaces and . _ - @ +. The name must start with a letter or digit.";
    let has_gaps = name.contains("  ") || name.ends_with(' ');
    let checked = check_characters(name, |c| c == ' ' || is_word(c));
    match checked {
        Ok(()) if has_gaps => Err(FieldError::new("/name", fault)),
        checked => checked
            .map_err(|empty_or_long| FieldError::new("/name", empty_or_long.unwrap_or(fault))),
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+')
}

/// Checks the length and the characters; the error describes the problem with the length.
fn check_characters(
    name: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), Option<&'static str>> {
    if name.is_empty() {
        return Err(Some("Enter a name."));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(Some("The name can have at most 64 characters."));
    }
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_allowed) {
        true => Ok(()),
        false => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_like_no_others() {
        for good in ["ada", "Ada.Lovelace", "a+b@example.org", "root1", "x_1-2"] {
            assert_eq!(check_user_name(good), Ok(()), "{good}");
            assert_eq!(check_token_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "root1 (token deploy)",
            "root1\u{a0}",
            "r\u{43e}\u{43e}t",
            "böse",
            "名",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\nb",
            "This Machine",
            "unknown name",
            "-x",
            ".x",
            " x",
            "a\u{2009}b",
            "a\u{37e}b",
            "ａｄａ",
            "e\u{301}",
            "Automatic",
            "jd-manager",
            &"x".repeat(65),
        ] {
            assert!(check_user_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_token_name("barn 7 grafana"), Ok(()));
        for bad in [
            "",
            " x",
            "x ",
            "a  b",
            "a (b)",
            "a\u{a0}b",
            "r\u{43e}\u{43e}t",
            "a\tb",
            &"x".repeat(65),
        ] {
            assert!(check_token_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_ends_unused_and_used() {
        let day = |n: u64| Timestamp(0).after(Duration::from_secs(n * 86_400));
        assert!(!LoginSession::is_over(day(0), day(6), day(12)));
        assert!(LoginSession::is_over(day(0), day(6), day(13)));
        assert!(LoginSession::is_over(day(0), day(29), day(30)));
        assert!(
            !LoginSession::is_over(day(5), day(5), day(0)),
            "a clock that was set back ends nothing"
        );
    }
}
