//! Parses the bodies of the monitoring API so that an invalid member affects only that member.
//!
//! This module knows no connections: it takes text and returns values and a count of invalid
//! members. Members are kept as text first and parsed one by one, so a number out of range
//! (`1e999`) or a duplicate member affects nothing else. Skipping a member needs no stack,
//! regardless of its nesting depth.

#[cfg(test)]
mod tests;

use super::{MinerChannelReading, UpstreamChannelReading};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// The maximum number of members of an object that are read; the API's objects have 20.
const MAX_MEMBERS: usize = 256;
/// The maximum number of entries of a list that are read; the API sends 100.
const MAX_ENTRIES: usize = 10_000;
/// The maximum length of an account name, in characters.
const MAX_IDENTITY: usize = 128;
/// The maximum number of rejection reasons per channel; eight are known.
const MAX_REASONS: usize = 32;
/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 64;
/// The limit for believable hashrate and work. It is far above real values, but the sum of 10,000
/// such values is still a finite number.
const BEYOND_BELIEF: f64 = 1e300;

/// Why a body could not be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::programs) enum ShapeError {
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not an object.
    NoObject,
}

impl From<serde_json::Error> for ShapeError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() {
            Self::NoObject
        } else {
            Self::NotJson
        }
    }
}

/// An object whose members are still text. Of two members with the same name, the first counts.
#[derive(Debug, Default)]
pub(in crate::programs) struct RawObject<'a> {
    members: Vec<(MemberName<'a>, &'a RawValue)>,
    /// The number of invalid members so far.
    pub(in crate::programs) odd: u32,
}

/// A member's name, copied only if it contains escapes.
#[derive(Debug, serde::Deserialize)]
struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for RawObject<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct RawMembers;
        impl<'de> Visitor<'de> for RawMembers {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'de>, A::Error> {
                let mut members = Vec::with_capacity(20);
                while members.len() < MAX_MEMBERS {
                    let Some(member) = map.next_entry()? else {
                        return Ok(RawObject { members, odd: 0 });
                    };
                    members.push(member);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(RawObject { members, odd: 0 })
            }
        }
        d.deserialize_map(RawMembers)
    }
}

/// A list whose entries are still text.
struct RawList<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for RawList<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct ListEntries;
        impl<'de> Visitor<'de> for ListEntries {
            type Value = RawList<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawList<'de>, A::Error> {
                let mut entries = Vec::new();
                while entries.len() < MAX_ENTRIES {
                    let Some(entry) = list.next_element()? else {
                        return Ok(RawList(entries));
                    };
                    entries.push(entry);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawList(entries))
            }
        }
        d.deserialize_seq(ListEntries)
    }
}

impl<'a> RawObject<'a> {
    /// Reads a body.
    pub(in crate::programs) fn of(body: &'a [u8]) -> Result<Self, ShapeError> {
        Ok(serde_json::from_slice(body)?)
    }

    /// Whether there is a member of this name, `null` included.
    pub(in crate::programs) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member.0 == name)
    }

    /// The member as a `T`; `None` if it is missing or null, and counted as invalid if it is not a
    /// `T` that `fits`.
    pub(in crate::programs) fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        fits: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let (_, text) = self.members.iter().find(|(member, _)| member.0 == name)?;
        let told = serde_json::from_str::<Option<T>>(text.get()).ok();
        let odd = told
            .as_ref()
            .is_none_or(|value| value.as_ref().is_some_and(|value| !fits(value)));
        self.odd = self.odd.saturating_add(u32::from(odd));
        told.flatten().filter(|_| !odd)
    }

    /// An integer of at least 0.
    pub(in crate::programs) fn count(&mut self, name: &str) -> Option<u64> {
        self.read(name, |_| true)
    }

    /// A number of at least 0, without negative zero: the API writes an empty sum as `-0.0`.
    pub(in crate::programs) fn number(&mut self, name: &str) -> Option<f64> {
        self.read(name, |number| (0.0..BEYOND_BELIEF).contains(number))
            .map(f64::abs)
    }

    /// A member that is an object. Its invalid members are counted there.
    pub(in crate::programs) fn object(&mut self, name: &str) -> Option<RawObject<'a>> {
        self.read(name, |_| true)
    }

    fn identity(&mut self) -> String {
        self.name("user_identity").unwrap_or_default()
    }

    /// A text without control characters, at most 128 characters.
    pub(in crate::programs) fn name(&mut self, name: &str) -> Option<String> {
        self.read(name, |_| true)
            .map(|MemberName(text)| clean(&text, MAX_IDENTITY))
    }

    fn reasons(&mut self) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        let Some(reasons) = self.object("shares_rejected_by_reason") else {
            return counted;
        };
        for (MemberName(reason), text) in &reasons.members {
            match serde_json::from_str::<Option<u64>>(text.get()) {
                Ok(Some(shares)) if counted.len() < MAX_REASONS => {
                    counted.entry(clean(reason, MAX_REASON)).or_insert(shares);
                }
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => self.odd = self.odd.saturating_add(1),
            }
        }
        counted
    }
}

/// The first `longest` characters that can be shown.
fn clean(text: &str, longest: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(longest)
        .collect()
}

