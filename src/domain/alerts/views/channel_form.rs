//! The form of a channel: its kind, then its fields with help. Saved secrets never reach this
//! module.

use askama::Template;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::ChannelView;
use super::fields::{AlertFormField, FieldInput, error_of, error_text};
use super::responses::ChannelKinds;
use crate::base::error::FieldError;
use crate::base::ids::ChannelId;
use crate::domain::alerts::channel_kinds::{
    ChannelField, ChannelFieldInput, ChannelKind, KINDS, kind,
};
use crate::domain::alerts::model::SavedChannel;
use crate::domain::configs::MASK;
use crate::view;

/// `GET /alerts/channels/new`, `GET /alerts/channels/{id}`, and both with errors after an invalid form.
#[derive(Debug, Template, Serialize)]
#[template(path = "alerts/channel.html", blocks = ["main"])]
pub struct ChannelPage {
    /// The channel being edited; `None` for a new channel.
    #[serde(skip)]
    id: Option<ChannelId>,
    #[serde(skip)]
    title: String,
    /// `None` if the user has not chosen a kind.
    #[serde(skip)]
    kind: Option<&'static ChannelKind>,
    #[serde(skip)]
    values: BTreeMap<String, String>,
    #[serde(skip)]
    errors: Vec<FieldError>,
    /// A submitted secret was discarded; the user must enter it again.
    #[serde(skip)]
    secret_was_dropped: bool,
    /// JSON: the channel, or the available kinds.
    #[serde(flatten)]
    json: Value,
}
view!(ChannelPage { "main" => as_main });

impl ChannelPage {
    /// A new channel; without a kind the page lets the user choose one.
    pub fn new(kind: Option<&'static ChannelKind>) -> Self {
        let defaults = kind
            .iter()
            .flat_map(|kind| kind.fields)
            .map(|field| (field.name.to_owned(), field.default.to_owned()));
        Self {
            id: None,
            title: kind.map_or_else(
                || "New channel".into(),
                |kind| format!("New channel: {}", kind.title),
            ),
            kind,
            values: defaults.collect(),
            errors: Vec::new(),
            secret_was_dropped: false,
            json: serde_json::to_value(ChannelKinds::all()).unwrap_or_default(),
        }
    }

    /// The form of a saved channel.
    pub fn edit(saved: SavedChannel) -> Self {
        let (id, name) = (saved.id, saved.name.clone());
        let view = ChannelView::from(saved);
        let own_kind = view
            .target
            .get("kind")
            .and_then(Value::as_str)
            .and_then(kind);
        let mut values = BTreeMap::from([("name".to_owned(), name.clone())]);
        for field in own_kind
            .iter()
            .flat_map(|kind| kind.fields)
            .filter(|field| field.how != ChannelFieldInput::Secret)
        {
            let value = match view.target.get(field.name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            values.insert(field.name.to_owned(), value);
        }
        let json = serde_json::to_value(&view).unwrap_or_default();
        Self {
            id: Some(id),
            title: name,
            values,
            json,
            ..Self::new(own_kind)
        }
    }

    /// The submitted form with its errors.
    pub fn refused(
        saved: Option<SavedChannel>,
        pairs: &[(String, String)],
        errors: Vec<FieldError>,
    ) -> Self {
        let sent = pairs
            .iter()
            .find(|(name, _)| name == "kind")
            .and_then(|(_, name)| kind(name));
        let mut page = match saved {
            Some(saved) => Self::edit(saved),
            None => Self::new(sent),
        };
        for (name, text) in pairs {
            let field = page
                .kind
                .iter()
                .flat_map(|kind| kind.fields)
                .find(|field| field.name == name);
            if field.is_some_and(|field| field.how == ChannelFieldInput::Secret) {
                page.secret_was_dropped |= !text.trim().is_empty() && text != MASK;
            } else if field.is_some() || name == "name" {
                page.values.insert(name.clone(), text.clone());
            }
        }
        Self { errors, ..page }
    }

    fn action(&self) -> String {
        self.id.map_or_else(
            || "/alerts/channels".into(),
            |id| format!("/alerts/channels/{id}"),
        )
    }

    fn kinds(&self) -> &'static [ChannelKind] {
        &KINDS
    }

    fn fields(&self) -> Vec<AlertFormField> {
        let name = AlertFormField::text(
            "name",
            "Name",
            "For example: my phone, the office.",
            self.value("name"),
        );
        let own = self
            .kind
            .iter()
            .flat_map(|kind| kind.fields)
            .map(|field| self.shown(field));
        let with_error = |shown: AlertFormField| AlertFormField {
            error: error_of(&self.errors, shown.name, shown.label),
            ..shown
        };
        std::iter::once(name).chain(own).map(with_error).collect()
    }

    fn error_text(&self, error: &FieldError) -> String {
        error_text(error, &self.fields())
    }

    fn shown(&self, field: &ChannelField) -> AlertFormField {
        let plain =
            AlertFormField::text(field.name, field.label, field.help, self.value(field.name));
        match field.how {
            ChannelFieldInput::Text => plain,
            ChannelFieldInput::Port => AlertFormField {
                input: FieldInput::Number,
                ..plain
            },
            ChannelFieldInput::Secret => AlertFormField {
                input: FieldInput::Secret,
                value: String::new(),
                hint: self.hint(field.name),
                ..plain
            },
            ChannelFieldInput::Choice(options) => {
                let options = options
                    .iter()
                    .map(|(value, words)| ((*value).to_owned(), (*words).to_owned()))
                    .collect();
                AlertFormField {
                    input: FieldInput::Choice,
                    options,
                    ..plain
                }
            }
        }
    }

    /// The hint in an empty field whose secret is kept.
    fn hint(&self, name: &str) -> String {
        self.json
            .get(name)
            .and_then(Value::as_str)
            .map_or_else(String::new, |_| MASK.to_owned())
    }

    fn value(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_default()
    }

    /// Whether a saved secret is kept if its field is left empty.
    fn keeps_a_secret(&self) -> bool {
        let fields = self.kind.iter().flat_map(|kind| kind.fields);
        fields
            .filter(|field| field.how == ChannelFieldInput::Secret)
            .any(|field| !self.hint(field.name).is_empty())
    }

    fn link(&self, error: &FieldError) -> String {
        let name = error.pointer.trim_start_matches('/');
        if self.fields().iter().any(|field| field.name == name) {
            format!("#{name}")
        } else {
            "#form".into()
        }
    }
}
