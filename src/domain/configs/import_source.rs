//! A text to be imported as a configuration: a client's file of any version, its environment
//! variables, or JSON of the previous generation. Files of other programs are rejected by name.
//!
//! Independent of storage and pages: callers pass in what it needs of saved configurations. May
//! contain a secret key in plain text, so it is never printed or sent back.

use serde_json::Value;
use std::collections::HashMap;

use super::draft::{KEYS, ValidDraft, fill_in_keys, without_keys};
use super::model::MiningMode;
use super::naming::{check_description, check_name};
use super::other_programs;
use super::parse::{ParsedConfig, read};
use super::toml_file::{EnvironmentText, FileRemark, TomlConfig, environment, parse};
use crate::base::error::{Error, FieldError, Result};
use crate::domain::keys::{MASK, SecretKey};
use crate::programs::jd_client::config_fields::ConfigField;
use crate::web::RequestInput;
use crate::web::extract::MemberReader;

/// The default name of an imported configuration.
const IMPORTED: &str = "Imported configuration";

/// A client's file to be saved as a configuration.
#[derive(Default)]
pub struct ConfigImport {
    /// The name; none to choose one.
    pub name: Option<String>,
    /// The user's description.
    pub description: String,
    /// The file, environment variables, or JSON of the previous generation.
    pub toml: String,
    /// Create a new key pair instead of using the file's keys.
    pub fresh_keys: bool,
    /// Import it for solo mining and ignore its mode.
    pub solo: bool,
}

impl ConfigImport {
    /// Reads a JSON body or a form with `toml` and optionally `name`, `description`, `fresh_keys`
    /// and `solo`; or JSON of the previous generation as the body itself.
    ///
    /// # Errors
    /// Names every invalid member.
    pub fn of(input: RequestInput) -> Result<Self> {
        let is_form = input.form.is_some();
        if !is_form && !is_wrapped(&input.value) {
            return Ok(Self {
                toml: input.value.to_string(),
                ..Self::default()
            });
        }
        let mut body = MemberReader::of(input.value, [])?;
        let file = body
            .take("toml")
            .and_then(|value| value.as_str().map(str::to_owned));
        if file.is_none() {
            let hint = if is_form {
                " To send only the file, use Content-Type: text/plain or application/toml."
            } else {
                ""
            };
            body.refuse(
                "toml",
                format!(
                    "toml is missing. Send the contents of the client configuration file.{hint}"
                ),
            );
        }
        let import = Self {
            name: body.text("name"),
            description: body
                .text("description")
                .unwrap_or_default()
                .replace("\r\n", "\n"),
            fresh_keys: body.flag("fresh_keys").unwrap_or(false),
            solo: body.flag("solo").unwrap_or(false),
            toml: file.unwrap_or_default(),
        };
        if !is_form {
            body.refuse_all(body.unknown(&[]));
        }
        body.finish(Some(import))
    }

    /// Checks everything and reports all errors with key and line. The second part of the result is
    /// true if the name is a default that can be changed. `known` has the secret keys of saved
    /// configurations by public key, so an exported file with a masked secret can be imported
    /// again.
    ///
    /// # Errors
    /// One entry per problem; for problems in the file, the pointer is the key.
    pub fn check(self, known: &HashMap<String, SecretKey>) -> Result<(ValidDraft, bool)> {
        let mut errors = Vec::new();
        let brought = ImportedJson::of(&self.toml).unwrap_or_else(|faults| {
            errors = faults;
            ImportedJson::default()
        });
        let is_readable = errors.is_empty();
        let (name, made_up) = match self.name {
            Some(name) => (name, false),
            None => (
                brought.name.clone().unwrap_or_else(|| IMPORTED.to_owned()),
                true,
            ),
        };
        let description = if self.description.is_empty() {
            brought.description.clone()
        } else {
            self.description
        };
        errors.extend(
            check_name(&name)
                .err()
                .map(|detail| FieldError::new("/name", detail)),
        );
        errors.extend(
            check_description(&description)
                .err()
                .map(|detail| FieldError::new("/description", detail)),
        );
        if is_readable {
            let mut value = brought.value.clone();
            if self.fresh_keys {
                KEYS.iter().for_each(|key| value[*key] = Value::Null);
                fill_in_keys(&mut value)?;
            }
            if self.solo && value.is_object() {
                value["mode"] = MiningMode::SoloMining.as_str().into();
            }
            unmask(&mut value, known);
            match read(&value, None) {
                Err(found) => errors.extend(brought.complaints(&found.errors)),
                Ok(ParsedConfig {
                    config,
                    warnings,
                    hints,
                }) if errors.is_empty() => {
                    let placed = |list: Vec<FieldError>| {
                        list.iter()
                            .map(|one| brought.located(one))
                            .collect::<Vec<_>>()
                    };
                    let warnings = [brought.remarks.clone(), placed(warnings)].concat();
                    let [warnings, hints] = [warnings, placed(hints)].map(without_keys);
                    return Ok((
                        ValidDraft {
                            name,
                            description,
                            config,
                            warnings,
                            hints,
                        },
                        made_up,
                    ));
                }
                Ok(_) => {}
            }
        }
        Err(Error::Invalid(without_keys(errors)))
    }
}

