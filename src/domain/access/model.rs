//! Users, sessions, tokens and the lines of the audit log, as they are kept and shown. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::error::FieldError;
use crate::base::ids::{SessionId, TokenId, UserId};
use crate::base::role::Role;

/// A session that was not used for so long is over.
pub const IDLE: Duration = Duration::from_secs(7 * 86_400);
/// However much it is used, a session ends after so long.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The longest name of a user or a token, characters.
const LONGEST_NAME: usize = 64;
/// The longest time a token can be valid for, days.
pub const LONGEST_TOKEN: i64 = 3650;

/// By what somebody is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// A session.
    Session(SessionId),
    /// A token.
    Token(TokenId),
    /// The connection: the machine's own user.
    Connection,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct UserAccount {
    /// Its id.
    pub id: UserId,
    /// The name it logs in with; unique, whatever the case.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// A login needs the code of an authenticator, too.
    pub second_factor: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its password was set.
    pub password_at: Timestamp,
}

/// What is known of a user to judge a login.
#[derive(Clone, Debug)]
pub struct StoredCredentials {
    /// The user.
    pub user: UserAccount,
    /// The argon2id hash of the password, in PHC form.
    pub password: String,
    /// The secret of the second factor, sealed.
    pub second_factor: Option<String>,
    /// The last step of it that was used.
    pub step: i64,
}

/// A login that lasts.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LoginSession {
    /// Its id; not what the cookie holds.
    pub id: SessionId,
    /// From where the login came.
    pub address: String,
    /// What the browser calls itself.
    pub program: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// It is the one that asks.
    pub current: bool,
}

impl LoginSession {
    /// Whether a session that began and was last used then is over.
    pub fn is_over(created_at: Timestamp, used_at: Timestamp, now: Timestamp) -> bool {
        now.since(used_at) >= IDLE || now.since(created_at) >= LONGEST
    }
}

/// What a program logs in with.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ApiToken {
    /// Its id; not the token.
    pub id: TokenId,
    /// What it is called; unique, whatever the case.
    pub name: String,
    /// Whose it is; it ends with that user, and never may more than that user. `null`: the
    /// machine's own user made it.
    pub user: Option<String>,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `null`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// It has ended.
    pub expired: bool,
}

/// Something that was done, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The user behind the actor: a token's owner.
    pub user: String,
    /// By whom: a user, a token of one, the machine's own user; for a refused login the name that
    /// was tried, if it is a user's.
    pub actor: String,
    /// With which role; empty where nobody was let in.
    pub role: String,
    /// From which address; empty over the socket and the command line.
    pub address: String,
    /// What, in words.
    pub action: String,
    /// To what: the path of the request.
    pub path: String,
    /// What became of it, as an HTTP status.
    pub status: u16,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "AuditEntry")]
pub struct AuditRow {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When; the last time if `times` is more than 1.
    pub at: Timestamp,
    /// When it happened for the first time.
    pub first_at: Timestamp,
    /// By whom.
    pub actor: String,
    /// With which role; empty where nobody was let in.
    pub role: String,
    /// From which address; empty over the socket and the command line; `several` where those of
    /// several are counted.
    pub address: String,
    /// What, in words.
    #[serde(rename = "deed")]
    pub action: String,
    /// To what: the path of the request; where different ones are counted, what they have in
    /// common.
    pub path: String,
    /// What became of it, as an HTTP status.
    pub status: u16,
    /// How often. Equal refusals within an hour are counted in one entry.
    pub times: u32,
}

impl AuditRow {
    /// It was done, not refused.
    pub fn is_done(&self) -> bool {
        self.status < 400
    }
}

/// Who acts in histories without being a user.
const RESERVED: [&str; 4] = ["jd-manager", "automatic", "update", "self-healing"];

/// Checks the name of a new user. Few characters, so that no name looks like another or like the
/// title of a token.
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
    let fault = "Use only letters A to Z, digits and . _ - @ +. The name must begin with a letter or digit.";
    check_characters(name, is_word)
        .map_err(|empty_or_long| FieldError::new("/name", empty_or_long.unwrap_or(fault)))
}

/// Checks the name of a new token: like a user's, and single blanks between words.
pub fn check_token_name(name: &str) -> Result<(), FieldError> {
    let fault = "Use only letters A to Z, digits, single spaces and . _ - @ +. The name must begin with a letter or digit.";
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

/// Checks the length and the characters; the error holds what is wrong with the length.
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
