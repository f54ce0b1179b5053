//! Import and export of configurations.

use std::collections::HashMap;

use super::config_view::{ConfigChangeResult, SavedConfig};
use super::import_source::{ConfigImport, remarks};
use super::naming::free_name;
use super::queries;
use super::service::{ConfigService, check_free};
use super::toml_file::{export, export_whole, text_of};
use crate::base::error::{FieldError, Result};
use crate::base::ids::ConfigId;
use crate::domain::keys::{MASK, SecretKey};

impl ConfigService {
    /// Saves a client's file, or JSON of the previous generation, as a new configuration. The text
    /// of a file is kept for export.
    ///
    /// # Errors
    /// Names every problem with its key and line; the name is already in use.
    pub async fn import(&self, file: ConfigImport) -> Result<ConfigChangeResult> {
        let words = text_of(&file.toml);
        let known = if file.toml.contains(MASK) {
            self.secrets().await?
        } else {
            HashMap::new()
        };
        let (mut checked, made_up) = file.check(&known)?;
        let (config, desk) = (checked.config.clone(), self.desk());
        let outcome = self.db.write(move |c| {
            if made_up {
                checked.name =
                    free_name(&checked.name, |name| queries::name_is_taken(c, name, None))?;
            }
            check_free(c, &checked.name, None)?;
            let made = desk.insert(c, checked, "imported")?;
            if let Some(words) = words {
                queries::insert_file(c, made.config_id, &words)?;
            }
            Ok(made)
        });
        Ok(self.with_lost_hosts(outcome.await?, &config).await)
    }

    /// A configuration with its complete file for all client versions, based on the imported file,
    /// with the secret masked.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn export(&self, id: ConfigId) -> Result<(SavedConfig, String)> {
        let desk = self.desk();
        self.db
            .read(move |c| {
                let saved = desk.load(c, id)?;
                let file = queries::file(c, id)?;
                let text = export(&saved.config, file.as_deref());
                Ok((saved, text))
            })
            .await
    }

    /// Same as [`export`](Self::export) with the secret, for users who may see it. Logs the export.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn export_whole(&self, id: ConfigId) -> Result<(SavedConfig, String)> {
        let saved = self.reveal(id, "exported").await?;
        let file = self.db.read(move |c| Ok(queries::file(c, id)?)).await?;
        let text = export_whole(&saved.config, file.as_deref());
        Ok((saved, text))
    }

    /// A configuration whose secret is shown or exported (`done`). Logs the user.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn reveal(&self, id: ConfigId, done: &'static str) -> Result<SavedConfig> {
        let saved = self.get(id).await?;
        tracing::info!(configuration = %id, name = ?saved.name, who = ?self.author, "the secret key of a configuration was {done}");
        Ok(saved)
    }

    /// The remarks of its import from a file, with keys and lines.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn import_remarks(&self, id: ConfigId) -> Result<Vec<FieldError>> {
        let file = self.db.read(move |c| Ok(queries::file(c, id)?)).await?;
        Ok(file.as_deref().map(remarks).unwrap_or_default())
    }

    /// The secret keys of all saved configurations by public key.
    async fn secrets(&self) -> Result<HashMap<String, SecretKey>> {
        let desk = self.desk();
        self.db
            .read(move |c| {
                let rows = queries::page(c, i64::MAX, 0, usize::MAX)?;
                let pairs = rows.into_iter().map(|row| {
                    let config = SavedConfig::from_row(&desk.vault, row, Vec::new())?.config;
                    Ok((config.authority_public_key, config.authority_secret_key))
                });
                pairs.collect()
            })
            .await
    }
}
