//! Replaces secret keys in logs with asterisks.
//!
//! The files contain the original output of the client. All readers pass the bytes through this
//! module. A key is replaced by the same number of asterisks, so offsets and lengths stay right. It
//! masks all keys known to jd-manager and every other word with the form of a secret key, such as the
//! key of a deleted configuration.
//!
//! Must not know: configurations, records, files.

use miniscript::bitcoin::base58;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, PoisonError, RwLock};

/// The length of the shortest secret key in characters: base58 of 32 bytes and a checksum.
const SHORTEST: usize = 44;
/// The length of the longest secret key in characters.
pub const LONGEST: usize = 51;
/// The number of bytes encoded in a secret key.
const SECRET_BYTES: usize = 32;
/// At a cut, parts of known keys are masked from this number of characters on. Shorter parts reveal
/// nothing useful.
const FRAGMENT: usize = 6;
/// The maximum number of bytes in color parameters.
const ESCAPE: usize = 20;
/// The length of the longest word checked by its form: a key after the end of an escape sequence.
const JUDGED: usize = LONGEST + ESCAPE;
const COVER: u8 = b'*';

/// The secret keys to mask. Clones share them, including keys added later.
#[derive(Clone, Default)]
pub struct SecretMask {
    secrets: Arc<RwLock<Arc<Vec<Vec<u8>>>>>,
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretMask")
    }
}

impl SecretMask {
    /// Masks this key from now on.
    pub fn add(&self, secret: &str) {
        let secret = secret.trim().as_bytes();
        if !(SHORTEST..=LONGEST).contains(&secret.len()) || !secret.iter().copied().all(is_letter) {
            return;
        }
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if !secrets.iter().any(|known| known == secret) {
            Arc::make_mut(&mut secrets).push(secret.to_vec());
        }
    }

