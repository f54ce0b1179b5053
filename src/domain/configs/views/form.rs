//! The page of a configuration's form, with what is wrong beside each field.
//!
//! The fields' names are those of [`form_to_value`](crate::domain::configs::form_to_value); a
//! field's id is its name with dashes for dots. A secret key never gets into the form: whoever
//! typed one types it again.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::ops::Range;
use strum::IntoEnumIterator;

use super::fields::{field_name, form_label, id_of, is_rare, label_of, place_of};
use super::values::{FormValues, Pairs, RowEdit};
use super::{mode_text, versions_text};
use crate::base::error::{Error, FieldError};
use crate::base::ids::ConfigId;
use crate::domain::configs::config_view::{ConfigUser, SavedConfig, judged};
use crate::domain::configs::rules::MOST_UPSTREAMS;
use crate::domain::configs::{
    BitcoinNetwork, ClientConfig, ClientVersion, ConfigFindings, MASK, MiningMode,
};
use crate::domain::keys::SecretKey;
use crate::programs::jd_client::config_fields::{
    ConfigField, FIELDS, FieldGroup, FieldKind, SECRET_FIELD,
};

/// A field as the page shows it.
#[derive(Clone, Debug)]
pub struct ConfigFormField<'p> {
    /// Its name in the form.
    pub name: String,
    /// Its id on the page.
    pub id: String,
    /// What it is called.
    pub label: &'static str,
    /// What stands in it.
    pub value: &'p str,
    /// What is wrong with it.
    pub errors: Vec<&'p str>,
    /// What is doubtful about it.
    pub warnings: Vec<&'p str>,
    /// What is good to know about it.
    pub hints: Vec<&'p str>,
    /// The page opens with the cursor in it.
    pub has_focus: bool,
}

/// A field that is typed or chosen, with what the page says of it.
#[derive(Clone, Debug)]
struct FormPartField<'p> {
    /// What stands there.
    field: ConfigFormField<'p>,
    /// What it is.
    known: &'static ConfigField,
    /// The values to choose from, if it is chosen.
    options: Vec<(String, String)>,
}

/// An entry of the summary of errors.
#[derive(Clone, Debug)]
pub struct ConfigFormError {
    /// The field, as a link on the page, or another page.
    pub href: String,
    /// What the field is called.
    pub label: String,
    /// What is wrong.
    pub detail: String,
}

/// `GET /saved-configs/new`, `GET /saved-configs/{id}/edit`, and both again when something is
/// wrong.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/form.html", blocks = ["main"])]
#[schemars(rename = "ConfigurationForm")]
pub struct ConfigFormPage {
    /// The one that is edited; none: a new one.
    id: Option<ConfigId>,
    #[serde(skip)]
    title: String,
    /// Its newest revision.
    revision: Option<i32>,
    /// The revision from which the values started.
    #[serde(skip)]
    based_on: Option<i32>,
    used_by: Vec<ConfigUser>,
    /// On which clients it runs.
    #[serde(skip)]
    runs_on: String,
    /// What stands in the fields.
    values: FormValues,
    #[serde(flatten)]
    found: ConfigFindings,
    /// It was checked on request; nothing was saved.
    #[serde(skip)]
    is_checked: bool,
    #[serde(skip)]
    secret_was_dropped: bool,
    #[serde(skip)]
    focus: Option<String>,
}

crate::view!(ConfigFormPage { "main" => as_main });

impl ConfigFormPage {
    fn over(saved: Option<&SavedConfig>, values: FormValues) -> Self {
        Self {
            id: saved.map(|saved| saved.id),
            title: saved.map_or_else(
                || "New configuration".into(),
                |saved| format!("Edit {}", saved.name),
            ),
            revision: saved.map(|saved| saved.revision),
            based_on: values
                .get("revision")
                .parse()
                .ok()
                .or(saved.map(|saved| saved.revision)),
            used_by: saved.map(|saved| saved.used_by.clone()).unwrap_or_default(),
            runs_on: saved
                .map(|saved| versions_text(&saved.config))
                .unwrap_or_default(),
            values,
            found: ConfigFindings::default(),
            is_checked: false,
            secret_was_dropped: false,
            focus: None,
        }
    }

