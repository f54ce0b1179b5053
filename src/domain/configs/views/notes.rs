//! Errors, warnings and hints as text, so that color is not the only difference.

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
    /// The title.
    pub title: &'static str,
    /// The HTML id of the title.
    pub id: &'static str,
    /// The CSS class of the panel.
    pub class: &'static str,
    /// Label and text of each finding.
    pub list: Vec<(String, &'f str)>,
}

/// The findings by kind, most severe first.
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

/// Errors and warnings of a configuration, for other pages.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Warnings {
    /// Errors, with pointers below `/config`.
    pub errors: Vec<FieldError>,
    /// Warnings, with pointers below `/config`.
    pub warnings: Vec<FieldError>,
}

impl Warnings {
    /// The findings about a configuration by the current rules.
    pub fn about(config: &ClientConfig) -> Self {
        let ConfigFindings {
            errors, warnings, ..
        } = judged(config);
        Self { errors, warnings }
    }

    /// Label and text of each finding, errors first.
    pub fn list(&self) -> Vec<(String, &str)> {
        self.errors
            .iter()
            .chain(&self.warnings)
            .map(labelled)
            .collect()
    }
}

/// The notes beside the fields while the user fills in a form.
#[derive(Debug, Template)]
#[template(path = "configs/notes.html")]
pub struct FieldNotes<'f> {
    /// Every field that was sent, with its findings.
    pub fields: Vec<ConfigFormField<'f>>,
}

impl<'f> FieldNotes<'f> {
    /// The notes of a form. An empty field shows no error yet.
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