    fn known(&self) -> Arc<Vec<Vec<u8>>> {
        self.secrets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The known keys.
    pub fn all(&self) -> Vec<String> {
        self.known()
            .iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    /// Whether `bytes` contain something to mask.
    pub fn finds_in(&self, bytes: &[u8]) -> bool {
        let known = self.known();
        runs(bytes).any(|(start, end)| !covers(&known, bytes, start, end).is_empty())
    }

    /// Masks every complete key in `bytes`.
    pub fn cover(&self, bytes: &mut [u8]) {
        let known = self.known();
        let view: &[u8] = bytes;
        let found: Vec<_> = runs(view)
            .flat_map(|(start, end)| covers(&known, view, start, end))
            .collect();
        for (start, end) in found {
            bytes[start..end].fill(COVER);
        }
    }

    /// Masks the end of a known key at the start of `bytes`, which is a cut.
    pub fn cover_start(&self, bytes: &mut [u8]) {
        let longest = self
            .known()
            .iter()
            .flat_map(|key| {
                (FRAGMENT..key.len())
                    .rev()
                    .find(|n| bytes.starts_with(&key[key.len() - n..]))
            })
            .max();
        if let Some(length) = longest {
            bytes[..length].fill(COVER);
        }
    }

    /// Masks the start of a known key at the end of `bytes`, which is a cut.
    pub fn cover_end(&self, bytes: &mut [u8]) {
        let longest = self
            .known()
            .iter()
            .flat_map(|key| {
                (FRAGMENT..key.len())
                    .rev()
                    .find(|n| bytes.ends_with(&key[..*n]))
            })
            .max();
        if let Some(length) = longest {
            let start = bytes.len() - length;
            bytes[start..].fill(COVER);
        }
    }

    /// A text, possibly part of a longer one, with keys masked.
    pub fn covered(&self, text: String) -> String {
        let mut bytes = text.into_bytes();
        self.cover(&mut bytes);
        self.cover_start(&mut bytes);
        self.cover_end(&mut bytes);
        // Only key characters were replaced, with single-byte characters.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// Whether `b` is a base58 character, as used in keys.
fn is_letter(b: u8) -> bool {
    b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l')
}

/// The runs of key characters that are long enough to contain a key. Usually reads one byte in
/// [`SHORTEST`].
fn runs(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = SHORTEST - 1;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            if !is_letter(bytes[at]) {
                at += SHORTEST;
                continue;
            }
            // The run starts after the last position read, which was not a key character.
            let start = bytes[..at]
                .iter()
                .rposition(|b| !is_letter(*b))
                .map_or(0, |before| before + 1);
            let end = bytes[at..]
                .iter()
                .position(|b| !is_letter(*b))
                .map_or(bytes.len(), |length| at + length);
            at = end + SHORTEST;
            if end - start >= SHORTEST {
                return Some((start, end));
            }
        }
        None
    })
}

/// The parts to mask in a run of key characters.
fn covers(known: &[Vec<u8>], bytes: &[u8], start: usize, end: usize) -> Vec<(usize, usize)> {
    let run = &bytes[start..end];
    let mut found: Vec<_> = known
        .iter()
        .flat_map(|key| {
            memchr::memmem::find_iter(run, key).map(move |at| (start + at, start + at + key.len()))
        })
        .collect();
    if found.is_empty() {
        // The escape sequence of a color ends with letters that do not belong to a word.
        let word = start + end_of_escape(&bytes[..start], run);
        let mut words = vec![(start, end)];
        if word != start {
            words.push((word, end));
        }
        found.extend(
            words
                .into_iter()
                .filter(|(from, end)| has_form_of_key(&bytes[*from..*end])),
        );
    }
    found
}

/// The number of characters at the start of `run` that belong to an escape sequence started in
/// `before`.
fn end_of_escape(before: &[u8], run: &[u8]) -> usize {
    let parameters = before
        .iter()
        .rev()
        .take(ESCAPE - 2)
        .take_while(|b| matches!(**b, b'0'..=b'9' | b';' | b':'))
        .count();
    if !before[..before.len() - parameters].ends_with(b"\x1b[") {
        return 0;
    }
    run.iter()
        .position(|b| !b.is_ascii_digit())
        .map_or(run.len(), |last| last + 1)
}

fn has_form_of_key(word: &[u8]) -> bool {
    (SHORTEST..=LONGEST).contains(&word.len())
        && std::str::from_utf8(word).is_ok_and(|word| {
            base58::decode_check(word).is_ok_and(|bytes| bytes.len() == SECRET_BYTES)
        })
}

/// A reader that masks secret keys. Output and input have the same length. Start and end count as
/// cuts.
#[derive(Debug)]
pub struct MaskReader<R> {
    inner: R,
    stream: StreamMask,
    ready: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: Read> MaskReader<R> {
    /// The reader for `inner`.
    pub fn new(inner: R, mask: SecretMask) -> Self {
        Self {
            inner,
            stream: StreamMask::new(mask),
            ready: Vec::new(),
            given: 0,
            is_over: false,
        }
    }
}

impl<R: Read> Read for MaskReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.is_over {
            let mut piece = vec![0; 64 * 1024];
            let length = self.inner.read(&mut piece)?;
            piece.truncate(length);
            self.is_over = length == 0;
            self.ready = if self.is_over {
                self.stream.finish()
            } else {
                self.stream.push(piece)
            };
            self.given = 0;
        }
        let length = buffer.len().min(self.ready.len() - self.given);
        buffer[..length].copy_from_slice(&self.ready[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

/// Masks keys in bytes that arrive in chunks, regardless of the cuts.
#[derive(Debug)]
pub struct StreamMask {
    mask: SecretMask,
    /// The last, possibly incomplete word and a few bytes before it: the next chunk may turn it into a
    /// key.
    held: Vec<u8>,
    /// The next byte is the first one or follows a gap.
    is_cut: bool,
}

impl StreamMask {
    /// The state before the first chunk.
    pub fn new(mask: SecretMask) -> Self {
        Self {
            mask,
            held: Vec::new(),
            is_cut: true,
        }
    }

    /// The next bytes with keys masked. A possible part of a key waits for the next chunk.
    pub fn push(&mut self, piece: Vec<u8>) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        if bytes.is_empty() {
            bytes = piece;
        } else {
            bytes.extend_from_slice(&piece);
        }
        let letters = bytes
            .iter()
            .rev()
            .take(JUDGED + 1)
            .take_while(|b| is_letter(**b))
            .count();
        // A word is checked when it ends. A word that is too long is searched for known keys.
        let mut keep = if letters <= JUDGED {
            let ended = bytes.len() - letters;
            self.mask.cover(&mut bytes[..ended]);
            ended.saturating_sub(ESCAPE)
        } else {
            self.mask.cover(&mut bytes);
            bytes.len() - LONGEST
        };
        if self.is_cut && bytes.len() >= LONGEST {
            self.mask.cover_start(&mut bytes);
            self.is_cut = false;
        } else if self.is_cut {
            keep = 0;
        }
        self.held = bytes.split_off(keep);
        bytes
    }

    /// The waiting bytes, before the end or a gap.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        self.mask.cover(&mut bytes);
        if std::mem::replace(&mut self.is_cut, true) {
            self.mask.cover_start(&mut bytes);
        }
        self.mask.cover_end(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The secret key of the example pair, and an unknown one.
    const KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    const OTHER: &str = "zmBEmPhqo3A92FkiLVvyCz6htc3e53ph3ZbD4ASqGaLjwnFLi";
    const PUBLIC: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

    fn mask() -> SecretMask {
        let mask = SecretMask::default();
        mask.add(KEY);
        mask
    }

    fn covered(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let mask = mask();
        let is_found = mask.finds_in(&bytes);
        mask.cover(&mut bytes);
        assert_eq!(is_found, bytes != text.as_bytes());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn keys_are_covered_and_everything_else_stays() {
        let stars = "*".repeat(KEY.len());
        for (text, clean) in [
            (KEY.to_owned(), stars.clone()),
            (format!("key=\"{KEY}\"\n"), format!("key=\"{stars}\"\n")),
            // Between other letters only a known key can be detected.
            (format!("abc{KEY}def"), format!("abc{stars}def")),
            (format!("{KEY}{KEY}"), format!("{stars}{stars}")),
            (
                format!("{}{KEY}", "x".repeat(10_000)),
                format!("{}{stars}", "x".repeat(10_000)),
            ),
            (
                format!("key=\"{OTHER}\" {KEY}"),
                format!("key=\"{stars}\" {stars}"),
            ),
            (
                format!("\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0m{OTHER}\x1b[0m"),
                format!("\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0m{stars}\x1b[0m"),
            ),
            (
                format!("\x1b[38;5;1m{OTHER}"),
                format!("\x1b[38;5;1m{stars}"),
            ),
            (PUBLIC.to_owned(), PUBLIC.to_owned()),
            (KEY[1..].to_owned(), KEY[1..].to_owned()),
            (
                "no key, nowhere ".repeat(500),
                "no key, nowhere ".repeat(500),
            ),
            (String::new(), String::new()),
        ] {
            assert_eq!(covered(&text), clean);
        }
    }

    #[test]
    fn at_a_cut_a_part_of_a_known_key_is_covered() {
        let mask = mask();
        for n in 0..KEY.len() {
            let whole = |text: String| mask.covered(text);
            let stars = |length: usize| "*".repeat(length);
            let kept = n < FRAGMENT;
            let (start, end) = (&KEY[KEY.len() - n..], &KEY[..n]);
            assert_eq!(
                whole(format!("{start}. On")),
                if kept {
                    format!("{start}. On")
                } else {
                    format!("{}. On", stars(n))
                }
            );
            assert_eq!(
                whole(format!("key={end}")),
                if kept {
                    format!("key={end}")
                } else {
                    format!("key={}", stars(n))
                }
            );
        }
        assert!(!format!("{mask:?}").contains(KEY));
    }

    #[test]
    fn looking_takes_little_time_whatever_the_text_is() {
        let mask = mask();
        for text in [
            "x".repeat(1 << 20),
            "abc ".repeat(1 << 18),
            format!("{} ", &KEY[1..]).repeat(2_000),
        ] {
            let begun = std::time::Instant::now();
            assert!(!mask.finds_in(text.as_bytes()));
            assert!(
                begun.elapsed() < std::time::Duration::from_secs(5),
                "{:?}",
                begun.elapsed()
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            parts in prop::collection::vec(prop_oneof![Just(KEY.to_owned()), Just(format!(" {OTHER} ")), Just(KEY[..30].to_owned()), "[a-zA-Z0-9 \n=]{0,60}"], 0..20),
            cuts in prop::collection::vec(1_usize..90, 1..12),
        ) {
            let text = parts.concat();
            let mut whole = text.as_bytes().to_vec();
            mask().cover(&mut whole);
            mask().cover_start(&mut whole);
            mask().cover_end(&mut whole);
            let mut stream = StreamMask::new(mask());
            let (mut rest, mut given) = (text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                given.extend(stream.push(piece.to_vec()));
                rest = tail;
            }
            given.extend(stream.finish());
            prop_assert_eq!(given.len(), text.len());
            prop_assert!(memchr::memmem::find(&given, KEY.as_bytes()).is_none());
            prop_assert_eq!(String::from_utf8_lossy(&given), String::from_utf8_lossy(&whole));
            let mut read = Vec::new();
            MaskReader::new(text.as_bytes(), mask()).read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, given);
        }
    }
}