    /// A new configuration, from what most people need.
    pub fn new(starting: &ClientConfig) -> Self {
        let mut values = FormValues::of_config("", "", starting);
        // A new one gets keys of its own when it is saved.
        values.fields.remove("authority_public_key");
        Self::over(None, values)
    }

    /// A saved configuration, with what there is to say about it.
    pub fn edit(saved: &SavedConfig) -> Self {
        let values = FormValues::of_config(&saved.name, &saved.description, &saved.config);
        Self {
            found: judged(&saved.config),
            ..Self::over(Some(saved), values)
        }
    }

    /// The form as it was sent to be checked, with everything there is to say about it.
    pub fn checked(saved: Option<&SavedConfig>, pairs: &Pairs, found: ConfigFindings) -> Self {
        let page = Self::over(saved, FormValues::of_pairs(pairs, false))
            .noticing_secret(pairs)
            .with_a_row();
        Self {
            found,
            is_checked: true,
            ..page
        }
    }

    /// The form as it was sent, with what is wrong.
    pub fn refused(saved: Option<&SavedConfig>, pairs: &Pairs, error: Error) -> Self {
        let mut page = Self::over(saved, FormValues::of_pairs(pairs, false))
            .noticing_secret(pairs)
            .with_a_row();
        page.found.errors = match error {
            Error::Invalid(errors) => errors,
            Error::Conflict(detail) if page.based_on != page.revision => {
                // Now they know: saved once more it replaces what was saved meanwhile.
                page.based_on = page.revision;
                vec![FieldError::new("", detail)]
            }
            // The one other thing that can be in the way is a configuration of the same name.
            other => vec![FieldError::new("/name", other.to_string())],
        };
        page
    }

    /// The form as it was sent, with its pools rearranged.
    pub fn rearranged(saved: Option<&SavedConfig>, pairs: &Pairs, how: RowEdit) -> Self {
        let mut page = Self::over(saved, FormValues::of_pairs(pairs, true)).noticing_secret(pairs);
        let rows = page.values.rows;
        let focus = match how {
            RowEdit::Add if rows < MOST_UPSTREAMS => {
                page.values.rows += 1;
                rows
            }
            RowEdit::Raise(row) if (1..rows).contains(&row) => {
                page.values.swap_rows(row, row - 1);
                row - 1
            }
            RowEdit::Remove(row) if row < rows => {
                page.values.remove_row(row);
                row.min(rows.saturating_sub(2))
            }
            _ => 0,
        };
        page.focus = Some(format!("upstreams.{focus}.pool_address"));
        page.with_a_row()
    }

    fn noticing_secret(mut self, pairs: &Pairs) -> Self {
        self.secret_was_dropped = pairs.iter().any(|(name, text)| {
            (name == SECRET_FIELD && !text.trim().is_empty()) || SecretKey::parse(text).is_ok()
        });
        self.values.fields.retain(|name, _| name != "action");
        self
    }

    /// Without a pool there is still a row to fill in.
    fn with_a_row(mut self) -> Self {
        self.values.rows = self.values.rows.max(1);
        self
    }

    /// Where the form is sent.
    fn action(&self) -> String {
        self.id.map_or_else(
            || "/saved-configs".into(),
            |id| format!("/saved-configs/{id}"),
        )
    }

    /// Where it is checked without being saved.
    fn check(&self) -> String {
        self.id.map_or_else(
            || "/saved-configs/check".into(),
            |id| format!("/saved-configs/{id}/check"),
        )
    }

    fn rows(&self) -> Range<usize> {
        0..self.values.rows
    }

    fn can_add(&self) -> bool {
        self.values.rows < MOST_UPSTREAMS
    }

