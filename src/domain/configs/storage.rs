//! Configurations are stored as readable JSON, except for the secret key, which is sealed for its
//! configuration and revision.

use diesel::SqliteConnection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::model::ClientConfig;
use super::queries;
use crate::base::error::{Error, Result};
use crate::base::ids::ConfigId;
use crate::domain::vault::{Vault, is_sealed};
use crate::infra::log_store::SecretMask;
use crate::programs::jd_client::config_fields::SECRET_FIELD;

fn place(id: ConfigId, revision: i32) -> String {
    format!("configurations/{id}/{revision}/{SECRET_FIELD}")
}

/// The stored text of a revision.
///
/// # Errors
/// The system has no random numbers.
pub fn to_stored(
    vault: &Vault,
    id: ConfigId,
    revision: i32,
    config: &ClientConfig,
) -> Result<String> {
    let mut value = config.masked();
    value[SECRET_FIELD] = vault
        .seal(&place(id, revision), config.authority_secret_key.reveal())?
        .into();
    Ok(value.to_string())
}

/// The configuration of a stored text.
///
/// # Errors
/// It is not a configuration, or its secret cannot be unsealed.
pub fn from_stored(vault: &Vault, id: ConfigId, revision: i32, text: &str) -> Result<ClientConfig> {
    // The library error may quote the value, which may be the key.
    let unreadable = |what: &str| {
        Error::internal(format!(
            "stored configuration {id}, revision {revision}: {what}"
        ))
    };
    let mut value: Value = serde_json::from_str(text).map_err(|_| unreadable("invalid JSON"))?;
    if let Some(Value::String(secret)) = value.get_mut(SECRET_FIELD) {
        *secret = vault.open(&place(id, revision), secret)?;
    }
    serde_json::from_value(value).map_err(|_| unreadable("not a configuration"))
}

/// Adds the secret keys of all configurations and revisions to `secrets`. Skips keys that cannot be
/// unsealed, because no client can use them.
///
/// # Errors
/// The database cannot be read.
pub fn add_secrets(c: &mut SqliteConnection, vault: &Vault, secrets: &SecretMask) -> Result<()> {
    for (id, revision, text) in queries::stored(c)?.into_iter().flatten() {
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        if let Some(Value::String(secret)) = value.get(SECRET_FIELD)
            && let Ok(key) = vault.open(&place(id, revision), secret)
        {
            secrets.add(&key);
        }
    }
    Ok(())
}

/// Seals the secrets that an earlier version stored in plain text. Returns their number.
///
/// # Errors
/// A sealed secret cannot be unsealed; the database cannot be read or written.
pub fn seal(c: &mut SqliteConnection, vault: &Vault) -> Result<usize> {
    let mut sealed = BTreeMap::new();
    for (id, revision, text) in queries::stored(c)?.into_iter().flatten() {
        // A text that is not JSON contains no usable key and is not changed.
        let Ok(mut value) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        let Some(Value::String(secret)) = value.get_mut(SECRET_FIELD) else {
            continue;
        };
        if is_sealed(secret) {
            vault.open(&place(id, revision), secret)?;
        } else if let Entry::Vacant(free) = sealed.entry((id, revision)) {
            *secret = vault.seal(&place(id, revision), secret)?;
            free.insert(value.to_string());
        }
    }
    for ((id, revision), text) in &sealed {
        queries::set_stored(c, *id, *revision, text)?;
    }
    Ok(sealed.len())
}
