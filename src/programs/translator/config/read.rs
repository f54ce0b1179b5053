//! Reads a translator configuration file that a person wrote, for import.
//!
//! It accepts everything that the translator accepts: keys in any case, quoted numbers, whole
//! numbers for fractions, and unknown keys. [`TranslatorConfig::faults`] checks the values. The
//! file is not trusted, so its size and all lists are limited.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{LONGEST_LIST, TranslatorConfig, short};

/// Maximum size of a file in bytes. Real files are 2 KiB.
const LARGEST_FILE: usize = 256 * 1024;
/// Maximum number of notes.
const MOST_NOTES: usize = 100;
/// Maximum nesting depth of tables. The translator's tables are two levels deep.
const DEEPEST: usize = 4;

/// A note about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatorFileNote {
    /// The key as written in the file, with its tables: `upstreams[0].port`. Empty for the whole
    /// file.
    pub key: String,
    /// The line number, from 1; none for a missing key.
    pub line: Option<usize>,
    /// The problem and the fix.
    pub detail: String,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct TranslatorImport {
    /// The values, not yet checked.
    pub config: TranslatorConfig,
    /// Keys that were ignored and why.
    pub notes: Vec<TranslatorFileNote>,
    /// The lines of the other keys, from 1. Keys are in lower case, with their tables:
    /// `upstreams[0].port`.
    pub lines: BTreeMap<String, usize>,
}

/// How a key is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyUse {
    /// The value is imported.
    Import,
    /// A valid key that is not imported, for this reason.
    Skip(&'static str),
}

const OF_FIRST_UPSTREAM: &str = "upstreams[0].";

/// All keys of 0.2.0 to 0.6.0, tables with dots and the number of an upstream as `[]`.
const KEYS: &[(&str, KeyUse)] = &[
    ("user_identity", KeyUse::Import),
    ("downstream_address", KeyUse::Import),
    ("downstream_port", KeyUse::Import),
    (
        "max_supported_version",
        KeyUse::Skip("Every translator uses protocol version 2."),
    ),
    (
        "min_supported_version",
        KeyUse::Skip("Every translator uses protocol version 2."),
    ),
    ("downstream_extranonce2_size", KeyUse::Import),
    ("aggregate_channels", KeyUse::Import),
    (
        "verify_payout",
        KeyUse::Skip("Not needed: the client handles the payout."),
    ),
    ("supported_extensions", KeyUse::Import),
    ("required_extensions", KeyUse::Import),
    (
        "max_past_jobs",
        KeyUse::Skip("The translator's default is used."),
    ),
    (
        "log_file",
        KeyUse::Skip("jd-manager stores the output itself."),
    ),
    ("monitoring_address", KeyUse::Import),
    ("monitoring_cache_refresh_secs", KeyUse::Import),
    ("miner_telemetry.cidrs", KeyUse::Import),
    (
        "downstream_difficulty_config.min_individual_miner_hashrate",
        KeyUse::Import,
    ),
    (
        "downstream_difficulty_config.shares_per_minute",
        KeyUse::Import,
    ),
    (
        "downstream_difficulty_config.enable_vardiff",
        KeyUse::Import,
    ),
    (
        "downstream_difficulty_config.job_keepalive_interval_secs",
        KeyUse::Import,
    ),
    ("upstreams[].address", KeyUse::Import),
    ("upstreams[].port", KeyUse::Import),
    ("upstreams[].authority_pubkey", KeyUse::Import),
    ("upstreams[].user_identity", KeyUse::Import),
];

/// Keys of translator 0.1, which had a different file format.
const KEYS_OF_0_1: [&str; 3] = [
    "upstream_address",
    "upstream_port",
    "upstream_authority_pubkey",
];

