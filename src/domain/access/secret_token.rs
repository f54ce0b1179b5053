//! Random secrets: of sessions, API tokens and initial setup. Stored as hashes, so that the database
//! gives no access.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::base::error::{Error, Result};

/// Prefix of API tokens, so that scanners recognize leaked ones.
pub const TOKEN: &str = "jdm_";

/// 256 random bits as text, after `prefix`. They cannot be guessed, so a fast hash is sufficient for
/// storage.
pub fn fresh(prefix: &str) -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// The stored hash: SHA-256, hexadecimal.
pub fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    Sha256::digest(text.as_bytes())
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// A code for people to type: sixteen letters and digits that do not look alike, 80
/// bits.
pub fn code() -> Result<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    Ok(letters
        .chunks(4)
        .map(|four| four.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-"))
}

/// Whether a typed code matches, ignoring case, spaces and dashes; compared in constant
/// time.
pub fn is_code(typed: &str, code: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect::<String>()
    };
    bool::from(
        hash(&plain(typed))
            .as_bytes()
            .ct_eq(hash(&plain(code)).as_bytes()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_long_and_never_the_same() {
        let (one, two) = (fresh(TOKEN).unwrap(), fresh(TOKEN).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 4 + 43);
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "FIPS 180-2, appendix B.1"
        );
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = code().unwrap();
        assert_eq!(code.len(), 19);
        assert!(
            is_code(&code, &code)
                && is_code(
                    &format!(" {} ", code.to_lowercase().replace('-', " ")),
                    &code
                )
        );
        assert!(!is_code("", &code) && !is_code(&code[1..], &code));
    }
}
