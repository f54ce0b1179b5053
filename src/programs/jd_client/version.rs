//! Client versions and their features.
//!
//! The version here is the client's own version, from the crate `jd_client_sv2`, as printed by
//! `--version`. Release tags use different numbers (tag v0.8.0 contains client 0.6.0) and are not
//! used here. The list of fields, `config_fields`, contains the keys that each version reads;
//! rendering uses this list and has no version rules. This module must not know the values of a
//! configuration.

use std::fmt;
use std::str::FromStr;

use super::config_fields::{ConfigField, KeyPresence, SCHEMAS};

/// A version of `jd_client_sv2`, without pre-release and build suffixes: only the three numbers
/// determine the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientVersion {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number.
    pub patch: u16,
}

/// Why a text is not a supported version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionFault {
    /// The text is not three numbers with dots.
    #[error("`{0}` is not a client version. Enter three numbers, such as 0.6.0")]
    Unreadable(String),
    /// A release tag.
    #[error(
        "`{0}` looks like a release tag. Enter the client's own version, as printed by --version (tag v0.8.0 contains client \
         0.6.0)"
    )]
    Tag(String),
    /// The version belongs to another program.
    #[error("`{0}` is a different program, not jd_client_sv2")]
    OtherProgram(String),
    /// The version is older than the oldest supported version.
    #[error("client {0} is not supported; the oldest supported version is {oldest}", oldest = ClientVersion::OLDEST)]
    TooOld(ClientVersion),
}

impl ClientVersion {
    /// The first supported version.
    pub const OLDEST: Self = Self::new(0, 1, 0);
    /// The newest version with a known schema. Newer clients are treated like this version.
    pub const NEWEST_KNOWN: Self = Self::new(0, 6, 0);
    /// All published versions with a known schema, oldest first.
    pub const KNOWN: [Self; 11] = [
        Self::new(0, 1, 0),
        Self::new(0, 1, 1),
        Self::new(0, 1, 2),
        Self::new(0, 1, 3),
        Self::new(0, 1, 4),
        Self::new(0, 1, 5),
        Self::new(0, 2, 0),
        Self::new(0, 3, 0),
        Self::new(0, 4, 0),
        Self::new(0, 5, 0),
        Self::new(0, 6, 0),
    ];

    /// The version with these three numbers, supported or not.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Reads what the client prints for `--version` (`jd_client_sv2 0.6.0`) or the bare number.
    pub fn parse(text: &str) -> Result<Self, VersionFault> {
        let text = text.trim();
        let quoted = || text.chars().take(40).collect::<String>();
        let number = match text.split_once(char::is_whitespace) {
            Some(("jd_client_sv2", number)) => number.trim(),
            Some((program, _)) => {
                return Err(VersionFault::OtherProgram(
                    program.chars().take(40).collect(),
                ));
            }
            None => text,
        };
        if number.starts_with(['v', 'V']) {
            return Err(VersionFault::Tag(quoted()));
        }
        let core = number.split(['-', '+']).next().unwrap_or(number);
        let mut numbers = core.split('.').map(|part| {
            part.parse::<u16>()
                .ok()
                .filter(|_| part.bytes().all(|b| b.is_ascii_digit()))
        });
        let (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) else {
            return Err(VersionFault::Unreadable(quoted()));
        };
        let version = Self {
            major,
            minor,
            patch,
        };
        if version < Self::OLDEST {
            Err(VersionFault::TooOld(version))
        } else {
            Ok(version)
        }
    }

    /// Whether the schema of exactly this version is known. Otherwise, the schema of
    /// [`Self::NEWEST_KNOWN`] or of the previous release is assumed.
    pub fn is_known(self) -> bool {
        Self::KNOWN.contains(&self)
    }

    /// How this version uses `key`, written as in the list of fields. Keys that are not in the list
    /// are [`KeyPresence::Absent`].
    pub fn presence(self, key: &str) -> KeyPresence {
        ConfigField::of_key(key).map_or(KeyPresence::Absent, |field| field.presence[self.column()])
    }

    /// Whether to write `key` for this version, because the version reads it.
    pub fn reads(self, key: &str) -> bool {
        matches!(
            self.presence(key),
            KeyPresence::Required | KeyPresence::Optional
        )
    }

    /// Whether the mode `SOLOMINING` exists. Clients without it silently use `FULLTEMPLATE` for any
    /// unknown mode.
    pub fn mines_solo(self) -> bool {
        SOLO_MINING[self.column()]
    }

    /// The major versions of Bitcoin Core whose IPC interface this version supports.
    pub fn core_ipc_versions(self) -> &'static [u8] {
        CORE_IPC[self.column()]
    }

    /// The column of the tables: the newest column that is not newer than this version.
    fn column(self) -> usize {
        COLUMNS
            .iter()
            .rposition(|first| *first <= self)
            .unwrap_or(0)
    }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for ClientVersion {
    type Err = VersionFault;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl schemars::JsonSchema for ClientVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClientVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A version of the client.", "examples": ["0.6.0"] })
    }
}

