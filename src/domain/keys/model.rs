//! Keys in the client's format, built on the client's own library `key-utils` 1.2.
//!
//! A secret key is the base58check of its 32 bytes, without a version prefix. A public key is the
//! base58check of 34 bytes: version 1 as two little-endian bytes, then the 32 bytes of the x-only
//! point. The checksum is the first four bytes of the double SHA-256, the same as Bitcoin's, so
//! `bitcoin`'s base58 decoder can explain why the library rejected a text. Independent of where keys are
//! used.

use key_utils::{Secp256k1PublicKey, Secp256k1SecretKey};
use miniscript::bitcoin::base58;
use std::fmt;

use super::other_formats::{self, OtherKeyFormat};

/// Shown instead of a secret. If a form or body sends it back, the stored secret is
/// kept.
pub const MASK: &str = "********";

/// The public key of the pair printed in every example configuration of the client. Its secret key
/// is public too, so anyone can impersonate a client that uses the pair.
pub const EXAMPLE_PUBLIC_KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

/// Bytes of a secret key.
const SECRET_BYTES: usize = 32;
/// Bytes of a public key, with version.
const PUBLIC_BYTES: usize = 34;
/// The only existing version of public keys (`key-utils` 1.2.0).
const PUBLIC_VERSION: u16 = 1;
/// Longer texts are not decoded: decoding time grows with the square of the
/// length, and a key has 49 to 51 characters.
const LONGEST_TEXT: usize = 120;
/// Characters of a secret key: 36 bytes with their checksum, fewer if they start with zeros.
const SHORTEST_SECRET: usize = 44;
/// Maximum number of characters of a secret key.
const LONGEST_SECRET: usize = 51;
/// Maximum number of positions in a text to check for a secret key: a few milliseconds.
const MOST_TRIES: usize = 20_000;
const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The error in the text of a key. Never quotes the text: it may be a secret in the wrong
/// place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// There is no text.
    #[error("The key is missing.")]
    Empty,
    /// The text is [`MASK`].
    #[error("This is a masked key ({MASK}). Enter the key itself.")]
    Masked,
    /// The text is far from the 49 to 52 characters of a key.
    #[error(
        "This is {characters} characters long; a key is about 50 characters long. Copy the whole key again."
    )]
    Size {
        /// The number of characters.
        characters: usize,
    },
    /// A character that no key contains.
    #[error(
        "The character {character:?} at position {position} is not allowed: keys consist of letters and digits \
         without 0, O, I and l. Copy it again."
    )]
    Character {
        /// The first such character.
        character: char,
        /// The position in characters, from 1.
        position: usize,
    },
    /// The last four bytes are not the checksum of the others.
    #[error(
        "The checksum does not match: a character is wrong, missing or extra. Copy the key again."
    )]
    Checksum,
    /// The wrong number of bytes for such a key.
    #[error(
        "The key is {found} bytes long, but a {kind} key is {wanted} bytes long. It may be a key for another purpose."
    )]
    Length {
        /// `public` or `secret`.
        kind: &'static str,
        /// Bytes without the checksum.
        found: usize,
        /// Expected bytes.
        wanted: usize,
    },
    /// A public key of an unknown version.
    #[error("The key has version {found}; only version {PUBLIC_VERSION} is supported.")]
    Version {
        /// The key's version.
        found: u16,
    },
    /// A public key where a secret one belongs.
    #[error("This is a public key, not a secret key.")]
    IsPublic,
    /// A secret key where a public one belongs.
    #[error(
        "This is a secret key, not a public key. If others can see this field, create a new key pair."
    )]
    IsSecret,
    /// A key of another format.
    #[error("{0}")]
    Other(OtherKeyFormat),
    /// The right length, but not a key on the secp256k1 curve.
    #[error(
        "These bytes are not a {kind} key on the secp256k1 curve. Copy the key again or create a new key pair."
    )]
    Curve {
        /// `public` or `secret`.
        kind: &'static str,
    },
}

/// A valid secret key. Printing, logging and serializing show [`MASK`]; only
/// [`reveal`](Self::reveal) returns the text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

