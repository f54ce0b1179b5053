//! The vault's beginning: the key is found or made, and what an earlier version stored in the clear
//! is sealed.

use diesel::SqliteConnection;
use std::path::{Path, PathBuf};

use super::key::{KEY_FILE, KeyFileError, VaultKey};
use super::queries;
use super::sealing::Vault;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::infra::db::{self, Db};

/// Seals what of a domain's rows is a secret and still in the clear, and opens the rest to see that
/// it can. Returns how many were in the clear. Takes databases of every earlier version: a table
/// may not be there yet.
pub type Sealer = fn(&mut SqliteConnection, &Vault) -> Result<usize>;

/// Where the proof stands, and what it is.
const PROOF: (&str, &str) = ("vault/1/proof", "jd-manager");

/// Why the secrets cannot be had. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultRefusal {
    /// The key file is gone.
    #[error(
        "the secrets in the database are encrypted, and the key {path} is missing. Restore the key from a backup that contains it, or from where the data \
         directory was copied from. Nothing was changed."
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is another key.
    #[error(
        "{path} does not match the secrets in the database: key and database are from different data directories or backups. \
         Replace it with the matching key. Nothing was changed."
    )]
    Wrong {
        /// The key file.
        path: PathBuf,
    },
    /// The key file is of no use.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The database or the machine.
    #[error("cannot encrypt the secrets: {0}")]
    Other(#[from] Error),
}

impl Vault {
    /// Opens the vault of `data_dir`, whose database is `db`. At the first start it makes the key,
    /// and seals what `sealers` find in one transaction; then the file is written anew, so that
    /// nothing of it stays in the clear, and so are copies in `backups/`.
    ///
    /// # Errors
    /// The key is missing, wrong, damaged, or stays readable by others; the disk.
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
                // What is sealed already, in a copy of a database for instance, needs the key it
                // was sealed with.
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
            // On the disk before anything that only it opens.
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

    /// What cannot be swept now is swept at the next start: it is a matter of thoroughness, not of
    /// working.
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
            tracing::warn!(error = %e, "old secrets may still be in free pages of the database or in its copies; retrying at the next start");
        }
    }
}

impl Vault {
    /// The vault whose key is in `dir`; none if there is no key. Whether it is the right one shows
    /// when something is opened.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn find(dir: &Path) -> Result<Option<Self>, VaultRefusal> {
        Ok(VaultKey::read(dir)?.map(|key| Self::with(&key)))
    }
}

/// Whether the key in `dir` is the one that the secrets in a database were sealed with; one without
/// sealed secrets fits any.
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

/// The copies that were made before upgrades hold what the database held then.
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
