//! Versions of `translator_sv2` and the client version of the same release.
//!
//! A version is the crate's version, which `--version` prints. Releases contain a client and a
//! translator, and their tags have different numbers: tag v0.8.0 contains client 0.6.0 and
//! translator 0.6.0.

use std::fmt;
use std::str::FromStr;

use crate::programs::jd_client::version::{ClientVersion, VersionFault};

/// The program name that `--version` prints before the version.
pub const PROGRAM: &str = "translator_sv2";

/// Maximum number of characters of a text in an error.
const QUOTED: usize = 40;

/// A version of `translator_sv2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TranslatorVersion(ClientVersion);

/// Why a text is not the version of a supported translator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslatorVersionFault {
    /// Not three numbers with dots.
    #[error("`{0}` is not a translator version. Enter three numbers, such as 0.6.0.")]
    Unreadable(String),
    /// A release tag.
    #[error(
        "`{0}` looks like a release tag. Enter the version that `translator_sv2 --version` prints, such as 0.6.0."
    )]
    Tag(String),
    /// The version of another program.
    #[error("`{0}` is a different program. Choose translator_sv2.")]
    OtherProgram(String),
    /// Versions 0.1.0 and 0.1.1 have another configuration file.
    #[error(
        "Translator {0} is not supported. The oldest supported version is {oldest}.",
        oldest = TranslatorVersion::OLDEST
    )]
    TooOld(TranslatorVersion),
}

impl TranslatorVersion {
    /// The oldest supported version.
    pub const OLDEST: Self = Self::new(0, 2, 0);
    /// The latest version that this module supports explicitly. Newer translators are treated like
    /// this version.
    pub const NEWEST_KNOWN: Self = Self::new(0, 6, 0);
    /// Every published and supported version, oldest first.
    pub const KNOWN: [Self; 10] = [
        Self::new(0, 2, 0),
        Self::new(0, 2, 1),
        Self::new(0, 2, 2),
        Self::new(0, 2, 3),
        Self::new(0, 2, 4),
        Self::new(0, 2, 5),
        Self::new(0, 3, 0),
        Self::new(0, 4, 0),
        Self::new(0, 5, 0),
        Self::new(0, 6, 0),
    ];

    /// The version with these three numbers, supported or not.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self(ClientVersion::new(major, minor, patch))
    }

    /// Reads the output of `--version` (`translator_sv2 0.6.0`), or the number alone.
    ///
    /// # Errors
    /// The text is not the version of a supported translator.
    pub fn parse(text: &str) -> Result<Self, TranslatorVersionFault> {
        let text = text.trim();
        let cut = |text: &str| text.chars().take(QUOTED).collect::<String>();
        let number = match text.split_once(char::is_whitespace) {
            Some((PROGRAM, number)) => number.trim(),
            Some((program, _)) => return Err(TranslatorVersionFault::OtherProgram(cut(program))),
            None => text,
        };
        let version = match ClientVersion::parse(number) {
            Ok(version) | Err(VersionFault::TooOld(version)) => Self(version),
            Err(VersionFault::Tag(tag)) => return Err(TranslatorVersionFault::Tag(tag)),
            Err(VersionFault::Unreadable(_) | VersionFault::OtherProgram(_)) => {
                return Err(TranslatorVersionFault::Unreadable(cut(text)));
            }
        };
        if version < Self::OLDEST {
            Err(TranslatorVersionFault::TooOld(version))
        } else {
            Ok(version)
        }
    }

    /// Whether this version was published when this module was last changed.
    pub fn is_known(self) -> bool {
        Self::KNOWN.contains(&self)
    }

    /// Whether this translator can run beside a client: from client 0.3.0 on both must have the same
    /// number, before that any published translator of that time does.
    pub fn fits(self, client: ClientVersion) -> bool {
        if client >= SAME_NUMBER_FROM {
            self.0 == client
        } else {
            self.0 < SAME_NUMBER_FROM && self.is_known()
        }
    }

    /// The client of the same release. Since 0.3.0, both have the same number. `None` for
    /// translators 0.2.0 to 0.2.2 and unpublished 0.2 versions, whose client was not recorded.
    pub fn client(self) -> Option<ClientVersion> {
        if self >= Self::new(0, 3, 0) {
            return Some(self.0);
        }
        FORMER_RELEASES
            .iter()
            .find(|(translator, _)| *translator == self)
            .map(|(_, client)| *client)
    }

    /// The translator of the same release as a client; see [`Self::client`].
    pub fn of_client(client: ClientVersion) -> Option<Self> {
        if client >= ClientVersion::new(0, 3, 0) {
            return Some(Self(client));
        }
        FORMER_RELEASES
            .iter()
            .find(|(_, with)| *with == client)
            .map(|(translator, _)| *translator)
    }
}

