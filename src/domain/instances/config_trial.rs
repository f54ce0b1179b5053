//! Tests whether the real programs accept a configuration. They mine nothing and connect to nothing.
//!
//! Neither program has an option for this. Each therefore runs in a sandbox with its real
//! configuration, but with unreachable addresses, and is stopped at its first log line: it logs
//! nothing before it has read the file. The client does not listen for miners without a template
//! provider, so the translator has no client to connect to, and its test ends there, too. One test
//! at a time.
//!
//! During a test jd-manager itself connects to the servers in the configuration.

use schemars::JsonSchema;
use serde::Serialize;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::preparation::{no_translator, rendered, rendered_translator, write_whole};
use super::program::{ClientProgram, TranslatorProgram, environment};
use super::service::InstanceService;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FileError, Result};
use crate::base::ids::ConfigId;
use crate::domain::configs::{
    ClientConfig, ClientVersion, PeerProbeResult, SavedConfig, TemplateProvider, monitoring_near,
    probe_peers,
};
use crate::domain::keys::without_secret_keys;
use crate::infra::executable::trial::{self, TrialOutput, TrialRules};
use crate::infra::free_ports::free_ports;
use crate::keeper::level::header;
use crate::keeper::names;
use crate::programs::jd_client::diagnosis::{self, ClientEnd, EndCause};
use crate::programs::translator;
use crate::programs::translator::version::TranslatorVersion;

/// A program that has not read its file by then hangs. The real ones need a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Result of a configuration test.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ConfigTrialResult {
    /// Id of the configuration.
    pub config_id: ConfigId,
    /// Its revision.
    pub revision: i32,
    /// Client version of the test.
    pub client_version: ClientVersion,
    /// The result of the client.
    #[serde(flatten)]
    pub client: TrialVerdict,
    /// The result of the translator; absent if the configuration has no port for Stratum V1 miners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorTrialResult>,
    /// The servers of the configuration: would each accept the client.
    pub peers: Vec<PeerProbeResult>,
}

impl ConfigTrialResult {
    /// Every program accepts the configuration.
    pub fn is_accepted(&self) -> bool {
        let translator = self.translator.as_ref();
        self.client.accepted && translator.is_none_or(|tried| tried.verdict.accepted)
    }
}

/// Result of the translator in a configuration test.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TranslatorTrialResult {
    /// Version of the translator, if it could be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The result.
    #[serde(flatten)]
    pub verdict: TrialVerdict,
}

/// What one program makes of its configuration file.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct TrialVerdict {
    /// The program accepts the configuration.
    pub accepted: bool,
    /// The result as text.
    pub message: String,
    /// How to fix it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Output of the program, if it rejects the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl TrialVerdict {
    /// Not accepted, for this reason.
    fn rejected(message: String) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }
}

/// The cause of an exit in the output of a program.
type CauseFinder = fn(&[String], Timestamp, Option<ClientEnd>) -> Option<EndCause>;

impl InstanceService {
    /// Tests a saved configuration with an installed client and its translator, and probes the
    /// servers in the configuration. `version`: the client's name in the store; none: the version
    /// in use.
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
        let result = self.try_alone(&saved, &program).await?;
        Ok((saved, result))
    }

    /// Tests one configuration at a time, so that many requests do not probe a server all at once.
    async fn try_alone(
        &self,
        saved: &SavedConfig,
        program: &ClientProgram,
    ) -> Result<ConfigTrialResult> {
        let _one_at_a_time = self.trying.lock().await;
        let (programs, peers) = tokio::join!(
            self.try_programs(saved, program),
            probe_peers(&saved.config)
        );
        let (client, translator) = programs?;
        Ok(ConfigTrialResult {
            config_id: saved.id,
            revision: saved.revision,
            client_version: program.version,
            client,
            translator,
            peers,
        })
    }

    /// The caller holds the lock for tests.
    async fn try_programs(
        &self,
        saved: &SavedConfig,
        program: &ClientProgram,
    ) -> Result<(TrialVerdict, Option<TranslatorTrialResult>)> {
        let dir = TrialDirectory::make(self.root.with_file_name("trials")).await?;
        let ports = free_ports().map_err(Error::internal)?;
        let harmless = SavedConfig {
            config: harmless(&saved.config, dir.0.clone(), ports),
            ..saved.clone()
        };
        let client = match rendered(&harmless, program.version) {
            Ok(toml) => {
                let name = format!("Client {}", program.version);
                let args = dir
                    .config_arguments(&program.first_args, names::CONFIG, toml)
                    .await?;
                try_program(&name, &program.path, &args, diagnosis::cause).await
            }
            Err(Error::Conflict(message)) => TrialVerdict::rejected(message),
            Err(other) => return Err(other),
        };
        let translator = try_translator(&dir, &harmless, program).await?;
        Ok((client, translator))
    }
}

