//! Which client program an instance runs, whether it can run on this machine, and which version it is.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::configs::ClientVersion;
use crate::error::{Error, Result};
use crate::keeper::spawn;

/// More than this is no version, bytes.
const VERSION_BYTES: u64 = 4096;
/// A client that takes longer to tell its version is not one.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// A program that did not tell its version is not asked again for so long.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// The program's name in the managed store.
const NAME: &str = "jd_client_sv2";

/// A client program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the client's own.
    pub first_args: Vec<String>,
    /// The version it tells.
    pub version: ClientVersion,
}

/// Where client programs come from.
#[derive(Clone, Debug)]
pub struct ClientSource {
    /// One program for everything (`--client`, or the simulated one of the demonstration), with arguments that come first.
    fixed: Option<(PathBuf, Vec<String>)>,
    /// `clients/` in the data directory.
    store: PathBuf,
    /// Versions already asked for, by what identifies a file's content.
    known: Arc<Mutex<HashMap<Identity, Answer>>>,
}

/// What a program said of its version, and when.
type Answer = (std::result::Result<ClientVersion, String>, Instant);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl ClientSource {
    /// The program given with `--client`, else the managed store in `data_dir`.
    #[must_use]
    pub fn new(client: Option<PathBuf>, data_dir: &Path) -> Self {
        Self { fixed: client.map(|path| (path, Vec::new())), store: data_dir.join("clients"), known: Arc::default() }
    }

    /// The stand-in built into this program. Its path means the same to a keeper, which is this program too, and stays right when the
    /// file is replaced on disk.
    #[must_use]
    pub fn simulated(first_args: Vec<String>, data_dir: &Path) -> Self {
        Self { fixed: Some(("/proc/self/exe".into(), first_args)), ..Self::new(None, data_dir) }
    }

    /// The program for an instance; `version`: the one it is pinned to.
    ///
    /// # Errors
    /// There is none, it cannot be run here, or it tells no version; each says what to do.
    pub async fn program(&self, version: Option<&str>) -> Result<Program> {
        let (path, first_args) = match (&self.fixed, version) {
            (Some((path, first_args)), _) => (path.clone(), first_args.clone()),
            (None, Some(version)) => (self.store.join(version).join(NAME), Vec::new()),
            (None, None) => (self.store.join("current").join(NAME), Vec::new()),
        };
        let is_store = self.fixed.is_none();
        let checked = path.clone();
        tokio::task::spawn_blocking(move || inspect(&checked, is_store)).await.map_err(Error::internal)??;
        let version = self.version(&path, &first_args).await?;
        Ok(Program { path, first_args, version })
    }

    /// Asked once for each content of a file, and one question at a time; a failure is remembered for a while.
    async fn version(&self, path: &Path, first_args: &[String]) -> Result<ClientVersion> {
        let meta = fs::metadata(path)?;
        let identity =
            Identity { path: path.into(), inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) };
        let mut known = self.known.lock().await;
        match known.get(&identity) {
            Some((Ok(version), _)) => return Ok(*version),
            Some((Err(detail), since)) if since.elapsed() < FAILURE_HOLDS => return Err(unusable(detail.clone())),
            _ => {}
        }
        let answer = ask_version(path, first_args).await;
        known.insert(identity, (answer.clone(), Instant::now()));
        answer.map_err(unusable)
    }
}

fn unusable(detail: String) -> Error {
    Error::Unavailable { detail, retry_after: None }
}

/// Looks at the file before anything is started, so that the reason is said in words.
fn inspect(path: &Path, is_store: bool) -> Result<()> {
    let shown = path.display();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && is_store => {
            return Err(unusable(format!(
                "No JD client is installed: {shown} does not exist. Start jd-manager with --client and the path of a jd_client_sv2 program, \
                 e.g. one made by \"cargo install jd_client_sv2 --version 0.6.0 --locked\"."
            )));
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(unusable(format!("The client program {shown} does not exist. Check the --client setting.")));
        }
        Err(e) => return Err(unusable(format!("The client program {shown} cannot be looked at: {e}."))),
    };
    if !meta.is_file() {
        return Err(unusable(format!("The client program {shown} is not a file. Name the jd_client_sv2 program itself.")));
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(unusable(format!("The client program {shown} is not executable. Run: chmod +x {shown}")));
    }
    let mut head = [0; 20];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head));
    match read {
        Ok(n) => {
            judge_format(&head[..n]).map_err(|what| unusable(format!("The client program {shown} cannot run here: {what}.")))
        }
        // Executable but not readable is allowed.
        Err(_) => Ok(()),
    }
}

