//! JSON responses to changes of alerts.

use schemars::JsonSchema;
use serde::Serialize;

use super::ChannelView;
use super::mutes::MuteView;
use crate::base::ids::{ChannelId, RuleId};
use crate::domain::alerts::channel_kinds::KINDS;
use crate::domain::alerts::model::AlertRule;

/// A channel was created or changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelResponse {
    /// The id of the channel.
    pub channel_id: ChannelId,
    /// The result in a sentence.
    pub message: String,
    /// The channel after the change.
    pub channel: ChannelView,
}

/// A rule was created or changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleResponse {
    /// The id of the rule.
    pub rule_id: RuleId,
    /// The result in a sentence.
    pub message: String,
    /// The rule after the change.
    pub rule: AlertRule,
}

/// Something is muted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct MuteResponse {
    /// The result in a sentence.
    pub message: String,
    /// The mute.
    pub mute: MuteView,
}

/// The available channel types.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelKinds {
    kinds: Vec<ChannelKindResponse>,
}

/// A channel type.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelKindResponse {
    kind: &'static str,
    /// The names of its fields.
    fields: Vec<&'static str>,
}

impl ChannelKinds {
    /// All types.
    pub fn all() -> Self {
        let of = |kind: &'static crate::domain::alerts::channel_kinds::ChannelKind| {
            ChannelKindResponse {
                kind: kind.name,
                fields: kind.fields.iter().map(|field| field.name).collect(),
            }
        };
        Self {
            kinds: KINDS.iter().map(of).collect(),
        }
    }
}

/// The available rule types.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleKinds {
    /// The names of the types.
    pub kinds: &'static [&'static str],
}
