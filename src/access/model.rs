//! Users, sessions, tokens and the lines of the audit log, as they are kept and shown. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::FieldError;
use crate::ids::{SessionId, TokenId, UserId};
use crate::role::Role;

/// A session that was not used for so long is over.
pub const IDLE: Duration = Duration::from_secs(7 * 86_400);
/// However much it is used, a session ends after so long.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The longest time a token can be valid for, days.
pub const LONGEST_TOKEN: i64 = 3650;

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct User {
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
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The argon2id hash of the password, in PHC form.
    pub password: String,
    /// The secret of the second factor, sealed.
    pub second_factor: Option<String>,
    /// The last step of it that was used.
    pub step: i64,
}

/// A login that lasts.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Session {
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

impl Session {
    /// Whether a session that began and was last used then is over.
    #[must_use]
    pub fn is_over(created_at: Timestamp, used_at: Timestamp, now: Timestamp) -> bool {
        now.since(used_at) >= IDLE || now.since(created_at) >= LONGEST
    }
}

/// What a program logs in with.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Token {
    /// Its id; not the token.
    pub id: TokenId,
    /// What it is called; unique, whatever the case.
    pub name: String,
    /// Whose it is; it ends with that user, and never may more than that user. `null`: the machine's own user made it.
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
pub struct Deed {
    /// By whom: a user, a token of one, the machine's own user; for a refused login the name that was tried, if it is a user's.
    pub actor: String,
    /// With which role; empty where nobody was let in.
    pub role: String,
    /// From which address; empty over the socket and the command line.
    pub address: String,
    /// What, in words.
    pub deed: String,
    /// To what: the path of the request.
    pub path: String,
    /// What became of it, as an HTTP status.
    pub status: u16,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// With which role; empty where nobody was let in.
    pub role: String,
    /// From which address; empty over the socket and the command line.
    pub address: String,
    /// What, in words.
    pub deed: String,
    /// To what: the path of the request.
    pub path: String,
    /// What became of it, as an HTTP status.
    pub status: u16,
    /// How often in a row.
    pub times: u32,
}

impl Entry {
    /// It was done, not refused.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status < 400
    }
}

/// Checks the name of a user or a token.
///
/// # Errors
/// Why it cannot be one.
pub fn check_name(name: &str) -> Result<(), FieldError> {
    let fault = if name.is_empty() {
        "Give it a name."
    } else if name.chars().count() > 64 {
        "A name has at most 64 characters."
    } else if name.chars().any(|c| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    }) {
        // Two names must not look alike, nor change how the log reads.
        "A name has no control characters and none that cannot be seen."
    } else if name.eq_ignore_ascii_case(crate::http::Caller::MACHINE) {
        "That is what the machine's own user is called."
    } else {
        return Ok(());
    };
    Err(FieldError::new("/name", fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_told_apart() {
        for good in ["ada", "Ada Lovelace", "böse@example", "名"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a\u{202e}b", "a\nb", "This Machine", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_ends_unused_and_used() {
        let day = |n: u64| Timestamp(0).after(Duration::from_secs(n * 86_400));
        assert!(!Session::is_over(day(0), day(6), day(12)));
        assert!(Session::is_over(day(0), day(6), day(13)));
        assert!(Session::is_over(day(0), day(29), day(30)));
        assert!(!Session::is_over(day(5), day(5), day(0)), "a clock that was set back ends nothing");
    }
}
