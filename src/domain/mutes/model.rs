//! Mutes, and which of them apply to an instance or a rule. No I/O, no clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, MuteId, RuleId};
use crate::base::visible::has_hidden;

/// Longer texts are no tags.
const LONGEST_TAG: usize = 100;

/// What a mute applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MuteScope {
    /// Everything.
    All,
    /// One instance.
    Instance(InstanceId),
    /// The instances with a tag, ignoring case.
    Tag(String),
    /// One rule.
    Rule(RuleId),
}

/// As in JSON, addresses and forms: `all`, `instance:ID`, `tag:NAME`, `rule:ID`.
impl fmt::Display for MuteScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Instance(id) => write!(f, "instance:{id}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Rule(id) => write!(f, "rule:{id}"),
        }
    }
}

impl FromStr for MuteScope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("instance", id)) => Ok(Self::Instance(id.parse().map_err(|_| ())?)),
            Some(("rule", id)) => Ok(Self::Rule(id.parse().map_err(|_| ())?)),
            Some(("tag", tag)) => {
                let (tag, is_short) = (tag.trim(), tag.chars().count() <= LONGEST_TAG);
                let is_tag = !tag.is_empty() && is_short && !has_hidden(tag);
                is_tag.then(|| Self::Tag(tag.to_owned())).ok_or(())
            }
            _ => Err(()),
        }
    }
}

impl Serialize for MuteScope {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for MuteScope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MuteTarget".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "description": "What is muted: all, instance:ID, tag:NAME or rule:ID.", "examples": ["tag:barn"],
        })
    }
}

/// A mute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// The id.
    pub id: MuteId,
    /// What it applies to.
    pub scope: MuteScope,
    /// When it starts.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why, as a user wrote it; may be empty.
    pub comment: String,
    /// Who created it, as histories store it; may be empty.
    pub author: String,
}

/// Whether a mute has started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MuteState {
    /// Notifications are muted now.
    Active,
    /// It starts later.
    Scheduled,
    /// It has ended.
    Ended,
}

impl Mute {
    /// Its state at a time.
    pub fn state(&self, now: Timestamp) -> MuteState {
        if self.until <= now {
            MuteState::Ended
        } else if self.from <= now {
            MuteState::Active
        } else {
            MuteState::Scheduled
        }
    }
}

/// The mute of an instance that is active.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct ActiveMute {
    /// When it ends.
    pub until: Timestamp,
    /// Why, as a user wrote it; may be empty.
    pub comment: String,
}

/// Mutes by what they apply to.
#[derive(Clone, Debug, Default)]
pub struct MuteSet(HashMap<MuteScope, Vec<Mute>>);

impl FromIterator<Mute> for MuteSet {
    fn from_iter<T: IntoIterator<Item = Mute>>(mutes: T) -> Self {
        let mut by_scope: HashMap<MuteScope, Vec<Mute>> = HashMap::new();
        for mute in mutes {
            let scope = match &mute.scope {
                MuteScope::Tag(tag) => MuteScope::Tag(tag.to_lowercase()),
                scope => scope.clone(),
            };
            by_scope.entry(scope).or_default().push(mute);
        }
        Self(by_scope)
    }
}

impl MuteSet {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mute of an instance with these tags that is active and ends last.
    pub fn of_instance<'a>(
        &self,
        id: InstanceId,
        tags: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<&Mute> {
        if self.is_empty() {
            return None;
        }
        let tags = tags.map(|tag| MuteScope::Tag(tag.to_lowercase()));
        let scopes = [MuteScope::All, MuteScope::Instance(id)].into_iter();
        self.last(scopes.chain(tags), now)
    }

    /// The mute of a rule, or of everything, that is active and ends last.
    pub fn of_rule(&self, id: RuleId, now: Timestamp) -> Option<&Mute> {
        self.last([MuteScope::All, MuteScope::Rule(id)].into_iter(), now)
    }

    /// Until when a rule sends nothing about an instance with these tags.
    pub fn until<'a>(
        &self,
        rule: RuleId,
        instance: InstanceId,
        tags: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let of_rule = self.of_rule(rule, now).map(|mute| mute.until);
        of_rule.max(self.of_instance(instance, tags, now).map(|mute| mute.until))
    }

    fn last(&self, scopes: impl Iterator<Item = MuteScope>, now: Timestamp) -> Option<&Mute> {
        scopes
            .filter_map(|scope| self.0.get(&scope))
            .flatten()
            .filter(|mute| mute.state(now) == MuteState::Active)
            .max_by_key(|mute| mute.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mute(scope: MuteScope, from: i64, until: i64) -> Mute {
        Mute {
            id: MuteId::random(),
            scope,
            from: Timestamp(from),
            until: Timestamp(until),
            comment: String::new(),
            author: String::new(),
        }
    }

    #[test]
    fn a_scope_is_written_as_it_is_read() {
        let (instance, rule) = (InstanceId::random(), RuleId::random());
        for scope in [
            MuteScope::All,
            MuteScope::Instance(instance),
            MuteScope::Tag("a: b".into()),
            MuteScope::Rule(rule),
        ] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in ["", "All", "tag:", "tag: ", "instance:barn", "rule:", "x:y"] {
            assert_eq!(text.parse::<MuteScope>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_mute_applies_from_its_start_to_its_end_and_the_last_end_counts() {
        let (barn, shed, rule) = (InstanceId::random(), InstanceId::random(), RuleId::random());
        let mutes: MuteSet = [
            mute(MuteScope::Instance(barn), 10, 20),
            mute(MuteScope::Tag("Night".into()), 15, 30),
            mute(MuteScope::Rule(rule), 0, 5),
            mute(MuteScope::All, 100, 110),
        ]
        .into_iter()
        .collect();
        let until = |id, tags: &[&str], now| {
            let tags = tags.iter().copied();
            mutes
                .of_instance(id, tags, Timestamp(now))
                .map(|mute| mute.until.0)
        };
        assert_eq!(until(barn, &[], 9), None);
        assert_eq!(until(barn, &[], 10), Some(20));
        assert_eq!(until(barn, &["x", "NIGHT"], 15), Some(30));
        assert_eq!(until(barn, &[], 20), None);
        assert_eq!(until(shed, &["night"], 14), None);
        assert_eq!(until(shed, &["night"], 29), Some(30));
        assert_eq!(until(shed, &[], 29), None);
        assert_eq!(until(shed, &[], 100), Some(110));
        assert!(mutes.of_rule(rule, Timestamp(4)).is_some());
        assert!(mutes.of_rule(rule, Timestamp(5)).is_none());
        assert!(mutes.of_rule(RuleId::random(), Timestamp(4)).is_none());
        assert!(mutes.of_rule(RuleId::random(), Timestamp(105)).is_some());
    }
}
