//! Which client program an instance runs, whether it can run on this machine, and its version.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

use crate::base::error::{Error, Result};
use crate::domain::configs::ClientVersion;
use crate::infra::executable::{self, ExecutableError, trial};
use crate::programs::translator;

/// How long a failed version check is remembered.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// The program's name in the managed store.
pub const NAME: &str = "jd_client_sv2";
/// The link in the store to the version in use.
pub const CURRENT: &str = "current";

/// The error if no client is installed.
const NO_CLIENT: &str = "No client is installed yet. Install one under Updates, or start jd-manager with --client and the path of a jd_client_sv2 program.";

/// Names of the clients in a store, in alphabetical order. Blocking.
///
/// # Errors
/// The directory cannot be read; a missing directory is not an error.
pub fn installed(store: &Path) -> std::io::Result<Vec<String>> {
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        // Hidden directories are incomplete or being deleted.
        let Some(name) = name
            .to_str()
            .filter(|name| !name.starts_with('.') && *name != CURRENT)
        else {
            continue;
        };
        if store.join(name).join(NAME).is_file() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A usable client program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProgram {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the client's own.
    pub first_args: Vec<String>,
    /// Its version.
    pub version: ClientVersion,
    /// Name in the managed store; none if set with `--client`.
    pub name: Option<String>,
    /// The translator beside it, if there is one.
    pub translator: Option<TranslatorProgram>,
}

/// A translator program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatorProgram {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the translator's own.
    pub first_args: Vec<String>,
}

/// Where client programs are installed.
#[derive(Clone, Debug)]
pub struct ProgramSource {
    /// One program for all instances (`--client`, or the simulator of the demonstration), with its
    /// leading arguments.
    fixed: Option<(PathBuf, Vec<String>)>,
    /// The translator for every client (`--translator`); none: the one beside the client.
    translator: Option<TranslatorProgram>,
    /// `clients/` in the data directory.
    store: PathBuf,
    /// Known versions, by file identity.
    known: Arc<Mutex<HashMap<FileIdentity, Answer>>>,
}

