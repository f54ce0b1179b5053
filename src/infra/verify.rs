//! Verifies files by SHA-256 and by minisign signature.
//!
//! Independent of releases. Blocking: call it on a thread for blocking work.

use minisign_verify::{PublicKey, Signature};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The size of a read, in bytes.
const PIECE: usize = 64 * 1024;

/// The SHA-256 in lower-case hexadecimal from the form in a release: `sha256:<64 digits>`.
pub fn digest_of(text: &str) -> Option<String> {
    let (kind, digits) = text.trim().split_once(':')?;
    let is_right = kind.eq_ignore_ascii_case("sha256")
        && digits.len() == 64
        && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_right.then(|| digits.to_ascii_lowercase())
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    each_piece(path, |piece| hasher.update(piece))?;
    Ok(format!("{:x}", hasher.finalize()))
}

/// Checks that a text is a minisign public key: the second line of a `.pub` file, or the whole file.
///
/// # Errors
/// The reason in words.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    PublicKey::from_base64(line).map_err(|_| {
        "this is not a minisign public key; these start with RW and are 56 characters long"
            .to_owned()
    })
}

/// Verifies a file with its minisign signature. Only signatures of a hash are accepted, which minisign
/// creates since 2018. Others would need the whole file in memory.
///
/// # Errors
/// The signature is from another key or for another file, or the file cannot be read; the reason in
/// words.
pub fn check_signature(path: &Path, key: &PublicKey, signature: &str) -> Result<(), String> {
    let signature = Signature::decode(signature)
        .map_err(|_| "the signature file is not from minisign".to_owned())?;
    let mut stream = key.verify_stream(&signature).map_err(|e| match e {
        minisign_verify::Error::UnexpectedKeyId => {
            "the signature is from a different key".to_owned()
        }
        _ => "the signature has an unsupported format (use minisign -H)".to_owned(),
    })?;
    each_piece(path, |piece| stream.update(piece))
        .map_err(|e| format!("the file cannot be read: {e}"))?;
    stream.finalize().map_err(|_| {
        "the signature does not match: the file was changed, or someone else signed it".to_owned()
    })
}

fn each_piece(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example from the documentation of the library, signed by minisign.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_digest_is_read_as_releases_give_it() {
        let digits = "0123456789ABCDEF".repeat(4);
        assert_eq!(
            digest_of(&format!("sha256:{digits}")),
            Some(digits.to_lowercase())
        );
        for bad in [
            "",
            "sha256:",
            "sha512:00",
            &digits,
            &format!("sha256:{}g", &digits[1..]),
            &format!("sha256:{digits}0"),
        ] {
            assert_eq!(digest_of(bad), None, "{bad}");
        }
        assert_eq!(
            sha256(file("abc").path()).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_signature_holds_for_its_file_and_key_only() {
        let key = public_key(&format!("untrusted comment: minisign public key\n{KEY}\n")).unwrap();
        assert_eq!(
            check_signature(file("test").path(), &key, SIGNATURE),
            Ok(())
        );
        assert!(
            check_signature(file("Test").path(), &key, SIGNATURE)
                .unwrap_err()
                .contains("does not match")
        );
        assert!(
            check_signature(file("test").path(), &key, "nonsense")
                .unwrap_err()
                .contains("not from minisign")
        );
        let other = public_key("RWQBAgMEBQYHCPk7tAr8F4TTUPSXZ2hRp6L9zTdbY1mEUW0KX7jQo4cF").unwrap();
        assert!(
            check_signature(file("test").path(), &other, SIGNATURE)
                .unwrap_err()
                .contains("a different key")
        );
        assert!(public_key("not a key").is_err() && public_key("").is_err());
    }
}
