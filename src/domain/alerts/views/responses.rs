//! What programs are told of a change in alerts.

use schemars::JsonSchema;
use serde::Serialize;

use super::ChannelView;
use crate::base::clock::Timestamp;
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::alerts::channel_kinds::KINDS;
use crate::domain::alerts::model::AlertRule;

/// A channel was made or changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelResponse {
    /// Which.
    pub channel_id: ChannelId,
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub channel: ChannelView,
}

/// A rule was made or changed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleResponse {
    /// Which.
    pub rule_id: RuleId,
    /// That in a sentence.
    pub message: String,
    /// As it is now.
    pub rule: AlertRule,
}

/// Nothing is told of an instance for a while.
#[derive(Debug, JsonSchema, Serialize)]
pub struct SilenceResponse {
    /// That in a sentence.
    pub message: String,
    /// Which instance.
    pub instance_id: InstanceId,
    /// Until then.
    pub until: Timestamp,
}

/// The kinds of channels there are.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelKinds {
    kinds: Vec<ChannelKindResponse>,
}

/// A kind of channel.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChannelKindResponse {
    kind: &'static str,
    /// What it wants to know.
    fields: Vec<&'static str>,
}

impl ChannelKinds {
    /// All of them.
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

/// The kinds of rules there are.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RuleKinds {
    /// Their names.
    pub kinds: &'static [&'static str],
}