/// The result of a version check, and its time.
type Answer = (std::result::Result<ClientVersion, String>, Instant);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FileIdentity {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl ProgramSource {
    /// The program set with `--client`, or the managed store in `data_dir`.
    pub fn new(client: Option<PathBuf>, data_dir: &Path) -> Self {
        Self {
            fixed: client.map(|path| (path, Vec::new())),
            translator: None,
            store: data_dir.join("clients"),
            known: Arc::default(),
        }
    }

    /// The same with a translator that is not beside the client.
    pub fn with_translator(self, translator: Option<PathBuf>) -> Self {
        let translator = translator.map(|path| TranslatorProgram {
            path,
            first_args: Vec::new(),
        });
        Self { translator, ..self }
    }

    /// The built-in simulator. The path means the same to a keeper, which is also this program, and
    /// stays valid when the file is replaced.
    pub fn simulated(first_args: Vec<String>, data_dir: &Path) -> Self {
        let mut translator_args = first_args.clone();
        translator_args.push("translator".into());
        Self {
            translator: Some(TranslatorProgram {
                path: "/proc/self/exe".into(),
                first_args: translator_args,
            }),
            fixed: Some(("/proc/self/exe".into(), first_args)),
            ..Self::new(None, data_dir)
        }
    }

    /// The program set with `--client`, used for every version; none: the managed store is used.
    pub fn fixed(&self) -> Option<&Path> {
        self.fixed.as_ref().map(|(path, _)| path.as_path())
    }

    /// `clients/` in the data directory.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Name of the version in use in the managed store; none if there is none. Reads a link.
    pub fn current(&self) -> Option<String> {
        let target = fs::read_link(self.store.join(CURRENT)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The program for an instance. `version`: the pinned name in the store. Otherwise the current
    /// version in use, by its own name: an instance keeps its client when another version is
    /// selected.
    ///
    /// # Errors
    /// There is none, it cannot run here, or it reports no version; each error includes the fix.
    pub async fn program(&self, version: Option<&str>) -> Result<ClientProgram> {
        let (path, first_args, name) = match (&self.fixed, version) {
            (Some((path, first_args)), _) => (path.clone(), first_args.clone(), None),
            (None, version) => {
                let name = version
                    .map(str::to_owned)
                    .or_else(|| self.current())
                    .ok_or_else(|| unusable(NO_CLIENT.into()))?;
                (self.store.join(&name).join(NAME), Vec::new(), Some(name))
            }
        };
        let is_store = self.fixed.is_none();
        let checked = path.clone();
        let pinned = version.filter(|_| is_store).map(str::to_owned);
        tokio::task::spawn_blocking(move || match pinned {
            Some(pinned) if !checked.exists() => Err(unusable(format!(
                "Client {pinned} is not installed. Install it under Updates, or select another client version for this instance."
            ))),
            _ => inspect(&checked, is_store),
        })
        .await
        .map_err(Error::internal)??;
        let version = self.version(&path, &first_args).await?;
        let translator = self.translator_beside(&path).await?;
        Ok(ClientProgram {
            path,
            first_args,
            version,
            name,
            translator,
        })
    }

    /// The translator for the client at `client`; none: there is no such file.
    async fn translator_beside(&self, client: &Path) -> Result<Option<TranslatorProgram>> {
        if let Some(translator) = &self.translator {
            return Ok(Some(translator.clone()));
        }
        let path = client.with_file_name(translator::version::PROGRAM);
        let inspected = path.clone();
        let is_usable =
            tokio::task::spawn_blocking(move || executable::inspect(&inspected).is_ok())
                .await
                .map_err(Error::internal)?;
        Ok(is_usable.then_some(TranslatorProgram {
            path,
            first_args: Vec::new(),
        }))
    }

    /// Runs `--version` once per file content, one check at a time; remembers a failure for a
    /// while.
    async fn version(&self, path: &Path, first_args: &[String]) -> Result<ClientVersion> {
        let meta = fs::metadata(path)?;
        let identity = FileIdentity {
            path: path.into(),
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        let mut known = self.known.lock().await;
        match known.get(&identity) {
            Some((Ok(version), _)) => return Ok(*version),
            Some((Err(detail), since)) if since.elapsed() < FAILURE_HOLDS => {
                return Err(unusable(detail.clone()));
            }
            _ => {}
        }
        let answer = ask_version(path, first_args).await;
        known.insert(identity, (answer.clone(), Instant::now()));
        answer.map_err(unusable)
    }
}

fn unusable(detail: String) -> Error {
    Error::Unavailable {
        detail,
        retry_after: None,
    }
}

/// Checks the file before a start, for a clear error.
fn inspect(path: &Path, is_store: bool) -> Result<()> {
    let shown = path.display();
    let what = match executable::inspect(path) {
        Ok(()) => return Ok(()),
        Err(ExecutableError::Missing) if is_store => return Err(unusable(NO_CLIENT.into())),
        Err(ExecutableError::Missing) => "does not exist. Check the --client setting".into(),
        Err(ExecutableError::Unreadable(why)) => format!("cannot be read: {why}"),
        Err(ExecutableError::NoFile) => {
            "is not a file. Enter the path of the jd_client_sv2 program".into()
        }
        Err(ExecutableError::NotExecutable) => format!("is not executable. Run: chmod +x {shown}"),
        Err(ExecutableError::Foreign(what)) => format!("cannot run here: {what}"),
    };
    Err(unusable(format!("The client program {shown} {what}.")))
}

/// Runs `--version` in a sandbox and parses the output.
///
/// # Errors
/// No output, or not that of a client; as text.
async fn ask_version(
    path: &Path,
    first_args: &[String],
) -> std::result::Result<ClientVersion, String> {
    let shown = path.display();
    let text = trial::version(path, first_args, environment())
        .await
        .map_err(|why| format!("The client program {shown} {why}. Is it jd_client_sv2?"))?;
    text.parse()
        .map_err(|e| format!("The client program {shown} reported the version \"{text}\": {e}."))
}

/// The variables that a client inherits from the manager. Everything else is removed, especially
/// `JDC__*`, which override the configuration file in version 0.6.0.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    ["PATH", "HOME", "LANG", "TZ"]
        .into_iter()
        .filter_map(|name| {
            std::env::var(name)
                .ok()
                .map(|value| (name.to_owned(), value))
        })
}
