use super::*;
use crate::domain::configs::samples;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs the test for so many seconds instead of so many texts.
const SECONDS: &str = "JD_MANAGER_FUZZ_SECONDS";
/// Where another run begins to guess, if it should not be the same one.
const BEGIN: &str = "JD_MANAGER_FUZZ_BEGIN";
/// Texts that are tried in an ordinary run.
const TEXTS: u64 = 3_000;
/// And for so long at most.
const LONGEST: Duration = Duration::from_secs(20);

/// What such files are made of, and what is odd about numbers and texts.
const WORDS: [&str; 62] = [
    "=",
    "\n",
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "#",
    "\\u0000",
    "\\",
    "\u{feff}",
    "\u{202e}",
    "é",
    "𝔘",
    "0",
    "-1",
    "65536",
    "4294967296",
    "18446744073709551616",
    "1e400",
    "nan",
    "inf",
    "0.0000001",
    "1979-05-27",
    "true",
    "null",
    "mode",
    "SOLOMINING",
    "upstreams",
    "[[upstreams]]",
    "pool_address",
    "pool_port",
    "authority_secret_key",
    "authority_public_key",
    "template_provider_type",
    "Sv2Tp",
    "BitcoinCoreIpc",
    "network",
    "mainnet",
    "coinbase_reward_script",
    "raw(51)",
    "addr(",
    ")",
    "::1",
    "127.0.0.1:34265",
    "config",
    "config_json",
    "JDC__",
    "UPSTREAM_A__POOL_PORT",
    "stratum2+tcp://",
    "bitcoin:",
    "${",
    "tp_address",
    "********",
    "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
];

/// What was found once.
const FOUND: [&str; 1] = [
    // A secret key in the middle of a key that nobody knows, which is kept with the words of a file
    // and goes out again.
    "jdc_signaturmkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2ne = \"x\"\n",
];

/// Every seed there is: those of `fuzz/`, real clients' files, our samples as files and as JSON.
fn seeds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<String> = vec![samples::SOLO_FILE.into(), samples::POOL_FILE.into()];
    // One in a text that is published in blocks, which was taken once.
    seeds.push(samples::SOLO_FILE.replace(
        "Sv2MinerSignature",
        "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n!",
    ));
    seeds.extend(FOUND.map(|found| format!("{found}{}", samples::SOLO_FILE)));
    for dir in ["fuzz/seeds/import", "tests/data/jd-client"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml" || extension == "json")
            {
                seeds.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for config in samples::all() {
        seeds.push(config.to_stored_value().to_string());
        seeds.push(
            serde_json::json!({ "name": "x", "config": config.to_stored_value() }).to_string(),
        );
        seeds.push(
            serde_json::json!({ "config_json": config.to_stored_value().to_string() }).to_string(),
        );
        seeds.push(export_whole(&config, None));
    }
    seeds
}

/// xorshift: the same texts in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..(from + self.below(40)).min(length)
    }
}

/// One thing about a text is changed.
fn mutate(text: &mut Vec<u8>, seeds: &[String], dice: &mut Dice) {
    let range = dice.range(text.len());
    match dice.below(7) {
        0 => drop(text.drain(range)),
        1 => {
            let part = text[range.clone()].to_vec();
            let at = dice.below(text.len() + 1);
            text.splice(at..at, part);
        }
        2 if !text.is_empty() => {
            let at = dice.below(text.len());
            text[at] ^= 1 << dice.below(8);
        }
        3 => {
            let other = seeds[dice.below(seeds.len())].as_bytes();
            let from = dice.range(other.len());
            text.splice(range, other[from].to_vec());
        }
        // A line is moved, or comes twice.
        4 => {
            let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            let line = lines[dice.below(lines.len())].clone();
            let at = dice.below(lines.len());
            lines.insert(at, line);
            *text = lines.join(&b'\n');
        }
        _ => {
            let word = WORDS[dice.below(WORDS.len())].as_bytes();
            let range = if dice.below(2) == 0 {
                range.start..range.start
            } else {
                range
            };
            text.splice(range, word.to_vec());
        }
    }
}

#[test]
fn whatever_is_imported_holds() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let seconds = number(SECONDS);
    let limit = seconds.map_or(LONGEST, Duration::from_secs);
    let seeds = seeds();
    assert!(
        seeds.len() > 15 && seeds.iter().filter(|seed| import_holds(seed)).count() > 10,
        "seeds that are taken"
    );
    let mut dice = Dice(number(BEGIN).unwrap_or(0x9e37_79b9_7f4a_7c15) | 1);
    let (begun, mut tried, mut taken) = (Instant::now(), 0_u64, 0_u64);
    while begun.elapsed() < limit && (seconds.is_some() || tried < TEXTS) {
        let mut text = seeds[dice.below(seeds.len())].clone().into_bytes();
        for _ in 0..=dice.below(4) {
            mutate(&mut text, &seeds, &mut dice);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        match std::panic::catch_unwind(|| import_holds(&text)) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(_) => panic!("this does not hold after {tried} texts:\n{text}\n{text:?}"),
        }
        tried += 1;
    }
    println!(
        "{tried} texts in {:?}, {taken} of them taken",
        begun.elapsed()
    );
    assert!(
        tried > 100 && taken > tried / 50,
        "{taken} of {tried}: what is tried must also be right now and then"
    );
}
