//! The active configuration, which API clients can use without an id.

use serde_json::Value;

use super::config_view::{ConfigChangeResult, SavedConfig};
use super::draft::ConfigDraft;
use super::model::ClientConfig;
use super::naming::free_name;
use super::queries;
use super::rules::ConfigFindings;
use super::service::{ConfigService, outcome};
use crate::base::error::{Error, Result};
use crate::base::ids::ConfigId;

impl ConfigService {
    /// The active configuration.
    ///
    /// # Errors
    /// No configuration is active.
    pub async fn active(&self) -> Result<SavedConfig> {
        let desk = self.desk();
        self.db
            .read(move |c| match queries::active(c)? {
                Some(row) => desk.with_users(c, row),
                None => Err(Error::not_found("saved configuration that is", "active")),
            })
            .await
    }

    /// Makes a configuration the active one.
    ///
    /// # Errors
    /// No configuration has this id; the active one does not change.
    pub async fn set_active(&self, id: ConfigId) -> Result<ConfigChangeResult> {
        let desk = self.desk();
        self.db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                queries::set_active(c, id)?;
                Ok(outcome(
                    &saved,
                    format!("\"{}\" is now the active configuration.", saved.name),
                ))
            })
            .await
    }

    /// Saves a configuration as a new revision of the active one. If none is active, saves it as a
    /// new one with a name based on `name` and sets it active.
    ///
    /// # Errors
    /// Names every invalid field.
    pub async fn save_active(
        &self,
        config: Value,
        name: &'static str,
    ) -> Result<ConfigChangeResult> {
        let desk = self.desk();
        let (outcome, config) = self
            .db
            .write(move |c| {
                if let Some(row) = queries::active(c)? {
                    let saved = desk.with_users(c, row)?;
                    let checked = ConfigDraft::of_config_alone(None, config).check(Some(&saved))?;
                    let config = checked.config.clone();
                    return Ok((desk.save(c, saved, checked)?, config));
                }
                let name = free_name(name, |name| queries::name_is_taken(c, name, None))?;
                let checked = ConfigDraft::of_config_alone(Some(name), config).check(None)?;
                let config = checked.config.clone();
                let made = desk.insert(c, checked, "saved and made active")?;
                queries::set_active(c, made.config_id)?;
                Ok((made, config))
            })
            .await?;
        Ok(self.with_lost_hosts(outcome, &config).await)
    }

    /// Checks what [`save_active`](Self::save_active) would save, without saving.
    ///
    /// # Errors
    /// Names every invalid field.
    pub async fn check_active(&self, config: Value) -> Result<(ClientConfig, ConfigFindings)> {
        let desk = self.desk();
        let previous = self
            .db
            .read(move |c| {
                queries::active(c)?
                    .map(|row| desk.with_users(c, row))
                    .transpose()
            })
            .await?;
        let name = previous.is_none().then(|| "new".to_owned());
        let checked = ConfigDraft::of_config_alone(name, config).check(previous.as_ref())?;
        Ok((
            checked.config,
            ConfigFindings {
                errors: Vec::new(),
                warnings: checked.warnings,
                hints: checked.hints,
            },
        ))
    }
}