/// As text, `0.6.0`.
impl serde::Serialize for ClientVersion {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The first version of each column: versions from there up to the next column share one schema.
const COLUMNS: [ClientVersion; SCHEMAS] = [
    ClientVersion::new(0, 1, 0),
    ClientVersion::new(0, 1, 3),
    ClientVersion::new(0, 2, 0),
    ClientVersion::new(0, 3, 0),
    ClientVersion::new(0, 4, 0),
    ClientVersion::new(0, 5, 0),
    ClientVersion::new(0, 6, 0),
];
const SOLO_MINING: [bool; SCHEMAS] = [false, true, true, true, true, true, true];
const CORE_IPC: [&[u8]; SCHEMAS] = [&[30], &[30], &[31], &[31], &[30, 31], &[30, 31], &[30, 31]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::jd_client::config_fields::FIELDS;

    fn v(text: &str) -> ClientVersion {
        ClientVersion::parse(text).unwrap()
    }

    #[test]
    fn versions_are_read_as_the_client_prints_them_and_bare() {
        assert_eq!(v("jd_client_sv2 0.6.0\n"), ClientVersion::NEWEST_KNOWN);
        assert_eq!(v(" 0.1.5 ").to_string(), "0.1.5");
        assert_eq!(v("jd_client_sv2 0.7.0-dev+abc").to_string(), "0.7.0");
        for known in ClientVersion::KNOWN {
            assert_eq!(v(&known.to_string()), known);
        }
        assert!(ClientVersion::KNOWN.is_sorted());
    }

    #[test]
    fn what_is_no_supported_version_is_refused() {
        for text in [
            "",
            "jd_client_sv2",
            "0.6",
            "0.6.0.1",
            "0.6.x",
            "0.+6.0",
            "99999.0.0",
            "x\u{0}",
        ] {
            assert!(
                matches!(ClientVersion::parse(text), Err(VersionFault::Unreadable(_))),
                "{text}"
            );
        }
        assert!(matches!(
            ClientVersion::parse("v0.8.0"),
            Err(VersionFault::Tag(_))
        ));
        assert!(matches!(
            ClientVersion::parse("translator_sv2 0.6.0"),
            Err(VersionFault::OtherProgram(_))
        ));
        assert!(matches!(
            ClientVersion::parse("0.0.9"),
            Err(VersionFault::TooOld(_))
        ));
        assert!(
            ClientVersion::parse(&"9".repeat(100_000))
                .unwrap_err()
                .to_string()
                .len()
                < 200
        );
    }

    #[test]
    fn a_newer_client_is_treated_like_the_newest_known_but_keeps_its_number() {
        let newer = v("1.2.3");
        assert_eq!(newer.to_string(), "1.2.3");
        assert!(!newer.is_known() && v("0.5.0").is_known());
        for row in FIELDS {
            assert_eq!(
                newer.presence(row.key),
                ClientVersion::NEWEST_KNOWN.presence(row.key),
                "{}",
                row.key
            );
        }
        assert_eq!(newer.core_ipc_versions(), [30, 31]);
    }

    #[test]
    fn an_unlisted_patch_release_is_treated_like_the_release_before_it() {
        for row in FIELDS {
            assert_eq!(v("0.3.7").presence(row.key), v("0.3.0").presence(row.key));
            assert_eq!(v("0.1.9").presence(row.key), v("0.1.5").presence(row.key));
        }
    }

    #[test]
    fn the_table_says_when_keys_came_and_went() {
        for (key, reading) in [
            (
                "user_identity",
                [true, true, true, false, false, false, false],
            ),
            (
                "upstreams[].user_identity",
                [false, false, false, true, true, true, true],
            ),
            (
                "template_provider_type.BitcoinCoreIpc.version",
                [false, false, false, false, true, true, true],
            ),
            (
                "reserved_downstream_rollable_extranonce_size",
                [false, false, true, true, true, true, true],
            ),
            (
                "miner_telemetry.cidrs",
                [false, false, false, false, false, true, true],
            ),
            (
                "max_past_jobs",
                [false, false, false, false, false, false, true],
            ),
            ("jdc_signature", [true; 7]),
            ("no_such_key", [false; 7]),
        ] {
            let versions = [
                "0.1.2", "0.1.3", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0",
            ];
            assert_eq!(versions.map(|text| v(text).reads(key)), reading, "{key}");
        }
        assert!(!v("0.1.2").mines_solo() && v("0.1.3").mines_solo());
        assert_eq!(
            (
                v("0.1.5").core_ipc_versions(),
                v("0.2.0").core_ipc_versions()
            ),
            (&[30][..], &[31][..])
        );
    }
}
