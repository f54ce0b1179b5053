//! The use cases of saved configurations.

use diesel::SqliteConnection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::config_view::{
    ConfigChangeResult, ConfigSummary, ConfigUser, ConfigValidation, SavedConfig,
};
use super::dns_check::HostNames;
use super::draft::{ConfigDraft, DraftValidation, ValidDraft};
use super::model::ClientConfig;
use super::naming::free_name;
use super::ports;
use super::queries;
use super::storage::add_secrets;
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::ConfigId;
use crate::base::port_range::PortRange;
use crate::domain::keys::KeyPair;
use crate::domain::vault::Vault;
use crate::infra::db::Db;
use crate::infra::log_store::SecretMask;
use crate::web::respond::WHOLE_LIST_BYTES;

/// The number of rows searched at a time.
const BLOCK: i64 = 100;

/// All operations on saved configurations; cheap to clone.
#[derive(Clone, Debug)]
pub struct ConfigService {
    pub(super) db: Db,
    pub(super) vault: Vault,
    hosts: HostNames,
    /// The secret keys of all revisions.
    secrets: SecretMask,
    /// The author for the history.
    pub(super) author: Arc<str>,
    /// The ports that miners can reach; none: all.
    miner_ports: Option<PortRange>,
}

impl ConfigService {
    /// Creates the service with the tables in `db`. `vault` seals the secrets.
    pub fn new(db: Db, vault: Vault) -> Self {
        Self {
            db,
            vault,
            hosts: HostNames::new(),
            secrets: SecretMask::default(),
            author: "jd-manager".into(),
            miner_ports: None,
        }
    }

    /// The same service where miners reach only these ports.
    #[must_use]
    pub fn with_miner_ports(self, miner_ports: Option<PortRange>) -> Self {
        Self {
            miner_ports,
            ..self
        }
    }

    /// The ports that miners can reach; none: all.
    pub const fn miner_ports(&self) -> Option<PortRange> {
        self.miner_ports
    }

    /// The same service with this actor as the author.
    pub fn by(self, actor: &Actor) -> Self {
        Self {
            author: actor.to_string().into(),
            ..self
        }
    }

    /// The parts that database transactions need.
    pub(super) fn desk(&self) -> ConfigStore {
        ConfigStore {
            vault: self.vault.clone(),
            secrets: self.secrets.clone(),
            author: self.author.clone(),
        }
    }

    /// The secret keys that no output may contain.
    pub fn secret_mask(&self) -> SecretMask {
        self.secrets.clone()
    }