impl SecretKey {
    /// Parses a secret key; surrounding white space is ignored.
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        Self::read(text).map_err(|fault| identify(text, fault))
    }

    /// The same without checking for other formats, which takes longer.
    fn read(text: &str) -> Result<Self, KeyFormatError> {
        let bytes = payload(text)?;
        match bytes.len() {
            SECRET_BYTES => {}
            PUBLIC_BYTES if version_of(&bytes) == PUBLIC_VERSION => {
                return Err(KeyFormatError::IsPublic);
            }
            found => {
                return Err(KeyFormatError::Length {
                    kind: "secret",
                    found,
                    wanted: SECRET_BYTES,
                });
            }
        }
        let key: Secp256k1SecretKey = text
            .trim()
            .parse()
            .map_err(|_| KeyFormatError::Curve { kind: "secret" })?;
        Ok(Self(key.to_string()))
    }

    /// The key itself, for the client's file, the database and the one time it is shown after
    /// creation.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> String {
        let secret: Secp256k1SecretKey = self
            .0
            .parse()
            .expect("a SecretKey was parsed when it was made");
        Secp256k1PublicKey::from(secret).to_string()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({MASK})")
    }
}

impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl schemars::JsonSchema for SecretKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretKey".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "Never returned: shown as `********`. Send `********` to keep the stored key." })
    }
}

/// Serialized as [`MASK`], so that no page, list or log shows the key by accident.
impl serde::Serialize for SecretKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(MASK)
    }
}

/// From the text of the key itself, as it is stored.
impl<'de> serde::Deserialize<'de> for SecretKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// A public key and its secret key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The public key, which miners need in addition to the address.
    pub public_key: String,
    /// The secret key, which proves the client's identity.
    pub secret_key: SecretKey,
}

impl KeyPair {
    /// Creates a key pair with the system's random source; the error is the source's.
    pub fn generate() -> Result<Self, getrandom::Error> {
        Self::generate_from(getrandom::fill)
    }

    /// Creates a key pair with `fill`, repeated until its 32 bytes are a valid key (all but 2⁻¹²⁸ of them
    /// are).
    fn generate_from<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        loop {
            let mut bytes = [0; SECRET_BYTES];
            fill(&mut bytes)?;
            if let Ok(secret_key) = SecretKey::parse(&base58::encode_check(&bytes)) {
                return Ok(Self::from(secret_key));
            }
        }
    }
}

impl From<SecretKey> for KeyPair {
    fn from(secret_key: SecretKey) -> Self {
        Self {
            public_key: secret_key.public_key(),
            secret_key,
        }
    }
}

/// Parses a public key and returns its canonical form; surrounding white space is ignored.
pub fn parse_public_key(text: &str) -> Result<String, KeyFormatError> {
    read_public_key(text).map_err(|fault| identify(text, fault))
}

/// A better error, if the text is recognized as something else.
fn identify(text: &str, fault: KeyFormatError) -> KeyFormatError {
    other_formats::identify(text.trim()).map_or(fault, KeyFormatError::Other)
}

fn read_public_key(text: &str) -> Result<String, KeyFormatError> {
    let bytes = payload(text)?;
    match bytes.len() {
        // A key of the 2019 protocol looks the same.
        SECRET_BYTES => {
            return Err(match is_published_secret(text) {
                true => KeyFormatError::IsSecret,
                false => KeyFormatError::Other(OtherKeyFormat::Unversioned),
            });
        }
        PUBLIC_BYTES => {}
        found => {
            return Err(KeyFormatError::Length {
                kind: "public",
                found,
                wanted: PUBLIC_BYTES,
            });
        }
    }
    if version_of(&bytes) != PUBLIC_VERSION {
        return Err(KeyFormatError::Version {
            found: version_of(&bytes),
        });
    }
    let key: Secp256k1PublicKey = text
        .trim()
        .parse()
        .map_err(|_| KeyFormatError::Curve { kind: "public" })?;
    Ok(key.to_string())
}

fn is_published_secret(text: &str) -> bool {
    SecretKey::read(text).is_ok_and(|secret| secret.public_key() == EXAMPLE_PUBLIC_KEY)
}

/// Whether the two keys match. The client does not check this at start: with a mismatched
/// pair every miner's handshake fails instead.
pub fn pair_matches(public_key: &str, secret_key: &SecretKey) -> bool {
    parse_public_key(public_key).is_ok_and(|public| public == secret_key.public_key())
}

fn version_of(bytes: &[u8]) -> u16 {
    bytes
        .first_chunk()
        .map_or(0, |version| u16::from_le_bytes(*version))
}

/// The decoded bytes of a base58check text, without the checksum.
fn payload(text: &str) -> Result<Vec<u8>, KeyFormatError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyFormatError::Empty);
    }
    if text == MASK {
        return Err(KeyFormatError::Masked);
    }
    if let Some((at, character)) = text
        .chars()
        .enumerate()
        .find(|(_, c)| !ALPHABET.contains(*c))
    {
        return Err(KeyFormatError::Character {
            character,
            position: at + 1,
        });
    }
    if text.len() > LONGEST_TEXT {
        return Err(KeyFormatError::Size {
            characters: text.len(),
        });
    }
    base58::decode_check(text).map_err(|error| match error {
        base58::Error::TooShort(_) => KeyFormatError::Size {
            characters: text.len(),
        },
        _ => KeyFormatError::Checksum,
    })
}

