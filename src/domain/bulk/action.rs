//! The actions on several instances and their parameters. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError};
use crate::base::ids::ConfigId;
use crate::base::role::Role;
use crate::domain::instances::{
    Instance, InstanceTags, LONGEST_TAG, MOST_TAGS, is_version_name, read_tags,
};
use crate::domain::mutes::{MuteDraft, mute_fields};
use crate::keeper::machine::InstanceState;
use crate::web::RequestInput;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, flag, id, member, text};

/// The name of an action.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    JsonSchema,
    Serialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[schemars(rename = "BulkAction")]
pub enum BulkActionKind {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart. Instances that are not running are skipped.
    Restart,
    /// Delete.
    Delete,
    /// Start automatically with jd-manager, or not.
    Autostart,
    /// Use another saved configuration from the next start.
    Configure,
    /// Use another client version from the next start.
    Version,
    /// Add and remove tags.
    Tag,
    /// Mute notifications.
    Mute,
}

impl BulkActionKind {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The role that the same action on one instance requires.
    pub const fn role(self) -> Role {
        match self {
            Self::Start | Self::Stop | Self::Restart | Self::Mute => Role::Operator,
            Self::Delete | Self::Autostart | Self::Configure | Self::Version | Self::Tag => {
                Role::Admin
            }
        }
    }

    /// As the text of a button.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Delete => "Delete",
            Self::Autostart => "Change autostart",
            Self::Configure => "Change configuration",
            Self::Version => "Change client version",
            Self::Tag => "Change tags",
            Self::Mute => "Mute alerts",
        }
    }

    /// For the audit log, in the past tense; without instances.
    pub const fn audit_text(self) -> &'static str {
        match self {
            Self::Start => "started several instances",
            Self::Stop => "stopped several instances",
            Self::Restart => "restarted several instances",
            Self::Delete => "deleted several instances",
            Self::Autostart => "changed the autostart of several instances",
            Self::Configure => "changed the configuration of several instances",
            Self::Version => "changed the client version of several instances",
            Self::Tag => "changed the tags of several instances",
            Self::Mute => "muted several instances",
        }
    }
}

/// An action with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BulkAction {
    Start,
    Stop,
    Restart,
    Delete,
    Autostart {
        enabled: bool,
    },
    Configure {
        config_id: ConfigId,
    },
    /// None: the version in use.
    Version {
        version: Option<String>,
    },
    Tag {
        add: InstanceTags,
        remove: InstanceTags,
    },
    Mute(MuteDraft),
}

/// The parameters of all actions.
pub(super) fn parameter_fields() -> Vec<RequestField> {
    let tags = |name, about| {
        let tag = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_TAG });
        let schema = json!({ "type": "array", "maxItems": MOST_TAGS, "items": tag });
        member(name, about, schema).like(json!(["barn"]))
    };
    let mut fields = vec![
        flag(
            "enabled",
            "Required by `autostart`: start automatically with jd-manager.",
        ),
        id(
            "config_id",
            "Required by `configure`: id of a saved configuration.",
        ),
        text(
            "version",
            "Required by `version`: name of an installed client. `null`: the version in use.",
        )
        .or_null()
        .like("0.6.0"),
        tags(
            "add",
            "Tags that `tag` adds. A form has one text with commas.",
        ),
        tags(
            "remove",
            "Tags that `tag` removes, ignoring case. `tag` requires `add` or `remove`.",
        ),
    ];
    fields.extend(mute_fields());
    fields
}

impl BulkAction {
    /// Reads the parameters of an action. `is_page`: a form without them, such as the buttons below a
    /// list, is not an error: the result is none, and a page asks for them.
    pub(super) fn read(
        kind: BulkActionKind,
        input: &RequestInput,
        is_page: bool,
        errors: &mut Vec<FieldError>,
    ) -> Option<Self> {
        let has = |name: &str| input.value.get(name).is_some();
        let is_form = input.form.is_some();
        let is_complete = match kind {
            BulkActionKind::Start | BulkActionKind::Stop | BulkActionKind::Restart => true,
            BulkActionKind::Delete => has("confirm"),
            BulkActionKind::Autostart => has("enabled"),
            BulkActionKind::Configure => has("config_id"),
            BulkActionKind::Version => has("version"),
            BulkActionKind::Tag => has("add") || has("remove"),
            BulkActionKind::Mute => has("until") || has("minutes"),
        };
        if is_page && !is_complete {
            return None;
        }
        let mut body = MemberReader::of(input.value.clone(), parameter_fields()).ok()?;
        let action = match kind {
            BulkActionKind::Start => Some(Self::Start),
            BulkActionKind::Stop => Some(Self::Stop),
            BulkActionKind::Restart => Some(Self::Restart),
            BulkActionKind::Delete => Some(Self::Delete),
            BulkActionKind::Autostart => {
                let enabled = body.flag("enabled");
                if enabled.is_none() && !body.is_refused("enabled") {
                    body.refuse("enabled", "enabled must be true or false.");
                }
                enabled.map(|enabled| Self::Autostart { enabled })
            }
            BulkActionKind::Configure => {
                let config_id = body.parsed("config_id", "the id of a saved configuration");
                if config_id.is_none() && !body.is_refused("config_id") {
                    body.refuse("config_id", "Select a saved configuration.");
                }
                config_id.map(|config_id| Self::Configure { config_id })
            }
            BulkActionKind::Version => read_version(&mut body, has("version")),
            BulkActionKind::Tag => read_tag_change(&mut body, is_form),
            BulkActionKind::Mute => MuteDraft::take(&mut body, Timestamp::now()).map(Self::Mute),
        };
        match body.finish(action) {
            Ok(action) => Some(action),
            Err(Error::Invalid(refused)) => {
                errors.extend(refused);
                None
            }
            Err(_) => None,
        }
    }

