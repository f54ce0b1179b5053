//! The name of a machine for ssh: a host name, `user@host`, an alias in `~/.ssh/config`, or
//! `ssh://user@host:port`.

use std::fmt;
use std::str::FromStr;

/// Maximum length, in characters.
const LONGEST: usize = 255;

/// A destination that ssh takes as such. A `ProxyCommand` may pass it to a shell, so it has no
/// characters with a meaning there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshDestination(String);

impl SshDestination {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SshDestination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-@:/[]+%".contains(c);
        if text.is_empty() {
            Err("Enter a host name, user@host, or an alias from ~/.ssh/config.")
        } else if text.len() > LONGEST {
            Err("The address can have at most 255 characters.")
        } else if text.starts_with('-') {
            // ssh would take it as an option.
            Err("The address must not start with a hyphen.")
        } else if text.ends_with('@') || !text.chars().all(is_allowed) {
            Err(
                "Enter a host name, user@host, ssh://user@host:port, or an alias from ~/.ssh/config, without spaces and quotes.",
            )
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for SshDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_an_option_or_a_command() {
        for good in [
            "barn",
            "ada@barn.example.org",
            "ssh://ada@[2001:db8::1]:2222",
            "10.0.0.7",
            "fe80::1%eth0",
        ] {
            assert_eq!(good.parse::<SshDestination>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "$(x)",
            "`x`",
            "a\nb",
            "a'b",
            "ada@",
            "bärn",
            "a\u{202e}b",
            &"x".repeat(256),
        ] {
            assert!(bad.parse::<SshDestination>().is_err(), "{bad:?}");
        }
    }
}
