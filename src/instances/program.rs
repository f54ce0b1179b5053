//! Which client program an instance runs, whether it can run on this machine, and which version it is.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::configs::ClientVersion;
use crate::error::{Error, Result};

/// A client that takes longer to tell its version is not one.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

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
    known: Arc<Mutex<HashMap<Identity, ClientVersion>>>,
}

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

    /// The stand-in built into this program.
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
            (Some((path, first_args)), _) => (resolve(path), first_args.clone()),
            (None, Some(version)) => (self.store.join(version).join(NAME), Vec::new()),
            (None, None) => (self.store.join("current").join(NAME), Vec::new()),
        };
        let is_store = self.fixed.is_none();
        let checked = path.clone();
        tokio::task::spawn_blocking(move || inspect(&checked, is_store)).await.map_err(Error::internal)??;
        let version = self.version(&path, &first_args).await?;
        Ok(Program { path, first_args, version })
    }

    async fn version(&self, path: &Path, first_args: &[String]) -> Result<ClientVersion> {
        let meta = fs::metadata(path)?;
        let identity =
            Identity { path: path.into(), inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) };
        if let Some(version) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&identity) {
            return Ok(*version);
        }
        let version = ask_version(path, first_args).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, version);
        Ok(version)
    }
}

/// The stand-in is this very program; its own path survives being replaced on disk only through `/proc/self`.
fn resolve(path: &Path) -> PathBuf {
    if path == Path::new("/proc/self/exe") {
        // Keepers need a path that means the same to them.
        return std::env::current_exe().unwrap_or_else(|_| path.into());
    }
    path.into()
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

async fn ask_version(path: &Path, first_args: &[String]) -> Result<ClientVersion> {
    let shown = path.display().to_string();
    let mut command = tokio::process::Command::new(path);
    command
        .args(first_args)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(VERSION_PATIENCE, command.output()).await {
        Err(_) => {
            return Err(unusable(format!(
                "The client program {shown} did not tell its version within 5 s. Is it jd_client_sv2?"
            )));
        }
        Ok(Err(e)) => return Err(unusable(format!("The client program {shown} cannot be run: {e}."))),
        Ok(Ok(output)) => output,
    };
    let text = String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(200)]).trim().to_owned();
    text.parse().map_err(|e| unusable(format!("The client program {shown} says \"{text}\" when asked for its version: {e}.")))
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
