//! Reads the settings of a new or changed instance from a request. Pure.

use super::program::CURRENT;
use super::tags::{InstanceTags, LONGEST_TAG, MOST_TAGS};
use crate::base::error::Result;
use crate::base::ids::ConfigId;
use crate::domain::configs::check_name;
use crate::keeper::machine::{RestartLimit, RestartPolicy};
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, flag, id, member, object, one_of, text, whole};
use serde_json::{Value, json};

/// The given settings of a new or changed instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceDraft {
    /// Name.
    pub name: Option<String>,
    /// Saved configuration.
    pub config_id: Option<ConfigId>,
    /// Starts automatically with the manager.
    pub autostart: Option<bool>,
    /// When jd-manager restarts it automatically.
    pub restart_policy: Option<RestartPolicy>,
    /// When jd-manager gives up; `Some(None)`: never.
    pub restart_limit: Option<Option<RestartLimit>>,
    /// Private memory limit, MiB; `Some(None)`: no limit.
    pub memory_limit_mib: Option<Option<i32>>,
    /// Limit of open files and sockets; `Some(None)`: system default.
    pub open_files_limit: Option<Option<i32>>,
    /// Nice value, 0 to 19.
    pub nice: Option<i32>,
    /// Pinned client version; `Some(None)`: the version in use.
    pub client_version: Option<Option<String>>,
    /// The user's tags.
    pub tags: Option<InstanceTags>,
}

/// The smallest memory limit: the real client has about 20 MiB of private memory when idle,
/// including its threads' stacks.
const LEAST_MEMORY_MIB: i64 = 64;