/// Reads a file.
///
/// # Errors
/// All problems that prevent reading the file: invalid syntax, missing keys and values of the wrong
/// type, each with its line.
pub fn read(text: &str) -> Result<TranslatorImport, Vec<TranslatorFileNote>> {
    let whole_file = |detail: String| {
        vec![TranslatorFileNote {
            key: String::new(),
            line: None,
            detail,
        }]
    };
    if text.len() > LARGEST_FILE {
        return Err(whole_file(format!(
            "The file is {} KiB. A translator configuration file can be at most {} KiB.",
            text.len() / 1024,
            LARGEST_FILE / 1024
        )));
    }
    let line_ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |at: usize| line_ends.partition_point(|end| *end < at) + 1;
    let (document, faults) = DeTable::parse_recoverable(text);
    if let Some(fault) = faults.first() {
        return Err(vec![TranslatorFileNote {
            key: String::new(),
            line: fault.span().map(|span| line_of(span.start)),
            detail: format!("Invalid TOML: {}.", short(fault.message())),
        }]);
    }
    let mut entries = FileEntries {
        line_of: &line_of,
        values: BTreeMap::new(),
        upstreams: BTreeSet::new(),
        notes: Vec::new(),
        errors: Vec::new(),
    };
    entries.collect(document.get_ref(), "", 0);
    let config = entries.config();
    match (config, entries.errors) {
        (Some(config), errors) if errors.is_empty() => Ok(TranslatorImport {
            config,
            notes: entries.notes,
            lines: entries
                .values
                .into_iter()
                .map(|(key, (line, _))| (key, line))
                .collect(),
        }),
        (_, errors) => Err(errors),
    }
}

/// A value of a type that one of the translator's keys accepts.
#[derive(Clone, Debug)]
enum FileValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<FileValue>),
    Other,
}

struct FileEntries<'a> {
    line_of: &'a dyn Fn(usize) -> usize,
    /// By key in lower case, with tables and upstream numbers.
    values: BTreeMap<String, (usize, FileValue)>,
    /// Numbers of the upstreams.
    upstreams: BTreeSet<usize>,
    notes: Vec<TranslatorFileNote>,
    errors: Vec<TranslatorFileNote>,
}