/// Remarks about a file: keys that clients ignore, and values that were assumed.
pub fn remarks(file: &str) -> Vec<FieldError> {
    parse(file)
        .map(|parsed| parsed.remarks.into_iter().map(placed).collect())
        .unwrap_or_default()
}

/// Whether a JSON body contains a file, rather than being the JSON to import.
fn is_wrapped(body: &Value) -> bool {
    let brought = [
        "config",
        "config_json",
        "configurations",
        "listening_address",
    ];
    body.get("toml").is_some() || !brought.iter().any(|member| body.get(member).is_some())
}

/// Replaces the mask with the known secret key of the public key.
fn unmask(config: &mut Value, known: &HashMap<String, SecretKey>) {
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::trim);
    let secret = text(KEYS[0])
        .filter(|_| text(KEYS[1]) == Some(MASK))
        .and_then(|public| known.get(public));
    if let Some(secret) = secret {
        config[KEYS[1]] = secret.reveal().into();
    }
}

/// The imported text as a configuration, not checked yet.
#[derive(Default)]
struct ImportedJson {
    value: Value,
    /// Remarks: keys that were ignored, and values that were assumed.
    remarks: Vec<FieldError>,
    /// The positions in a file.
    file: Option<TomlConfig>,
    /// The pointer to the configuration in the JSON.
    within: &'static str,
    name: Option<String>,
    description: String,
}

impl ImportedJson {
    fn of(text: &str) -> Result<Self, Vec<FieldError>> {
        // No TOML file starts like this.
        if text.trim_start().starts_with('{') {
            return Self::of_json(text).map_err(|fault| vec![fault]);
        }
        let said = |remarks: Vec<FileRemark>| remarks.into_iter().map(placed).collect::<Vec<_>>();
        let variables = environment(text).transpose().map_err(said)?;
        let refusal = match &variables {
            None => other_programs::refusal(text),
            Some(variables) => other_programs::refusal(&variable_lines(text, variables)),
        };
        if let Some(other) = refusal {
            return Err(vec![placed(other)]);
        }
        let parsed = match variables {
            None => parse(text),
            Some(variables) => of_variables(&variables),
        };
        let parsed = parsed.map_err(said)?;
        Ok(Self {
            value: parsed.value.clone(),
            remarks: said(parsed.remarks.clone()),
            file: Some(parsed),
            ..Self::default()
        })
    }