/// Tests the translator beside a client; none: the configuration has no port for Stratum V1 miners.
async fn try_translator(
    dir: &TrialDirectory,
    harmless: &SavedConfig,
    program: &ClientProgram,
) -> Result<Option<TranslatorTrialResult>> {
    let Some(settings) = harmless.config.enabled_translator() else {
        return Ok(None);
    };
    let rejected = |message| {
        Some(TranslatorTrialResult {
            version: None,
            verdict: TrialVerdict::rejected(message),
        })
    };
    let Some(translator) = &program.translator else {
        return Ok(rejected(no_translator(harmless, program)));
    };
    let version = match translator_version(translator).await {
        Ok(version) => version,
        Err(message) => return Ok(rejected(message)),
    };
    let toml = match rendered_translator(harmless, monitoring_near(settings)) {
        Ok(Some(toml)) => toml,
        Ok(None) => return Ok(None),
        Err(Error::Conflict(message)) => return Ok(rejected(message)),
        Err(other) => return Err(other),
    };
    let args = dir
        .config_arguments(&translator.first_args, names::TRANSLATOR_CONFIG, toml)
        .await?;
    let name = format!("Translator {version}");
    let verdict = try_program(&name, &translator.path, &args, translator::diagnosis::cause).await;
    Ok(Some(TranslatorTrialResult {
        version: Some(version.to_string()),
        verdict,
    }))
}

/// The version that a translator program prints.
///
/// # Errors
/// It prints none, or that of another program; as text.
async fn translator_version(
    program: &TranslatorProgram,
) -> std::result::Result<TranslatorVersion, String> {
    let shown = program.path.display();
    let text = trial::version(&program.path, &program.first_args, environment())
        .await
        .map_err(|why| format!("The translator program {shown} {why}."))?;
    TranslatorVersion::parse(&text)
        .map_err(|why| format!("The translator program {shown} cannot be used: {why}"))
}

/// Runs a program in the sandbox until its first log line. `name`: the program in texts.
async fn try_program(name: &str, path: &Path, args: &[String], cause: CauseFinder) -> TrialVerdict {
    let is_log = |line: &str| header(line.as_bytes()).is_some();
    let env = environment().chain([("RUST_LOG".to_owned(), "info".to_owned())]);
    let heard = trial::listen(path, args, env, TrialRules::default(), is_log, PATIENCE).await;
    judged(heard, name, cause)
}