    /// The fields of a part of the form.
    fn part(&self, group: FieldGroup) -> Vec<FormPartField<'_>> {
        self.pool_part(&0, group)
    }

    /// The fields of a part of the form that are about the pool of this row.
    fn pool_part(&self, row: &usize, group: FieldGroup) -> Vec<FormPartField<'_>> {
        FIELDS
            .iter()
            .filter(|known| known.group == group)
            .filter(|known| !matches!(known.kind, FieldKind::Secret | FieldKind::Table))
            .map(|known| FormPartField {
                field: self.field(&known.form_name(*row)),
                known,
                options: match known.kind {
                    FieldKind::Choice => choices(known.key),
                    _ => Vec::new(),
                },
            })
            .collect()
    }

    /// The field of this name; unknown names are a mistake in the template that a test notices.
    fn field(&self, name: &str) -> ConfigFormField<'_> {
        let ConfigFindings {
            errors,
            warnings,
            hints,
        } = &self.found;
        let [errors, warnings, hints] = [errors, warnings, hints].map(|list| told(list, name));
        ConfigFormField {
            id: id_of(name),
            value: self.values.get(name),
            label: form_label(name),
            errors,
            warnings,
            hints,
            has_focus: self.focus.as_deref() == Some(name),
            name: name.to_owned(),
        }
    }

    /// What is wrong, in the order of the form, each with a link to its field.
    fn complaints(&self) -> Vec<ConfigFormError> {
        let complaint = |error: &FieldError| match field_name(&error.pointer)
            .and_then(|name| Some((place_of(&name)?, name)))
        {
            Some((place, name)) if place.1 < self.values.rows => (
                Some(place),
                ConfigFormError {
                    href: format!("#{}", id_of(&name)),
                    label: label_of(&name),
                    detail: error.detail.clone(),
                },
            ),
            _ => {
                // What is not about a field is about what was saved meanwhile.
                let history = self
                    .id
                    .filter(|_| error.pointer.is_empty())
                    .map(|id| format!("/saved-configs/{id}/revisions"));
                let label = if history.is_some() { "History" } else { "Form" };
                let href = history.unwrap_or_else(|| "#form".into());
                (
                    None,
                    ConfigFormError {
                        href,
                        label: label.into(),
                        detail: error.detail.clone(),
                    },
                )
            }
        };
        let mut complaints: Vec<_> = self.found.errors.iter().map(complaint).collect();
        complaints.sort_by_key(|(place, _)| *place);
        complaints
            .into_iter()
            .map(|(_, complaint)| complaint)
            .collect()
    }

    /// Whether a complaint leads to another page, which must not take the place of what was typed
    /// here.
    fn leads_away(&self, complaint: &ConfigFormError) -> bool {
        complaint.href.starts_with('/')
    }

    /// Whether the folded part holds something to mend, to look at or to type again.
    fn opens_rare(&self) -> bool {
        let mut told = self.found.errors.iter().chain(&self.found.warnings);
        self.secret_was_dropped
            || told.any(|one| field_name(&one.pointer).is_some_and(|name| is_rare(&name)))
    }

    /// What stands in the empty field of a secret that is kept.
    fn secret_placeholder(&self) -> &'static str {
        if self.id.is_some() { MASK } else { "" }
    }
}

/// What is said about the field of this name.
fn told<'p>(list: &'p [FieldError], name: &str) -> Vec<&'p str> {
    let is_here =
        |error: &&FieldError| field_name(&error.pointer).is_some_and(|field| field == name);
    list.iter()
        .filter(is_here)
        .map(|error| error.detail.as_str())
        .collect()
}

/// What there is to choose in the field of this key.
fn choices(key: &str) -> Vec<(String, String)> {
    let networks = BitcoinNetwork::iter().map(|network| (network, network));
    match key {
        "mode" => options(MiningMode::iter().map(|mode| (mode, mode_text(mode)))),
        "template_provider" => options([
            ("sv2tp", "Template provider by address, such as sv2-tp"),
            ("ipc", "Bitcoin Core 30 or 31 on this machine"),
        ]),
        "template_provider_type.BitcoinCoreIpc.version" => {
            let known = ClientVersion::NEWEST_KNOWN.core_ipc_versions();
            options(known.iter().map(|version| (version, version)))
        }
        "template_provider_type.BitcoinCoreIpc.network" => options(networks),
        // That chain need not be said.
        _ => [options([("", "not set")]), options(networks)].concat(),
    }
}

/// Values to choose from, with what they are called.
fn options<V: ToString, W: ToString>(
    list: impl IntoIterator<Item = (V, W)>,
) -> Vec<(String, String)> {
    list.into_iter()
        .map(|(value, words)| (value.to_string(), words.to_string()))
        .collect()
}
