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

/// A program that did not tell its version is not asked again for so long.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// The program's name in the managed store.
pub const NAME: &str = "jd_client_sv2";
/// The link in the store to the version in use.
pub const CURRENT: &str = "current";

/// What is said when there is nothing to run.
const NO_CLIENT: &str = "No client is installed yet. Install one under Updates, or start jd-manager with --client and the path of a jd_client_sv2 program.";

/// The names of the clients in a store, in the order of the alphabet. Blocks.
///
/// # Errors
/// The directory cannot be read; that there is none is no error.
pub fn installed(store: &Path) -> std::io::Result<Vec<String>> {
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        // What is hidden is not complete, or on its way out.
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

/// A client program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientProgram {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the client's own.
    pub first_args: Vec<String>,
    /// The version it tells.
    pub version: ClientVersion,
    /// Its name in the managed store; none: it was given with `--client`.
    pub name: Option<String>,
}

/// Where client programs come from.
#[derive(Clone, Debug)]
pub struct ProgramSource {
    /// One program for everything (`--client`, or the simulated one of the demonstration), with
    /// arguments that come first.
    fixed: Option<(PathBuf, Vec<String>)>,
    /// `clients/` in the data directory.
    store: PathBuf,
    /// Versions already asked for, by what identifies a file's content.
    known: Arc<Mutex<HashMap<FileIdentity, Answer>>>,
}

/// What a program said of its version, and when.
type Answer = (std::result::Result<ClientVersion, String>, Instant);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FileIdentity {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl ProgramSource {
    /// The program given with `--client`, else the managed store in `data_dir`.
    pub fn new(client: Option<PathBuf>, data_dir: &Path) -> Self {
        Self {
            fixed: client.map(|path| (path, Vec::new())),
            store: data_dir.join("clients"),
            known: Arc::default(),
        }
    }

    /// The stand-in built into this program. Its path means the same to a keeper, which is this
    /// program too, and stays right when the file is replaced on disk.
    pub fn simulated(first_args: Vec<String>, data_dir: &Path) -> Self {
        Self {
            fixed: Some(("/proc/self/exe".into(), first_args)),
            ..Self::new(None, data_dir)
        }
    }

    /// The program given with `--client`, which stands for every version; none: the managed store
    /// is used.
    pub fn fixed(&self) -> Option<&Path> {
        self.fixed.as_ref().map(|(path, _)| path.as_path())
    }

    /// `clients/` in the data directory.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The name of the version in use in the managed store; none: there is none. Reads a link.
    pub fn current(&self) -> Option<String> {
        let target = fs::read_link(self.store.join(CURRENT)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The program for an instance; `version`: the name in the store it is pinned to. Without one
    /// it is the version in use at this moment, by its own name: what is started with it stays with
    /// it when another comes into use.
    ///
    /// # Errors
    /// There is none, it cannot be run here, or it tells no version; each says what to do.
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
        Ok(ClientProgram {
            path,
            first_args,
            version,
            name,
        })
    }

    /// Asked once for each content of a file, and one question at a time; a failure is remembered
    /// for a while.
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

/// Looks at the file before anything is started, so that the reason is said in words.
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

/// Runs `--version` in a box and reads what it says.
///
/// # Errors
/// It does not say, or not what a client says; in words.
pub async fn ask_version(
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

/// What a client's environment keeps of ours. Everything else stays behind; above all `JDC__*`, by
/// which version 0.6.0 would let its file be overridden.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    ["PATH", "HOME", "LANG", "TZ"]
        .into_iter()
        .filter_map(|name| {
            std::env::var(name)
                .ok()
                .map(|value| (name.to_owned(), value))
        })
}
