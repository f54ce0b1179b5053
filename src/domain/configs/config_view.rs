//! A saved configuration and its history as other modules see them. No SQL; serialization masks
//! secrets.

use schemars::JsonSchema;
use serde::Serialize;

use super::compatibility::{VersionDiffLine, compared};
use super::diff::{FieldDifference, differences};
use super::model::ClientConfig;
use super::parse::{ParsedConfig, read};
use super::queries::{ConfigRow, RevisionRow};
use super::rules::ConfigFindings;
use super::storage::{from_stored, to_stored};
use super::toml_file::{lacking, render_masked};
use crate::base::clock::Timestamp;
use crate::base::error::{FieldError, Result};
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::vault::Vault;
use crate::programs::jd_client::version::ClientVersion;

/// An instance that uses a configuration.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationUser")]
pub struct ConfigUser {
    /// The id.
    pub id: InstanceId,
    /// The name.
    pub name: String,
}

/// A saved configuration. Its serialized `config` is masked.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SavedConfig {
    /// The id.
    pub id: ConfigId,
    /// The name, unique regardless of case.
    pub name: String,
    /// The user's description.
    pub description: String,
    /// The number of the newest revision, from 1.
    pub revision: i32,
    /// True for the active configuration, which the first generation's API uses.
    pub is_active: bool,
    /// The configuration.
    pub config: ClientConfig,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the newest revision was saved.
    pub updated_at: Timestamp,
    /// The instances that use it, by name.
    pub used_by: Vec<ConfigUser>,
}

impl SavedConfig {
    /// Creates it from its row and its users.
    ///
    /// # Errors
    /// The stored configuration cannot be read.
    pub fn from_row(vault: &Vault, row: ConfigRow, used_by: Vec<ConfigUser>) -> Result<Self> {
        Ok(Self {
            id: row.id,
            config: from_stored(vault, row.id, row.revision, &row.config_json)?,
            name: row.name,
            description: row.description,
            revision: row.revision,
            is_active: row.is_active,
            created_at: row.created_at,
            updated_at: row.updated_at,
            used_by,
        })
    }

