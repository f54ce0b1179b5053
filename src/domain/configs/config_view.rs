//! A saved configuration as everybody outside sees it, and its history. Knows no SQL; secrets are
//! serialised as a mask.

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

/// An instance that runs a configuration.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationUser")]
pub struct ConfigUser {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: String,
}

/// A saved configuration. Serialised its `config` is masked.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SavedConfig {
    /// Its id.
    pub id: ConfigId,
    /// Its name, unique whatever the case.
    pub name: String,
    /// What the user says about it.
    pub description: String,
    /// The number of its newest revision, from 1.
    pub revision: i32,
    /// The first generation's API drives this one.
    pub is_active: bool,
    /// What the client is told.
    pub config: ClientConfig,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest revision was saved.
    pub updated_at: Timestamp,
    /// The instances that run it, by name.
    pub used_by: Vec<ConfigUser>,
}

impl SavedConfig {
    /// From its row and its users.
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

    /// The row that stores it.
    ///
    /// # Errors
    /// The machine has no randomness.
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

/// A saved configuration in a list: the masked configuration as a JSON text, as clients of the
/// first generation read it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationSummary")]
pub struct ConfigSummary {
    /// Its id.
    pub id: ConfigId,
    /// Its name.
    pub name: String,
    /// What the user says about it.
    pub description: String,
    /// The masked configuration as JSON text.
    pub config_json: String,
    /// It is the active one.
    pub is_active: bool,
    /// The number of its newest revision.
    pub revision: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest revision was saved.
    pub updated_at: Timestamp,
    /// The instances that run it, by name.
    pub used_by: Vec<ConfigUser>,
    /// The known versions of the client that can run it, oldest first.
    pub client_versions: Vec<ClientVersion>,
    /// What the client is told.
    #[serde(skip)]
    pub config: ClientConfig,
}

impl ConfigSummary {
    /// Whether a text, in small letters, is somewhere in it.
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

/// One state in the history of a saved configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigRevision {
    /// Its number, from 1.
    pub revision: i32,
    /// The name at that time.
    pub name: String,
    /// The description at that time.
    pub description: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it, and how: `alice (page)`, `alice (token pi) (api)`, `jd-manager`; of earlier
    /// times only `page` or `api`; empty: that was not noted yet.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What the client was told, masked when serialised.
    pub config: ClientConfig,
    /// What changed since the revision before; empty for the first. Pointers into `config`, besides
    /// `/name` and `/description`.
    pub changes: Vec<FieldDifference>,
}

impl ConfigRevision {
    /// From the row of a state and that of the state before it.
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

/// Two revisions of a saved configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RevisionComparison {
    /// Whose they are.
    pub config_id: ConfigId,
    /// Its name today.
    pub name: String,
    /// The number of the one.
    pub from: i32,
    /// The number of the other.
    pub to: i32,
    /// What differs in the other. Pointers into the configuration, besides `/name` and
    /// `/description`.
    pub changes: Vec<FieldDifference>,
    /// What the client is told by the one,
    #[serde(skip)]
    pub former: ClientConfig,
    /// and by the other.
    #[serde(skip)]
    pub config: ClientConfig,
}

impl RevisionComparison {
    /// The files for a client of `version`, line by line; none: that client cannot run both.
    pub fn files(&self, version: ClientVersion) -> Option<Vec<VersionDiffLine>> {
        let file = |config| render_masked(config, &version).ok();
        Some(compared(&file(&self.former)?, &file(&self.config)?))
    }

    /// Whether a client of `version` that runs with the one has to be restarted to do as the other
    /// says: it would be told something else.
    pub fn needs_restart(&self, version: ClientVersion) -> bool {
        self.former.authority_secret_key != self.config.authority_secret_key
            || self
                .files(version)
                .is_none_or(|lines| lines.iter().any(|line| line.mark != ' '))
    }
}

/// What a change led to, as programs are told.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ConfigurationOutcome")]
pub struct ConfigChangeResult {
    /// Which configuration it is about.
    pub config_id: ConfigId,
    /// Its newest revision.
    pub revision: i32,
    /// What happened, for people.
    pub message: String,
    /// What is doubtful about the configuration; pointers into the body that was sent.
    pub warnings: Vec<FieldError>,
    /// What is good to know about it, likewise.
    pub hints: Vec<FieldError>,
}

/// What somebody is told who asked about a configuration without saving it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigValidation {
    /// Nothing is wrong with it: it could be saved.
    pub valid: bool,
    /// Errors, warnings and hints; pointers into the body that was sent.
    #[serde(flatten)]
    pub found: ConfigFindings,
}

/// Everything there is to say about a configuration that was saved, by today's rules; pointers
/// below `/config`.
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

/// The known versions of the client that can run `config`, oldest first.
pub fn versions_for(config: &ClientConfig) -> Vec<ClientVersion> {
    ClientVersion::KNOWN
        .into_iter()
        .filter(|version| lacking(config, version).is_empty())
        .collect()
}
