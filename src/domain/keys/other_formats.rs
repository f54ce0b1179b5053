//! Recognizes keys of other formats, for better error messages: keys of earlier versions of the
//! protocol, Bitcoin keys, and hexadecimal keys. Never quotes the text.

use miniscript::bitcoin::address::NetworkUnchecked;
use miniscript::bitcoin::{Address, PrivateKey, PublicKey, base58};

/// Bytes of a key without version and checksum.
const BARE_BYTES: usize = 32;
/// Digits of 32 bytes in hexadecimal.
const HEX_DIGITS: usize = 64;
/// Digits of a compressed public key in hexadecimal.
const COMPRESSED_DIGITS: usize = 66;
/// Longer texts are not keys of any kind.
const LONGEST: usize = 130;
/// Minimum length of a wallet's extended key.
const SHORTEST_EXTENDED: usize = 100;

/// The format of a text that is not a valid key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherKeyFormat {
    /// 32 bytes with a checksum and no version.
    #[error(
        "This key is 32 bytes long and has no version: it is either a public key from the 2019 protocol, which pools no longer use, or a \
         secret key. Ask the pool operator for the current key: 51 characters, starting with 9. If this is a secret key, create a \
         new key pair."
    )]
    Unversioned,
    /// 32 bytes without a checksum.
    #[error(
        "This key is 32 bytes long and has no checksum, as printed by template providers before 2025, or it is incomplete. Update the \
         program that printed it, and enter the new key: 51 characters, starting with 9."
    )]
    NoChecksum,
    /// 32 bytes in hexadecimal.
    #[error(
        "This key is hexadecimal. The client needs base58 with a version and a checksum: a public key is 51 characters long and starts with 9. Ask the operator for the key in this format."
    )]
    Hexadecimal,
    /// A compressed public key in hexadecimal.
    #[error("This public key is hexadecimal. In the format that the client needs, it is {same}.")]
    Compressed {
        /// The same key in the client's format.
        same: String,
    },
    /// A private key of a Bitcoin wallet.
    #[error(
        "This is a Bitcoin wallet's private key, not a Stratum V2 key. Remove the key. Move the coins if others can see this field."
    )]
    WalletPrivate,
    /// A public key of a Bitcoin wallet.
    #[error(
        "This is a Bitcoin wallet's public key, not a Stratum V2 key. A Stratum V2 public key is 51 characters long and starts with 9; the pool operator publishes it."
    )]
    WalletPublic,
    /// A Bitcoin address.
    #[error(
        "This is a Bitcoin address, not a Stratum V2 key. A public key is 51 characters long and starts with 9; the pool \
         operator publishes it."
    )]
    Address,
}

/// Recognizes other formats by characters and length.
pub(super) fn identify(text: &str) -> Option<OtherKeyFormat> {
    if text.len() > LONGEST {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return match text.len() {
            HEX_DIGITS => Some(OtherKeyFormat::Hexadecimal),
            COMPRESSED_DIGITS => compressed(text),
            _ => None,
        };
    }
    if text.len() > SHORTEST_EXTENDED && matches!(text.get(1..4), Some("pub" | "prv")) {
        return Some(match text.get(1..4) {
            Some("prv") => OtherKeyFormat::WalletPrivate,
            _ => OtherKeyFormat::WalletPublic,
        });
    }
    if PrivateKey::from_wif(text).is_ok() {
        return Some(OtherKeyFormat::WalletPrivate);
    }
    if text.parse::<Address<NetworkUnchecked>>().is_ok() {
        return Some(OtherKeyFormat::Address);
    }
    has_no_checksum(text).then_some(OtherKeyFormat::NoChecksum)
}

/// A compressed public key of the curve, and the same key in the client's format.
fn compressed(text: &str) -> Option<OtherKeyFormat> {
    let key: PublicKey = text.parse().ok()?;
    let (x_only, _) = key.inner.x_only_public_key();
    let bytes = [&[1, 0][..], &x_only.serialize()].concat();
    Some(OtherKeyFormat::Compressed {
        same: base58::encode_check(&bytes),
    })
}

/// Whether a text is 32 bytes in base58 and nothing else.
fn has_no_checksum(text: &str) -> bool {
    matches!(text.len(), 43 | 44)
        && base58::decode(text).is_ok_and(|bytes| bytes.len() == BARE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::OtherKeyFormat;
    use crate::domain::keys::{EXAMPLE_PUBLIC_KEY, KeyFormatError, SecretKey, parse_public_key};
    use miniscript::bitcoin::base58;

    fn said(text: &str) -> String {
        parse_public_key(text).unwrap_err().to_string()
    }

    #[test]
    fn keys_of_earlier_protocols_are_named() {
        // Bytes of no key in use.
        let old = base58::encode_check(&[0x5a; 32]);
        assert_eq!(
            parse_public_key(&old),
            Err(KeyFormatError::Other(OtherKeyFormat::Unversioned))
        );
        assert!(said(&old).contains("2019") && said(&old).contains("51 characters"));
        // The backup pool of the client's example files.
        let published = "2di19GHYQnAZJmEpoUeP7C3Eg9TCcksHr23rZCC83dvUiZgiDL";
        assert_eq!(
            parse_public_key(published),
            Err(KeyFormatError::Other(OtherKeyFormat::Unversioned))
        );

        let bare = base58::encode(&[0xa7; 32]);
        assert_eq!(bare.len(), 44);
        for text in [
            bare.as_str(),
            "EguTM8URcZDQVeEBsM4B5vg9weqEUnufA8pm85fG4bZd",
        ] {
            assert_eq!(
                parse_public_key(text),
                Err(KeyFormatError::Other(OtherKeyFormat::NoChecksum))
            );
        }
        assert!(said(&bare).contains("before 2025"));
    }

    #[test]
    fn a_published_secret_key_is_one_for_certain_and_another_is_not() {
        let published = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
        assert_eq!(parse_public_key(published), Err(KeyFormatError::IsSecret));
        let other = SecretKey::parse(&base58::encode_check(&[3; 32])).unwrap();
        let refused = parse_public_key(other.reveal()).unwrap_err();
        assert_eq!(refused, KeyFormatError::Other(OtherKeyFormat::Unversioned));
        assert!(!refused.to_string().contains(other.reveal()));
    }

    #[test]
    fn keys_of_bitcoin_and_hexadecimal_ones_are_named() {
        let x = "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9";
        let same = said(&format!("02{x}"));
        let key = same.rsplit(' ').next().unwrap().trim_end_matches('.');
        assert!(parse_public_key(key).is_ok(), "{same}");
        for (text, says) in [
            (x, "hexadecimal"),
            (
                "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1",
                "a Bitcoin wallet's private key",
            ),
            (
                "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
                "a Bitcoin wallet's public key",
            ),
            (
                "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc",
                "Bitcoin address",
            ),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "Bitcoin address"),
        ] {
            let message = said(text);
            assert!(
                message.contains(says) && !message.contains(text),
                "{message}"
            );
        }
        assert!(parse_public_key(EXAMPLE_PUBLIC_KEY).is_ok());
    }
}