    /// Its name.
    pub(super) const fn kind(&self) -> BulkActionKind {
        match self {
            Self::Start => BulkActionKind::Start,
            Self::Stop => BulkActionKind::Stop,
            Self::Restart => BulkActionKind::Restart,
            Self::Delete => BulkActionKind::Delete,
            Self::Autostart { .. } => BulkActionKind::Autostart,
            Self::Configure { .. } => BulkActionKind::Configure,
            Self::Version { .. } => BulkActionKind::Version,
            Self::Tag { .. } => BulkActionKind::Tag,
            Self::Mute(_) => BulkActionKind::Mute,
        }
    }

    /// Why it does not apply to an instance, as a sentence; none: it does.
    pub(super) fn obstacle(&self, instance: &Instance) -> Option<String> {
        let (name, state) = (instance.full_name(), instance.state_text());
        if let Some(host) = &instance.host {
            if !instance.is_reachable() {
                return Some(format!(
                    "There is no connection to {host}. Nothing was sent to it."
                ));
            }
            let is_offered = matches!(
                self,
                Self::Start
                    | Self::Stop
                    | Self::Restart
                    | Self::Autostart { .. }
                    | Self::Tag { .. }
            );
            if !is_offered {
                return Some(format!("{name} is on another host. Do this on {host}."));
            }
        }
        match self {
            Self::Start if instance.running => Some(format!("{name} is already {state}.")),
            Self::Stop if instance.status == InstanceState::Stopped => {
                Some(format!("{name} is already {state}."))
            }
            Self::Stop if instance.status == InstanceState::Failed => {
                Some(format!("{name} is not running."))
            }
            Self::Restart if !instance.can_stop() => {
                Some(format!("{name} is {state} and was not restarted."))
            }
            Self::Autostart { enabled: true } if instance.autostart => {
                Some(format!("{name} already starts automatically."))
            }
            Self::Autostart { enabled: false } if !instance.autostart => {
                Some(format!("{name} does not start automatically already."))
            }
            Self::Configure { config_id } if instance.config_id == *config_id => {
                Some(format!("{name} already has this configuration."))
            }
            Self::Version { version } if instance.client_version == *version => {
                Some(format!("{name} already has this client version."))
            }
            Self::Tag { add, remove } => match instance.tags.changed(add, remove) {
                Ok(tags) if tags == instance.tags => {
                    Some(format!("{name} already has these tags."))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

fn read_version(body: &mut MemberReader, is_given: bool) -> Option<BulkAction> {
    let version = body.text("version");
    if !is_given {
        body.refuse(
            "version",
            "version must be the name of an installed client, or null for the version in use.",
        );
    } else if version.as_deref().is_some_and(|v| !is_version_name(v)) {
        body.refuse("version", "version must be a version such as 0.6.0.");
    }
    (!body.is_refused("version")).then_some(BulkAction::Version { version })
}

fn read_tag_change(body: &mut MemberReader, is_form: bool) -> Option<BulkAction> {
    let add = read_tags(body, "add", is_form).unwrap_or_default();
    let remove = read_tags(body, "remove", is_form).unwrap_or_default();
    let is_refused = body.is_refused("add") || body.is_refused("remove");
    if !is_refused && add.is_empty() && remove.is_empty() {
        body.refuse("add", "Enter at least one tag to add or remove.");
    }
    if let Some(both) = add.iter().find(|tag| remove.has(tag)) {
        body.refuse(
            "remove",
            format!("\"{both}\" cannot be both added and removed."),
        );
    }
    let is_refused = body.is_refused("add") || body.is_refused("remove");
    (!is_refused).then_some(BulkAction::Tag { add, remove })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(kind: BulkActionKind, value: Value) -> Result<BulkAction, Vec<String>> {
        let mut errors = Vec::new();
        let input = RequestInput { value, form: None };
        BulkAction::read(kind, &input, false, &mut errors)
            .ok_or_else(|| errors.into_iter().map(|e| e.pointer).collect())
    }

    fn tags(text: &str) -> InstanceTags {
        InstanceTags::from_text(text).unwrap()
    }

    #[test]
    fn a_program_names_every_parameter() {
        use BulkActionKind::{Autostart, Configure, Tag, Version};
        let config = ConfigId::random();
        for (kind, value, wanted) in [
            (
                Autostart,
                json!({ "enabled": false }),
                Ok(BulkAction::Autostart { enabled: false }),
            ),
            (Autostart, json!({}), Err("/enabled")),
            (Autostart, json!({ "enabled": "perhaps" }), Err("/enabled")),
            (
                Configure,
                json!({ "config_id": config }),
                Ok(BulkAction::Configure { config_id: config }),
            ),
            (Configure, json!({}), Err("/config_id")),
            (Configure, json!({ "config_id": "x" }), Err("/config_id")),
            (
                Version,
                json!({ "version": null }),
                Ok(BulkAction::Version { version: None }),
            ),
            (Version, json!({}), Err("/version")),
            (Version, json!({ "version": "../evil" }), Err("/version")),
            (Version, json!({ "version": 6 }), Err("/version")),
            (
                Tag,
                json!({ "add": ["barn", "Barn"] }),
                Ok(BulkAction::Tag {
                    add: tags("barn"),
                    remove: InstanceTags::default(),
                }),
            ),
            (Tag, json!({}), Err("/add")),
            (Tag, json!({ "add": [], "remove": [] }), Err("/add")),
            (Tag, json!({ "add": "barn" }), Err("/add")),
            (Tag, json!({ "remove": ["a\u{202e}b"] }), Err("/remove")),
            (
                Tag,
                json!({ "add": ["barn"], "remove": ["BARN"] }),
                Err("/remove"),
            ),
            (BulkActionKind::Mute, json!({}), Err("/until")),
            (
                BulkActionKind::Mute,
                json!({ "until": "2001-02-03T04:05:06Z" }),
                Err("/until"),
            ),
        ] {
            let wanted = wanted.map_err(|pointer| vec![pointer.to_owned()]);
            assert_eq!(read(kind, value.clone()), wanted, "{kind:?} {value}");
        }
    }

    #[test]
    fn a_form_without_parameters_is_incomplete_and_not_wrong() {
        for kind in [
            BulkActionKind::Delete,
            BulkActionKind::Autostart,
            BulkActionKind::Configure,
            BulkActionKind::Version,
            BulkActionKind::Tag,
            BulkActionKind::Mute,
        ] {
            let mut errors = Vec::new();
            let input = RequestInput {
                value: json!({ "action": "x" }),
                form: Some(Vec::new()),
            };
            assert_eq!(BulkAction::read(kind, &input, true, &mut errors), None);
            assert!(errors.is_empty(), "{errors:?}");
        }
    }

    #[test]
    fn what_changes_nothing_is_skipped() {
        let sample = |state| Instance {
            autostart: true,
            tags: tags("barn, rack 1"),
            client_version: Some("0.6.0".into()),
            ..Instance::sample(state)
        };
        let (running, stopped) = (
            sample(InstanceState::Running),
            sample(InstanceState::Stopped),
        );
        let config_id = running.config_id;
        let tag = |add, remove| BulkAction::Tag {
            add: tags(add),
            remove: tags(remove),
        };
        let version = |text: Option<&str>| BulkAction::Version {
            version: text.map(String::from),
        };
        for (action, instance, is_skipped) in [
            (BulkAction::Start, &running, true),
            (BulkAction::Start, &stopped, false),
            (BulkAction::Stop, &stopped, true),
            (BulkAction::Restart, &stopped, true),
            (BulkAction::Restart, &running, false),
            (BulkAction::Delete, &running, false),
            (BulkAction::Autostart { enabled: true }, &running, true),
            (BulkAction::Autostart { enabled: false }, &running, false),
            (BulkAction::Configure { config_id }, &running, true),
            (BulkAction::Configure { config_id }, &stopped, false),
            (version(Some("0.6.0")), &running, true),
            (version(None), &running, false),
            (tag("Barn", "attic"), &running, true),
            (tag("attic", ""), &running, false),
            (tag("", "RACK 1"), &running, false),
        ] {
            let obstacle = action.obstacle(instance);
            assert_eq!(obstacle.is_some(), is_skipped, "{action:?}: {obstacle:?}");
        }
    }
}
