//! For other domains: the client version of an instance, and notes for its history.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::commands::InstanceCommand;
use super::model::Instance;
use super::preparation;
use super::program::{self, ClientProgram, ProgramSource};
use super::programs::InstanceProgram;
use super::queries;
use super::service::{InstanceActionResult, InstanceService};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::configs::ClientConfig;
use crate::keeper::names;
use crate::keeper::protocol::KeeperStatus;
use crate::keeper::translator_machine::TranslatorState;
use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::programs::jd_client::monitoring::DEFAULT_REFRESH_S;
use crate::programs::translator;
use crate::programs::translator::config::TranslatorConfig;

impl InstanceService {
    /// The client program that an instance runs, or would run if it were started now.
    ///
    /// # Errors
    /// There is none, or it cannot run here.
    pub async fn client_of(&self, instance: &Instance) -> Result<ClientProgram> {
        let wanted = [
            &instance.running_version,
            &instance.trial_version,
            &instance.client_version,
        ];
        self.source
            .program(wanted.into_iter().flatten().next().map(String::as_str))
            .await
    }

    /// Installed clients that an instance can be pinned to; empty if `--client` is set or they
    /// cannot be read.
    pub async fn versions(&self) -> Vec<String> {
        if self.source.fixed().is_some() {
            return Vec::new();
        }
        let store = self.source.store().to_owned();
        tokio::task::spawn_blocking(move || program::installed(&store))
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    }

    /// The source of client programs.
    pub fn source(&self) -> &ProgramSource {
        &self.source
    }

    /// Checks whether an instance can start with the installed client `version`. Changes nothing.
    ///
    /// # Errors
    /// No usable client of that name, or a configuration that the client does not support.
    pub async fn fits(&self, id: InstanceId, version: &str) -> Result<()> {
        self.preparation.fits(id, version).await
    }

    /// Uses this version from the next start, whatever the instance is pinned to; none: its own
    /// setting.
    pub async fn set_trial(&self, id: InstanceId, version: Option<String>) -> Result<()> {
        self.db
            .write(move |c| Ok(queries::set_trial(c, id, version.as_deref())?))
            .await?;
        self.supervisor.announce(id);
        Ok(())
    }

    /// Lets an instance follow the version in use and ends its trial. A running client does not
    /// change.
    pub async fn follow_in_use(&self, id: InstanceId) -> Result<()> {
        self.db
            .write(move |c| Ok(queries::follow_in_use(c, id)?))
            .await?;
        self.supervisor.announce(id);
        Ok(())
    }

    /// Pins an instance to a client version and ends its trial. A running client does not change.
    pub async fn pin(&self, id: InstanceId, version: String) -> Result<()> {
        self.db
            .write(move |c| Ok(queries::pin(c, id, &version)?))
            .await?;
        self.supervisor.announce(id);
        Ok(())
    }

    /// The configuration file of the current client, which may differ from the saved configuration;
    /// none: never started.
    pub async fn running_file(&self, id: InstanceId) -> Option<toml::Table> {
        let path = self.root.join(id.to_string()).join(names::CONFIG);
        let text = tokio::fs::read_to_string(path).await.ok()?;
        text.parse().ok()
    }

    /// The saved configuration of the next start.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn saved_config(&self, instance: &Instance) -> Result<ClientConfig> {
        Ok(self
            .preparation
            .configs()
            .get(instance.config_id)
            .await?
            .config)
    }

    /// The data directory and the network of the node whose socket the instance uses at its next
    /// start; none: it uses a template provider.
    pub async fn node_of(&self, instance: &Instance) -> Option<(PathBuf, BitcoinNetwork)> {
        let config = self.saved_config(instance).await.ok()?;
        preparation::node_of(&config)
    }

    /// The monitoring address of the current client and the interval at which it refreshes its
    /// metrics, from its file; none if not configured.
    pub async fn monitoring_source(&self, id: InstanceId) -> Option<(SocketAddr, Duration)> {
        let file = self.running_file(id).await?;
        let address = file.get("monitoring_address")?.as_str()?.parse().ok()?;
        let refresh_s = file
            .get("monitoring_cache_refresh_secs")
            .and_then(|seconds| u64::try_from(seconds.as_integer()?).ok())
            .unwrap_or(DEFAULT_REFRESH_S);
        Some((address, Duration::from_secs(refresh_s)))
    }

    /// The file the present translator was started with; none: there is no translator, or its file
    /// cannot be read.
    pub async fn translator_file(&self, id: InstanceId) -> Option<TranslatorConfig> {
        let path = self
            .root
            .join(id.to_string())
            .join(names::TRANSLATOR_CONFIG);
        let text = tokio::fs::read_to_string(path).await.ok()?;
        Some(translator::config::read(&text).ok()?.config)
    }

    /// Adds a note to the events of an instance, without a state change: an observation, or the
    /// reason of the next action.
    pub async fn note(&self, id: InstanceId, words: String, actor: Option<Actor>) -> Result<()> {
        self.db
            .write(move |c| {
                Ok(queries::note(
                    c,
                    id,
                    &words,
                    actor.as_ref(),
                    Timestamp::now(),
                )?)
            })
            .await?;
        self.supervisor.announce(id);
        Ok(())
    }

    /// Restarts the client that was started at `started_at` (milliseconds since 1970), if it is
    /// still running. Waits up to `patience` for the new process.
    ///
    /// # Errors
    /// It was stopped or restarted in the meantime, there is no usable client, or the configuration
    /// does not fit the client.
    pub async fn restart_of(
        &self,
        id: InstanceId,
        started_at: i64,
        actor: &Actor,
        patience: Duration,
    ) -> Result<()> {
        self.supervisor
            .ask(id, InstanceCommand::RestartOf(started_at), actor)
            .await?;
        self.settle(id, patience).await;
        Ok(())
    }

    /// Restarts the translator of an instance and not its client. `started_at` (milliseconds since
    /// 1970): only the one that was started then. Waits up to `patience` until the earlier one has
    /// exited.
    ///
    /// # Errors
    /// There is no translator, or another one than expected; the keeper is of an earlier version.
    pub async fn restart_translator(
        &self,
        id: InstanceId,
        started_at: Option<i64>,
        actor: &Actor,
        patience: Duration,
    ) -> Result<InstanceActionResult> {
        let command = InstanceCommand::RestartTranslator(started_at);
        self.supervisor.ask(id, command, actor).await?;
        let has_exited = |told: Option<&KeeperStatus>| {
            let translator = told.and_then(|told| told.translator.as_ref());
            translator.is_none_or(|known| known.state != TranslatorState::Stopping)
        };
        self.supervisor.wait(id, patience, has_exited).await;
        let instance = self.get(id).await?;
        let state = instance
            .translator()
            .map_or("stopped", InstanceProgram::translator_text);
        Ok(InstanceActionResult {
            pid: instance.pid,
            status: instance.status,
            message: format!("Translator of {}: {state}.", instance.name),
        })
    }

    /// Publishes that an instance has changed.
    pub fn announce(&self, id: InstanceId) {
        self.supervisor.announce(id);
    }
}
