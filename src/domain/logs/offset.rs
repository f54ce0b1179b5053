//! Which program's log is meant, and places in logs: in that of one program, of both, or of several
//! instances. Pure.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use crate::base::ids::InstanceId;
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

    /// The log of one program.
    pub const fn of(program: ProgramName) -> Self {
        match program {
            ProgramName::Client => Self::Client,
            ProgramName::Translator => Self::Translator,
        }
    }

    /// Whether a place belongs to these logs, of one instance or of `several`.
    pub fn has(self, offset: &LogOffset, several: bool) -> bool {
        let programs = self.programs().len();
        match offset {
            LogOffset::One(_) => !several && programs == 1,
            LogOffset::Both(_) => !several && programs == 2,
            LogOffset::Several(parts) => {
                several && parts.iter().all(|(_, places)| places.len() == programs)
            }
        }
    }

    /// What a place in these logs looks like, to complete "must be …".
    pub const fn expected_place(self, several: bool) -> &'static str {
        match self {
            _ if several => "a position in these logs, from first or last in an earlier response",
            Self::All => {
                "a position in both logs, CLIENT-TRANSLATOR, from first or last in an earlier response"
            }
            Self::Client | Self::Translator => "a sequence number of this log",
        }
    }

    /// The programs, in the order of their places.
    pub const fn programs(self) -> &'static [ProgramName] {
        match self {
            Self::Client => &[ProgramName::Client],
            Self::Translator => &[ProgramName::Translator],
            Self::All => &[ProgramName::Client, ProgramName::Translator],
        }
    }
}

/// A place in a log, or in several that are merged.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum LogOffset {
    /// A sequence number in the log of one program.
    One(u64),
    /// One in the client's log and one in the translator's: `CLIENT-TRANSLATOR`.
    Both(#[schemars(with = "String")] [u64; 2]),
    /// One such place for each instance: `INSTANCE.PLACE`, separated by `_`. `INSTANCE` is the last part
    /// of its id.
    Several(#[schemars(with = "String")] Vec<(String, Vec<u64>)>),
}

/// The last part of an id, which tells the instances of a view apart: 48 random bits.
pub fn short_id(id: InstanceId) -> String {
    id.to_string().split_off(SHORT_AT)
}

/// Where the last part of an id begins, and its length.
const SHORT_AT: usize = 24;
const SHORT_LENGTH: usize = 12;

fn write_places(f: &mut fmt::Formatter<'_>, places: &[u64]) -> fmt::Result {
    for (at, place) in places.iter().enumerate() {
        let separator = if at == 0 { "" } else { "-" };
        write!(f, "{separator}{place}")?;
    }
    Ok(())
}

impl fmt::Display for LogOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(offset) => write!(f, "{offset}"),
            Self::Both(places) => write_places(f, places),
            Self::Several(parts) => {
                for (at, (id, places)) in parts.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "_" };
                    write!(f, "{separator}{id}.")?;
                    write_places(f, places)?;
                }
                Ok(())
            }
        }
    }
}

/// A text that is no place in a log.
#[derive(Debug)]
pub struct LogOffsetError;

impl From<std::num::ParseIntError> for LogOffsetError {
    fn from(_: std::num::ParseIntError) -> Self {
        Self
    }
}

impl FromStr for LogOffset {
    type Err = LogOffsetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = |text: &str| -> Result<Self, LogOffsetError> {
            Ok(match text.split_once('-') {
                None => Self::One(text.parse()?),
                Some((client, translator)) => Self::Both([client.parse()?, translator.parse()?]),
            })
        };
        if !text.contains('.') {
            return place(text);
        }
        let part = |part: &str| {
            let (id, text) = part.split_once('.').ok_or(LogOffsetError)?;
            let is_id = id.len() == SHORT_LENGTH && id.bytes().all(|b| b.is_ascii_hexdigit());
            match place(text)? {
                Self::One(place) if is_id => Ok((id.to_owned(), vec![place])),
                Self::Both(places) if is_id => Ok((id.to_owned(), places.to_vec())),
                _ => Err(LogOffsetError),
            }
        };
        Ok(Self::Several(
            text.split('_').map(part).collect::<Result<_, _>>()?,
        ))
    }
}

impl Serialize for LogOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(offset) => serializer.serialize_u64(*offset),
            Self::Both(_) | Self::Several(_) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_or_a_pair() {
        for text in [
            "0",
            "18446744073709551615",
            "12-34",
            "0-0",
            "ab25f91e95df.12",
            "ab25f91e95df.12-34_0025f91e95df.0-7",
        ] {
            assert_eq!(text.parse::<LogOffset>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "1-",
            "-1",
            "1-2-3",
            "x",
            "18446744073709551616",
            "ab.1",
            "ab25f91e95df.",
            "ab25f91e95df.1_",
            "zz25f91e95df.1",
            "é.1",
        ] {
            assert!(text.parse::<LogOffset>().is_err(), "{text}");
        }
        let json = |text: &str| serde_json::to_string(&text.parse::<LogOffset>().unwrap()).unwrap();
        assert_eq!(
            (json("12"), json("12-34")),
            ("12".into(), "\"12-34\"".into())
        );
        let id: InstanceId = "f91e95df-8275-436a-ab76-40fb31eae20e".parse().unwrap();
        assert_eq!(short_id(id), "40fb31eae20e");
    }
}