/// Replaces every valid secret key in a text with [`MASK`], also within other text: people paste a key
/// into the wrong field, and messages about that field must not repeat
/// it.
pub fn without_secret_keys(text: &str) -> String {
    let is_key_letter = |c: char| c.is_ascii_alphanumeric();
    let mut tries = MOST_TRIES;
    let mut rest = text;
    let mut clean = String::new();
    while let Some(start) = rest.find(is_key_letter) {
        let end = rest[start..]
            .find(|c| !is_key_letter(c))
            .map_or(rest.len(), |length| start + length);
        clean.push_str(&rest[..start]);
        push_without_keys(&mut clean, &rest[start..end], &mut tries);
        rest = &rest[end..];
    }
    clean.push_str(rest);
    clean
}

/// Letters and digits with secret keys masked. Beyond the maximum number of positions, every text that
/// is long enough to contain a key is masked completely.
fn push_without_keys(clean: &mut String, run: &str, tries: &mut usize) {
    let mut from = 0;
    let mut at = 0;
    while at + SHORTEST_SECRET <= run.len() {
        if *tries == 0 {
            clean.push_str(&run[from..at]);
            clean.push_str(MASK);
            return;
        }
        let mut lengths = (SHORTEST_SECRET..=LONGEST_SECRET.min(run.len() - at)).rev();
        let mut is_key = |length: &usize| {
            *tries = tries.saturating_sub(1);
            SecretKey::read(&run[at..at + length]).is_ok()
        };
        match lengths.find(&mut is_key) {
            Some(length) => {
                clean.push_str(&run[from..at]);
                clean.push_str(MASK);
                at += length;
                from = at;
            }
            None => at += 1,
        }
    }
    clean.push_str(&run[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE_SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";

    fn secret() -> SecretKey {
        SecretKey::parse(EXAMPLE_SECRET).unwrap()
    }

    #[test]
    fn a_secret_key_is_masked_wherever_it_stands() {
        for (text, clean) in [
            (EXAMPLE_SECRET.to_owned(), MASK.to_owned()),
            (
                format!("x = \"{EXAMPLE_SECRET}\""),
                format!("x = \"{MASK}\""),
            ),
            (
                format!("jdc_signatur{EXAMPLE_SECRET}e"),
                format!("jdc_signatur{MASK}e"),
            ),
            (
                format!("{EXAMPLE_SECRET}{EXAMPLE_SECRET}"),
                format!("{MASK}{MASK}"),
            ),
            (format!("ä{EXAMPLE_SECRET}é"), format!("ä{MASK}é")),
            (EXAMPLE_PUBLIC_KEY.to_owned(), EXAMPLE_PUBLIC_KEY.to_owned()),
            ("a".repeat(120), "a".repeat(120)),
            (String::new(), String::new()),
        ] {
            assert_eq!(without_secret_keys(&text), clean);
        }
        // It is fast for any amount of text and misses no key.
        let begun = std::time::Instant::now();
        let long = format!(
            "{}{EXAMPLE_SECRET}{}",
            "mkDLTBBRxdBv998612".repeat(30_000),
            "z".repeat(500_000)
        );
        assert!(!without_secret_keys(&long).contains(EXAMPLE_SECRET));
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }

    #[test]
    fn the_example_pair_belongs_together() {
        assert_eq!(secret().public_key(), EXAMPLE_PUBLIC_KEY);
        assert!(pair_matches(EXAMPLE_PUBLIC_KEY, &secret()));
        assert!(pair_matches(&format!(" {EXAMPLE_PUBLIC_KEY}\n"), &secret()));
        assert!(!pair_matches(
            "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan",
            &secret()
        ));
        assert!(!pair_matches("nonsense", &secret()));
    }

    #[test]
    fn a_generated_pair_is_one_the_client_takes() {
        let pair = KeyPair::generate().unwrap();
        assert!(pair_matches(&pair.public_key, &pair.secret_key));
        assert_eq!(
            parse_public_key(&pair.public_key).as_deref(),
            Ok(pair.public_key.as_str())
        );
        let bytes = base58::decode_check(&pair.public_key).unwrap();
        assert_eq!((bytes.len(), &bytes[..2]), (34, &[1, 0][..]));
        assert_eq!(
            base58::decode_check(pair.secret_key.reveal())
                .unwrap()
                .len(),
            32
        );
        assert_ne!(pair, KeyPair::generate().unwrap());
    }

    #[test]
    fn bytes_that_are_no_key_are_drawn_again_and_a_failing_source_is_told() {
        let mut draws = vec![[9; 32], [0xff; 32], [0; 32]];
        let pair = KeyPair::generate_from(|bytes| {
            bytes.copy_from_slice(&draws.pop().ok_or("too many draws")?);
            Ok::<_, &str>(())
        });
        assert!(draws.is_empty());
        assert_eq!(
            base58::decode_check(pair.unwrap().secret_key.reveal()).unwrap(),
            [9; 32]
        );
        assert_eq!(
            KeyPair::generate_from(|_| Err("no entropy")),
            Err("no entropy")
        );
    }

    #[test]
    fn a_wrong_public_key_is_refused_with_its_reason() {
        let compressed = base58::encode_check(&[2; 33]);
        let off_curve = base58::encode_check(&[&[1, 0][..], &[0xff; 32]].concat());
        for (text, fault) in [
            ("  ", KeyFormatError::Empty),
            (MASK, KeyFormatError::Masked),
            ("x", KeyFormatError::Size { characters: 1 }),
            (&"z".repeat(121), KeyFormatError::Size { characters: 121 }),
            (
                "0auqWEzQDVyd2oe1JVGF",
                KeyFormatError::Character {
                    character: '0',
                    position: 1,
                },
            ),
            (
                "9auqWE zQ",
                KeyFormatError::Character {
                    character: ' ',
                    position: 7,
                },
            ),
            (
                "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH73",
                KeyFormatError::Checksum,
            ),
            (
                "2myPhc5vkPzuC5FXNK5tee79WmP7uoLh55SxezoF8iqwF3E3rnPY",
                KeyFormatError::Version { found: 12 },
            ),
            (
                "2wmHTKZkLg2QzXyEXGMBXzKP7JXDUt8yy9SA5hoQwERc92qR6c",
                KeyFormatError::Length {
                    kind: "public",
                    found: 33,
                    wanted: 34,
                },
            ),
            (
                &compressed,
                KeyFormatError::Length {
                    kind: "public",
                    found: 33,
                    wanted: 34,
                },
            ),
            (EXAMPLE_SECRET, KeyFormatError::IsSecret),
            (&off_curve, KeyFormatError::Curve { kind: "public" }),
        ] {
            assert_eq!(parse_public_key(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_wrong_secret_key_is_refused_with_its_reason() {
        for (text, fault) in [
            ("", KeyFormatError::Empty),
            (MASK, KeyFormatError::Masked),
            (EXAMPLE_PUBLIC_KEY, KeyFormatError::IsPublic),
            (
                "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2m",
                KeyFormatError::Checksum,
            ),
            (
                &base58::encode_check(&[7; 31]),
                KeyFormatError::Length {
                    kind: "secret",
                    found: 31,
                    wanted: 32,
                },
            ),
            (
                &base58::encode_check(&[0; 32]),
                KeyFormatError::Curve { kind: "secret" },
            ),
        ] {
            let refused = SecretKey::parse(text);
            assert_eq!(refused, Err(fault), "{text}");
        }
    }

    #[test]
    fn a_secret_key_shows_itself_only_when_asked() {
        let pair = KeyPair::from(secret());
        for shown in [
            format!("{:?}", pair),
            pair.secret_key.to_string(),
            serde_json::to_string(&pair.secret_key).unwrap(),
        ] {
            assert!(
                !shown.contains(EXAMPLE_SECRET) && shown.contains(MASK),
                "{shown}"
            );
        }
        assert_eq!(pair.secret_key.reveal(), EXAMPLE_SECRET);
        assert_eq!(
            serde_json::from_value::<SecretKey>(EXAMPLE_SECRET.into()).unwrap(),
            secret()
        );
        let error =
            serde_json::from_value::<SecretKey>(format!("{EXAMPLE_SECRET}n").into()).unwrap_err();
        assert!(!error.to_string().contains(EXAMPLE_SECRET));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_quoted(text in "\\PC{0,140}") {
            if let Err(fault) = SecretKey::parse(&text) {
                prop_assert!(text.trim().chars().count() < 9 || text.trim() == MASK || !fault.to_string().contains(text.trim()));
            }
            let _ = parse_public_key(&text);
        }

        #[test]
        fn every_usable_secret_has_a_public_key_that_reads_back(bytes in any::<[u8; 32]>()) {
            if let Ok(secret) = SecretKey::parse(&base58::encode_check(&bytes)) {
                prop_assert_eq!(parse_public_key(&secret.public_key()).unwrap(), secret.public_key());
            }
        }
    }
}
