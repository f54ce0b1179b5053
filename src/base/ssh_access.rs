//! What a connection through `jd-manager dial-stdio` may do, and the line in which it says so.
//!
//! `dial-stdio` sends the line before anything of the other end, so the other end cannot change it.
//! The manager accepts it only on its Unix socket, where it can only lower the role.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::role::Role;

/// Maximum length of a key's name, in characters.
const LONGEST_NAME: usize = 64;
/// The first words of the line, with the version of its format. The first byte differs from that of
/// every HTTP request.
const WORDS: &str = "dial-stdio 1";

/// The role and the key of a connection through SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAccess {
    /// The highest role of its requests.
    pub role: Role,
    /// The name of the SSH key, if `authorized_keys` gives one.
    pub key: Option<SshKeyName>,
}

/// The name of an SSH key in the audit log. It is free of spaces and quotes, so that it can be in a
/// command in `authorized_keys`, and of parentheses, which have a meaning in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshKeyName(Arc<str>);

impl SshAccess {
    /// The first byte of the line.
    pub const FIRST_BYTE: u8 = WORDS.as_bytes()[0];
    /// Maximum length of the line in bytes, with its line break.
    pub const LONGEST_LINE: usize = 128;

    /// The line, with its line break: `dial-stdio 1 viewer laptop`.
    pub fn line(&self) -> String {
        let key = self.key.as_ref().map(|key| format!(" {key}"));
        format!("{WORDS} {}{}\n", self.role, key.unwrap_or_default())
    }

    /// Parses the line without its line break. `None`: it is invalid or of another version.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(WORDS)?.strip_prefix(' ')?.split(' ');
        let role = words.next()?.parse().ok()?;
        let key = words.next().map(str::parse).transpose().ok()?;
        words.next().is_none().then_some(Self { role, key })
    }
}

impl FromStr for SshKeyName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
        let is_valid = name.len() <= LONGEST_NAME
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(is_allowed);
        if is_valid {
            Ok(Self(name.into()))
        } else {
            Err(
                "use at most 64 letters A to Z, digits and . _ - @; the first one must be a letter or digit",
            )
        }
    }
}

impl fmt::Display for SshKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_it_was_made_from_and_nothing_else_is_one() {
        for access in [
            SshAccess {
                role: Role::Viewer,
                key: Some("ada@laptop-1".parse().unwrap()),
            },
            SshAccess {
                role: Role::Admin,
                key: None,
            },
            SshAccess {
                role: Role::Operator,
                key: Some("x".repeat(64).parse().unwrap()),
            },
        ] {
            let line = access.line();
            assert!(line.len() <= SshAccess::LONGEST_LINE, "{line}");
            assert_eq!(line.as_bytes()[0], SshAccess::FIRST_BYTE);
            assert_eq!(SshAccess::parse(line.trim_end()), Some(access));
        }
        for bad in [
            "",
            "dial-stdio",
            "dial-stdio 1",
            "dial-stdio 1 ",
            "dial-stdio 2 viewer",
            "dial-stdio 1 root",
            "dial-stdio 1 Viewer",
            "dial-stdio 1 viewer ",
            "dial-stdio 1 viewer a b",
            "dial-stdio 1 viewer (a)",
            "dial-stdio 1 viewer\r",
            "dial-stdio 1  viewer",
            " dial-stdio 1 viewer",
        ] {
            assert_eq!(SshAccess::parse(bad), None, "{bad:?}");
        }
        for bad in ["", "-a", ".a", "a b", "a\"b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<SshKeyName>().is_err(), "{bad:?}");
        }
    }
}
