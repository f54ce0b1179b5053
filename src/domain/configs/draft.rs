//! A configuration to be saved, from a JSON body, a form or a file; and the check that finds all
//! errors at once.
//!
//! Independent of storage and pages. A draft may contain a secret key in plain text, so it is never
//! printed or sent back.

use serde_json::Value;

use super::config_view::SavedConfig;
use super::model::ClientConfig;
use super::naming::{check_description, check_name};
use super::parse::{ParsedConfig, form_to_value, read};
use super::rules::ConfigFindings;
use super::rules::other_payouts::payout_descriptor;
use crate::base::error::{Error, FieldError, Result};
use crate::domain::keys::{KeyPair, without_secret_keys};
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use crate::web::RequestInput;
use crate::web::extract::MemberReader;

/// Form fields that are not part of the configuration.
pub const OUTER_FIELDS: [&str; 4] = ["name", "description", "revision", "action"];

/// The two key fields of the client.
pub(super) const KEYS: [&str; 2] = ["authority_public_key", SECRET_FIELD];

/// A configuration to be saved, as it was sent.
pub struct ConfigDraft {
    /// The name, if given.
    name: Option<String>,
    /// The description, if given.
    description: Option<String>,
    /// The revision that the sender changed; none to replace any revision.
    pub based_on: Option<i32>,
    /// The configuration in any format that [`read`] accepts.
    config: Value,
    /// Create a key pair if both keys are empty.
    fresh_keys: bool,
    /// Errors found so far.
    errors: Vec<FieldError>,
    /// Warnings about unknown fields beside the configuration.
    unknown: Vec<FieldError>,
}

/// A draft that can be saved.
pub struct ValidDraft {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The configuration.
    pub config: ClientConfig,
    /// Warnings, with pointers into the request.
    pub warnings: Vec<FieldError>,
    /// Hints, with pointers into the request.
    pub hints: Vec<FieldError>,
}

/// The result of checking a draft.
pub struct DraftValidation {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The configuration, if it could be read.
    pub config: Option<ClientConfig>,
    /// Findings, with pointers into the request.
    pub found: ConfigFindings,
}

impl ConfigDraft {
    /// Reads a body of either kind.
    ///
    /// # Errors
    /// The body is not a JSON object. [`check`](Self::check) reports other errors.
    pub fn of(input: RequestInput) -> Result<Self> {
        match input.form {
            Some(pairs) => Ok(Self::of_form(pairs)),
            None => Self::of_json(input.value),
        }
    }

    fn of_json(body: Value) -> Result<Self> {
        let has_name = body.get("name").is_some_and(|name| !name.is_null());
        let mut body = MemberReader::of(body, [])?;
        let has_description = body.has("description");
        let mut draft = Self {
            name: body.text("name"),
            description: body.text("description"),
            based_on: None,
            config: Value::Null,
            fresh_keys: false,
            errors: Vec::new(),
            unknown: Vec::new(),
        };
        if has_name && draft.name.is_none() && !body.is_refused("name") {
            draft.name = Some(String::new());
        }
        if has_description && !body.is_refused("description") {
            draft.description.get_or_insert_default();
        }
        match body.take("revision").map(|number| {
            number
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
        }) {
            Some(None) => body.refuse(
                "revision",
                "revision must be the number of the revision that you changed.",
            ),
            number => draft.based_on = number.flatten(),
        }
        match body.take("config") {
            Some(config) => draft.config = config,
            None => body.refuse(
                "config",
                "The configuration is missing. Send it as an object.",
            ),
        }
        // As in the configuration: a client may send back all fields that it received.
        draft.unknown =
            body.unknown(&["id", "config_json", "is_active", "created_at", "updated_at"]);
        if let Err(Error::Invalid(errors)) = body.finish(Some(())) {
            draft.errors = errors;
        }
        Ok(draft)
    }

