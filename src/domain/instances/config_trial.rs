//! Tests whether a real client accepts a configuration. The client mines nothing and connects to
//! nothing.
//!
//! The client has no option for this. It therefore runs in a sandbox with its real configuration,
//! but with unreachable addresses, and is stopped at its first log line: it logs nothing before it
//! has read the file. One test at a time.

use schemars::JsonSchema;
use serde::Serialize;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::preparation::{rendered, write_whole};
use super::program::{ClientProgram, environment};
use super::service::InstanceService;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FileError, Result};
use crate::base::ids::ConfigId;
use crate::domain::configs::{ClientConfig, ClientVersion, SavedConfig, TemplateProvider};
use crate::domain::keys::without_secret_keys;
use crate::infra::executable::trial::{self, TrialOutput, TrialRules};
use crate::keeper::level::header;
use crate::keeper::names;
use crate::programs::jd_client::diagnosis::{self, ClientEnd};

/// A client that has not read its file by then hangs. The real one needs a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses for the client to listen on: free ports from here on.
pub(super) const PORTS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 49_152);

/// Result of a configuration test.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigTrialResult {
    /// Id of the configuration.
    pub config_id: ConfigId,
    /// Its revision.
    pub revision: i32,
    /// Client version of the test.
    pub client_version: ClientVersion,
    /// The client accepts the configuration.
    pub accepted: bool,
    /// The result as text.
    pub message: String,
    /// How to fix it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Output of the client, if it rejects the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl InstanceService {
    /// Tests a saved configuration with an installed client. `version`: its name in the store;
    /// none: the version in use.
    ///
    /// # Errors
    /// Unknown configuration, no usable client of that name, or a disk error.
    pub async fn try_config(
        &self,
        id: ConfigId,
        version: Option<&str>,
    ) -> Result<(SavedConfig, ConfigTrialResult)> {
        let saved = self.preparation.configs().get(id).await?;
        let program = self.source.program(version).await?;
        let tried = ConfigTrialResult {
            config_id: id,
            revision: saved.revision,
            client_version: program.version,
            accepted: false,
            message: String::new(),
            advice: None,
            said: None,
        };
        let _one_at_a_time = self.trying.lock().await;
        let dir = TrialDirectory::make(self.root.with_file_name("trials")).await?;
        let port = self.free_port(PORTS, Vec::new()).await?;
        let monitoring = self.free_port(PORTS, vec![port]).await?;
        let nobody = self.free_port(PORTS, vec![port, monitoring]).await?;
        let harmless = SavedConfig {
            config: harmless(&saved.config, dir.0.clone(), [port, monitoring, nobody]),
            ..saved.clone()
        };
        let toml = match rendered(&harmless, program.version) {
            Ok(toml) => toml,
            Err(Error::Conflict(message)) => {
                return Ok((saved, ConfigTrialResult { message, ..tried }));
            }
            Err(other) => return Err(other),
        };
        let args = dir.config_arguments(&program, toml).await?;
        let is_log = |line: &str| header(line.as_bytes()).is_some();
        let env = environment().chain([("RUST_LOG".to_owned(), "info".to_owned())]);
        let heard = trial::listen(
            &program.path,
            &args,
            env,
            TrialRules::default(),
            is_log,
            PATIENCE,
        )
        .await;
        drop(dir);
        Ok((saved, judged(heard, tried)))
    }
}

/// Interprets the output of the client.
fn judged(
    heard: std::result::Result<TrialOutput, String>,
    tried: ConfigTrialResult,
) -> ConfigTrialResult {
    let version = tried.client_version;
    match heard {
        Ok(TrialOutput::Line) => ConfigTrialResult {
            accepted: true,
            message: format!("Client {version} accepts this configuration."),
            ..tried
        },
        Ok(TrialOutput::End { code, said }) => {
            let end = code.map(ClientEnd::Code);
            let said: Vec<String> = said.iter().map(|line| without_secret_keys(line)).collect();
            let cause = diagnosis::cause(&said, Timestamp::now(), end);
            let how = code.map_or("was killed by a signal".to_owned(), |code| {
                format!("exited with code {code}")
            });
            let why = cause
                .as_ref()
                .map_or_else(|| format!("it {how}"), |cause| cause.what.clone());
            let said = said.join("\n");
            ConfigTrialResult {
                message: format!("Client {version} rejects this configuration: {why}."),
                advice: cause.map(|cause| cause.advice),
                said: Some(said).filter(|said| !said.trim().is_empty()),
                ..tried
            }
        }
        Ok(TrialOutput::Nothing) => ConfigTrialResult {
            message: format!(
                "Client {version} logged nothing within {} s, so the result is unknown.",
                PATIENCE.as_secs()
            ),
            ..tried
        },
        Err(why) => ConfigTrialResult {
            message: format!("The client program {why}."),
            ..tried
        },
    }
}

