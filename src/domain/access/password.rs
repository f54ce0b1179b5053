//! Passwords: rules and hashes. Pure except for the random salt.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;

use crate::base::error::{Error, Result};

/// Minimum length of a password. NIST SP 800-63B-4, 3.1.1.2, requires 8 characters with a second
/// factor and 15 without; attempts are limited here, so this is in between.
pub const SHORTEST: usize = 10;
/// Maximum length in bytes: enough for any phrase, too short to overload the server.
pub const LONGEST: usize = 1024;

/// Memory in KiB, passes, lanes: OWASP's recommended smaller setting for argon2id (Password
/// Storage Cheat Sheet), which a Raspberry Pi can handle.
const COST: (u32, u32, u32) = (19_456, 2, 1);

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params =
        Params::new(memory, passes, lanes, None).expect("the constants are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Checks a new password of the user `name`.
pub fn check(password: &str, name: &str) -> std::result::Result<(), String> {
    let letters: std::collections::BTreeSet<char> = password.chars().collect();
    if password.chars().count() < SHORTEST {
        Err(format!(
            "The password must have at least {SHORTEST} characters. A phrase of several words is easy to remember."
        ))
    } else if password.len() > LONGEST {
        Err(format!("The password can have at most {LONGEST} bytes."))
    } else if letters.len() < 4
        || (!name.is_empty()
            && password
                .to_lowercase()
                .replace(&name.to_lowercase(), "")
                .chars()
                .count()
                < SHORTEST / 2)
    {
        Err("This password is too easy to guess because it repeats a pattern or the name. Choose another one.".into())
    } else {
        Ok(())
    }
}

/// The password's hash in PHC format, with a random salt. Takes tens of milliseconds, so do not call it on
/// an async thread.
pub fn hash(password: &str) -> Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(Error::internal)?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| Error::internal(e.to_string()))?;
    argon2()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|e| Error::internal(e.to_string()))
}

/// Whether the password matches this hash, compared in constant time. Without a hash, for an unknown
/// name, it takes the same time.
pub fn matches(password: &str, hash: Option<&str>) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| hash_of_nobody().unwrap_or_default());
    let known = hash.is_some();
    // Created on first use, for known and unknown names: the first call always takes twice as long.
    let nobody = NOBODY.as_str();
    let hash = hash.unwrap_or(nobody);
    let right = PasswordHash::new(hash)
        .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
    right && known
}

fn hash_of_nobody() -> Result<String> {
    hash("the password of nobody")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_the_name() {
        for good in ["correct horse", "pässwörter!", "ada likes trains"] {
            assert_eq!(check(good, "ada"), Ok(()), "{good}");
        }
        for bad in [
            "short",
            "aaaaaaaaaaaa",
            "abababababab",
            "administrator1",
            &"xy9!".repeat(300),
        ] {
            assert!(check(bad, "administrator").is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_password_itself_matches_and_no_two_hashes_are_alike() {
        let (one, two) = (
            hash("correct horse").unwrap(),
            hash("correct horse").unwrap(),
        );
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert!(matches("correct horse", Some(&one)) && matches("correct horse", Some(&two)));
        assert!(!matches("correct horsf", Some(&one)) && !matches("", Some(&one)));
        assert!(
            !matches("the password of nobody", None),
            "nobody never logs in"
        );
        assert!(!matches("x", Some("not a hash")));
    }
}
