//! Reads a submitted channel and reports every invalid field. Omitted secrets are kept.

use serde_json::{Map, Value};

use super::channel_kinds::{ChannelField, ChannelFieldInput, KINDS, kind, usual_port};
use super::model::SavedChannel;
use crate::base::error::{Error, Result};
use crate::domain::configs::{MASK, check_name};
use crate::infra::notify::NotifyChannel;
use crate::web::extract::MemberReader;
use crate::web::openapi::{RequestField, one_of, text, whole};

/// A request body for a channel.
#[derive(Clone)]
pub struct ChannelDraft(Value);

impl ChannelDraft {
    /// The draft in a JSON object or the fields of a form.
    pub const fn of(body: Value) -> Self {
        Self(body)
    }

    /// Name and target. When a channel is changed, omitted fields keep their values.
    pub fn check(self, former: Option<&SavedChannel>) -> Result<(String, NotifyChannel)> {
        let mut members = MemberReader::of(self.0, channel_fields(former.is_none()))?;
        let name = match members.text("name") {
            None if !members.has("name") && former.is_some() => {
                former.map(|former| former.name.clone())
            }
            None => {
                if !members.is_refused("name") {
                    members.refuse("name", "Enter a name, such as \"my phone\".");
                }
                None
            }
            Some(name) => Some(name),
        };
        if let Some(Err(wrong)) = name.as_deref().map(check_name) {
            members.refuse("name", wrong);
        }
        let kind_name = members
            .text("kind")
            .or_else(|| former.map(|former| former.target.kind().to_owned()));
        let Some(kind) = kind_name.as_deref().and_then(kind) else {
            if !members.is_refused("kind") {
                let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
                members.refuse("kind", format!("kind must be one of {}.", names.join(", ")));
            }
            return members.finish(None);
        };
        let former = former
            .map(|former| &former.target)
            .filter(|former| former.kind() == kind.name);
        let stored = former
            .map(serde_json::to_value)
            .transpose()
            .map_err(Error::internal)?;
        let mut target = Map::from_iter([("kind".to_owned(), Value::from(kind.name))]);
        for field in kind.fields {
            let kept = stored
                .as_ref()
                .and_then(|stored| stored.get(field.name))
                .filter(|_| !members.has(field.name));
            let value = match kept {
                // Not the secret itself: whether it may be sent to the new destination is checked
                // below.
                Some(Value::String(_)) if field.how == ChannelFieldInput::Secret => Value::from(""),
                Some(kept) => kept.clone(),
                None => read(&mut members, field, former.is_some()),
            };
            if former.is_none() && field.how == ChannelFieldInput::Secret && value == MASK {
                members.refuse(field.name, "No secret is saved yet. Enter the full secret.");
            }
            target.insert(field.name.to_owned(), value);
        }
        if target.get("port").is_some_and(Value::is_null) {
            let port = usual_port(
                target
                    .get("security")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
            target.insert("port".to_owned(), port.into());
        }
        let refused = kind
            .fields
            .iter()
            .any(|field| members.is_refused(field.name));
        let channel = if refused {
            None
        } else {
            // The cause would quote the input, which may be a secret.
            let read = serde_json::from_value::<NotifyChannel>(Value::Object(target));
            let mut channel =
                read.map_err(|_| Error::internal("a channel's fields do not match its type"))?;
            if let Some(former) = former {
                channel.keep_secrets_of(former);
            }
            for (field, wrong) in channel.problems() {
                members.refuse(field, wrong);
            }
            Some(channel)
        };
        members.finish(name.zip(channel))
    }
}

/// The fields of a request that creates or changes a channel.
pub(super) fn channel_fields(is_new: bool) -> Vec<RequestField> {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut all = vec![
        text("name", "The name.").longest(64).like("phone"),
        one_of("kind", "The service that receives notifications.", &kinds),
    ];
    if is_new {
        all = all.into_iter().map(RequestField::required).collect();
    }
    let of_server = "For `ntfy`, `telegram`, `matrix`, `gotify` and `pushover`: the server. Default for `ntfy`, `telegram` and `pushover`: the public server.";
    all.extend([
        text("topic", "For `ntfy`: the topic.").like("barn-7f3a9"),
        text("server", of_server),
        text(
            "token",
            "For `ntfy`, `telegram`, `matrix`, `gotify` and `pushover`: the token.",
        )
        .or_null(),
        text("chat_id", "For `telegram`: the chat ID."),
        text("room_id", "For `matrix`: the ID of the room.").like("!abc:example.org"),
        text("user", "For `pushover`: the key of the user or group."),
        text("to", "For `email`: the recipients, separated by commas."),
        text("from", "For `email`: the sender."),
        text("host", "For `email`: the mail server."),
        whole(
            "port",
            "For `email`: the port. Default: the standard port for the encryption.",
            1,
            65_535,
        ),
        one_of(
            "security",
            "For `email`: the encryption.",
            &["tls", "starttls", "none"],
        ),
        text("username", "For `email`: the username.").or_null(),
        text("password", "For `email`: the password.").or_null(),
        text("url", "For `webhook`, `discord` and `slack`: the URL."),
        text("secret", "For `webhook`: the signing key.").or_null(),
    ]);
    all
}

/// The value of a field in the JSON of a channel. `has_former`: an empty secret keeps the saved
/// secret; only null removes it.
fn read(members: &mut MemberReader, field: &ChannelField, has_former: bool) -> Value {
    let is_kept =
        has_former && field.how == ChannelFieldInput::Secret && members.is_empty_text(field.name);
    match &field.how {
        ChannelFieldInput::Port => members.number(field.name).map_or(Value::Null, Value::from),
        how => {
            let given = members.text(field.name);
            if let (ChannelFieldInput::Choice(options), Some(given)) = (how, &given)
                && !options.iter().any(|(value, _)| value == given)
            {
                let names: Vec<&str> = options.iter().map(|(value, _)| *value).collect();
                members.refuse(
                    field.name,
                    format!("{} must be one of {}.", field.name, names.join(", ")),
                );
            }
            match given {
                Some(given) => given.into(),
                None if is_kept => "".into(),
                None if field.is_optional => Value::Null,
                None => field.default.into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::ChannelId;
    use serde_json::json;

    fn pointers(result: Result<(String, NotifyChannel)>) -> Vec<String> {
        match result {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn check(body: Value, former: Option<&SavedChannel>) -> Result<(String, NotifyChannel)> {
        ChannelDraft::of(body).check(former)
    }

    fn saved(name: &str, target: NotifyChannel) -> SavedChannel {
        SavedChannel {
            id: ChannelId::random(),
            name: name.into(),
            target,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn empty_fields_get_their_defaults_by_kind() {
        let (name, target) = check(
            json!({ "name": " phone ", "kind": "ntfy", "topic": "barn-7f", "server": "" }),
            None,
        )
        .unwrap();
        assert_eq!(name, "phone");
        let ntfy = json!({ "kind": "ntfy", "topic": "barn-7f", "server": "https://ntfy.sh", "token": null });
        assert_eq!(serde_json::to_value(&target).unwrap(), ntfy);
        for (security, port) in [("", 465), ("tls", 465), ("starttls", 587), ("none", 25)] {
            let mail = json!({ "name": "mail", "kind": "email", "to": "a@b.org", "from": "c@d.org", "host": "smtp.d.org", "security": security, "port": "" });
            assert_eq!(
                serde_json::to_value(check(mail, None).unwrap().1).unwrap()["port"],
                port,
                "{security}"
            );
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        assert_eq!(pointers(check(json!({}), None)), ["/name", "/kind"]);
        assert_eq!(
            pointers(check(json!({ "name": "x", "kind": "pigeon" }), None)),
            ["/kind"]
        );
        assert_eq!(
            pointers(check(
                json!({ "name": "a\nb", "kind": "webhook", "url": "host" }),
                None
            )),
            ["/name", "/url"]
        );
        let mail = json!({ "name": "mail", "kind": "email", "security": "rot13", "port": "99999" });
        assert_eq!(pointers(check(mail, None)), ["/security", "/port"]);
        let masked =
            json!({ "name": "x", "kind": "webhook", "url": "https://example.org", "secret": MASK });
        assert_eq!(pointers(check(masked, None)), ["/secret"]);
    }

    #[test]
    fn what_is_not_sent_stays_and_so_does_a_secret_that_is_masked_or_empty() {
        let body = json!({ "name": "hook", "kind": "webhook", "url": "https://example.org", "secret": "s3cret" });
        let (name, target) = check(body, None).unwrap();
        let former = saved(&name, target.clone());
        for body in [
            json!({}),
            json!({ "secret": MASK }),
            json!({ "secret": "" }),
            json!({ "kind": "webhook" }),
        ] {
            assert_eq!(
                check(body, Some(&former)).unwrap(),
                (name.clone(), target.clone())
            );
        }
        let (_, other) = check(json!({ "url": "https://example.net" }), Some(&former)).unwrap();
        let other = serde_json::to_value(other).unwrap();
        assert_eq!(
            (&other["url"], &other["secret"]),
            (&json!("https://example.net"), &json!("s3cret"))
        );
        // A program can remove it.
        let (_, without) = check(json!({ "secret": null }), Some(&former)).unwrap();
        assert_eq!(
            serde_json::to_value(without).unwrap()["secret"],
            Value::Null
        );
        // Another kind has other secrets.
        let (_, other) = check(json!({ "kind": "ntfy", "topic": "barn" }), Some(&former)).unwrap();
        assert!(!serde_json::to_string(&other).unwrap().contains("s3cret"));
    }
}
