//! The page about mutes, and a mute as JSON.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::fields::{AlertFormField, FieldInput, error_of, error_text};
use crate::base::actor::actor_text;
use crate::base::clock::Timestamp;
use crate::base::error::FieldError;
use crate::base::ids::MuteId;
use crate::domain::alerts::service::MuteTargets;
use crate::domain::mutes::{Mute, MuteScope, MuteState, mute_durations};
use crate::view;

/// A mute with the name of what it applies to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Mute")]
pub struct MuteView {
    pub(super) id: MuteId,
    target: MuteScope,
    /// The name of the instance, tag or rule; absent for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    pub(super) state: MuteState,
    /// When it starts.
    pub(super) from: Timestamp,
    /// When it ends, or ended.
    pub(super) until: Timestamp,
    /// The reason; may be empty.
    pub(super) comment: String,
    /// Who created it; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
}

impl MuteView {
    /// A mute at a time.
    pub fn new(mute: Mute, targets: &MuteTargets, now: Timestamp) -> Self {
        let name = match &mute.scope {
            MuteScope::All => None,
            MuteScope::Instance(id) => {
                let found = targets.instances.iter().find(|(known, _)| known == id);
                found.map(|(_, name)| name.clone())
            }
            MuteScope::Tag(tag) => Some(tag.clone()),
            MuteScope::Rule(id) => {
                let found = targets.rules.iter().find(|(known, _)| known == id);
                found.map(|(_, name)| name.clone())
            }
        };
        Self {
            state: mute.state(now),
            id: mute.id,
            target: mute.scope,
            name,
            from: mute.from,
            until: mute.until,
            comment: mute.comment,
            author: Some(mute.author).filter(|author| !author.is_empty()),
        }
    }

    /// What is muted: `Instance barn`.
    pub(super) fn what(&self) -> String {
        let kind = match self.target {
            MuteScope::All => return "All alerts".into(),
            MuteScope::Instance(_) => "Instance",
            MuteScope::Tag(_) => "Tag",
            MuteScope::Rule(_) => "Rule",
        };
        format!("{kind} {}", self.name.as_deref().unwrap_or("(unreadable)"))
    }

    /// The page of what is muted.
    pub(super) fn link(&self) -> Option<String> {
        match &self.target {
            MuteScope::All => None,
            MuteScope::Instance(id) => Some(format!("/instances/{id}")),
            MuteScope::Tag(tag) => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                Some(format!(
                    "/instances?{}",
                    query.append_pair("tag", tag).finish()
                ))
            }
            MuteScope::Rule(id) => Some(format!("/alerts/rules/{id}")),
        }
    }

    pub(super) fn by(&self) -> String {
        self.author
            .as_deref()
            .and_then(actor_text)
            .unwrap_or_default()
    }

    /// The result of muting in a sentence.
    pub fn message(&self) -> String {
        let (what, until) = (self.what(), self.until.local());
        match self.state {
            MuteState::Scheduled => {
                format!("{what}: muted from {} to {until}.", self.from.local())
            }
            _ => format!("{what}: muted until {until}."),
        }
    }
}

/// `GET /alerts/mutes`, and with errors after an invalid form.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "alerts/mutes.html", blocks = ["main"])]
#[schemars(rename = "Mutes")]
pub struct MutesPage {
    /// Those that end last come first.
    mutes: Vec<MuteView>,
    /// The number of all mutes.
    total: u64,
    /// The value of `offset` for the next page, if there are more mutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    #[serde(skip)]
    limit: u64,
    #[serde(skip)]
    targets: MuteTargets,
    /// The fields of the form.
    #[serde(skip)]
    values: BTreeMap<String, String>,
    #[serde(skip)]
    errors: Vec<FieldError>,
}
view!(MutesPage { "main" => as_main });

impl MutesPage {
    /// A part of all mutes: `(offset, limit)`, and their number.
    pub fn new(
        (found, total): (Vec<Mute>, u64),
        (offset, limit): (u64, u64),
        targets: MuteTargets,
        now: Timestamp,
    ) -> Self {
        let mutes = found.into_iter();
        let mutes = mutes
            .map(|mute| MuteView::new(mute, &targets, now))
            .collect();
        let end = offset.saturating_add(limit);
        Self {
            mutes,
            total,
            next: (end < total).then_some(end),
            limit,
            targets,
            values: BTreeMap::from([("minutes".into(), "120".into())]),
            errors: Vec::new(),
        }
    }

    /// The form with this target.
    #[must_use]
    pub fn with_target(mut self, target: Option<MuteScope>) -> Self {
        if let Some(MuteScope::Instance(id)) = target {
            let next = format!("/instances/{id}");
            self.values.insert("next".into(), next);
        }
        self.values
            .extend(target.map(|target| ("target".into(), target.to_string())));
        self
    }

    /// Where the form returns to.
    fn next_page(&self) -> &str {
        self.values.get("next").map_or("", String::as_str)
    }

    /// The form as it was sent, with its errors.
    #[must_use]
    pub fn refused(mut self, pairs: &[(String, String)], errors: Vec<FieldError>) -> Self {
        self.values.extend(pairs.iter().cloned());
        self.errors = errors;
        self
    }

    /// The mutes in a state, and the heading.
    fn groups(&self) -> Vec<(&'static str, &'static str, Vec<&MuteView>)> {
        let groups = [
            (MuteState::Active, "active", "Active"),
            (MuteState::Scheduled, "scheduled", "Scheduled"),
            (MuteState::Ended, "ended", "Ended"),
        ];
        let group = |(state, id, title)| {
            let mutes: Vec<_> = self
                .mutes
                .iter()
                .filter(|mute| mute.state == state)
                .collect();
            (!mutes.is_empty()).then_some((id, title, mutes))
        };
        groups.into_iter().filter_map(group).collect()
    }

    fn fields(&self) -> [AlertFormField; 5] {
        let value = |name: &str| self.values.get(name).cloned().unwrap_or_default();
        let field = |name, label, help| {
            let error = error_of(&self.errors, name, label);
            AlertFormField {
                error,
                ..AlertFormField::text(name, label, help, value(name))
            }
        };
        let choice = |field, options| AlertFormField {
            input: FieldInput::Choice,
            options,
            ..field
        };
        let time = |field: AlertFormField| AlertFormField {
            input: FieldInput::LocalTime,
            value: Timestamp::parse_local(&field.value)
                .map_or_else(|| field.value.clone(), Timestamp::local_input),
            ..field
        };
        [
            choice(field("target", "What", ""), self.target_options()),
            choice(field("minutes", "For", "From the start."), mute_durations()),
            time(field("from", "From", "Empty: now.")),
            time(field(
                "until",
                "Until",
                "If set, it counts instead of the duration.",
            )),
            field(
                "comment",
                "Comment",
                "The reason, for everyone who sees the mute.",
            ),
        ]
    }

    fn target_options(&self) -> Vec<(String, String)> {
        let mut options = vec![(String::new(), "Select …".to_owned())];
        options.push(("all".into(), "All alerts".into()));
        let tags = self.targets.tags.iter();
        options.extend(tags.map(|tag| (format!("tag:{tag}"), format!("Tag: {tag}"))));
        let rules = self.targets.rules.iter();
        options.extend(rules.map(|(id, name)| (format!("rule:{id}"), format!("Rule: {name}"))));
        let instances = self.targets.instances.iter();
        options.extend(
            instances.map(|(id, name)| (format!("instance:{id}"), format!("Instance: {name}"))),
        );
        options
    }

    fn error_text(&self, error: &FieldError) -> String {
        error_text(error, &self.fields())
    }
}