/// The same configuration with unreachable addresses: it listens on `[port, monitoring]` of this
/// machine only, and every server it would connect to is a closed port.
pub(super) fn harmless(
    config: &ClientConfig,
    dir: PathBuf,
    [port, monitoring, nobody]: [u16; 3],
) -> ClientConfig {
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut config = config.clone();
    config.listening_address = here(port);
    config.monitoring_address = config.monitoring_address.map(|_| here(monitoring));
    match &mut config.template_provider_type {
        TemplateProvider::Sv2Tp { address, .. } => *address = here(nobody).to_string(),
        TemplateProvider::BitcoinCoreIpc { data_dir, .. } => {
            *data_dir = Some(dir.display().to_string())
        }
    }
    for pool in &mut config.upstreams {
        (pool.pool_address, pool.pool_port) = (Ipv4Addr::LOCALHOST.to_string(), nobody);
        (pool.jds_address, pool.jds_port) = (Ipv4Addr::LOCALHOST.to_string(), nobody);
    }
    // It would search the network for miners.
    config.miner_telemetry = config
        .miner_telemetry
        .map(|_| crate::domain::configs::MinerTelemetry::default());
    config
}

/// A directory for one test, deleted when dropped. The next test deletes leftovers of a killed
/// manager.
pub(super) struct TrialDirectory(pub(super) PathBuf);

impl TrialDirectory {
    pub(super) async fn make(dir: PathBuf) -> Result<Self> {
        let made = Self(dir);
        let dir = made.0.clone();
        tokio::task::spawn_blocking(move || {
            remove(&dir);
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(FileError::at(&dir))
        })
        .await
        .map_err(Error::internal)??;
        Ok(made)
    }

    /// Writes the client's configuration there and returns the arguments for a start with it.
    pub(super) async fn config_arguments(
        &self,
        program: &ClientProgram,
        toml: String,
    ) -> Result<Vec<String>> {
        let path = self.0.join(names::CONFIG);
        let dir = self.0.clone();
        tokio::task::spawn_blocking(move || write_whole(&dir, names::CONFIG, toml.as_bytes()))
            .await
            .map_err(Error::internal)??;
        let first = program.first_args.iter().cloned();
        Ok(first
            .chain(["-c".to_owned(), path.display().to_string()])
            .collect())
    }
}

impl Drop for TrialDirectory {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// It contains the secret key, so a failure is logged.
fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => {
            tracing::warn!(dir = %dir.display(), error = %e, "cannot remove the directory of a configuration test")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::KeyPair;
    use serde_json::json;

    #[test]
    fn nothing_that_is_tried_leads_anywhere() {
        let mut value = ClientConfig::starting(KeyPair::generate().unwrap()).to_stored_value();
        value["upstreams"] = json!([{ "authority_pubkey": "k", "pool_address": "pool.attic", "pool_port": 1, "jds_address": "10.1.1.1",
            "jds_port": 2, "user_identity": "alice" }]);
        value["miner_telemetry"] = json!({ "cidrs": ["192.168.1.0/24"] });
        for provider in [
            json!({ "Sv2Tp": { "address": "tp.attic:8442" } }),
            json!({ "BitcoinCoreIpc": { "version": 31, "network": "mainnet", "fee_threshold": 1, "min_interval": 1 } }),
        ] {
            value["template_provider_type"] = provider;
            let config: ClientConfig = serde_json::from_value(value.clone()).unwrap();
            let text =
                serde_json::to_string(&harmless(&config, "/nowhere".into(), [4, 5, 6])).unwrap();
            for gone in ["attic", "10.1.1.1", "0.0.0.0", "192.168", "9091"] {
                assert!(!text.contains(gone), "{gone}: {text}");
            }
            assert!(
                text.contains("alice")
                    && text.contains("127.0.0.1:4")
                    && text.contains("127.0.0.1:5"),
                "{text}"
            );
        }
    }
}