impl FileEntries<'_> {
    /// Reads the keys of the table with the key `prefix`, including its dot.
    fn collect(&mut self, table: &DeTable, prefix: &str, depth: usize) {
        for (written, value) in table.iter() {
            let line = (self.line_of)(written.span().start);
            let key = format!("{prefix}{}", written.get_ref().to_lowercase());
            match value.get_ref() {
                DeValue::Table(inner) if depth < DEEPEST => {
                    self.collect(inner, &format!("{key}."), depth + 1);
                }
                DeValue::Array(list) if key == "upstreams" => self.collect_upstreams(list, depth),
                other => self.take(key, line, file_value(other, 0)),
            }
        }
    }

    fn collect_upstreams(&mut self, list: &[Spanned<DeValue>], depth: usize) {
        for (number, element) in list.iter().take(LONGEST_LIST).enumerate() {
            let key = format!("upstreams[{number}]");
            let line = (self.line_of)(element.span().start);
            self.upstreams.insert(number);
            match element.get_ref() {
                DeValue::Table(inner) if number == 0 => {
                    self.collect(inner, OF_FIRST_UPSTREAM, depth + 1);
                }
                DeValue::Table(_) => self.note(
                    key,
                    line,
                    "jd-manager ignores additional upstreams, because the translator connects only to its client.",
                ),
                _ => self.error(
                    key,
                    Some(line),
                    "An upstream must be a table with an address and a port.",
                ),
            }
        }
    }

    fn take(&mut self, key: String, line: usize, value: FileValue) {
        let known = KEYS.iter().find(|(name, _)| *name == general(&key));
        match known {
            Some((_, KeyUse::Import)) => {
                if let Some((first, _)) = self.values.get(&key) {
                    let detail = format!(
                        "This key is already set on line {first}. The translator ignores case."
                    );
                    self.error(key, Some(line), &detail);
                } else {
                    self.values.insert(key, (line, value));
                }
            }
            Some((_, KeyUse::Skip(why))) => self.note(key, line, why),
            None if KEYS_OF_0_1.contains(&key.as_str()) => self.error(
                key,
                Some(line),
                "This configuration file is for translator 0.1, which used different keys. Use a file for 0.2.0 or newer.",
            ),
            None => {
                let last = key.rsplit('.').next().unwrap_or_default();
                let belongs = key.contains('.') && KEYS.iter().any(|(name, _)| *name == last);
                self.note(
                    key,
                    line,
                    if belongs {
                        "The translator ignores this key here. Move it above the first line in square brackets."
                    } else {
                        "The translator does not recognize this key."
                    },
                );
            }
        }
    }

    fn note(&mut self, key: String, line: usize, detail: &str) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(TranslatorFileNote {
                key: short(&key),
                line: Some(line),
                detail: detail.into(),
            });
        }
    }

    fn error(&mut self, key: String, line: Option<usize>, detail: &str) {
        if self.errors.len() < MOST_NOTES {
            self.errors.push(TranslatorFileNote {
                key: short(&key),
                line,
                detail: detail.into(),
            });
        }
    }

    /// The configuration; none if any error was recorded.
    fn config(&mut self) -> Option<TranslatorConfig> {
        if self.upstreams.is_empty() {
            self.error(
                "upstreams".into(),
                None,
                "The file has no upstream. Add an [[upstreams]] table with the client's address.",
            );
        }
        let upstream = |name: &str| format!("{OF_FIRST_UPSTREAM}{name}");
        let difficulty = |name: &str| format!("downstream_difficulty_config.{name}");
        let port = 0..=i64::from(u16::MAX);
        // 0.2 has the identity at the top, later versions in the upstream.
        let of_upstream = upstream("user_identity");
        let identity_key = if self.values.contains_key(&of_upstream) {
            of_upstream
        } else {
            "user_identity".to_owned()
        };
        let user_identity = self.text(&identity_key);
        let upstream_address = self.text(&upstream("address"));
        let upstream_port = self.number(&upstream("port"), port.clone());
        let authority_key = self.text(&upstream("authority_pubkey"));
        let listening_ip = self.text("downstream_address").and_then(|text| {
            let ip = text.parse::<IpAddr>().ok();
            if ip.is_none() {
                let detail = format!(
                    "`{}` is not an IP address, and host names are not allowed here. Enter 0.0.0.0 for all interfaces.",
                    short(&text)
                );
                self.error("downstream_address".into(), self.line("downstream_address"), &detail);
            }
            ip
        });
        let listening_port = self.number("downstream_port", port);
        let monitoring = self.address("monitoring_address");
        let refresh =
            self.optional_number("monitoring_cache_refresh_secs", 0..=i64::from(u32::MAX));
        let min_hashrate = self.float(&difficulty("min_individual_miner_hashrate"));
        let shares_per_minute = self.float(&difficulty("shares_per_minute"));
        let vardiff = self.boolean(&difficulty("enable_vardiff"));
        let keepalive = self.number(
            &difficulty("job_keepalive_interval_secs"),
            0..=i64::from(u16::MAX),
        );
        let aggregate = self.boolean("aggregate_channels");
        let extranonce2_size = self.number("downstream_extranonce2_size", 0..=i64::from(u8::MAX));
        let supported_extensions = self.extensions("supported_extensions");
        let required_extensions = self.extensions("required_extensions");
        let telemetry_networks = self.texts("miner_telemetry.cidrs");
        let narrow = |number: i64| u16::try_from(number).ok();
        let defaults = TranslatorConfig::beside_client(
            upstream_address?,
            upstream_port.and_then(narrow)?,
            authority_key?,
            user_identity?,
        );
        Some(TranslatorConfig {
            listening: SocketAddr::new(listening_ip?, listening_port.and_then(narrow)?),
            monitoring,
            monitoring_refresh_secs: refresh
                .and_then(|secs| u32::try_from(secs).ok())
                .unwrap_or(defaults.monitoring_refresh_secs),
            min_hashrate: min_hashrate?,
            shares_per_minute: shares_per_minute?,
            vardiff: vardiff?,
            job_keepalive_secs: keepalive.and_then(narrow)?,
            aggregate: aggregate?,
            extranonce2_size: extranonce2_size.and_then(|size| u8::try_from(size).ok())?,
            supported_extensions,
            required_extensions,
            telemetry_networks,
            ..defaults
        })
    }

    fn line(&self, key: &str) -> Option<usize> {
        self.values.get(key).map(|(line, _)| *line)
    }

    /// The value of a key that every version requires.
    fn required(&mut self, key: &str) -> Option<FileValue> {
        let value = self.values.get(key).map(|(_, value)| value.clone());
        if value.is_none() {
            self.error(
                key.into(),
                None,
                "The translator requires this key. Add it.",
            );
        }
        value
    }

    fn wrong_kind(&mut self, key: &str, expected: &str) {
        let detail = format!("The value must be {expected}.");
        self.error(key.into(), self.line(key), &detail);
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let text = self.required(key)?.text();
        if text.is_none() {
            self.wrong_kind(key, "text");
        }
        text
    }

    fn number(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        self.required(key)?;
        self.optional_number(key, range)
    }

    fn optional_number(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let (_, value) = self.values.get(key)?;
        let number = value.integer().filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong_kind(key, &expected);
        }
        number
    }

    fn float(&mut self, key: &str) -> Option<f64> {
        let float = self.required(key)?.float();
        if float.is_none() {
            self.wrong_kind(key, "a number");
        }
        float
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = self.required(key)?.boolean();
        if boolean.is_none() {
            self.wrong_kind(key, "true or false");
        }
        boolean
    }

    fn address(&mut self, key: &str) -> Option<SocketAddr> {
        let (_, value) = self.values.get(key)?;
        let address = value.text().and_then(|text| text.parse().ok());
        if address.is_none() {
            self.wrong_kind(key, "an IP address with a port, such as 127.0.0.1:9092");
        }
        address
    }

    fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        entry: impl Fn(&FileValue) -> Option<T>,
    ) -> Vec<T> {
        let Some((_, value)) = self.values.get(key) else {
            return Vec::new();
        };
        let list = match value {
            FileValue::List(list) if list.len() <= LONGEST_LIST => list.iter().map(entry).collect(),
            _ => None,
        };
        list.unwrap_or_else(|| {
            let expected = format!("a list of at most {LONGEST_LIST} {expected}");
            self.wrong_kind(key, &expected);
            Vec::new()
        })
    }

    fn extensions(&mut self, key: &str) -> Vec<u16> {
        self.list(key, "numbers from 0 to 65535", |entry| {
            entry
                .integer()
                .and_then(|number| u16::try_from(number).ok())
        })
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        self.list(key, "text values", FileValue::text)
    }
}

