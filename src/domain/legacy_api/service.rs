//! What the first generation could do, by means of what there is today.

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

/// Everything that can be done through the first generation's API; cheap to clone.
#[derive(Clone, Debug)]
pub struct FirstGeneration {
    configs: ConfigService,
    instances: InstanceService,
}

/// A configuration as this API is sent it: whole as the body, or as its member `config`.
#[derive(Debug)]
pub struct LegacyConfigBody {
    config: Value,
    /// It was a member, so complaints begin with its name.
    is_member: bool,
}

impl LegacyConfigBody {
    /// From a body, or from what a form makes of its fields.
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

/// Complaints below `/config` as complaints about the body that was sent.
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

    /// The instances, for what is done with the one of this API.
    pub fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// The instance, if it was made.
    pub async fn instance(&self) -> Result<Option<Instance>> {
        // Names are unique whatever the case.
        Ok(self
            .instances
            .list()
            .await?
            .into_iter()
            .find(|instance| instance.name.eq_ignore_ascii_case(NAME)))
    }

    /// The instance, or that it was never started.
    ///
    /// # Errors
    /// It was not made yet.
    pub async fn made(&self) -> Result<InstanceId> {
        let instance = self
            .instance()
            .await?
            .ok_or_else(|| Error::not_found("instance called", NAME))?;
        Ok(instance.id)
    }

    /// The instance to be stopped.
    ///
    /// # Errors
    /// It was not made yet, so there is nothing to stop.
    pub async fn to_stop(&self) -> Result<InstanceId> {
        let nothing = || {
            Error::Conflict("The client was never started. Start it with POST /jdc/start.".into())
        };
        Ok(self.instance().await?.ok_or_else(nothing)?.id)
    }

    /// The instance, ready to be started on the active configuration; made if there is none yet.
    /// While its client runs a start takes nothing up, only a restart does.
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
                let nothing = "There is no active configuration. Save one with POST /config, or set a saved configuration active.";
                let config_id = active.ok_or_else(|| Error::Conflict(nothing.into()))?;
                let wishes = InstanceDraft {
                    name: Some(NAME.into()),
                    config_id: Some(config_id),
                    ..InstanceDraft::default()
                };
                match self.instances.create(wishes).await {
                    Ok(id) => (id, None),
                    // Two came at the same time and one was first.
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
    /// None is active; no client can run it.
    pub async fn config(&self) -> Result<(SavedConfig, String)> {
        let saved = self.configs.active().await?;
        let toml = self.file(&saved.config).await?;
        Ok((saved, toml))
    }

    /// Whether a configuration could be saved and run: its file, secrets masked, and what is
    /// doubtful about it. Nothing is kept.
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

    /// Saves it as the newest revision of the active configuration, or as the first one.
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

    /// The file for the client in use; for the newest known one while there is none.
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