    /// Reads the form of a page. If both keys are empty, a new pair is created. A payout that is
    /// only an address or a `bitcoin:` URI becomes the descriptor of that address.
    pub fn of_form(pairs: Vec<(String, String)>) -> Self {
        let outer = |name: &str| {
            pairs
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, text)| text.trim().replace("\r\n", "\n"))
        };
        let (name, description) = (outer("name"), outer("description"));
        let based_on = outer("revision").and_then(|number| number.parse().ok());
        let mut config = form_to_value(
            pairs
                .into_iter()
                .filter(|(key, _)| !OUTER_FIELDS.contains(&key.as_str())),
        );
        if let Some(Value::String(payout)) = config.get_mut("coinbase_reward_script") {
            *payout = payout_descriptor(payout);
        }
        Self {
            name: Some(name.unwrap_or_default()),
            description,
            based_on,
            config,
            fresh_keys: true,
            errors: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// A configuration alone, as first-generation clients send it. Without a name, the previous
    /// name stays.
    pub fn of_config_alone(name: Option<String>, config: Value) -> Self {
        Self {
            name,
            description: None,
            based_on: None,
            config,
            fresh_keys: false,
            errors: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// An older revision, to be saved again.
    pub fn of_config(description: String, config: &ClientConfig) -> Self {
        let config = config.to_stored_value();
        Self {
            name: None,
            description: Some(description),
            based_on: None,
            config,
            fresh_keys: false,
            errors: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Checks everything and reports all errors. Values that are missing in the draft come from
    /// `previous`.
    ///
    /// # Errors
    /// One entry per invalid field; pointers into the configuration start with `/config`.
    pub fn check(self, previous: Option<&SavedConfig>) -> Result<ValidDraft> {
        let DraftValidation {
            name,
            description,
            config,
            found,
        } = self.judge(previous)?;
        match config {
            Some(config) if found.errors.is_empty() => Ok(ValidDraft {
                name,
                description,
                config,
                warnings: found.warnings,
                hints: found.hints,
            }),
            _ => Err(Error::Invalid(found.errors)),
        }
    }

    /// Returns all findings, whether or not the draft can be saved.
    ///
    /// # Errors
    /// The system has no random numbers for the keys.
    pub fn judge(mut self, previous: Option<&SavedConfig>) -> Result<DraftValidation> {
        let mut errors = std::mem::take(&mut self.errors);
        let refused =
            |errors: &[FieldError], at: &str| errors.iter().any(|error| error.pointer == at);
        let name = self
            .name
            .take()
            .or_else(|| previous.map(|saved| saved.name.clone()))
            .unwrap_or_default();
        if let Err(detail) = check_name(&name)
            && !refused(&errors, "/name")
        {
            errors.push(FieldError::new("/name", detail));
        }
        let description = self
            .description
            .take()
            .or_else(|| previous.map(|saved| saved.description.clone()))
            .unwrap_or_default();
        errors.extend(
            check_description(&description)
                .err()
                .map(|detail| FieldError::new("/description", detail)),
        );

        if self.fresh_keys {
            fill_in_keys(&mut self.config)?;
        }
        let mut found = ConfigFindings::default();
        let mut config = None;
        if !refused(&errors, "/config") {
            match read(&self.config, previous.map(|saved| &saved.config)) {
                Ok(ParsedConfig {
                    config: read,
                    warnings,
                    hints,
                }) => {
                    found = ConfigFindings {
                        errors: Vec::new(),
                        warnings,
                        hints,
                    };
                    config = Some(read);
                }
                Err(refused) => found = refused,
            }
        }
        found = found.under("/config");
        found.warnings.append(&mut self.unknown);
        errors.extend(
            found
                .errors
                .into_iter()
                .map(|error| self.with_way_to_keys(error)),
        );
        let [errors, warnings, hints] = [errors, found.warnings, found.hints].map(without_keys);
        Ok(DraftValidation {
            name,
            description,
            config,
            found: ConfigFindings {
                errors,
                warnings,
                hints,
            },
        })
    }

    /// Adds the endpoint that creates keys to the error about a missing key.
    fn with_way_to_keys(&self, mut error: FieldError) -> FieldError {
        let key = error
            .pointer
            .strip_prefix("/config/")
            .filter(|key| !self.fresh_keys && KEYS.contains(key));
        if key.is_some_and(|key| self.config.get(key).is_none_or(is_blank)) {
            error.detail.push_str(" POST /keys/generate creates one.");
        }
        error
    }
}

/// Messages quote the value of a field. This masks secret keys pasted into the wrong field.
pub(super) fn without_keys(errors: Vec<FieldError>) -> Vec<FieldError> {
    errors
        .into_iter()
        .map(|e| {
            FieldError::new(
                without_secret_keys(&e.pointer),
                without_secret_keys(&e.detail),
            )
        })
        .collect()
}

/// Adds a new key pair if both keys are absent or empty.
pub(super) fn fill_in_keys(config: &mut Value) -> Result<()> {
    if let Value::Object(fields) = config
        && KEYS.iter().all(|key| fields.get(*key).is_none_or(is_blank))
    {
        let pair = KeyPair::generate().map_err(Error::internal)?;
        fields.insert(KEYS[0].into(), pair.public_key.into());
        fields.insert(KEYS[1].into(), pair.secret_key.reveal().into());
    }
    Ok(())
}

/// Whether a field is null or empty.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
