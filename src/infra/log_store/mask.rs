//! Secret keys in a log: overwritten with asterisks before anybody sees a byte of them.
//!
//! The files hold what the client wrote. Whoever reads them passes the bytes through here. A key is
//! replaced by as many asterisks as it has characters, so offsets and lengths stay right. Two
//! things are covered: the keys that the manager knows, wherever they stand, and any other word
//! that has the form of a secret key, such as the key of a configuration that was deleted.
//!
//! Must not know: configurations, records, files.

use miniscript::bitcoin::base58;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, PoisonError, RwLock};

/// Characters of the shortest secret key: base58 of 32 bytes and a checksum.
const SHORTEST: usize = 44;
/// Characters of the longest one.
pub const LONGEST: usize = 51;
/// Bytes behind the base58 of a secret key.
const SECRET_BYTES: usize = 32;
/// So many characters at a cut are covered if a known key begins or ends with them. Fewer tell
/// nothing.
const FRAGMENT: usize = 6;
/// Bytes of the parameters of a colour that are looked at.
const ESCAPE: usize = 20;
/// Letters of the longest word that is judged by its form: a key behind the end of an escape
/// sequence.
const JUDGED: usize = LONGEST + ESCAPE;
const COVER: u8 = b'*';

/// The secret keys that must not be shown. Clones share them, so a key that is added later is
/// covered by all.
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
    /// Covers this key from now on.
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

    /// The keys it knows.
    pub fn all(&self) -> Vec<String> {
        self.known()
            .iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    /// Whether `bytes` hold something to cover.
    pub fn finds_in(&self, bytes: &[u8]) -> bool {
        let known = self.known();
        runs(bytes).any(|(start, end)| !covers(&known, bytes, start, end).is_empty())
    }

    /// Covers every whole key in `bytes`.
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

    /// Covers the end of a known key at the beginning of `bytes`, where something was cut off.
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

    /// Covers the beginning of a known key at the end of `bytes`, where something was cut off.
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

    /// A text that may be the part of a longer one, without keys.
    pub fn covered(&self, text: String) -> String {
        let mut bytes = text.into_bytes();
        self.cover(&mut bytes);
        self.cover_start(&mut bytes);
        self.cover_end(&mut bytes);
        // Only letters of keys were replaced, by characters of one byte.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// Whether `b` is a letter of base58, of which keys consist.
fn is_letter(b: u8) -> bool {
    b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l')
}

/// The stretches of letters of keys that are long enough to hold one. Looks at one byte in
/// [`SHORTEST`] as a rule.
fn runs(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = SHORTEST - 1;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            if !is_letter(bytes[at]) {
                at += SHORTEST;
                continue;
            }
            // The stretch begins above the last place that was looked at, which held no letter.
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

/// What is to be covered in a stretch of letters.
fn covers(known: &[Vec<u8>], bytes: &[u8], start: usize, end: usize) -> Vec<(usize, usize)> {
    let run = &bytes[start..end];
    let mut found: Vec<_> = known
        .iter()
        .flat_map(|key| {
            memchr::memmem::find_iter(run, key).map(move |at| (start + at, start + at + key.len()))
        })
        .collect();
    if found.is_empty() {
        // A colour's escape sequence ends with letters that belong to no word.
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

/// How many letters at the beginning of `run` belong to an escape sequence that began in `before`.
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

/// Reads on without secret keys. What it gives has the length of what it reads. Beginning and end
/// count as cuts.
#[derive(Debug)]
pub struct MaskReader<R> {
    inner: R,
    stream: StreamMask,
    ready: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: Read> MaskReader<R> {
    /// What `inner` reads.
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

/// Covers keys in bytes that come in pieces, wherever they are cut.
#[derive(Debug)]
pub struct StreamMask {
    mask: SecretMask,
    /// The last word, as far as it came, and a little before it: what comes next may make it a key.
    held: Vec<u8>,
    /// The next byte is the first, or comes after a gap.
    is_cut: bool,
}

impl StreamMask {
    /// Before the first piece.
    pub fn new(mask: SecretMask) -> Self {
        Self {
            mask,
            held: Vec::new(),
            is_cut: true,
        }
    }

    /// The next bytes, without keys; what may be a part of one waits for the next piece.
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
        // A word that goes on is judged when it ends. One that is too long to be judged is looked
        // through for known keys.
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

    /// What still waits, before the end or a gap.
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

    /// The example pair's secret key, and one that nobody told.
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
            // Between other letters only a key that is known can be told apart.
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
