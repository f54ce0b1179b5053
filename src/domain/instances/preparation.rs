//! Prepares the directory of an instance for a start: renders the configuration for the client
//! version and writes the settings of the keeper. Starts nothing; rejects every start that cannot
//! work.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::model::{InstanceRow, unknown};
use super::ports::{self, PortChoice, PortConflict, PortHolder};
use super::program::{ClientProgram, ProgramSource, environment};
use super::queries;
use crate::base::error::{Error, FieldError, FileError, Result};
use crate::base::ids::{ConfigId, InstanceId};
use crate::domain::configs::{
    self, ClientConfig, ClientVersion, ConfigService, SavedConfig, TemplateProvider,
};
use crate::infra::db::Db;
use crate::keeper::dependency::Dependency;
use crate::keeper::names;
use crate::keeper::protocol::{KeeperSpec, TranslatorSpec};
use crate::programs::bitcoin_core::{BitcoinNetwork, places};
use crate::programs::translator;

/// The line that the client logs when it is ready for miners (`channel_manager/mod.rs` of
/// jd_client_sv2; the same in 0.1.0–0.6.0).
const READY: &str = "Required template data received, ready to accept connections";

/// Prepares starts.
#[derive(Clone, Debug)]
pub struct StartPreparation {
    db: Db,
    configs: ConfigService,
    source: ProgramSource,
    root: PathBuf,
    /// Held while the ports of an instance are chosen whose configuration others use, too.
    choosing: Arc<Mutex<()>>,
}

/// Keeps other instances of a configuration from choosing ports while it exists.
#[derive(Debug)]
#[must_use = "until the start is stored, another instance could choose the same ports"]
pub struct PortReservation {
    _guard: Option<OwnedMutexGuard<()>>,
}

impl StartPreparation {
    /// `root`: parent directory of the instance directories.
    pub fn new(db: Db, configs: ConfigService, source: ProgramSource, root: PathBuf) -> Self {
        Self {
            db,
            configs,
            source,
            root,
            choosing: Arc::default(),
        }
    }

    /// The saved configurations.
    pub fn configs(&self) -> &ConfigService {
        &self.configs
    }

    /// The directory of an instance.
    pub fn dir(&self, id: InstanceId) -> PathBuf {
        self.root.join(id.to_string())
    }

    async fn row(&self, id: InstanceId) -> Result<InstanceRow> {
        let found = self.db.read(move |c| Ok(queries::get(c, id)?)).await?;
        found.map(|(row, _, _)| row).ok_or_else(|| unknown(id))
    }

    /// Checks whether an instance can start with the installed client `version`. Writes nothing.
    ///
    /// # Errors
    /// No usable client of that name, or a configuration that the client does not support.
    pub async fn fits(&self, id: InstanceId, version: &str) -> Result<()> {
        let row = self.row(id).await?;
        let saved = self.configs.get(row.config_id).await?;
        let program = self.source.program(Some(version)).await?;
        rendered(&saved, program.version).map(drop)
    }

