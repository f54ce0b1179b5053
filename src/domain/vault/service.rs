//! Opens the vault: reads or creates the key, and seals values that an earlier version stored as plain
//! text.

use diesel::SqliteConnection;
use std::path::{Path, PathBuf};

use super::key::{KEY_FILE, KeyFileError, VaultKey};
use super::queries;
use super::sealing::Vault;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::infra::db::{self, Db};

/// Seals a domain's secrets that are still plain text, and opens the others to check the
/// key. Returns how many were plain text. Works with databases of every earlier version: a table
/// may not exist yet.
pub type Sealer = fn(&mut SqliteConnection, &Vault) -> Result<usize>;

/// The place and text of the proof.
const PROOF: (&str, &str) = ("vault/1/proof", "jd-manager");

/// Why the secrets are not available. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultRefusal {
    /// The key file is missing.
    #[error(
        "the secrets in the database are encrypted, and the key {path} is missing. Restore the key from a backup that contains it, or from the machine that the data directory was copied from. Nothing was changed."
    )]
    Missing {
        /// The expected path.
        path: PathBuf,
    },
    /// The key is a different one.
    #[error(
        "{path} does not match the secrets in the database: the key and the database are from different data directories or backups. \
         Replace it with the matching key. Nothing was changed."
    )]
    Wrong {
        /// The key file.
        path: PathBuf,
    },
    /// The key file is not usable.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// An error of the database or the system.
    #[error("cannot encrypt the secrets: {0}")]
    Other(#[from] Error),
}

impl Vault {
    /// Opens the vault of `data_dir`, whose database is `db`. At the first start it creates the key
    /// and seals what `sealers` find in one transaction. Then it rewrites the database file and the copies
    /// in `backups/`, so that no plain text remains.
    ///
    /// # Errors
    /// The key is missing, wrong, damaged, or stays readable by others; disk errors.
    pub async fn begin(
        data_dir: &Path,
        db: &Db,
        sealers: &'static [Sealer],
    ) -> Result<Self, VaultRefusal> {
        let path = data_dir.join(KEY_FILE);
        let known = db.read(|c| Ok(queries::proof(c)?)).await?;
        let found = VaultKey::read(data_dir)?;
        let (vault, is_swept) = match (known, found) {
            (Some(_), None) => return Err(VaultRefusal::Missing { path }),
            (Some((proof, swept_at)), Some(key)) => {
                let vault = Self::with(&key);
                if vault.open(PROOF.0, &proof).ok().as_deref() != Some(PROOF.1) {
                    return Err(VaultRefusal::Wrong { path });
                }
                (vault, swept_at.is_some())
            }
            (None, found) => {
                let is_new = found.is_none();
                let key = found
                    .map_or_else(VaultKey::generate, Ok)
                    .map_err(Error::internal)?;
                let vault = Self::with(&key);
                vault
                    .seal_all(db, sealers, data_dir, is_new.then_some(key))
                    .await?;
                (vault, false)
            }
        };
        if !is_swept {
            vault.remove_leftovers(data_dir, db, sealers).await;
        }
        Ok(vault)
    }

    async fn seal_all(
        &self,
        db: &Db,
        sealers: &'static [Sealer],
        data_dir: &Path,
        new: Option<VaultKey>,
    ) -> Result<(), VaultRefusal> {
        let (vault, data_dir) = (self.clone(), data_dir.to_owned());
        let sealed = db.write(move |c| {
            let path = data_dir.join(KEY_FILE);
            let mut sealed = 0;
            for sealer in sealers {
                // Values that are already sealed, for example in a copy of a database, need the key they
                // were sealed with.
                match sealer(c, &vault) {
                    Ok(count) => sealed += count,
                    Err(Error::Internal(cause)) if cause.is::<diesel::result::Error>() => {
                        return Err(Error::Internal(cause));
                    }
                    Err(refused @ Error::Unavailable { .. }) => return Err(refused),
                    Err(_) if new.is_some() => return Ok(Err(VaultRefusal::Missing { path })),
                    Err(_) => return Ok(Err(VaultRefusal::Wrong { path })),
                }
            }
            // Synced before anything that only this key can open.
            if let Some(Err(fault)) = new.map(|key| key.write(&data_dir)) {
                return Ok(Err(VaultRefusal::Key(fault)));
            }
            queries::set_proof(c, &vault.seal(PROOF.0, PROOF.1)?)?;
            Ok(Ok(sealed))
        });
        let sealed = sealed.await??;
        tracing::info!(
            sealed,
            "the secrets in the database are encrypted; the key is {KEY_FILE} in the same directory"
        );
        Ok(())
    }

    /// If this fails, it is repeated at the next start: it is an additional measure, and jd-manager works
    /// without it.
    async fn remove_leftovers(&self, data_dir: &Path, db: &Db, sealers: &'static [Sealer]) {
        let (vault, copies) = (self.clone(), data_dir.join("backups"));
        let swept = async {
            tokio::task::spawn_blocking(move || seal_copies(&copies, &vault, sealers))
                .await
                .map_err(Error::internal)??;
            db.write_anew().await?;
            db.write(|c| Ok(queries::set_swept(c, Timestamp::now())?))
                .await
        };
        if let Err(e) = swept.await {
            tracing::warn!(error = %e, "old secrets may still be in free pages of the database or in its copies; will retry at the next startup");
        }
    }
}

impl Vault {
    /// The vault whose key is in `dir`; none if there is no key. Whether the key is correct is found out
    /// when a value is opened.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn find(dir: &Path) -> Result<Option<Self>, VaultRefusal> {
        Ok(VaultKey::read(dir)?.map(|key| Self::with(&key)))
    }
}

/// Whether the key in `dir` matches the secrets in a database; a database without sealed secrets
/// matches any key.
///
/// # Errors
/// The key cannot be read; the database.
pub fn fits(dir: &Path, c: &mut SqliteConnection) -> Result<bool, VaultRefusal> {
    if !db::has_table(c, "vault").map_err(Error::from)? {
        return Ok(true);
    }
    let Some((proof, _)) = queries::proof(c).map_err(Error::from)? else {
        return Ok(true);
    };
    let Some(key) = VaultKey::read(dir)? else {
        return Ok(false);
    };
    Ok(Vault::with(&key).open(PROOF.0, &proof).ok().as_deref() == Some(PROOF.1))
}

/// Copies that were created before upgrades contain the data of that time.
fn seal_copies(dir: &Path, vault: &Vault, sealers: &[Sealer]) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sqlite3")
        {
            db::change_copy(&path, |c| {
                sealers
                    .iter()
                    .try_for_each(|sealer| sealer(c, vault).map(drop))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