/// Whether a text can be the name of an installed client: it becomes part of a path.
pub fn is_version_name(text: &str) -> bool {
    text.len() <= 48
        // The link to the version in use is not a version.
        && text != CURRENT
        && !text.contains("..")
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

/// The fields of a request that creates or changes an instance; a new one requires more of them.
pub fn instance_fields(is_new: bool) -> Vec<RequestField> {
    let limit = object(&limit_fields());
    let mut limit = member(
        "restart_limit",
        "When jd-manager gives up restarting. `null`: never.",
        limit.into(),
    )
    .or_null();
    limit.schema.insert(
        "examples".into(),
        json!([{ "failures": 5, "within_s": 600 }]),
    );
    let mut all = vec![
        text("name", "Unique name, ignoring case.")
            .longest(64)
            .like("barn"),
        id("config_id", "Id of the saved configuration."),
    ];
    if is_new {
        all = all.into_iter().map(RequestField::required).collect();
    }
    all.extend([
        flag("autostart", "Start automatically with jd-manager.").or(false),
        one_of(
            "restart_policy",
            "When jd-manager restarts the instance automatically.",
            &["never", "on-failure", "always"],
        )
        .or("on-failure"),
        limit,
        whole(
            "memory_limit_mib",
            "Limit on the client's private memory, in MiB. `null`: no limit.",
            LEAST_MEMORY_MIB,
            1_048_576,
        )
        .or_null(),
        whole(
            "open_files_limit",
            "Maximum number of files and sockets that the client can have open. `null`: system default.",
            64,
            1_048_576,
        )
        .or_null(),
        whole(
            "nice",
            "The client's CPU priority (nice value): 0 is normal, 19 is lowest.",
            0,
            19,
        )
        .or(0),
        text(
            "client_version",
            "Client version to pin. `null`: the version in use.",
        )
        .or_null()
        .like("0.6.0"),
        member(
            "tags",
            "Tags that group instances, each once, ignoring case. A form has one text with commas.",
            json!({
                "type": "array", "maxItems": MOST_TAGS,
                "items": { "type": "string", "minLength": 1, "maxLength": LONGEST_TAG },
            }),
        )
        .like(json!(["barn"])),
    ]);
    all
}

fn limit_fields() -> [RequestField; 2] {
    [
        whole("failures", "Number of failures.", 1, 1000).required(),
        whole("within_s", "Time range in seconds.", 1, 86_400).required(),
    ]
}

impl InstanceDraft {
    /// Reads a body. `is_new`: name and configuration are required. An unchecked box of a form is
    /// missing, so `is_form` makes it false.
    pub fn read(value: serde_json::Value, is_new: bool, is_form: bool) -> Result<Self> {
        let mut fields = instance_fields(is_new);
        // In a form, the two numbers of the limit are separate fields.
        let names = ["restart_limit_failures", "restart_limit_within_s"];
        let numbers = names.into_iter().zip(limit_fields());
        fields.extend(numbers.map(|(name, field)| RequestField { name, ..field }));
        let mut body = MemberReader::of(value, fields)?;
        let has_version = body.has("client_version");
        let required = [
            ("name", "Enter a name."),
            ("config_id", "Select a saved configuration."),
            (
                "restart_policy",
                "restart_policy must be never, on-failure or always.",
            ),
        ];
        let emptied: Vec<_> = required
            .into_iter()
            .filter(|(name, _)| body.is_empty_text(name))
            .collect();
        let mut wishes = Self {
            name: body.text("name"),
            config_id: body.parsed("config_id", "the id of a saved configuration"),
            autostart: body.flag("autostart").or(is_form.then_some(false)),
            restart_policy: body.word("restart_policy"),
            restart_limit: limit(&mut body, is_form),
            memory_limit_mib: most(&mut body, "memory_limit_mib"),
            open_files_limit: most(&mut body, "open_files_limit"),
            nice: body
                .number("nice")
                .and_then(|nice| i32::try_from(nice).ok()),
            client_version: None,
            tags: read_tags(&mut body, "tags", is_form),
        };
        // Null means no change; an empty text is an invalid value.
        for (name, detail) in emptied {
            if !body.is_refused(name) {
                body.refuse(name, detail);
            }
        }
        let version = body.text("client_version");
        if has_version {
            if version.as_deref().is_some_and(|v| !is_version_name(v)) {
                body.refuse(
                    "client_version",
                    "client_version must be a version such as 0.6.0.",
                );
            }
            wishes.client_version = Some(version);
        }
        match &wishes.name {
            Some(name) => {
                if let Err(detail) = check_name(name) {
                    body.refuse("name", detail);
                }
            }
            None if is_new && !body.is_refused("name") => body.refuse("name", "Enter a name."),
            None => {}
        }
        if is_new && wishes.config_id.is_none() && !body.is_refused("config_id") {
            body.refuse("config_id", "Select a saved configuration.");
        }
        body.finish(Some(wishes))
    }
}

/// A field with tags: a list of texts, or one text with commas in a form. Null means no change.
pub fn read_tags(
    body: &mut MemberReader,
    name: &'static str,
    is_form: bool,
) -> Option<InstanceTags> {
    let result = match body.take(name)? {
        Value::String(text) if is_form => InstanceTags::from_text(&text),
        Value::Array(given) if given.iter().all(Value::is_string) => {
            InstanceTags::new(given.iter().filter_map(Value::as_str))
        }
        _ => Err(format!("{name} must be a list of texts.")),
    };
    match result {
        Ok(tags) => Some(tags),
        Err(detail) => {
            body.refuse(name, detail);
            None
        }
    }
}

/// A limit that null or an empty field removes.
fn most(body: &mut MemberReader, name: &str) -> Option<Option<i32>> {
    body.has(name).then(|| {
        body.number(name)
            .and_then(|number| i32::try_from(number).ok())
    })
}

/// `restart_limit: {failures, within_s}` or null; in a form two separate fields, both empty for
/// never.
fn limit(body: &mut MemberReader, is_form: bool) -> Option<Option<RestartLimit>> {
    let (failures, within_s) = if is_form {
        if !body.has("restart_limit_failures") && !body.has("restart_limit_within_s") {
            return None;
        }
        (
            body.number("restart_limit_failures"),
            body.number("restart_limit_within_s"),
        )
    } else {
        if !body.has("restart_limit") {
            return None;
        }
        let Some(value) = body.take("restart_limit") else {
            return Some(None);
        };
        let mut inner = match MemberReader::of(value, limit_fields()) {
            Ok(inner) => inner,
            Err(_) => {
                body.refuse(
                    "restart_limit",
                    "restart_limit must be {\"failures\": …, \"within_s\": …} or null.",
                );
                return None;
            }
        };
        let both = (inner.number("failures"), inner.number("within_s"));
        inner.refuse_all(inner.unknown(&[]));
        let refused = inner.refused();
        if !refused.is_empty() {
            body.refuse_all(refused.into_iter().map(|e| e.under("/restart_limit")));
            return None;
        }
        both
    };
    let name = if is_form {
        "restart_limit_failures"
    } else {
        "restart_limit"
    };
    match (failures, within_s) {
        (None, None) => Some(None),
        (Some(failures), Some(within_s)) => Some(Some(RestartLimit {
            failures: u32::try_from(failures).unwrap_or(1),
            within_s: u64::try_from(within_s).unwrap_or(1),
        })),
        _ => {
            body.refuse(
                name,
                "Enter both the number of failures and the number of seconds.",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;
    use serde_json::json;

    fn pointers(value: serde_json::Value, is_new: bool) -> Vec<String> {
        match InstanceDraft::read(value, is_new, false) {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|e| e.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_member_is_named() {
        assert_eq!(pointers(json!({}), true), ["/name", "/config_id"]);
        assert_eq!(
            pointers(
                json!({"name": 7, "config_id": "x", "autostart": "maybe", "restart_policy": "sometimes"}),
                true
            ),
            ["/name", "/config_id", "/autostart", "/restart_policy"]
        );
        assert_eq!(pointers(json!({"name": "a\u{202e}b"}), false), ["/name"]);
        assert_eq!(
            pointers(
                json!({"name": "x".repeat(65), "client_version": "../evil"}),
                false
            ),
            ["/client_version", "/name"]
        );
        assert_eq!(pointers(json!([]), false), [""]);
    }

    #[test]
    fn limits_are_within_reason_and_can_be_taken_away() {
        let limited = InstanceDraft::read(
            json!({"restart_limit": {"failures": 5, "within_s": 600}, "memory_limit_mib": 256, "nice": 5}),
            false,
            false,
        )
        .unwrap();
        assert_eq!(
            limited.restart_limit,
            Some(Some(RestartLimit {
                failures: 5,
                within_s: 600
            }))
        );
        assert_eq!(
            (limited.memory_limit_mib, limited.nice),
            (Some(Some(256)), Some(5))
        );
        let freed = InstanceDraft::read(
            json!({"restart_limit": null, "memory_limit_mib": null}),
            false,
            false,
        )
        .unwrap();
        assert_eq!(
            (freed.restart_limit, freed.memory_limit_mib),
            (Some(None), Some(None))
        );
        let form = InstanceDraft::read(
            json!({"restart_limit_failures": "5", "restart_limit_within_s": "60", "memory_limit_mib": ""}),
            false,
            true,
        )
        .unwrap();
        assert_eq!(
            (form.restart_limit, form.memory_limit_mib),
            (
                Some(Some(RestartLimit {
                    failures: 5,
                    within_s: 60
                })),
                Some(None)
            )
        );
        assert_eq!(
            pointers(
                json!({"restart_limit": {"failures": 0, "within_s": 5}}),
                false
            ),
            ["/restart_limit/failures"]
        );
        assert_eq!(
            pointers(json!({"restart_limit": 3}), false),
            ["/restart_limit"]
        );
        assert_eq!(
            pointers(
                json!({"memory_limit_mib": 1, "open_files_limit": "many", "nice": -5}),
                false
            ),
            ["/memory_limit_mib", "/open_files_limit", "/nice"]
        );
    }

    #[test]
    fn tags_are_a_list_or_a_text_with_commas_in_a_form() {
        let tags = |value, is_form| {
            let draft = InstanceDraft::read(json!({ "tags": value }), false, is_form).unwrap();
            draft.tags.map(|tags| tags.text())
        };
        assert_eq!(tags(json!(["barn", "a b"]), false).unwrap(), "barn, a b");
        assert_eq!(tags(json!("barn , a b"), true).unwrap(), "barn, a b");
        assert_eq!(tags(json!([]), false).unwrap(), "");
        assert_eq!(tags(json!(""), true).unwrap(), "");
        assert_eq!(tags(json!(null), false), None);
        for bad in [
            json!("barn"),
            json!([1]),
            json!(["a,b"]),
            json!({}),
            json!(["x".repeat(33)]),
        ] {
            assert_eq!(pointers(json!({ "tags": bad }), false), ["/tags"], "{bad}");
        }
    }

    #[test]
    fn what_is_not_mentioned_stays() {
        assert_eq!(
            InstanceDraft::read(json!({}), false, false).unwrap(),
            InstanceDraft::default()
        );
        let unpinned = InstanceDraft::read(json!({"client_version": null}), false, false).unwrap();
        assert_eq!(unpinned.client_version, Some(None));
        assert_eq!(
            InstanceDraft::read(json!({"name": "barn"}), false, true)
                .unwrap()
                .autostart,
            Some(false)
        );
    }
}