/// ELF for this machine, or a script. Field offsets and machine numbers: the ELF specification, `e_ident` and `e_machine`.
fn judge_format(head: &[u8]) -> std::result::Result<(), String> {
    if head.starts_with(b"#!") {
        return Ok(());
    }
    if head.len() < 20 || !head.starts_with(b"\x7fELF") {
        let known = match head {
            [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "it is a program for macOS",
            [b'M', b'Z', ..] => "it is a program for Windows",
            [0x1f, 0x8b, ..] => "it is a compressed archive; unpack it first",
            [] => "it is empty",
            _ => "it is not a program",
        };
        return Err(known.into());
    }
    let little = head[5] == 1;
    let machine = if little { u16::from_le_bytes([head[18], head[19]]) } else { u16::from_be_bytes([head[18], head[19]]) };
    let name = match machine {
        0x03 => "x86",
        0x28 => "arm",
        0x3e => "x86_64",
        0xb7 => "aarch64",
        0xf3 => "riscv64",
        _ => "another processor",
    };
    let here = std::env::consts::ARCH;
    // A 64-bit machine may run 32-bit programs of its family.
    let fits = name == here || (here == "x86_64" && name == "x86") || (here == "aarch64" && name == "arm");
    if fits { Ok(()) } else { Err(format!("it is made for {name}, this machine is {here}")) }
}

/// Runs `--version`: with little output, little time, and nothing left behind.
async fn ask_version(path: &Path, first_args: &[String]) -> std::result::Result<ClientVersion, String> {
    let shown = path.display().to_string();
    let mut command = tokio::process::Command::new(path);
    command.args(first_args).arg("--version").env_clear().envs(environment());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("The client program {shown} cannot be run: {e}."))?;
    let group = child.id();
    let mut said = Vec::new();
    let answer = async {
        if let Some(stdout) = child.stdout.take() {
            let _ = stdout.take(VERSION_BYTES).read_to_end(&mut said).await;
        }
    };
    let answered = tokio::time::timeout(VERSION_PATIENCE, answer).await;
    // Whatever it is doing still, it is not wanted any more.
    if let Some(group) = group {
        spawn::signal_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait().await;
    if answered.is_err() {
        return Err(format!("The client program {shown} did not tell its version within 5 s. Is it jd_client_sv2?"));
    }
    let text = String::from_utf8_lossy(&said[..said.len().min(200)]).trim().to_owned();
    text.parse().map_err(|e| format!("The client program {shown} says \"{text}\" when asked for its version: {e}."))
}

/// What a client's environment keeps of ours. Everything else stays behind; above all `JDC__*`, by which version 0.6.0 would let its
/// file be overridden.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    ["PATH", "HOME", "LANG", "TZ"].into_iter().filter_map(|name| std::env::var(name).ok().map(|value| (name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn programs_for_other_machines_are_told_apart() {
        let here: u16 = if cfg!(target_arch = "aarch64") { 0xb7 } else { 0x3e };
        let other: u16 = if cfg!(target_arch = "aarch64") { 0x3e } else { 0xb7 };
        assert_eq!(judge_format(&elf(here)), Ok(()));
        assert!(judge_format(&elf(other)).unwrap_err().contains("this machine is"));
        assert_eq!(judge_format(b"#!/bin/sh\n"), Ok(()));
        assert_eq!(judge_format(b"\x1f\x8b\x08"), Err("it is a compressed archive; unpack it first".into()));
        assert_eq!(judge_format(b"MZ"), Err("it is a program for Windows".into()));
        assert_eq!(judge_format(b"\x7fELF"), Err("it is not a program".into()));
        assert_eq!(judge_format(b""), Err("it is empty".into()));
    }
}
