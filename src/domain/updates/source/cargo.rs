//! Builds a client and its translator from the cargo registry with the user's own cargo. This takes
//! long and needs much disk space. cargo verifies its downloads with the checksums of the registry.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::job_tracker::JobGuard;
use super::super::model::{ClientOrigin, FileProof, JobStage};
use super::{ClientSource, ProgramFiles, SourceError, SourceFile};
use crate::domain::configs::ClientVersion;
use crate::domain::instances::program::NAME;
use crate::keeper::names;
use crate::programs::translator::version::{PROGRAM as TRANSLATOR, SAME_NUMBER_FROM};

/// Number of build output lines to keep.
const KEPT: usize = 12;
/// Maximum length of a line, bytes.
const LINE: usize = 300;
/// Disk space of a build. Version 0.6.0: 2.1 GB for the client, and less than 1 GB for the
/// translator, which shares dependencies with it.
const ROOM: u64 = 4 * 1024 * 1024 * 1024;

/// A version to build.
#[derive(Debug)]
pub struct FromCargo {
    /// For example 0.6.0.
    pub version: ClientVersion,
    /// The cargo that builds it.
    pub cargo: PathBuf,
}

/// The user's cargo, if there is one: in the search path, or where rustup installs it.
pub fn find_cargo() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let dirs = std::env::split_paths(&path).chain(home.map(|home| home.join("bin")));
    dirs.filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("cargo"))
        .find(|cargo| crate::infra::executable::inspect(cargo).is_ok())
}

impl ClientSource for FromCargo {
    fn room(&self) -> u64 {
        ROOM
    }

    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>> {
        self.build(dir, ticket).boxed()
    }
}

impl FromCargo {
    /// The commands run in one target directory, so that the dependencies that client and translator
    /// share are built once.
    async fn build(&self, dir: &Path, ticket: &JobGuard) -> Result<SourceFile, SourceError> {
        let names: &[&str] = if self.version >= SAME_NUMBER_FROM {
            &[NAME, TRANSLATOR]
        } else {
            &[NAME]
        };
        let mut commands = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let shown = format!("cargo install {name} --version {} --locked", self.version);
            let turn = match names {
                [_] => String::new(),
                _ => format!(" ({} of {})", at + 1, names.len()),
            };
            ticket
                .stage(
                    JobStage::Building,
                    format!("Running {shown}{turn}. This takes several minutes."),
                )
                .await?;
            self.build_program(name, &shown, dir, ticket).await?;
            commands.push(shown);
        }
        let place = |name: &str| dir.join("root/bin").join(name);
        Ok(SourceFile {
            files: ProgramFiles {
                client: place(NAME),
                translator: names.contains(&TRANSLATOR).then(|| place(TRANSLATOR)),
            },
            origin: ClientOrigin::Built,
            tag: None,
            from: commands.join(" && "),
            proof: FileProof::Registry,
            notes: String::new(),
            no_translator: "jd-manager builds translators only for client 0.3.0 and newer.",
        })
    }

    /// Builds one program into `root/bin`.
    async fn build_program(
        &self,
        name: &str,
        shown: &str,
        dir: &Path,
        ticket: &JobGuard,
    ) -> Result<(), SourceError> {
        // With the chain-loader of clients: it exits with this process, cannot gain privileges, and
        // has a low CPU priority.
        let mut command = tokio::process::Command::new("/proc/self/exe");
        command
            .args([
                "exec",
                "--parent",
                &std::process::id().to_string(),
                "--nice=10",
                "--dir",
            ])
            .arg(dir)
            .arg("--")
            .arg(&self.cargo);
        command
            .args([
                "install",
                name,
                "--version",
                &self.version.to_string(),
                "--locked",
                "--root",
            ])
            .arg(dir.join("root"));
        command.env("CARGO_TARGET_DIR", dir.join("target"));
        // With this mark, the next manager finds its processes.
        let mark = ticket.job().id.to_string();
        // The progress bar of cargo shows the progress: 45/373.
        command.envs([
            ("CARGO_TERM_PROGRESS_WHEN", "always"),
            ("CARGO_TERM_PROGRESS_WIDTH", "80"),
            ("CARGO_TERM_COLOR", "never"),
        ]);
        for (name, _) in std::env::vars_os()
            .filter(|(name, _)| name.to_string_lossy().starts_with("JD_MANAGER_"))
        {
            command.env_remove(name);
        }
        command.env(names::MARK, mark);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // The chain-loader creates a session and thus a process group.
        command.kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| {
            SourceError::failed(format!("Cannot run {}: {e}.", self.cargo.display()))
        })?;
        // cargo and the compilers it starts: killed when this is dropped.
        let group = BuildProcesses(
            child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
        );
        let mut lines = BuildOutput::default();
        let stderr = child.stderr.take();
        let work = async {
            if let Some(stderr) = stderr {
                follow(stderr, &mut lines, ticket).await;
            }
            child.wait().await
        };
        let ended = tokio::select! {
            ended = work => ended,
            () = ticket.cancel.cancelled() => return Err(SourceError::Cancelled),
            () = ticket.stop().cancelled() => return Err(SourceError::Stopped),
        };
        drop(group);
        let status =
            ended.map_err(|e| SourceError::failed(format!("Cannot wait for {shown}: {e}.")))?;
        let file = dir.join("root/bin").join(name);
        if !status.success() || !file.is_file() {
            return Err(SourceError::Failed {
                message: format!(
                    "{shown} failed, so nothing was installed. See the end of its output. On Debian, \"apt install build-essential capnproto \
                     libcapnp-dev cmake\" installs what is usually missing."
                ),
                excerpt: lines.kept(),
            });
        }
        Ok(())
    }
}

