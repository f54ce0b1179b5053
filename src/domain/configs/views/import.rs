//! The page for importing a client's file, the offer to add a translator's file to a configuration,
//! and the removal of secrets before a file is shown again.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::translator_lines;
use super::values::Pairs;
use crate::base::error::{Error, FieldError};
use crate::domain::configs::config_view::ConfigSummary;
use crate::domain::configs::toml_file::SOLO_OFFER;
use crate::domain::configs::translator_import::TranslatorFile;
use crate::domain::keys::{MASK, without_secret_keys};

/// `GET /saved-configs/import`, also with the errors of a rejected import.
#[derive(Default, Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/import.html", blocks = ["main"])]
#[schemars(rename = "ImportForm")]
pub struct ImportPage {
    name: String,
    description: String,
    /// The file without secrets.
    toml: String,
    fresh_keys: bool,
    /// True to import for solo mining.
    solo: bool,
    errors: Vec<FieldError>,
    #[serde(skip)]
    secret_was_taken_out: bool,
    /// Set for a translator's file.
    #[serde(skip)]
    offer: Option<TranslatorOffer>,
}

crate::view!(ImportPage { "main" => as_main });

impl ImportPage {
    /// A rejected import, with its errors.
    pub fn refused(pairs: &Pairs, error: Error) -> Self {
        let sent = |name: &str| {
            pairs
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map_or("", |(_, text)| text.as_str())
        };
        let (toml, secret_was_taken_out) = without_secrets(sent("toml"));
        let errors = match error {
            Error::Invalid(errors) => errors,
            // The only conflict is a configuration with the same name.
            other => vec![FieldError::new("/name", other.to_string())],
        };
        Self {
            name: without_secrets(sent("name")).0,
            description: without_secrets(sent("description")).0,
            toml,
            fresh_keys: !sent("fresh_keys").is_empty(),
            solo: !sent("solo").is_empty(),
            errors,
            secret_was_taken_out,
            offer: None,
        }
    }

    /// The same page for a translator's file.
    #[must_use]
    pub fn with_offer(self, offer: TranslatorOffer) -> Self {
        // The offer says what the file is, and has the problems of the file as a whole.
        let is_other =
            |error: &FieldError| !error.pointer.is_empty() && !offer.errors.contains(error);
        Self {
            errors: self
                .errors
                .into_iter()
                .filter(is_other)
                .chain(offer.errors.iter().cloned())
                .collect(),
            offer: Some(offer),
            ..self
        }
    }

    /// Whether importing for solo mining would fix an error.
    fn offers_solo(&self) -> bool {
        let is_offer = |error: &FieldError| error.detail.contains(SOLO_OFFER);
        !self.solo && self.errors.iter().any(is_offer)
    }

    /// Whether an error belongs to this field; errors of the file's keys belong to the file.
    fn is_at(&self, error: &FieldError, field: &str) -> bool {
        let own = ["/name", "/description"]
            .iter()
            .find(|own| **own == error.pointer);
        own.map_or("toml", |own| &own[1..]) == field
    }

    fn at<'p>(&'p self, field: &'static str) -> Vec<&'p FieldError> {
        self.errors
            .iter()
            .filter(|error| self.is_at(error, field))
            .collect()
    }

    fn field_of(&self, error: &FieldError) -> &'static str {
        ["name", "description"]
            .into_iter()
            .find(|field| self.is_at(error, field))
            .unwrap_or("toml")
    }
}

/// The offer to add a translator's file to a saved configuration.
#[derive(Debug)]
pub struct TranslatorOffer {
    /// The settings of the file: label and value.
    lines: Vec<(String, String)>,
    /// The values that are not imported, and the reasons.
    not_imported: Vec<FieldError>,
    /// The problems of the file.
    errors: Vec<FieldError>,
    /// Id and name of each configuration, and whether it is selected.
    configs: Vec<(String, String, bool)>,
}

impl TranslatorOffer {
    /// The offer for the file in a form, with all saved configurations.
    pub fn new(pairs: &Pairs, configs: Vec<ConfigSummary>) -> Self {
        let sent = |name: &str| pairs.iter().rev().find(|(key, _)| key == name);
        let chosen = sent("config_id").map_or("", |(_, id)| id.as_str());
        let file = TranslatorFile::read(sent("toml").map_or("", |(_, text)| text.as_str()));
        let (lines, not_imported, errors) = match file {
            Ok(file) => (
                translator_lines(&file.settings),
                file.not_imported,
                Vec::new(),
            ),
            Err(errors) => (Vec::new(), Vec::new(), errors),
        };
        let is_chosen = |config: &ConfigSummary| match chosen {
            "" => config.is_active,
            id => config.id.to_string() == id,
        };
        Self {
            lines,
            not_imported,
            errors,
            configs: configs
                .into_iter()
                .map(|config| {
                    let is_chosen = is_chosen(&config);
                    (config.id.to_string(), config.name, is_chosen)
                })
                .collect(),
        }
    }
}

/// The text of a file with [`MASK`] instead of every secret key, and whether there was one. Masks
/// valid keys anywhere, and any value of a key with "secret" in its name, even if it is invalid.
pub(super) fn without_secrets(text: &str) -> (String, bool) {
    let masked = if text.trim_start().starts_with('{') {
        without_member_secrets(text)
    } else {
        without_assigned_secrets(text)
    };
    let clean = without_secret_keys(&masked);
    let was_there = clean != text;
    (clean, was_there)
}

fn without_assigned_secrets(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        // Environment variables can also be written with a colon.
        let Some((key, value)) = line
            .split_once(['=', ':'])
            .filter(|(key, _)| key.to_ascii_lowercase().contains("secret"))
        else {
            clean.push_str(line);
            rest = &rest[line.len()..];
            continue;
        };
        // A multi-line text ends with its own quotation marks, or never.
        let opened = ["\"\"\"", "'''"]
            .into_iter()
            .find(|quotes| value.trim_start().starts_with(quotes));
        let length = match opened {
            Some(quotes) => {
                let start = line.len() - value.trim_start().len() + quotes.len();
                rest[start..]
                    .find(quotes)
                    .map_or(rest.len(), |end| start + end + quotes.len())
            }
            None => line.trim_end().len(),
        };
        let is_empty =
            opened.is_none() && matches!(value.trim().trim_matches(['"', '\'']), "" | MASK);
        match is_empty {
            true => clean.push_str(&rest[..length]),
            false => {
                let sign = if line
                    .get(key.len()..)
                    .is_some_and(|rest| rest.starts_with(':'))
                {
                    ':'
                } else {
                    '='
                };
                clean.push_str(&format!("{key}{sign} \"{MASK}\""));
            }
        }
        rest = &rest[length..];
    }
    clean
}

/// Masks the text of every member with "secret" in its name, in valid or invalid JSON.
fn without_member_secrets(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    // A quoted name, a colon, and a text in quotation marks or without an end.
    while let Some(name) = rest.to_ascii_lowercase().find("secret") {
        let named = rest[name..]
            .find('"')
            .map_or(rest.len(), |end| name + end + 1);
        let after = rest[named..].trim_start();
        let value = after
            .strip_prefix(':')
            .map(str::trim_start)
            .and_then(|value| value.strip_prefix('"'));
        let Some(value) = value else {
            clean.push_str(&rest[..named]);
            rest = &rest[named..];
            continue;
        };
        clean.push_str(&rest[..rest.len() - value.len()]);
        let end = value.find('"').unwrap_or(value.len());
        clean.push_str(if value[..end].is_empty() { "" } else { MASK });
        rest = &value[end..];
    }
    clean.push_str(rest);
    clean
}
