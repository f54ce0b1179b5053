//! Errors, warnings and hints in words, told apart by more than colour.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{field_name, id_of, label};
use super::form::ConfigFormField;
use crate::base::error::FieldError;
use crate::domain::configs::{ClientConfig, ConfigFindings, judged};

/// All findings of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingNotes<'f> {
    /// What this kind is called.
    pub title: &'static str,
    /// The id of the title on the page.
    pub id: &'static str,
    /// The class of the panel.
    pub class: &'static str,
    /// Field and text of each.
    pub list: Vec<(String, &'f str)>,
}

/// The findings that there are, by kind, worst first.
pub fn notes(found: &ConfigFindings) -> Vec<FindingNotes<'_>> {
    let kinds = [
        ("Errors", "errors", "panel attention", &found.errors),
        (
            "Warnings",
            "doubts",
            "panel attention warn",
            &found.warnings,
        ),
        ("Notes", "hints", "panel", &found.hints),
    ];
    let told = kinds.into_iter().filter(|(.., list)| !list.is_empty());
    told.map(|(title, id, class, list)| FindingNotes {
        title,
        id,
        class,
        list: list.iter().map(labelled).collect(),
    })
    .collect()
}

fn labelled(one: &FieldError) -> (String, &str) {
    (
        label(one.pointer.strip_prefix("/config").unwrap_or(&one.pointer)),
        one.detail.as_str(),
    )
}

/// What people who look at something else should know of a configuration: what is wrong and what is
/// doubtful.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Warnings {
    /// What must be mended; pointers below `/config`.
    pub errors: Vec<FieldError>,
    /// What is probably not meant, likewise.
    pub warnings: Vec<FieldError>,
}

impl Warnings {
    /// About a configuration, by today's rules.
    pub fn about(config: &ClientConfig) -> Self {
        let ConfigFindings {
            errors, warnings, ..
        } = judged(config);
        Self { errors, warnings }
    }

    /// Field and text of each, what is wrong first.
    pub fn list(&self) -> Vec<(String, &str)> {
        self.errors
            .iter()
            .chain(&self.warnings)
            .map(labelled)
            .collect()
    }
}

/// What stands beside the fields of a form while it is being filled in.
#[derive(Debug, Template)]
#[template(path = "configs/notes.html")]
pub struct FieldNotes<'f> {
    /// Every field that was sent, with what there is to say about it.
    pub fields: Vec<ConfigFormField<'f>>,
}

impl<'f> FieldNotes<'f> {
    /// Of a form as it stands. That a field is still empty is not yet worth a word.
    pub fn new(pairs: &'f [(String, String)], found: &'f ConfigFindings) -> Self {
        let mut fields: Vec<ConfigFormField<'f>> = Vec::new();
        for (name, text) in pairs.iter().filter(|(name, _)| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
        }) {
            if fields.iter().any(|known| known.name == *name) {
                continue;
            }
            let about = |list: &'f [FieldError]| -> Vec<&'f str> {
                let is_here = |one: &&FieldError| field_name(&one.pointer).as_ref() == Some(name);
                list.iter()
                    .filter(is_here)
                    .map(|one| one.detail.as_str())
                    .collect()
            };
            let errors = if text.trim().is_empty() {
                Vec::new()
            } else {
                about(&found.errors)
            };
            let (warnings, hints) = (about(&found.warnings), about(&found.hints));
            fields.push(ConfigFormField {
                id: id_of(name),
                name: name.clone(),
                label: "",
                value: "",
                errors,
                warnings,
                hints,
                has_focus: false,
            });
        }
        Self { fields }
    }
}