    /// Writes the files for a start. Keep the reservation until the desired state is stored: then
    /// other instances of the configuration leave the ports alone.
    ///
    /// # Errors
    /// No usable client, a configuration that the client does not support, or a disk error.
    pub async fn prepare(&self, id: InstanceId) -> Result<PortReservation> {
        let row = self.row(id).await?;
        let mut saved = self.configs.get(row.config_id).await?;
        let (reservation, siblings) = self.siblings(id, row.config_id).await?;
        let monitoring = self.choose_ports(id, &mut saved.config, siblings).await?;
        let program = self.source.program(row.version()).await?;
        let toml = rendered(&saved, program.version)?;
        let version = program
            .name
            .clone()
            .unwrap_or_else(|| program.version.to_string());

        self.check_ports(id, &saved).await?;
        let translator = translator_spec(&saved, &program, monitoring)?;

        let mut env: Vec<(String, String)> = environment().collect();
        // The client accepts only a plain level.
        env.push(("RUST_LOG".into(), "info".into()));
        // With this mark, a keeper finds leftover processes of an earlier one.
        env.push((names::MARK.into(), id.to_string()));
        let args = config_args(program.first_args, names::CONFIG);
        let (translator, translator_toml) = translator.unzip();
        let spec = KeeperSpec {
            policy: row.policy(),
            limit: row.limit(),
            memory_bytes: row
                .memory_limit_mib
                .and_then(|mib| u64::try_from(mib).ok())
                .map(|mib| mib << 20),
            open_files: row
                .open_files_limit
                .and_then(|files| u64::try_from(files).ok()),
            nice: row.nice,
            ready_when: vec![READY.into()],
            dependency: dependency(&saved.config),
            translator,
            ..KeeperSpec::new(program.path, args, env)
        };

        let dir = self.dir(id);
        tokio::task::spawn_blocking(move || -> Result<()> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .map_err(FileError::at(&dir))?;
            write_whole(&dir, names::CONFIG, toml.as_bytes())?;
            if let Some(toml) = translator_toml {
                write_whole(&dir, names::TRANSLATOR_CONFIG, toml.as_bytes())?;
            }
            write_whole(
                &dir,
                names::SPEC,
                &serde_json::to_vec_pretty(&spec).map_err(Error::internal)?,
            )
        })
        .await
        .map_err(Error::internal)??;

