//! Configurations that come from elsewhere and go elsewhere.

use std::collections::HashMap;

use super::importing::{Import, remarks};
use super::naming::free_name;
use super::queries;
use super::saved::{Outcome, Saved};
use super::service::{Configs, check_free, insert, load};
use super::toml_file::{export, words_of};
use crate::error::{FieldError, Result};
use crate::ids::ConfigId;
use crate::keys::{MASK, SecretKey};

impl Configs {
    /// Saves a client's file, or the previous generation's JSON, as a new one. The words of a file are kept for when it goes out again.
    ///
    /// # Errors
    /// Names every problem with its key and line; the name is taken.
    pub async fn import(&self, file: Import) -> Result<Outcome> {
        let words = words_of(&file.toml);
        let known = if file.toml.contains(MASK) { self.secrets().await? } else { HashMap::new() };
        let (mut checked, made_up) = file.check(&known)?;
        let (config, author) = (checked.config.clone(), self.author);
        let outcome = self.db.write(move |c| {
            if made_up {
                checked.name = free_name(&checked.name, |name| queries::name_is_taken(c, name, None))?;
            }
            check_free(c, &checked.name, None)?;
            let made = insert(c, checked, "imported", author)?;
            if let Some(words) = words {
                queries::keep_file(c, made.config_id, &words)?;
            }
            Ok(made)
        });
        Ok(self.with_lost_hosts(outcome.await?, &config).await)
    }

    /// One of them with its file: complete, for clients of every version, with the words of the file it was imported from, its secret
    /// masked.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn export(&self, id: ConfigId) -> Result<(Saved, String)> {
        self.db
            .read(move |c| {
                let saved = load(c, id)?;
                let file = queries::file(c, id)?;
                let text = export(&saved.config, file.as_deref());
                Ok((saved, text))
            })
            .await
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
        self.db
            .read(|c| {
                let rows = queries::page(c, i64::MAX, 0)?;
                let pairs = rows.into_iter().map(|row| {
                    let config = Saved::from_row(row, Vec::new())?.config;
                    Ok((config.authority_public_key, config.authority_secret_key))
                });
                pairs.collect()
            })
            .await
    }
}