    /// Loads the secret keys of all saved configurations and revisions.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn load_secrets(&self) -> Result<()> {
        let (vault, secrets) = (self.vault.clone(), self.secrets.clone());
        self.db
            .read(move |c| add_secrets(c, &vault, &secrets))
            .await
    }

    /// All configurations, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(&self) -> Result<Vec<ConfigSummary>> {
        Ok(self.part(i64::MAX, 0, usize::MAX).await?.0)
    }

    /// At most `limit` configurations after the first `offset`, newest first, and the total number;
    /// fewer if they are long. With `q` only configurations that contain this text, ignoring case,
    /// in name, description or any value except the secret.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn page(
        &self,
        limit: u64,
        offset: u64,
        q: Option<String>,
    ) -> Result<(Vec<ConfigSummary>, i64)> {
        let [limit, offset] = [limit, offset].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        match q {
            Some(q) => self.search(limit, offset, q.to_lowercase()).await,
            None => self.part(limit, offset, WHOLE_LIST_BYTES).await,
        }
    }

    /// One page of the configurations that contain the lowercase text `q`.
    async fn search(
        &self,
        limit: i64,
        offset: i64,
        q: String,
    ) -> Result<(Vec<ConfigSummary>, i64)> {
        let desk = self.desk();
        self.db
            .read(move |c| {
                let mut users = users_by_config(c)?;
                let (mut found, mut total, mut from) = (Vec::new(), 0, 0);
                let mut room = Some(WHOLE_LIST_BYTES);
                loop {
                    let rows = queries::page(c, BLOCK, from, usize::MAX)?;
                    let Ok(count @ 1..) = i64::try_from(rows.len()) else {
                        return Ok((found, total));
                    };
                    from += count;
                    for row in rows {
                        let (id, size) = (row.id, row.size());
                        let one = ConfigSummary::from(SavedConfig::from_row(
                            &desk.vault,
                            row,
                            Vec::new(),
                        )?);
                        if !one.holds(&q) {
                            continue;
                        }
                        if (offset..offset.saturating_add(limit)).contains(&total) {
                            room = room.and_then(|room| room.checked_sub(size));
                            if room.is_some() || found.is_empty() {
                                found.push(ConfigSummary {
                                    used_by: users.remove(&id).unwrap_or_default(),
                                    ..one
                                });
                            }
                        }
                        total += 1;
                    }
                }
            })
            .await
    }

    async fn part(
        &self,
        limit: i64,
        offset: i64,
        room: usize,
    ) -> Result<(Vec<ConfigSummary>, i64)> {
        let desk = self.desk();
        self.db
            .read(move |c| {
                let mut users = users_by_config(c)?;
                let rows = queries::page(c, limit, offset, room)?;
                let saved = rows.into_iter().map(|row| {
                    let used_by = users.remove(&row.id).unwrap_or_default();
                    SavedConfig::from_row(&desk.vault, row, used_by).map(ConfigSummary::from)
                });
                Ok((saved.collect::<Result<_>>()?, queries::count(c)?))
            })
            .await
    }

    /// The configuration with this id.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn get(&self, id: ConfigId) -> Result<SavedConfig> {
        let desk = self.desk();
        self.db.read(move |c| desk.load(c, id)).await
    }

    /// The defaults of a new configuration, with a new key pair and free ports. Saves nothing.
    ///
    /// # Errors
    /// The system has no random numbers; the database cannot be read.
    pub async fn starting(&self) -> Result<ClientConfig> {
        let mut config = ClientConfig::starting(KeyPair::generate().map_err(Error::internal)?);
        let desk = self.desk();
        ports::avoid(
            &mut config,
            &self.db.read(move |c| desk.used_ports(c)).await?,
            self.miner_ports,
        );
        Ok(config)
    }

    /// Saves a new configuration.
    ///
    /// # Errors
    /// Names every invalid field; the name is already in use.
    pub async fn create(&self, draft: ConfigDraft) -> Result<ConfigChangeResult> {
        let checked = draft.check(None)?;
        let (config, desk) = (checked.config.clone(), self.desk());
        let outcome = self.db.write(move |c| {
            check_free(c, &checked.name, None)?;
            desk.insert(c, checked, "saved")
        });
        Ok(self.with_lost_hosts(outcome.await?, &config).await)
    }

    /// Checks whether a draft can be saved as a new configuration or as a change to `id`. Saves
    /// nothing.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn judge(
        &self,
        id: Option<ConfigId>,
        draft: ConfigDraft,
    ) -> Result<ConfigValidation> {
        let desk = self.desk();
        let (config, mut found) = self
            .db
            .read(move |c| {
                let saved = id.map(|id| desk.load(c, id)).transpose()?;
                let DraftValidation {
                    name,
                    config,
                    mut found,
                    ..
                } = draft.judge(saved.as_ref())?;
                if let Err(Error::Conflict(detail)) = check_free(c, &name, id) {
                    found.error("/name", detail);
                }
                Ok((config, found))
            })
            .await?;
        if let Some(config) = config {
            found.warnings.extend(self.lost_hosts(&config).await);
        }
        Ok(ConfigValidation {
            valid: found.errors.is_empty(),
            found,
        })
    }

    /// The host names of a configuration that cannot be resolved, with pointers below `/config`.
    /// Waits only for a moment.
    pub async fn lost_hosts(&self, config: &ClientConfig) -> Vec<FieldError> {
        self.hosts
            .doubts(config)
            .await
            .into_iter()
            .map(|doubt| doubt.under("/config"))
            .collect()
    }

    pub(super) async fn with_lost_hosts(
        &self,
        mut outcome: ConfigChangeResult,
        config: &ClientConfig,
    ) -> ConfigChangeResult {
        outcome.warnings.extend(self.lost_hosts(config).await);
        outcome
    }

    /// Saves a copy with the same keys, a new name and new ports, so that both can run at the same
    /// time.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn duplicate(&self, id: ConfigId) -> Result<ConfigChangeResult> {
        let (desk, miner_ports) = (self.desk(), self.miner_ports);
        self.db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                let name = free_name(&format!("{} copy", saved.name), |name| {
                    queries::name_is_taken(c, name, None)
                })?;
                let mut config = saved.config;
                ports::avoid(&mut config, &desk.used_ports(c)?, miner_ports);
                let own: Vec<String> = ports::of(&config).map(|port| port.to_string()).collect();
                let what = format!(
                    "saved as a copy with its own port {}",
                    own.join(" and monitoring port ")
                );
                let copy = ValidDraft {
                    name,
                    description: saved.description,
                    config,
                    warnings: Vec::new(),
                    hints: Vec::new(),
                };
                let made = desk.insert(c, copy, &what)?;
                if let Some(file) = queries::file(c, id)? {
                    queries::insert_file(c, made.config_id, &file)?;
                }
                Ok(made)
            })
            .await
    }

    /// Saves a new revision. A masked or missing secret key keeps its value. If nothing changed, it
    /// saves nothing, so that a repeated request does not make instances look outdated.
    ///
    /// # Errors
    /// No configuration has this id; names every invalid field; the name is already in use; another
    /// revision was saved in the meantime.
    pub async fn update(&self, id: ConfigId, draft: ConfigDraft) -> Result<ConfigChangeResult> {
        let desk = self.desk();
        let (outcome, config) = self
            .db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                let based_on = draft.based_on;
                let checked = draft.check(Some(&saved))?;
                if based_on.is_some_and(|based_on| based_on != saved.revision) {
                    return Err(Error::Conflict(changed_meanwhile(&saved)));
                }
                check_free(c, &checked.name, Some(id))?;
                let config = checked.config.clone();
                Ok((desk.save(c, saved, checked)?, config))
            })
            .await?;
        Ok(self.with_lost_hosts(outcome, &config).await)
    }

    /// Deletes it with all its revisions.
    ///
    /// # Errors
    /// No configuration has this id; instances use it.
    pub async fn delete(&self, id: ConfigId) -> Result<ConfigChangeResult> {
        let desk = self.desk();
        self.db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                if !saved.used_by.is_empty() {
                    return Err(Error::Conflict(still_in_use(&saved)));
                }
                queries::delete(c, id)?;
                Ok(outcome(
                    &saved,
                    format!(
                        "\"{}\" and its {} were deleted.",
                        saved.name,
                        revisions_text(saved.revision)
                    ),
                ))
            })
            .await
    }
}

