//! Asking a program for its version in a box: little time, little memory, little output, nowhere to write, no TCP, no signals to others.
//!
//! The box is made by chain-loading, as a client's start is: a fresh process of this program shuts itself in and then becomes the other one.
//! What the kernel does not offer (Landlock is younger than some kernels) is left out; the limits hold everywhere. It may read what this process may read: the box
//! keeps an honest program's faults from doing harm, it is no reason to run a hostile one.

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// More than this is no version, bytes.
const MOST_SAID: u64 = 4096;
/// A program that takes longer to tell its version is not what it should be. The real client takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Processor time it may use, seconds.
const PROCESSOR_S: u64 = 5;
/// Private memory it may have, bytes.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Files it may have open.
const FILES: u64 = 64;

/// The arguments of the internal subcommand `trial`.
#[derive(Debug, clap::Args)]
pub struct TrialArgs {
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What a program says when it is run with `--version`: at most 200 characters of its first lines.
///
/// # Errors
/// It cannot be run, does not end in time, or ends with an error; in words that complete "The program …".
pub async fn version(
    program: &Path,
    first_args: &[String],
    env: impl Iterator<Item = (String, String)>,
) -> Result<String, String> {
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command.args(["trial", "--"]).arg(program).args(first_args).arg("--version").env_clear().envs(env);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("cannot be run: {e}"))?;
    let group = child.id();
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let told = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(MOST_SAID).read_to_end(&mut said).await;
            }
        };
        let complained = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(MOST_SAID).read_to_end(&mut complaint).await;
            }
        };
        tokio::join!(told, complained);
        child.wait().await
    };
    let answered = tokio::time::timeout(PATIENCE, answer).await;
    // Whatever it is doing still, it is not wanted any more.
    if let Some(group) = group.and_then(|group| Pid::from_raw(i32::try_from(group).ok()?)) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
    let status = match answered {
        Err(_) => return Err(format!("did not tell its version within {} s", PATIENCE.as_secs())),
        Ok(Err(e)) => return Err(format!("cannot be run: {e}")),
        Ok(Ok(status)) => status,
    };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).trim().to_owned();
    if status.success() {
        return Ok(shown(&said));
    }
    let complaint = shown(&complaint);
    let how = match status.code() {
        Some(BOXED) => return Err(complaint),
        Some(code) => format!("ends with code {code}"),
        None => "is ended by a signal".to_owned(),
    };
    let quoted = if complaint.is_empty() { String::new() } else { format!(" and says \"{complaint}\"") };
    Err(format!("{how} when asked for its version{quoted}"))
}

/// The exit code by which the box says that the words on standard error are its own.
const BOXED: i32 = 113;

/// The subcommand `trial`: becomes the program, shut in. Returns only if it could not.
#[must_use]
pub fn trial(args: &TrialArgs) -> ExitCode {
    eprintln!("{}", become_boxed(&args.command));
    ExitCode::from(u8::try_from(BOXED).unwrap_or(1))
}

fn become_boxed(command: &[OsString]) -> String {
    let [program, rest @ ..] = command else { return "is missing".into() };
    let limits = [
        (Resource::Cpu, PROCESSOR_S),
        (Resource::Data, MEMORY),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        if let Err(e) = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }) {
            return format!("cannot be tried: no limit could be set: {e}");
        }
    }
    if let Err(e) = rustix::thread::set_no_new_privs(true) {
        return format!("cannot be tried: new privileges cannot be ruled out: {e}");
    }
    if let Err(e) = shut_in() {
        return format!("cannot be tried: it could not be shut in: {e}");
    }
    let error = Command::new(program).args(rest).exec();
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => " (if the file is there, its interpreter or loader is missing)",
        std::io::ErrorKind::PermissionDenied => " (is its file system mounted noexec?)",
        _ => "",
    };
    format!("cannot be run: {error}{advice}")
}

/// May read and run files, and nothing else: no writing, no TCP, no signals to other processes. As far as this kernel can.
fn shut_in() -> Result<(), RulesetError> {
    let abi = ABI::V6;
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(())
}