    /// The database row.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn to_row(&self, vault: &Vault) -> Result<ConfigRow> {
        Ok(ConfigRow {
            id: self.id,
            name: self.name.clone(),
            description: self.description.clone(),
            config_json: to_stored(vault, self.id, self.revision, &self.config)?,
            is_active: self.is_active,
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A saved configuration in a list, with the masked configuration as JSON text for clients of the
/// first generation.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationSummary")]
pub struct ConfigSummary {
    /// The id.
    pub id: ConfigId,
    /// The name.
    pub name: String,
    /// The user's description.
    pub description: String,
    /// The masked configuration as JSON text.
    pub config_json: String,
    /// True for the active configuration.
    pub is_active: bool,
    /// The number of the newest revision.
    pub revision: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the newest revision was saved.
    pub updated_at: Timestamp,
    /// The instances that use it, by name.
    pub used_by: Vec<ConfigUser>,
    /// The known client versions that can run it, oldest first.
    pub client_versions: Vec<ClientVersion>,
    /// The configuration.
    #[serde(skip)]
    pub config: ClientConfig,
}

impl ConfigSummary {
    /// Whether it contains a lowercase text.
    pub fn holds(&self, text: &str) -> bool {
        [&self.name, &self.description, &self.config_json]
            .into_iter()
            .any(|part| part.to_lowercase().contains(text))
    }
}

impl From<SavedConfig> for ConfigSummary {
    fn from(saved: SavedConfig) -> Self {
        Self {
            id: saved.id,
            name: saved.name,
            description: saved.description,
            config_json: saved.config.masked().to_string(),
            is_active: saved.is_active,
            revision: saved.revision,
            created_at: saved.created_at,
            updated_at: saved.updated_at,
            used_by: saved.used_by,
            client_versions: versions_for(&saved.config),
            config: saved.config,
        }
    }
}

/// A revision of a saved configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigRevision {
    /// The number, from 1.
    pub revision: i32,
    /// The name at that time.
    pub name: String,
    /// The description at that time.
    pub description: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it, and how: `alice (page)`, `alice (token pi) (api)`, `jd-manager`. Older
    /// revisions have only `page` or `api`, or are empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The configuration, masked when serialized.
    pub config: ClientConfig,
    /// Changes since the previous revision; empty for the first one. Pointers into `config`,
    /// besides `/name` and `/description`.
    pub changes: Vec<FieldDifference>,
}

impl ConfigRevision {
    /// Creates it from its row and the row of the previous revision.
    ///
    /// # Errors
    /// A stored configuration cannot be read.
    pub fn from_rows(
        vault: &Vault,
        row: RevisionRow,
        before: Option<&RevisionRow>,
    ) -> Result<Self> {
        let stored = |row: &RevisionRow| {
            from_stored(vault, row.configuration_id, row.revision, &row.config_json)
        };
        let config = stored(&row)?;
        let mut changes = Vec::new();
        if let Some(before) = before {
            for (path, from, to) in [
                ("/name", &before.name, &row.name),
                ("/description", &before.description, &row.description),
            ] {
                if from != to {
                    changes.push(FieldDifference {
                        path: path.into(),
                        from: Some(from.clone()),
                        to: Some(to.clone()),
                    });
                }
            }
            changes.extend(differences(&stored(before)?, &config));
        }
        Ok(Self {
            revision: row.revision,
            name: row.name,
            description: row.description,
            created_at: row.created_at,
            author: row.author,
            config,
            changes,
        })
    }
}

/// A comparison of two revisions of a saved configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RevisionComparison {
    /// The configuration.
    pub config_id: ConfigId,
    /// Its current name.
    pub name: String,
    /// The number of the first revision.
    pub from: i32,
    /// The number of the second revision.
    pub to: i32,
    /// Changes from the first to the second revision. Pointers into the configuration, besides
    /// `/name` and `/description`.
    pub changes: Vec<FieldDifference>,
    /// The first configuration,
    #[serde(skip)]
    pub former: ClientConfig,
    /// and the second one.
    #[serde(skip)]
    pub config: ClientConfig,
}

impl RevisionComparison {
    /// Compares the files for client `version` line by line; none if that client cannot run both.
    pub fn files(&self, version: ClientVersion) -> Option<Vec<VersionDiffLine>> {
        let file = |config| render_masked(config, &version).ok();
        Some(compared(&file(&self.former)?, &file(&self.config)?))
    }

    /// Whether a client `version` that runs the first revision needs a restart to apply the second:
    /// the files differ, or the settings of its translator.
    pub fn needs_restart(&self, version: ClientVersion) -> bool {
        self.former.authority_secret_key != self.config.authority_secret_key
            || self.former.translator != self.config.translator
            || self
                .files(version)
                .is_none_or(|lines| lines.iter().any(|line| line.mark != ' '))
    }
}

/// The result of a change.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationOutcome")]
pub struct ConfigChangeResult {
    /// The configuration.
    pub config_id: ConfigId,
    /// The newest revision.
    pub revision: i32,
    /// The result as text.
    pub message: String,
    /// Warnings, with pointers into the request body.
    pub warnings: Vec<FieldError>,
    /// Hints, with pointers into the request body.
    pub hints: Vec<FieldError>,
}

/// The result of a check without saving.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigValidation {
    /// True if there are no errors and it can be saved.
    pub valid: bool,
    /// Errors, warnings and hints, with pointers into the request body.
    #[serde(flatten)]
    pub found: ConfigFindings,
}

/// All findings about a saved configuration by the current rules, with pointers below `/config`.
pub fn judged(config: &ClientConfig) -> ConfigFindings {
    let found = match read(&config.to_stored_value(), None) {
        Ok(ParsedConfig {
            warnings, hints, ..
        }) => ConfigFindings {
            errors: Vec::new(),
            warnings,
            hints,
        },
        Err(found) => found,
    };
    found.under("/config")
}

/// The known client versions that can run `config`, oldest first.
pub fn versions_for(config: &ClientConfig) -> Vec<ClientVersion> {
    ClientVersion::KNOWN
        .into_iter()
        .filter(|version| lacking(config, version).is_empty())
        .collect()
}
