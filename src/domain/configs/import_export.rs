//! Configurations that come from elsewhere and go elsewhere.

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
    /// Saves a client's file, or the previous generation's JSON, as a new one. The words of a file
    /// are kept for when it goes out again.
    ///
    /// # Errors
    /// Names every problem with its key and line; the name is taken.
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

    /// One of them with its file: complete, for clients of every version, with the words of the
    /// file it was imported from, its secret masked.
    ///
    /// # Errors
    /// There is none with this id.
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

    /// The same with its secret in it, for whoever may see it. That it was given out is logged.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn export_whole(&self, id: ConfigId) -> Result<(SavedConfig, String)> {
        let saved = self.reveal(id, "exported").await?;
        let file = self.db.read(move |c| Ok(queries::file(c, id)?)).await?;
        let text = export_whole(&saved.config, file.as_deref());
        Ok((saved, text))
    }

    /// One of them, for its secret to be `done` something with. Who asked for it is logged.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn reveal(&self, id: ConfigId, done: &'static str) -> Result<SavedConfig> {
        let saved = self.get(id).await?;
        tracing::info!(configuration = %id, name = ?saved.name, who = ?self.author, "the secret key of a configuration was {done}");
        Ok(saved)
    }

    /// What was passed over or assumed when it was imported from a file, with keys and lines.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn import_remarks(&self, id: ConfigId) -> Result<Vec<FieldError>> {
        let file = self.db.read(move |c| Ok(queries::file(c, id)?)).await?;
        Ok(file.as_deref().map(remarks).unwrap_or_default())
    }

    /// The secrets of all saved ones by their public keys.
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
