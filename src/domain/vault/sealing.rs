//! Seals and opens single texts. Pure except for random nonces.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::key::VaultKey;
use crate::base::error::{Error, Result};

/// Prefix of sealed values. No plain secret starts with it: keys are base58, channels are JSON
/// objects.
const MARK: &str = "sealed:1:";
/// Bytes of a nonce: long enough that random ones never repeat.
const NONCE: usize = 24;

/// Whether a text was returned by [`Vault::seal`].
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Seals and opens the secrets of one data directory; cheap to clone.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault with this key.
    pub(super) fn with(key: &VaultKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&key.0.into()),
        }
    }

    /// A vault for a test, with its own key.
    #[cfg(test)]
    pub fn of_a_test() -> Self {
        Self::with(&VaultKey([7; super::key::KEY_BYTES]))
    }

    /// Seals `text` for `place` (`alert_channels/<id>/target`) only.
    pub fn seal(&self, place: &str, text: &str) -> Result<String> {
        let mut bytes = [0; NONCE];
        getrandom::fill(&mut bytes).map_err(Error::internal)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&bytes), payload)
            .map_err(|_| Error::internal("a secret is too long to encrypt"))?;
        Ok(format!(
            "{MARK}{}",
            URL_SAFE_NO_PAD.encode([&bytes[..], &sealed].concat())
        ))
    }

    /// Opens the value stored at `place`. A value that is not sealed is returned unchanged.
    ///
    /// # Errors
    /// It was sealed with another key or for another place, or is damaged.
    pub fn open(&self, place: &str, stored: &str) -> Result<String> {
        let Some(text) = stored.strip_prefix(MARK) else {
            return Ok(stored.to_owned());
        };
        let opened = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| {
            let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
            let payload = Payload {
                msg: sealed,
                aad: place.as_bytes(),
            };
            String::from_utf8(
                self.cipher
                    .decrypt(XNonce::from_slice(nonce), payload)
                    .ok()?,
            )
            .ok()
        });
        opened.ok_or_else(|| {
            Error::internal(format!(
                "cannot decrypt the secret at {place}: it is damaged, or was encrypted with another key or for another location"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_at_its_place_alone(text in ".*", place in "[a-z/]{1,20}", other in "[a-z/]{1,20}") {
            let vault = Vault::of_a_test();
            let sealed = vault.seal(&place, &text).unwrap();
            prop_assert!(is_sealed(&sealed));
            prop_assert!(text.is_empty() || text.len() < 4 || !sealed.contains(&text));
            prop_assert_eq!(vault.open(&place, &sealed).unwrap(), text);
            if place != other {
                prop_assert!(vault.open(&other, &sealed).is_err());
            }
        }

        #[test]
        fn what_is_altered_does_not_open(at in 0_usize..1000, to in "[A-Za-z0-9_-]") {
            let vault = Vault::of_a_test();
            let sealed = vault.seal("here", "a secret").unwrap();
            let at = MARK.len() + at % (sealed.len() - MARK.len());
            let mut altered = sealed.clone();
            altered.replace_range(at..=at, &to);
            if altered != sealed {
                prop_assert!(vault.open("here", &altered).is_err());
            }
        }
    }

    #[test]
    fn the_same_text_looks_different_each_time_and_another_key_does_not_open_it() {
        let vault = Vault::of_a_test();
        let (one, other) = (
            vault.seal("here", "a secret").unwrap(),
            vault.seal("here", "a secret").unwrap(),
        );
        assert_ne!(one, other);
        let stranger = Vault::with(&VaultKey([8; super::super::key::KEY_BYTES]));
        let error = stranger.open("here", &one).unwrap_err().to_string();
        assert!(
            error.contains("another key") && !error.contains(&one),
            "{error}"
        );
        for text in ["sealed:1:", "sealed:1:AAAA", "sealed:1:*"] {
            assert!(vault.open("here", text).is_err());
        }
        assert_eq!(vault.open("here", "in the clear").unwrap(), "in the clear");
        assert_eq!(format!("{vault:?}"), "Vault");
    }
}