    /// A configuration itself, as `config` beside its name, or as an entry of the list with the
    /// text `config_json`.
    fn of_json(text: &str) -> Result<Self, FieldError> {
        let not_json = |e: serde_json::Error| {
            FieldError::new("", format!("Line {}: invalid JSON: {e}.", e.line()))
        };
        let mut body: Value = serde_json::from_str(text).map_err(not_json)?;
        if let Some(list) = body.get_mut("configurations").and_then(Value::as_array_mut) {
            if list.len() != 1 {
                let detail = format!(
                    "The file contains {} configurations. Import one entry at a time.",
                    list.len()
                );
                return Err(FieldError::new("/configurations", detail));
            }
            body = list.remove(0);
        }
        if let Some(other) = other_programs::json_refusal(&body) {
            return Err(FieldError::new("", other));
        }
        let mut taken = |key: &str| body.as_object_mut().and_then(|members| members.remove(key));
        let name = taken("name")
            .and_then(|name| name.as_str().map(|name| name.trim().to_owned()))
            .filter(|name| !name.is_empty());
        let description = taken("description")
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default();
        let (value, within) = match (taken("config"), taken("config_json")) {
            (Some(config @ Value::Object(_)), _) => (config, "/config"),
            (_, Some(Value::String(text))) => {
                let wrong = |e| FieldError::new("/config_json", format!("Invalid JSON: {e}."));
                (serde_json::from_str(&text).map_err(wrong)?, "/config_json")
            }
            _ => (body, ""),
        };
        Ok(Self {
            value,
            within,
            name,
            description,
            ..Self::default()
        })
    }

    /// All errors, as errors of the imported text.
    fn complaints(&self, errors: &[FieldError]) -> Vec<FieldError> {
        match &self.file {
            Some(file) => file.complaints(errors).into_iter().map(placed).collect(),
            None => errors.iter().map(|error| self.located(error)).collect(),
        }
    }

    /// An error of the value as an error of the imported text.
    fn located(&self, complaint: &FieldError) -> FieldError {
        match &self.file {
            Some(file) => placed(file.locate(complaint)),
            None => complaint.clone().under(self.within),
        }
    }
}

/// The lines with the client's variables, in place. Other lines are not the client's, and a line
/// with an assumed value needs no input.
fn variable_lines(text: &str, variables: &EnvironmentText) -> String {
    let is_settled = |line| {
        variables
            .remarks
            .iter()
            .any(|remark| remark.line == Some(line))
    };
    let lines = text.lines().enumerate().map(|(at, line)| {
        let is_variable = line.to_ascii_uppercase().contains("JDC__");
        match is_variable && !is_settled(at + 1) {
            true => line,
            false => "",
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Environment variables as a file, with their lines and names.
fn of_variables(variables: &EnvironmentText) -> Result<TomlConfig, Vec<FileRemark>> {
    let place = |line| variables.place(line);
    match parse(&variables.toml) {
        Ok(parsed) => {
            let mut parsed = parsed.relocate(place);
            parsed.remarks.extend(variables.remarks.iter().cloned());
            Ok(parsed)
        }
        Err(mut errors) => {
            errors.iter_mut().for_each(|error| error.relocate(place));
            Err(errors)
        }
    }
}

/// A remark about a file as an error: the pointer is the key, and the text starts with the line,
/// the label of the form and the key.
fn placed(remark: FileRemark) -> FieldError {
    let name = pointer_of(&remark.key)
        .trim_start_matches('/')
        .replace('/', ".");
    let shown = match ConfigField::named(&name) {
        Some((_, field)) if !field.label.is_empty() => {
            let label = field.label.trim_end_matches(" (optional)");
            format!("{label} ({})", remark.key)
        }
        _ => remark.key.clone(),
    };
    at_place(&remark.key, &shown, remark.line, &remark.detail)
}

/// The pointer to a key: `/upstreams/0/port` for `upstreams[0].port`.
fn pointer_of(key: &str) -> String {
    let path = key.replace('[', ".").replace(']', "");
    if path.is_empty() {
        path
    } else {
        format!("/{}", path.replace('.', "/"))
    }
}

/// A remark about a key of a file. `shown`: the key for people.
pub(super) fn at_place(key: &str, shown: &str, line: Option<usize>, detail: &str) -> FieldError {
    let place = match (line, shown) {
        (Some(line), "") => format!("Line {line}: "),
        (Some(line), key) => format!("Line {line}, {key}: "),
        (None, "") => String::new(),
        (None, key) => format!("{key}: "),
    };
    FieldError::new(pointer_of(key), format!("{place}{detail}"))
}