/// The parts that database transactions need.
pub(super) struct ConfigStore {
    pub(super) vault: Vault,
    secrets: SecretMask,
    /// The author for the history.
    author: Arc<str>,
}

impl ConfigStore {
    pub(super) fn load(&self, c: &mut SqliteConnection, id: ConfigId) -> Result<SavedConfig> {
        match queries::get(c, id)? {
            Some(row) => self.with_users(c, row),
            None => Err(Error::not_found("saved configuration", id)),
        }
    }

    pub(super) fn with_users(
        &self,
        c: &mut SqliteConnection,
        row: queries::ConfigRow,
    ) -> Result<SavedConfig> {
        let used_by = queries::users(c, Some(row.id))?
            .into_iter()
            .map(|(_, id, name)| ConfigUser { id, name });
        SavedConfig::from_row(&self.vault, row, used_by.collect())
    }

    /// The ports of all saved configurations.
    fn used_ports(&self, c: &mut SqliteConnection) -> Result<BTreeSet<u16>> {
        let mut used = BTreeSet::new();
        for row in queries::page(c, i64::MAX, 0, usize::MAX)? {
            used.extend(ports::of(
                &SavedConfig::from_row(&self.vault, row, Vec::new())?.config,
            ));
        }
        Ok(used)
    }

