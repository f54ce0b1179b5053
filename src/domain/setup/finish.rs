//! The end of setup: saves the configuration, then creates and starts the instance.

use serde_json::Value;
use std::net::SocketAddr;

use super::responses::SetupResult;
use super::service::{SetupService, lacking_translator};
use super::validate::{CompleteSetup, SetupValidation, seen_from_the_body};
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::domain::configs::{ConfigDraft, lacking};
use crate::domain::instances::{Instance, InstanceDraft, MinerAddress, MinerProtocol};

impl SetupService {
    /// The complete setup in one request, for API clients.
    ///
    /// # Errors
    /// Names every invalid member; no client is installed.
    pub async fn create(&self, body: Value, actor: &Actor) -> Result<SetupResult> {
        let has = |member: &str| body.get(member).is_some_and(|value| !value.is_null());
        let proposed =
            ["listening_address", "monitoring_address"].map(|member| (member, !has(member)));
        let mut whole =
            CompleteSetup::of_body(body, &self.configs.starting().await?, &self.pools().await?)?;
        let given = proposed.iter().filter(|(_, is_proposed)| !is_proposed);
        let mut used: Vec<u16> = given
            .filter_map(|(member, _)| port_of(&whole.config[*member]))
            .collect();
        for (member, is_proposed) in proposed {
            let address = whole.config[member]
                .as_str()
                .and_then(|text| text.parse::<SocketAddr>().ok());
            let Some(mut address) = address.filter(|_| is_proposed) else {
                continue;
            };
            let free = match member {
                "monitoring_address" => self.instances.free_port(address, used.clone()).await?,
                _ => {
                    self.instances
                        .free_miner_port(address, used.clone())
                        .await?
                }
            };
            address.set_port(free);
            whole.config[member] = address.to_string().into();
            used.push(address.port());
        }
        let guard = self.finishing.clone().lock_owned().await;
        let (this, actor) = (self.clone(), actor.clone());
        let work = tokio::spawn(async move {
            let _guard = guard;
            this.make(&whole, &actor).await
        });
        work.await
            .map_err(Error::internal)?
            .map_err(|error| match error {
                Error::Invalid(errors) => Error::Invalid(seen_from_the_body(errors)),
                other => other,
            })
    }

    /// Saves the configuration, creates the instance and starts it. If a step fails, nothing is
    /// left behind, except that a rejected start leaves an instance that shows the reason.
    ///
    /// # Errors
    /// Names every invalid field; no client is installed.
    pub(super) async fn make(&self, whole: &CompleteSetup, actor: &Actor) -> Result<SetupResult> {
        let SetupValidation { config, found } = self.judged(whole, true).await?;
        let Some(config) = config else {
            return Err(Error::Invalid(found.errors));
        };
        // Checked last, so that problems in the body are reported first.
        let program = self.instances.client().await?;
        let mut lacking = lacking(&config, &program.version);
        lacking.extend(lacking_translator(&config, &program));
        if !lacking.is_empty() {
            return Err(Error::Invalid(lacking));
        }
        let draft =
            ConfigDraft::of_config_alone(Some(whole.name.clone()), config.to_stored_value());
        let saved = self.configs.clone().by(actor).create(draft).await?;
        let wishes = InstanceDraft {
            name: Some(whole.name.clone()),
            config_id: Some(saved.config_id),
            autostart: Some(true),
            ..InstanceDraft::default()
        };
        let id = match self.instances.create(wishes).await {
            Ok(id) => id,
            Err(error) => {
                self.configs.delete(saved.config_id).await?;
                return Err(error);
            }
        };
        let refused = if whole.start {
            self.instances.start(id, actor).await.err()
        } else {
            None
        };
        let instance = self.instances.get(id).await?;
        let made = self
            .made(&instance, refused.map(|error| error.to_string()))
            .await?;
        let warnings = saved
            .warnings
            .into_iter()
            .map(|one| FieldError::new(one.pointer.trim_start_matches("/config"), one.detail));
        Ok(SetupResult {
            warnings: seen_from_the_body(warnings.collect()),
            hints: seen_from_the_body(found.hints),
            ..made
        })
    }

    /// The response about a new instance. `refused`: why it was not started.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) async fn made(
        &self,
        instance: &Instance,
        refused: Option<String>,
    ) -> Result<SetupResult> {
        let (addresses, public_key) = self.miners(instance).await?;
        let name = &instance.name;
        let message = match refused {
            Some(why) => format!("{name} was saved but not started: {why}"),
            None if instance.running => {
                format!("{name} was saved and is {}.", instance.state_text())
            }
            None => format!("{name} was saved."),
        };
        Ok(SetupResult {
            config_id: instance.config_id,
            instance_id: instance.id,
            started: instance.running,
            status: instance.status,
            miners: v2_urls(&addresses),
            addresses,
            public_key,
            message,
            warnings: Vec::new(),
            hints: Vec::new(),
        })
    }

    /// The addresses and the public key to enter in an instance's miners.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn miners(&self, instance: &Instance) -> Result<(Vec<MinerAddress>, String)> {
        let config = self.configs.get(instance.config_id).await?.config;
        let addresses = self.instances.miner_addresses(instance, &config).await;
        Ok((addresses, config.authority_public_key))
    }
}

/// The URLs for Stratum V2 miners.
pub(super) fn v2_urls(addresses: &[MinerAddress]) -> Vec<String> {
    MinerAddress::of_protocol(addresses, MinerProtocol::V2)
        .into_iter()
        .map(|address| address.url.clone())
        .collect()
}

fn port_of(address: &Value) -> Option<u16> {
    address
        .as_str()?
        .parse::<SocketAddr>()
        .ok()
        .map(|address| address.port())
}