        let port = saved.config.listening_address.port();
        self.db
            .write(move |c| Ok(queries::set_start(c, id, saved.revision, port, &version)?))
            .await?;
        Ok(reservation)
    }

    /// The other instances of a configuration. With any, only one at a time chooses its ports.
    async fn siblings(
        &self,
        id: InstanceId,
        config: ConfigId,
    ) -> Result<(PortReservation, Vec<(InstanceId, bool)>)> {
        let read = || self.db.read(move |c| Ok(queries::siblings(c, config, id)?));
        if read().await?.is_empty() {
            return Ok((PortReservation { _guard: None }, Vec::new()));
        }
        let guard = self.choosing.clone().lock_owned().await;
        // One of them may have been started in the meantime.
        let siblings = read().await?;
        Ok((
            PortReservation {
                _guard: Some(guard),
            },
            siblings,
        ))
    }

    /// Replaces ports of the configuration that are in use: all ports by those near them if another
    /// instance of the configuration uses them, that for Stratum V1 miners also if any other program
    /// does, and ports that miners cannot reach. Returns the monitoring address of the translator. Other conflicts are for
    /// [`Self::check_ports`].
    async fn choose_ports(
        &self,
        id: InstanceId,
        config: &mut ClientConfig,
        siblings: Vec<(InstanceId, bool)>,
    ) -> Result<Option<SocketAddr>> {
        let miner_ports = self.configs.miner_ports();
        let client = config.listening_address;
        let client_monitoring = config.monitoring_address;
        let v1 = config.enabled_translator().map(|settings| {
            (
                settings.listening_address,
                configs::monitoring_near(settings),
            )
        });
        let dirs: Vec<PathBuf> = siblings
            .iter()
            .filter(|(_, is_wanted)| *is_wanted)
            .map(|(sibling, _)| self.dir(*sibling))
            .collect();
        let choose = move || {
            let configured: Vec<u16> = [Some(client), client_monitoring, v1.map(|(v1, _)| v1)]
                .into_iter()
                .flatten()
                .map(|address| address.port())
                .collect();
            let used: Vec<u16> = dirs.iter().flat_map(|dir| ports::ports_in(dir)).collect();
            let mut choice = PortChoice::new(id, &configured, &used);
            let is_sibling = |holder: &PortHolder| {
                siblings
                    .iter()
                    .any(|(sibling, _)| *holder == PortHolder::Instance(*sibling))
            };
            let client = choice.choose(client, miner_ports, is_sibling);
            let client_monitoring =
                client_monitoring.map(|address| choice.choose(address, None, is_sibling));
            let v1 = v1.map(|(v1, monitoring)| {
                let port = choice.choose(v1, miner_ports, |_| true);
                let monitoring_port = choice.choose(monitoring, None, |_| true);
                (port, SocketAddr::new(monitoring.ip(), monitoring_port))
            });
            (client, client_monitoring, v1)
        };
        let (client, client_monitoring, v1) = tokio::task::spawn_blocking(choose)
            .await
            .map_err(Error::internal)?;
        config.listening_address.set_port(client);
        if let Some((address, port)) = config.monitoring_address.as_mut().zip(client_monitoring) {
            address.set_port(port);
        }
        if let Some((settings, (port, _))) = config.translator.as_mut().zip(v1) {
            settings.listening_address.set_port(port);
        }
        Ok(v1.map(|(_, monitoring)| monitoring))
    }

    /// The first of the wanted ports that another process than the instance `id` uses, with the
    /// name of that process.
    pub async fn taken(
        &self,
        id: InstanceId,
        wanted: Vec<(&'static str, SocketAddr)>,
    ) -> Result<Option<(PortConflict, String)>> {
        let taken = tokio::task::spawn_blocking(move || ports::first_taken(&wanted, id))
            .await
            .map_err(Error::internal)?;
        let Some(taken) = taken else { return Ok(None) };
        let named = match taken.holder {
            PortHolder::Instance(other) => {
                self.db.read(move |c| Ok(queries::get(c, other)?)).await?
            }
            _ => None,
        };
        let holder = match named {
            Some((row, _, _)) => format!("the instance \"{}\"", row.name),
            None => taken.holder.to_string(),
        };
        Ok(Some((taken, holder)))
    }

    /// Rejects a start if one of its ports is already in use.
    async fn check_ports(&self, id: InstanceId, saved: &SavedConfig) -> Result<()> {
        let mut wanted = vec![("miners", saved.config.listening_address)];
        wanted.extend(
            saved
                .config
                .monitoring_address
                .map(|address| ("monitoring", address)),
        );
        wanted.extend(
            saved
                .config
                .enabled_translator()
                .map(|translator| ("Stratum V1 miners", translator.listening_address)),
        );
        let Some((
            PortConflict {
                purpose,
                address,
                free,
                ..
            },
            holder,
        )) = self.taken(id, wanted).await?
        else {
            return Ok(());
        };
        let advice = free
            .map(|port| format!(" Port {port} is free."))
            .unwrap_or_default();
        let reason = format!(
            "cannot start: port {} for {purpose} is already in use by {holder}. Choose another port in the configuration \"{}\".{advice}",
            address.port(),
            saved.name,
        );
        Err(self.conflict(id, &reason).await)
    }

    /// An error about an instance, starting with its name.
    pub async fn conflict(&self, id: InstanceId, reason: &str) -> Error {
        let row = self.db.read(move |c| Ok(queries::get(c, id)?)).await;
        let name = match row {
            Ok(Some((row, _, _))) => row.name,
            _ => "The instance".into(),
        };
        Error::Conflict(format!("{name} {reason}"))
    }

    /// Writes a changed restart policy for a running keeper.
    pub async fn update_policy(&self, id: InstanceId) -> Result<()> {
        let Some((row, _, _)) = self.db.read(move |c| Ok(queries::get(c, id)?)).await? else {
            return Err(unknown(id));
        };
        let dir = self.dir(id);
        tokio::task::spawn_blocking(move || -> Result<()> {
            let spec = KeeperSpec {
                policy: row.policy(),
                limit: row.limit(),
                ..KeeperSpec::read(&dir)?
            };
            write_whole(
                &dir,
                names::SPEC,
                &serde_json::to_vec_pretty(&spec).map_err(Error::internal)?,
            )
        })
        .await
        .map_err(Error::internal)??;
        Ok(())
    }
}