/// An entry of the API's lists.
pub(in crate::programs) trait ListItem: Sized {
    /// The lists on a page, each with the member that contains the list's length over all pages.
    const LISTS: &[(&str, &str)];
    /// Reads an entry; `None` without an id.
    fn read(from: &mut RawObject) -> Option<Self>;
    /// The unique id.
    fn id(&self) -> u64;
}

const CHANNEL_LISTS: &[(&str, &str)] = &[
    ("extended_channels", "total_extended"),
    ("standard_channels", "total_standard"),
];

/// Ids of channels have 32 bits in the protocol.
fn channel_id(from: &mut RawObject) -> Option<u32> {
    from.read("channel_id", |_| true)
}

/// Clients before 0.3.0 have a single sum of work, which counts acknowledged shares; the oldest
/// clients call them accepted.
impl ListItem for UpstreamChannelReading {
    const LISTS: &[(&str, &str)] = CHANNEL_LISTS;

    fn read(from: &mut RawObject) -> Option<Self> {
        Some(Self {
            channel_id: channel_id(from)?,
            user_identity: from.identity(),
            nominal_hashrate: from.number("nominal_hashrate"),
            shares_acknowledged: from
                .count("shares_acknowledged")
                .or_else(|| from.count("shares_accepted")),
            shares_submitted: from.count("shares_submitted"),
            shares_rejected: from.count("shares_rejected"),
            rejected_by_reason: from.reasons(),
            acknowledged_work: from
                .number("acknowledged_work_sum")
                .or_else(|| from.number("share_work_sum")),
            validated_work: from.number("validated_work_sum"),
            best_difficulty: from.number("best_diff"),
            blocks_found: from.count("blocks_found"),
        })
    }

    fn id(&self) -> u64 {
        self.channel_id.into()
    }
}

impl ListItem for MinerChannelReading {
    const LISTS: &[(&str, &str)] = CHANNEL_LISTS;

    fn read(from: &mut RawObject) -> Option<Self> {
        Some(Self {
            channel_id: channel_id(from)?,
            user_identity: from.identity(),
            nominal_hashrate: from.number("nominal_hashrate"),
            stable_hashrate: from.read("stable_hashrate", |_| true),
            shares_accepted: from.count("shares_accepted"),
            shares_rejected: from.count("shares_rejected"),
            rejected_by_reason: from.reasons(),
            share_work: from.number("share_work_sum"),
            best_difficulty: from.number("best_diff"),
            blocks_found: from.count("blocks_found"),
        })
    }

    fn id(&self) -> u64 {
        self.channel_id.into()
    }
}

/// A connection from a miner, as in the list of all connections.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MinerEntry {
    pub(super) client_id: u64,
    /// Whether it is a translator; `None` if the client does not know.
    pub(super) is_translator: Option<bool>,
    /// Its address, if the client knows it.
    pub(super) address: Option<IpAddr>,
    /// Whether to request its channels: it has some, or the number is unknown.
    pub(super) has_channels: bool,
}

impl ListItem for MinerEntry {
    const LISTS: &[(&str, &str)] = &[("items", "total")];

    fn read(from: &mut RawObject) -> Option<Self> {
        let client_id = from.count("client_id")?;
        let none = from.count("extended_channels_count") == Some(0)
            && from.count("standard_channels_count") == Some(0);
        let kind = from.name("client_kind").filter(|kind| kind != "unknown");
        Some(Self {
            client_id,
            is_translator: kind.map(|kind| kind == "translator_proxy"),
            address: from.read("management_ip", |_| true),
            has_channels: !none,
        })
    }

    fn id(&self) -> u64 {
        self.client_id
    }
}

/// One page of the API's lists.
#[derive(Debug)]
pub(super) struct ApiListPage<T> {
    pub(super) entries: Vec<T>,
    /// The number of entries in its longest list, which is the distance to the next page.
    pub(super) length: usize,
    /// The number of entries in its longest list over all pages.
    pub(super) total: Option<u64>,
    /// The number of invalid values.
    pub(in crate::programs) odd: u32,
}

impl<T: ListItem> ApiListPage<T> {
    /// Reads a body. Entries without an id are left out and count as invalid.
    pub(super) fn of(body: &[u8]) -> Result<Self, ShapeError> {
        let mut object = RawObject::of(body)?;
        let mut page = Self {
            entries: Vec::new(),
            length: 0,
            total: None,
            odd: 0,
        };
        for (list, total) in T::LISTS {
            page.total = page.total.max(object.count(total));
            let Some(RawList(listed)) = object.read(list, |_| true) else {
                continue;
            };
            page.length = page.length.max(listed.len());
            for text in listed {
                let Ok(mut object) = serde_json::from_str::<RawObject>(text.get()) else {
                    page.odd = page.odd.saturating_add(1);
                    continue;
                };
                let entry = T::read(&mut object);
                // An id of the wrong type is already counted.
                let unnamed = u32::from(entry.is_none() && object.odd == 0);
                page.odd = page.odd.saturating_add(object.odd).saturating_add(unnamed);
                page.entries.extend(entry);
            }
        }
        page.odd = page.odd.saturating_add(object.odd);
        Ok(page)
    }
}