/// The processes of a build; killed when this is dropped.
struct BuildProcesses(Option<Pid>);

impl Drop for BuildProcesses {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads the output of cargo and reports the progress.
async fn follow(mut output: impl AsyncRead + Unpin, lines: &mut BuildOutput, ticket: &JobGuard) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = output.read(&mut buffer).await {
        for byte in &buffer[..n] {
            if let Some((done, total)) = lines.take(*byte) {
                ticket.progress(done, Some(total));
            }
        }
    }
}

/// The output as lines; a carriage return, which redraws the bar, also ends a line.
#[derive(Debug, Default)]
struct BuildOutput {
    present: Vec<u8>,
    kept: VecDeque<String>,
}

impl BuildOutput {
    /// Adds a byte; returns the progress if it ended a bar.
    fn take(&mut self, byte: u8) -> Option<(u64, u64)> {
        if byte != b'\n' && byte != b'\r' {
            if self.present.len() < LINE {
                self.present.push(byte);
            }
            return None;
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.present)).into_owned();
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        if let Some(found) = bar(&line) {
            return Some(found);
        }
        // An erased bar leaves nothing to keep.
        if !line.replace("[K", "").trim().is_empty() {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(line.trim_end().to_owned());
        }
        None
    }

    fn kept(self) -> Vec<String> {
        self.kept.into()
    }
}

/// `    Building [=======>        ] 45/373: serde, tokio`
fn bar(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line
        .trim_start()
        .strip_prefix("Building [")?
        .split_once("] ")?;
    let (done, rest) = rest.split_once('/')?;
    let total: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (done, total) = (done.trim().parse().ok()?, total.parse().ok()?);
    (total > 0 && done <= total).then_some((done, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_bar_says_how_far_it_is_and_its_lines_are_kept() {
        let mut lines = BuildOutput::default();
        let said = b"    Updating index\n   Compiling serde v1\n    Building [==>      ] 45/373: serde, tokio\r\x1b[K   Compiling b v2\nerror: no capnp\n";
        let told: Vec<_> = said.iter().filter_map(|byte| lines.take(*byte)).collect();
        assert_eq!(told, [(45, 373)]);
        let kept = lines.kept();
        assert_eq!(kept.first().map(String::as_str), Some("    Updating index"));
        assert_eq!(kept.last().map(String::as_str), Some("error: no capnp"));
        assert_eq!(bar("Building [=>] 5/3"), None);
        assert_eq!(bar("Building [=>] x"), None);
    }

    #[test]
    fn endless_output_is_bounded() {
        let mut lines = BuildOutput::default();
        for at in 0..100_000u32 {
            lines.take(if at % 1000 == 0 { b'\n' } else { b'x' });
        }
        let kept = lines.kept();
        assert!(kept.len() <= KEPT && kept.iter().all(|line| line.len() <= LINE));
    }
}
