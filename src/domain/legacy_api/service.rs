//! The operations of the original API, implemented with the current services.

use serde_json::Value;

use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::InstanceId;
use crate::domain::configs::{
    ClientConfig, ClientVersion, ConfigChangeResult, ConfigFindings, ConfigService, SavedConfig,
    render_masked,
};
use crate::domain::instances::{Instance, InstanceDraft, InstanceService};

/// The name of the instance that this API drives.
pub const NAME: &str = "default";

/// The service of the original API; cheap to clone.
#[derive(Clone, Debug)]
pub struct FirstGeneration {
    configs: ConfigService,
    instances: InstanceService,
}

/// A configuration as this API receives it: as the whole body, or as its field `config`.
#[derive(Debug)]
pub struct LegacyConfigBody {
    config: Value,
    /// It was a field, so error pointers start with its name.
    is_member: bool,
}

impl LegacyConfigBody {
    /// From a JSON body or the fields of a form.
    pub fn of(mut body: Value) -> Self {
        match body
            .get_mut("config")
            .filter(|config| config.is_object())
            .map(Value::take)
        {
            Some(config) => Self {
                config,
                is_member: true,
            },
            None => Self {
                config: body,
                is_member: false,
            },
        }
    }
}

/// Changes error pointers below `/config` to pointers in the received body.
fn seen_from_the_body(complaints: Vec<FieldError>, is_member: bool) -> Vec<FieldError> {
    let outer = |one: FieldError| match one.pointer.strip_prefix("/config") {
        Some(inner) if !is_member => FieldError::new(inner, one.detail),
        _ => one,
    };
    complaints.into_iter().map(outer).collect()
}

impl FirstGeneration {
    /// Over these services.
    pub fn new(configs: ConfigService, instances: InstanceService) -> Self {
        Self { configs, instances }
    }

    /// The service of instances.
    pub fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// The instance, if it exists.
    pub async fn instance(&self) -> Result<Option<Instance>> {
        // Names are unique, ignoring case.
        Ok(self
            .instances
            .list()
            .await?
            .into_iter()
            .find(|instance| instance.name.eq_ignore_ascii_case(NAME)))
    }

    /// The instance, or an error if it was never started.
    ///
    /// # Errors
    /// It does not exist yet.
    pub async fn made(&self) -> Result<InstanceId> {
        let instance = self
            .instance()
            .await?
            .ok_or_else(|| Error::not_found("instance named", NAME))?;
        Ok(instance.id)
    }

    /// The instance to be stopped.
    ///
    /// # Errors
    /// It does not exist yet, so there is nothing to stop.
    pub async fn to_stop(&self) -> Result<InstanceId> {
        let nothing = || {
            Error::Conflict(
                "The client has never been started. Start it with POST /jdc/start.".into(),
            )
        };
        Ok(self.instance().await?.ok_or_else(nothing)?.id)
    }

    /// The instance, prepared to start with the active configuration; created if it does not exist.
    /// While the client is running, only a restart applies the configuration.
    ///
    /// # Errors
    /// There is no active configuration.
    pub async fn to_start(&self, is_restart: bool) -> Result<InstanceId> {
        let active = self.active().await?.map(|saved| saved.id);
        let (id, config) = match self.instance().await? {
            Some(instance) => {
                let takes_up = is_restart || instance.can_start();
                (
                    instance.id,
                    active.filter(|active| takes_up && *active != instance.config_id),
                )
            }
            None => {
                let nothing = "There is no active configuration. Save one with POST /config, or make a saved configuration active.";
                let config_id = active.ok_or_else(|| Error::Conflict(nothing.into()))?;
                let wishes = InstanceDraft {
                    name: Some(NAME.into()),
                    config_id: Some(config_id),
                    ..InstanceDraft::default()
                };
                match self.instances.create(wishes).await {
                    Ok(id) => (id, None),
                    // Another request created it at the same time.
                    Err(Error::Conflict(_)) => (self.made().await?, None),
                    Err(other) => return Err(other),
                }
            }
        };
        if config.is_some() {
            self.instances
                .change(
                    id,
                    InstanceDraft {
                        config_id: config,
                        ..InstanceDraft::default()
                    },
                )
                .await?;
        }
        Ok(id)
    }

    /// The active configuration with its file, secrets masked.
    ///
    /// # Errors
    /// There is no active configuration, or no client can run it.
    pub async fn config(&self) -> Result<(SavedConfig, String)> {
        let saved = self.configs.active().await?;
        let toml = self.file(&saved.config).await?;
        Ok((saved, toml))
    }

    /// Validates a configuration: returns its file, secrets masked, and warnings. Nothing is
    /// saved.
    pub async fn validate(&self, sent: LegacyConfigBody) -> Result<(String, ConfigFindings)> {
        let is_member = sent.is_member;
        let (config, found) = self
            .configs
            .check_active(sent.config)
            .await
            .map_err(|e| of_body(e, is_member))?;
        let toml = self
            .file(&config)
            .await
            .map_err(|e| of_body(e, is_member))?;
        let [warnings, hints] =
            [found.warnings, found.hints].map(|list| seen_from_the_body(list, is_member));
        Ok((
            toml,
            ConfigFindings {
                errors: Vec::new(),
                warnings,
                hints,
            },
        ))
    }

    /// Saves a new revision of the active configuration, or the first configuration.
    pub async fn save(&self, sent: LegacyConfigBody, actor: &Actor) -> Result<ConfigChangeResult> {
        let is_member = sent.is_member;
        let configs = self.configs.clone().by(actor);
        let outcome = configs
            .save_active(sent.config, NAME)
            .await
            .map_err(|e| of_body(e, is_member))?;
        let [warnings, hints] =
            [outcome.warnings, outcome.hints].map(|list| seen_from_the_body(list, is_member));
        Ok(ConfigChangeResult {
            warnings,
            hints,
            ..outcome
        })
    }

    async fn active(&self) -> Result<Option<SavedConfig>> {
        match self.configs.active().await {
            Ok(saved) => Ok(Some(saved)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The file for the client version in use, or for the newest supported one if there is none.
    async fn file(&self, config: &ClientConfig) -> Result<String> {
        let version = self
            .instances
            .client()
            .await
            .map_or(ClientVersion::NEWEST_KNOWN, |program| program.version);
        render_masked(config, &version).map_err(|errors| {
            Error::Invalid(
                errors
                    .into_iter()
                    .map(|error| error.under("/config"))
                    .collect(),
            )
        })
    }
}

fn of_body(error: Error, is_member: bool) -> Error {
    match error {
        Error::Invalid(errors) => Error::Invalid(seen_from_the_body(errors, is_member)),
        other => other,
    }
}
