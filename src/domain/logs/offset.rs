//! Which log is meant, and places in it: in the log of one program, or of both together. Pure.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use crate::domain::instances::ProgramName;

/// The log of one program, or of both programs together.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum LogSelection {
    /// That of the client.
    #[default]
    Client,
    /// That of the translator.
    Translator,
    /// Both, merged by time.
    All,
}

impl LogSelection {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The program; none: both.
    pub const fn program(self) -> Option<ProgramName> {
        match self {
            Self::Client => Some(ProgramName::Client),
            Self::Translator => Some(ProgramName::Translator),
            Self::All => None,
        }
    }

    /// Whether a place belongs to this selection.
    pub const fn has(self, offset: LogOffset) -> bool {
        matches!(self, Self::All) == matches!(offset, LogOffset::Both(_))
    }
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum LogOffset {
    /// A sequence number in the log of one program.
    One(u64),
    /// One in each log: `CLIENT-TRANSLATOR`.
    Both(OffsetPair),
}

/// A sequence number in the client's log, and one in the translator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct OffsetPair {
    /// That in the client's log.
    pub client: u64,
    /// That in the translator's log.
    pub translator: u64,
}

impl OffsetPair {
    /// The number in the log of a program.
    pub const fn of(self, program: ProgramName) -> u64 {
        match program {
            ProgramName::Client => self.client,
            ProgramName::Translator => self.translator,
        }
    }

    /// The same with another number in the log of a program.
    pub const fn with(self, program: ProgramName, offset: u64) -> Self {
        match program {
            ProgramName::Client => Self {
                client: offset,
                ..self
            },
            ProgramName::Translator => Self {
                translator: offset,
                ..self
            },
        }
    }
}

impl LogOffset {
    /// The number in the log of a program.
    pub const fn of(self, program: ProgramName) -> u64 {
        match self {
            Self::One(offset) => offset,
            Self::Both(pair) => pair.of(program),
        }
    }
}

impl LogOffset {
    /// The same with another number in the log of a program.
    pub const fn with(self, program: ProgramName, offset: u64) -> Self {
        match self {
            Self::One(_) => Self::One(offset),
            Self::Both(pair) => Self::Both(pair.with(program, offset)),
        }
    }

    /// The place after which a record that ends here follows.
    pub const fn preceding(self) -> Self {
        match self {
            Self::One(offset) => Self::One(offset.saturating_sub(1)),
            Self::Both(pair) => Self::Both(OffsetPair {
                client: pair.client.saturating_sub(1),
                translator: pair.translator.saturating_sub(1),
            }),
        }
    }

    /// The numbers in both logs.
    pub const fn pair(self) -> OffsetPair {
        OffsetPair {
            client: self.of(ProgramName::Client),
            translator: self.of(ProgramName::Translator),
        }
    }
}

impl fmt::Display for LogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(offset) => write!(f, "{offset}"),
            Self::Both(pair) => write!(f, "{}-{}", pair.client, pair.translator),
        }
    }
}

impl FromStr for LogOffset {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('-') {
            None => Self::One(text.parse()?),
            Some((client, translator)) => Self::Both(OffsetPair {
                client: client.parse()?,
                translator: translator.parse()?,
            }),
        })
    }
}

impl Serialize for OffsetPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&LogOffset::Both(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_or_a_pair() {
        for text in ["0", "18446744073709551615", "12-34", "0-0"] {
            assert_eq!(text.parse::<LogOffset>().unwrap().to_string(), text);
        }
        for text in ["", "-", "1-", "-1", "1-2-3", "x", "18446744073709551616"] {
            assert!(text.parse::<LogOffset>().is_err(), "{text}");
        }
        let json = |text: &str| serde_json::to_string(&text.parse::<LogOffset>().unwrap()).unwrap();
        assert_eq!(
            (json("12"), json("12-34")),
            ("12".into(), "\"12-34\"".into())
        );
    }
}
