//! The page of a configuration's form, with the errors of each field.
//!
//! The fields' names are those of [`form_to_value`](crate::domain::configs::form_to_value); a
//! field's id is its name with dashes for dots. A secret key never gets into the form, so the user
//! must enter it again.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::ops::Range;
use strum::IntoEnumIterator;

use super::fields::{field_name, form_label, id_of, is_rare, label_of, place_of, term_of};
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
use crate::web::glossary::GlossaryTerm;

/// A form field on the page.
#[derive(Clone, Debug)]
pub struct ConfigFormField<'p> {
    /// The form name.
    pub name: String,
    /// The HTML id.
    pub id: String,
    /// The label.
    pub label: &'static str,
    /// The value.
    pub value: &'p str,
    /// Errors.
    pub errors: Vec<&'p str>,
    /// Warnings.
    pub warnings: Vec<&'p str>,
    /// Hints.
    pub hints: Vec<&'p str>,
    /// True to focus it when the page opens.
    pub has_focus: bool,
}

impl ConfigFormField<'_> {
    /// The entry of the glossary that explains the field, if there is one.
    pub fn term(&self) -> Option<&'static GlossaryTerm> {
        term_of(&self.name)
    }
}

/// An input or select field.
#[derive(Clone, Debug)]
struct FormPartField<'p> {
    /// The field on the page.
    field: ConfigFormField<'p>,
    /// The field of the configuration.
    known: &'static ConfigField,
    /// The options of a select field; empty for an input.
    options: Vec<(String, String)>,
}

/// An entry in the error summary.
#[derive(Clone, Debug)]
pub struct ConfigFormError {
    /// A link to the field or to another page.
    pub href: String,
    /// The label of the field.
    pub label: String,
    /// The error.
    pub detail: String,
}

/// `GET /saved-configs/new` and `GET /saved-configs/{id}/edit`, also with the errors of a rejected
/// form.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/form.html", blocks = ["main"])]
#[schemars(rename = "ConfigurationForm")]
pub struct ConfigFormPage {
    /// The configuration that is edited; none for a new one.
    id: Option<ConfigId>,
    #[serde(skip)]
    title: String,
    /// The newest revision.
    revision: Option<i32>,
    /// The revision that the form is based on.
    #[serde(skip)]
    based_on: Option<i32>,
    used_by: Vec<ConfigUser>,
    /// The client versions that can run it.
    #[serde(skip)]
    runs_on: String,
    /// The values of the fields.
    values: FormValues,
    #[serde(flatten)]
    found: ConfigFindings,
    /// True after a check without saving.
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

    /// The form of a new configuration with defaults.
    pub fn new(starting: &ClientConfig) -> Self {
        let mut values = FormValues::of_config("", "", starting);
        // A new configuration gets its own keys when it is saved.
        values.fields.remove("authority_public_key");
        Self::over(None, values)
    }

    /// The form of a saved configuration, with its findings.
    pub fn edit(saved: &SavedConfig) -> Self {
        let values = FormValues::of_config(&saved.name, &saved.description, &saved.config);
        Self {
            found: judged(&saved.config),
            ..Self::over(Some(saved), values)
        }
    }

    /// A form that was sent for a check, with its findings.
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

    /// A rejected form, with its errors.
    pub fn refused(saved: Option<&SavedConfig>, pairs: &Pairs, error: Error) -> Self {
        let mut page = Self::over(saved, FormValues::of_pairs(pairs, false))
            .noticing_secret(pairs)
            .with_a_row();
        page.found.errors = match error {
            Error::Invalid(errors) => errors,
            Error::Conflict(detail) if page.based_on != page.revision => {
                // The user has seen the conflict: saving again replaces the other revision.
                page.based_on = page.revision;
                vec![FieldError::new("", detail)]
            }
            // The only other conflict is a configuration with the same name.
            other => vec![FieldError::new("/name", other.to_string())],
        };
        page
    }

    /// The form after its pools were rearranged.
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

    /// Adds an empty pool row if there is none.
    fn with_a_row(mut self) -> Self {
        self.values.rows = self.values.rows.max(1);
        self
    }

    /// The path that the form is sent to.
    fn action(&self) -> String {
        self.id.map_or_else(
            || "/saved-configs".into(),
            |id| format!("/saved-configs/{id}"),
        )
    }

    /// The path for a check without saving.
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

    /// The pool fields of a part of the form, for this row.
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

    /// The field with this name. A test finds unknown names in the template.
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

    /// The errors in the order of the form, with links to the fields.
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
                // An error without a field is about a newer revision.
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

    /// Whether the link of an error leads to another page, which must not replace this form.
    fn leads_away(&self, complaint: &ConfigFormError) -> bool {
        complaint.href.starts_with('/')
    }

    /// Whether the advanced part has errors, warnings or a secret that must be entered again.
    fn opens_rare(&self) -> bool {
        let mut told = self.found.errors.iter().chain(&self.found.warnings);
        self.secret_was_dropped
            || told.any(|one| field_name(&one.pointer).is_some_and(|name| is_rare(&name)))
    }

    /// The hint in the empty secret field of a saved configuration.
    fn secret_placeholder(&self) -> &'static str {
        if self.id.is_some() { MASK } else { "" }
    }
}

/// The findings about the field with this name.
fn told<'p>(list: &'p [FieldError], name: &str) -> Vec<&'p str> {
    let is_here =
        |error: &&FieldError| field_name(&error.pointer).is_some_and(|field| field == name);
    list.iter()
        .filter(is_here)
        .map(|error| error.detail.as_str())
        .collect()
}

/// The options of the field with this key.
fn choices(key: &str) -> Vec<(String, String)> {
    let networks = BitcoinNetwork::iter().map(|network| (network, network));
    match key {
        "mode" => options(MiningMode::iter().map(|mode| (mode, mode_text(mode)))),
        "template_provider" => options([
            ("sv2tp", "sv2-tp or another template provider"),
            ("ipc", "Bitcoin Core 30 or 31 on this machine"),
        ]),
        "template_provider_type.BitcoinCoreIpc.version" => {
            let known = ClientVersion::NEWEST_KNOWN.core_ipc_versions();
            options(known.iter().map(|version| (version, version)))
        }
        "template_provider_type.BitcoinCoreIpc.network" => options(networks),
        "translator.enabled" => options([("false", "Off"), ("true", "On")]),
        "translator.aggregate_channels" => {
            options([("false", "One per miner"), ("true", "One for all miners")])
        }
        // This network is optional.
        _ => [options([("", "not set")]), options(networks)].concat(),
    }
}

/// Options of a select field: value and label.
fn options<V: ToString, W: ToString>(
    list: impl IntoIterator<Item = (V, W)>,
) -> Vec<(String, String)> {
    list.into_iter()
        .map(|(value, words)| (value.to_string(), words.to_string()))
        .collect()
}
