//! Reads all saved configurations without the key of the vault, for `jd-manager doctor`.

use diesel::SqliteConnection;
use serde_json::Value;

use super::draft::KEYS;
use super::model::ClientConfig;
use super::queries;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::keys::KeyPair;

/// A saved configuration with another key pair than the stored one.
#[derive(Clone, Debug)]
pub struct SurveyedConfig {
    /// Its name.
    pub name: String,
    /// Its settings; none if they cannot be read.
    pub config: Option<ClientConfig>,
    /// The instances that use it.
    pub instances: Vec<InstanceId>,
}

/// All saved configurations, by name. The secret keys stay sealed: each configuration gets a new key
/// pair, so that it obeys the rules.
///
/// # Errors
/// The database cannot be read, or the system has no random numbers.
pub fn survey(c: &mut SqliteConnection) -> Result<Vec<SurveyedConfig>> {
    let keys = KeyPair::generate().map_err(Error::internal)?;
    let users = queries::users(c, None)?;
    let read = |text: &str| {
        let mut value: Value = serde_json::from_str(text).ok()?;
        let [public_key, secret_key] = KEYS;
        value[public_key] = keys.public_key.clone().into();
        value[secret_key] = keys.secret_key.reveal().into();
        serde_json::from_value(value).ok()
    };
    let all = queries::named(c)?
        .into_iter()
        .map(|(id, name, text)| SurveyedConfig {
            name,
            config: read(&text),
            instances: users
                .iter()
                .filter(|(config, ..)| *config == id)
                .map(|(_, instance, _)| *instance)
                .collect(),
        });
    Ok(all.collect())
}