/// What a keeper needs to run the translator of a configuration, and the translator's file; none:
/// the configuration has no port for Stratum V1 miners, so there is no `monitoring` address.
///
/// # Errors
/// There is no translator beside the client; the configuration is from before a rule.
fn translator_spec(
    saved: &SavedConfig,
    program: &ClientProgram,
    monitoring: Option<SocketAddr>,
) -> Result<Option<(TranslatorSpec, String)>> {
    let Some(monitoring) = monitoring else {
        return Ok(None);
    };
    let Some(translator) = program.translator.clone() else {
        return Err(Error::Conflict(no_translator(saved, program)));
    };
    let Some(toml) = rendered_translator(saved, monitoring)? else {
        return Ok(None);
    };
    let mut env: Vec<(String, String)> = environment().collect();
    env.push(("RUST_LOG".into(), "info".into()));
    let spec = TranslatorSpec {
        ready_when: vec![translator::diagnosis::READY.into()],
        ..TranslatorSpec::new(
            translator.path,
            config_args(translator.first_args, names::TRANSLATOR_CONFIG),
            env,
            configs::client_address(&saved.config).to_string(),
        )
    };
    Ok(Some((spec, toml)))
}

/// What the client connects to first, and exits without.
fn dependency(config: &ClientConfig) -> Option<Dependency> {
    match &config.template_provider_type {
        TemplateProvider::Sv2Tp { address, .. } => Some(Dependency::Address(address.clone())),
        TemplateProvider::BitcoinCoreIpc { .. } => {
            let (dir, network) = node_of(config)?;
            Some(Dependency::Socket(network.socket_in(&dir)))
        }
    }
}

/// The data directory and the network of the node whose socket a client uses; none: it uses a
/// template provider, or the home directory of this user is unknown.
pub(super) fn node_of(config: &ClientConfig) -> Option<(PathBuf, BitcoinNetwork)> {
    let TemplateProvider::BitcoinCoreIpc {
        network, data_dir, ..
    } = &config.template_provider_type
    else {
        return None;
    };
    let given = data_dir.as_ref().filter(|dir| !dir.is_empty());
    let dir = match given {
        Some(dir) => PathBuf::from(places::expanded(dir)),
        None => places::usual()?,
    };
    Some((dir, *network))
}

/// The configuration file of the client.
pub(super) fn rendered(saved: &SavedConfig, version: ClientVersion) -> Result<String> {
    configs::render(&saved.config, &version)
        .map_err(|errors| unfit(saved, &format!("client {version}"), &errors))
}

/// The configuration file of the translator; none: the configuration has no port for Stratum V1
/// miners. `monitoring`: the translator's monitoring address.
pub(super) fn rendered_translator(
    saved: &SavedConfig,
    monitoring: SocketAddr,
) -> Result<Option<String>> {
    configs::render_translator(&saved.config, monitoring)
        .transpose()
        .map_err(|errors| unfit(saved, "the translator", &errors))
}

/// Why a configuration with a port for Stratum V1 miners cannot run with this client.
pub(super) fn no_translator(saved: &SavedConfig, program: &ClientProgram) -> String {
    format!(
        "The configuration \"{}\" has a port for Stratum V1 miners, but client {} has no translator: {} is missing. Under \
         Updates, install a version that includes it, start jd-manager with --translator and the path of a translator_sv2 \
         program, or turn off the Stratum V1 port in the configuration.",
        saved.name,
        program.version,
        program
            .path
            .with_file_name(translator::version::PROGRAM)
            .display()
    )
}

fn unfit(saved: &SavedConfig, program: &str, errors: &[FieldError]) -> Error {
    let reasons: Vec<String> = errors
        .iter()
        .map(|e| format!("{}: {}", e.pointer.trim_start_matches('/'), e.detail))
        .collect();
    Error::Conflict(format!(
        "The configuration \"{}\" cannot be used with {program}: {}",
        saved.name,
        reasons.join("; ")
    ))
}

/// The arguments of a program that runs in the working directory of an instance, with its file.
fn config_args(first_args: Vec<String>, file: &str) -> Vec<String> {
    let own = ["-c".to_owned(), format!("../{file}")];
    first_args.into_iter().chain(own).collect()
}

/// Replaces a file atomically: a reader sees the old or the new one. Mode 0600.
pub(super) fn write_whole(dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let (draft, path) = (dir.join(format!("{name}.new")), dir.join(name));
    let write = || {
        let mut file = fs::File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().map_err(|cause| {
        // An incomplete file is useless, and on a full disk its space is needed.
        let _ = fs::remove_file(&draft);
        FileError::at(&path)(cause).into()
    })
}