    pub(super) fn insert(
        &self,
        c: &mut SqliteConnection,
        checked: ValidDraft,
        what: &str,
    ) -> Result<ConfigChangeResult> {
        let now = Timestamp::now();
        let saved = SavedConfig {
            id: ConfigId::random(),
            name: checked.name,
            description: checked.description,
            revision: 1,
            is_active: false,
            config: checked.config,
            created_at: now,
            updated_at: now,
            used_by: Vec::new(),
        };
        self.secrets.add(saved.config.authority_secret_key.reveal());
        queries::insert(c, &saved.to_row(&self.vault)?, &self.author)?;
        let message = format!("\"{}\" was {what}.", saved.name);
        Ok(ConfigChangeResult {
            warnings: checked.warnings,
            hints: checked.hints,
            ..outcome(&saved, message)
        })
    }

    pub(super) fn save(
        &self,
        c: &mut SqliteConnection,
        former: SavedConfig,
        checked: ValidDraft,
    ) -> Result<ConfigChangeResult> {
        let is_same = (&former.name, &former.description, &former.config)
            == (&checked.name, &checked.description, &checked.config);
        if is_same {
            let message = format!(
                "No changes: \"{}\" is still at revision {}.",
                former.name, former.revision
            );
            return Ok(ConfigChangeResult {
                warnings: checked.warnings,
                hints: checked.hints,
                ..outcome(&former, message)
            });
        }
        let saved = SavedConfig {
            name: checked.name,
            description: checked.description,
            config: checked.config,
            revision: former.revision + 1,
            updated_at: Timestamp::now(),
            ..former
        };
        self.secrets.add(saved.config.authority_secret_key.reveal());
        queries::update(c, &saved.to_row(&self.vault)?, &self.author)?;
        let running = if saved.used_by.is_empty() {
            ""
        } else {
            " Restart running clients to apply it."
        };
        let message = format!(
            "\"{}\" was saved as revision {}.{running}",
            saved.name, saved.revision
        );
        Ok(ConfigChangeResult {
            warnings: checked.warnings,
            hints: checked.hints,
            ..outcome(&saved, message)
        })
    }
}

/// The instances that use each configuration.
fn users_by_config(c: &mut SqliteConnection) -> Result<HashMap<ConfigId, Vec<ConfigUser>>> {
    let mut users: HashMap<ConfigId, Vec<ConfigUser>> = HashMap::new();
    for (config, id, name) in queries::users(c, None)? {
        users
            .entry(config)
            .or_default()
            .push(ConfigUser { id, name });
    }
    Ok(users)
}

pub(super) fn check_free(
    c: &mut SqliteConnection,
    name: &str,
    own: Option<ConfigId>,
) -> Result<()> {
    match queries::name_is_taken(c, name, own)? {
        true => Err(Error::Conflict(format!(
            "A configuration named \"{name}\" already exists. Choose another name."
        ))),
        false => Ok(()),
    }
}

pub(super) fn outcome(saved: &SavedConfig, message: String) -> ConfigChangeResult {
    ConfigChangeResult {
        config_id: saved.id,
        revision: saved.revision,
        message,
        warnings: Vec::new(),
        hints: Vec::new(),
    }
}

fn changed_meanwhile(saved: &SavedConfig) -> String {
    format!(
        "Another user or window has since saved revision {} of \"{}\". Review it first. To overwrite it, save again (in the API, send its revision).",
        saved.revision, saved.name
    )
}

fn still_in_use(saved: &SavedConfig) -> String {
    let names: Vec<String> = saved
        .used_by
        .iter()
        .map(|user| format!("\"{}\"", user.name))
        .collect();
    let (those, them) = if names.len() == 1 {
        ("that instance", "it")
    } else {
        ("those instances", "them")
    };
    format!(
        "\"{}\" is used by {}. First select another configuration for {those}, or delete {them}.",
        saved.name,
        names.join(", ")
    )
}

/// `1 revision`, `7 revisions`.
pub fn revisions_text(count: i32) -> String {
    if count == 1 {
        "1 revision".into()
    } else {
        format!("{count} revisions")
    }
}

#[cfg(test)]
mod tests;