/// The key with the number of an upstream as `[]`.
fn general(key: &str) -> String {
    key.replace("[0]", "[]")
}

fn file_value(value: &DeValue, depth: usize) -> FileValue {
    match value {
        DeValue::String(text) => FileValue::Text(text.as_ref().to_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(FileValue::Other, FileValue::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(FileValue::Other, FileValue::Float),
        DeValue::Boolean(yes) => FileValue::Boolean(*yes),
        DeValue::Array(list) if depth == 0 => FileValue::List(
            list.iter()
                .take(LONGEST_LIST + 1)
                .map(|entry| file_value(entry.get_ref(), 1))
                .collect(),
        ),
        _ => FileValue::Other,
    }
}

/// The conversions of the crate `config` 0.14, which translators use to read their file.
impl FileValue {
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Boolean(yes) => Some(yes.to_string()),
            Self::List(_) | Self::Other => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Boolean(yes) => Some(i64::from(*yes)),
            Self::Float(number) if number.abs() < 9e15 => Some(number.round() as i64),
            Self::Text(text) => match word(text) {
                Some(yes) => Some(i64::from(yes)),
                None => text.parse().ok(),
            },
            Self::Float(_) | Self::List(_) | Self::Other => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Integer(number) => Some(*number as f64),
            Self::Boolean(yes) => Some(f64::from(u8::from(*yes))),
            Self::Text(text) => match word(text) {
                Some(yes) => Some(f64::from(u8::from(yes))),
                None => text.parse().ok(),
            },
            Self::List(_) | Self::Other => None,
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(yes) => Some(*yes),
            Self::Integer(number) => Some(*number != 0),
            Self::Float(number) => Some(*number != 0.0),
            Self::Text(text) => word(text).or(match text.as_str() {
                "1" => Some(true),
                "0" => Some(false),
                _ => None,
            }),
            Self::List(_) | Self::Other => None,
        }
    }
}

/// Words for true and false.
fn word(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}