/// The first client whose translator has the same number.
pub const SAME_NUMBER_FROM: ClientVersion = ClientVersion::new(0, 3, 0);

/// Releases before 0.3.0, when the translator and the client had different numbers: tags v0.3.4,
/// v0.3.5 and v0.4.0 (pull requests 429, 474 and 486 of sv2-apps).
const FORMER_RELEASES: [(TranslatorVersion, ClientVersion); 3] = [
    (TranslatorVersion::new(0, 2, 3), ClientVersion::new(0, 1, 4)),
    (TranslatorVersion::new(0, 2, 4), ClientVersion::new(0, 1, 5)),
    (TranslatorVersion::new(0, 2, 5), ClientVersion::new(0, 2, 0)),
];

impl fmt::Display for TranslatorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TranslatorVersion {
    type Err = TranslatorVersionFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// As text, `0.6.0`.
impl serde::Serialize for TranslatorVersion {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl schemars::JsonSchema for TranslatorVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TranslatorVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A version of the translator.", "examples": ["0.6.0"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> TranslatorVersion {
        TranslatorVersion::parse(text).unwrap()
    }

    #[test]
    fn the_output_of_version_and_a_number_alone_are_read() {
        assert_eq!(v("translator_sv2 0.6.0\n"), TranslatorVersion::NEWEST_KNOWN);
        assert_eq!(v(" 0.2.5 ").to_string(), "0.2.5");
        assert_eq!(v("translator_sv2 0.7.0-dev+abc").to_string(), "0.7.0");
        for known in TranslatorVersion::KNOWN {
            assert_eq!(v(&known.to_string()), known);
            assert!(known.is_known());
        }
        assert!(TranslatorVersion::KNOWN.is_sorted());
        assert!(!v("0.7.0").is_known());
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        for text in ["", "translator_sv2", "0.6", "0.6.0.1", "0.6.x", "x\u{0}"] {
            assert!(
                matches!(
                    TranslatorVersion::parse(text),
                    Err(TranslatorVersionFault::Unreadable(_))
                ),
                "{text}"
            );
        }
        let refused = |text: &str| TranslatorVersion::parse(text).unwrap_err();
        assert!(matches!(refused("v0.8.0"), TranslatorVersionFault::Tag(_)));
        assert!(matches!(
            refused("jd_client_sv2 0.6.0"),
            TranslatorVersionFault::OtherProgram(_)
        ));
        for old in ["0.1.1", "0.0.9"] {
            assert!(matches!(refused(old), TranslatorVersionFault::TooOld(_)));
        }
        assert!(refused(&"9".repeat(100_000)).to_string().len() < 200);
    }

    #[test]
    fn a_translator_belongs_to_the_client_of_its_release() {
        for (translator, client) in [
            ("0.2.3", Some("0.1.4")),
            ("0.2.4", Some("0.1.5")),
            ("0.2.5", Some("0.2.0")),
            ("0.3.0", Some("0.3.0")),
            ("0.6.0", Some("0.6.0")),
            ("0.7.1", Some("0.7.1")),
            ("0.2.0", None),
            ("0.2.9", None),
        ] {
            let client = client.map(|text| ClientVersion::parse(text).unwrap());
            assert_eq!(v(translator).client(), client, "{translator}");
            if let Some(client) = client {
                assert_eq!(TranslatorVersion::of_client(client), Some(v(translator)));
            }
        }
        let oldest = TranslatorVersion::of_client(ClientVersion::OLDEST);
        assert_eq!(oldest, None);
    }

    #[test]
    fn a_translator_fits_clients_of_its_number_or_all_of_before_they_were_equal() {
        for (translator, client, fits) in [
            ("0.6.0", "0.6.0", true),
            ("0.5.0", "0.6.0", false),
            ("0.7.0", "0.6.0", false),
            ("0.3.0", "0.3.0", true),
            ("0.2.5", "0.3.0", false),
            ("0.7.1", "0.7.1", true),
            ("0.2.0", "0.1.0", true),
            ("0.2.5", "0.1.4", true),
            ("0.3.0", "0.2.0", false),
            ("0.2.9", "0.2.0", false),
        ] {
            let client = ClientVersion::parse(client).unwrap();
            assert_eq!(v(translator).fits(client), fits, "{translator} {client}");
        }
    }
}