/// Interprets the output of a program.
fn judged(
    heard: std::result::Result<TrialOutput, String>,
    name: &str,
    cause: CauseFinder,
) -> TrialVerdict {
    match heard {
        Ok(TrialOutput::Line) => TrialVerdict {
            accepted: true,
            message: format!("{name} accepts this configuration."),
            ..TrialVerdict::default()
        },
        Ok(TrialOutput::End { code, said }) => {
            let end = code.map(ClientEnd::Code);
            let said: Vec<String> = said.iter().map(|line| without_secret_keys(line)).collect();
            let cause = cause(&said, Timestamp::now(), end);
            let how = code.map_or("was killed by a signal".to_owned(), |code| {
                format!("exited with code {code}")
            });
            let why = cause
                .as_ref()
                .map_or_else(|| format!("it {how}"), |cause| cause.what.clone());
            let said = said.join("\n");
            TrialVerdict {
                message: format!("{name} rejects this configuration: {why}."),
                advice: cause.map(|cause| cause.advice),
                said: Some(said).filter(|said| !said.trim().is_empty()),
                ..TrialVerdict::default()
            }
        }
        Ok(TrialOutput::Nothing) => TrialVerdict::rejected(format!(
            "{name} logged nothing within {} s, so the result is unknown.",
            PATIENCE.as_secs()
        )),
        Err(why) => TrialVerdict::rejected(format!("{name} {why}.")),
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
    // The programs would search the network for miners.
    config.miner_telemetry = config
        .miner_telemetry
        .map(|_| crate::domain::configs::MinerTelemetry::default());
    if let Some(translator) = &mut config.translator {
        translator.listening_address = here(nobody);
        translator.miner_telemetry = None;
    }
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

    /// Writes a program's configuration there as `file` and returns the arguments for a start with
    /// it. `first_args`: the arguments before the program's own.
    pub(super) async fn config_arguments(
        &self,
        first_args: &[String],
        file: &'static str,
        toml: String,
    ) -> Result<Vec<String>> {
        let path = self.0.join(file);
        let dir = self.0.clone();
        tokio::task::spawn_blocking(move || write_whole(&dir, file, toml.as_bytes()))
            .await
            .map_err(Error::internal)??;
        let first = first_args.iter().cloned();
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
    use crate::domain::configs::{ConfigService, MiningMode};
    use crate::domain::instances::ProgramSource;
    use crate::domain::keys::KeyPair;
    use crate::domain::vault::Vault;
    use crate::infra::db::Db;
    use serde_json::json;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    #[tokio::test]
    async fn servers_are_probed_by_one_test_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let service = InstanceService::new(
            db.clone(),
            ConfigService::new(db, Vault::of_a_test()),
            ProgramSource::new(None, dir.path()),
            dir.path(),
            Duration::from_secs(60),
        );
        let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = ClientConfig::starting(KeyPair::generate().unwrap());
        config.mode = MiningMode::SoloMining;
        config.template_provider_type = TemplateProvider::Sv2Tp {
            address: provider.local_addr().unwrap().to_string(),
            public_key: None,
            network: None,
        };
        let saved = SavedConfig {
            id: ConfigId::random(),
            name: "home".into(),
            description: String::new(),
            revision: 3,
            is_active: false,
            config,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            used_by: Vec::new(),
        };
        let program = ClientProgram {
            path: dir.path().join("missing"),
            first_args: Vec::new(),
            // It does not mine solo, so no program is started.
            version: ClientVersion::OLDEST,
            name: None,
            translator: None,
        };
        let other = service.trying.lock().await;
        let test = service.try_alone(&saved, &program);
        tokio::pin!(test);
        let patience = Duration::from_millis(300);
        assert!(timeout(patience, &mut test).await.is_err());
        assert!(
            timeout(patience, provider.accept()).await.is_err(),
            "the server was probed during another test"
        );
        drop(other);
        let accept = async { drop(provider.accept().await.unwrap()) };
        let (result, ()) = tokio::join!(test, accept);
        let result = result.unwrap();
        assert_eq!((result.config_id, result.revision), (saved.id, 3));
        assert_eq!(result.peers.len(), 1, "{result:?}");
        let message = &result.client.message;
        assert!(
            message.contains("does not support solo mining"),
            "{message}"
        );
    }

    #[test]
    fn nothing_that_is_tried_leads_anywhere() {
        let mut value = ClientConfig::starting(KeyPair::generate().unwrap()).to_stored_value();
        value["upstreams"] = json!([{ "authority_pubkey": "k", "pool_address": "pool.attic", "pool_port": 1, "jds_address": "10.1.1.1",
            "jds_port": 2, "user_identity": "alice" }]);
        value["miner_telemetry"] = json!({ "cidrs": ["192.168.1.0/24"] });
        value["translator"] = json!({ "enabled": true, "listening_address": "0.0.0.0:34255",
            "min_miner_hashrate": 5e11, "shares_per_minute": 6.0, "aggregate_channels": false,
            "miner_telemetry": { "cidrs": ["192.168.2.0/24"] } });
        for provider in [
            json!({ "Sv2Tp": { "address": "tp.attic:8442" } }),
            json!({ "BitcoinCoreIpc": { "version": 31, "network": "mainnet", "fee_threshold": 1, "min_interval": 1 } }),
        ] {
            value["template_provider_type"] = provider;
            let config: ClientConfig = serde_json::from_value(value.clone()).unwrap();
            let text =
                serde_json::to_string(&harmless(&config, "/nowhere".into(), [4, 5, 6])).unwrap();
            for gone in ["attic", "10.1.1.1", "0.0.0.0", "192.168", "9091", "34255"] {
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

    #[test]
    fn each_result_of_a_program_is_a_sentence_with_its_name() {
        let judge = |heard| judged(heard, "Translator 0.6.0", translator::diagnosis::cause);
        let fine = judge(Ok(TrialOutput::Line));
        assert!(fine.accepted);
        assert_eq!(fine.message, "Translator 0.6.0 accepts this configuration.");
        let complaint = "Translator proxy config error: Bad `config` TOML deserialize: `missing field `upstreams``";
        let bad = judge(Ok(TrialOutput::End {
            code: Some(1),
            said: vec![complaint.into()],
        }));
        assert!(!bad.accepted && bad.advice.is_some(), "{bad:?}");
        assert_eq!(bad.said.as_deref(), Some(complaint));
        for (heard, words) in [
            (Ok(TrialOutput::Nothing), "logged nothing within 10 s"),
            (
                Err("cannot be started: x".to_owned()),
                "cannot be started: x.",
            ),
            (
                Ok(TrialOutput::End {
                    code: Some(7),
                    said: Vec::new(),
                }),
                "rejects this configuration: it exited with code 7.",
            ),
        ] {
            let verdict = judge(heard);
            assert!(!verdict.accepted, "{verdict:?}");
            assert!(
                verdict.message.starts_with("Translator 0.6.0 ") && verdict.message.contains(words),
                "{verdict:?}"
            );
        }
    }
}
