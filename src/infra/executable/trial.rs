//! Runs a program in a sandbox to read its version or its first output: limited time, memory and
//! output, no writing, no TCP except allowed listening ports, no signals to other processes.
//!
//! The sandbox uses chain-loading, like the start of a client: a new process of this program restricts
//! itself and then executes the other program. Restrictions that the kernel does not support (Landlock
//! is newer than some kernels) are skipped; the limits always apply. The program can read what this
//! process can read: the sandbox protects against bugs, not against malicious programs.

use landlock::{
    ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::Instant;

/// The maximum size of a version output, in bytes.
const MOST_SAID: u64 = 4096;
/// The maximum size of the output, in bytes.
const MOST_HEARD: u64 = 64 * 1024;
/// The time limit for the exit of a program that has closed its output.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// The time limit for a program to print its version or its first line. A start takes milliseconds on
/// an idle machine, and several seconds if processors or disk are busy.
const STARTUP_LIMIT: Duration = Duration::from_secs(15);
/// The CPU time limit in seconds.
const PROCESSOR_S: u64 = 5;
/// The limit of private memory in bytes.
const MEMORY: u64 = 512 * 1024 * 1024;
/// The limit of open files.
const FILES: u64 = 64;

/// The arguments of the internal subcommand `trial`.
#[derive(Debug, clap::Args)]
pub struct TrialArgs {
    /// A TCP port that the program may listen on.
    #[arg(long = "may-listen", value_name = "PORT")]
    ports: Vec<u16>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The output of a program run with `--version`: at most 200 characters of its first lines.
///
/// # Errors
/// The program cannot run, does not exit in time, or fails; the text continues "The program …".
pub async fn version(
    program: &Path,
    first_args: &[String],
    env: impl Iterator<Item = (String, String)>,
) -> Result<String, String> {
    let args: Vec<String> = first_args
        .iter()
        .cloned()
        .chain(["--version".to_owned()])
        .collect();
    let mut child = TrialProcess::spawn(program, &args, env, &[])?;
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout(), child.stderr());
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
    let answered = tokio::time::timeout(STARTUP_LIMIT, answer).await;
    child.end().await;
    let status = match answered {
        Err(_) => {
            return Err(format!(
                "did not print its version within {} s",
                STARTUP_LIMIT.as_secs()
            ));
        }
        Ok(Err(e)) => return Err(format!("cannot be started: {e}")),
        Ok(Ok(status)) => status,
    };
    let shown = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
            .trim()
            .to_owned()
    };
    if status.success() {
        return Ok(shown(&said));
    }
    let complaint = shown(&complaint);
    let how = match status.code() {
        Some(BOXED) => return Err(complaint),
        Some(code) => format!("exited with code {code}"),
        None => "was killed by a signal".to_owned(),
    };
    let quoted = if complaint.is_empty() {
        String::new()
    } else {
        format!(": \"{complaint}\"")
    };
    Err(format!("{how} when run with --version{quoted}"))
}

/// The result of running a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialOutput {
    /// The expected line.
    Line,
    /// The program exited before.
    End {
        /// The exit code; `None` if it was killed by a signal.
        code: Option<i32>,
        /// The output by lines.
        said: Vec<String>,
    },
    /// Neither happened in time.
    Nothing,
}

/// The permissions of a program in the sandbox besides reading, and how it is stopped.
#[derive(Clone, Debug, Default)]
pub struct TrialRules {
    /// The TCP ports the program may listen on.
    pub ports: Vec<u16>,
    /// The time to exit after SIGINT before the program is killed; `None` to kill it immediately.
    pub grace: Option<Duration>,
}

/// Runs a program in the sandbox until it prints a line that matches `is_it`, exits, or `patience` has
/// passed since its first line; a program that prints nothing gets 15 s. Afterward the program and all
/// its children are gone.
///
/// # Errors
/// The program cannot be started; the text continues "The program …".
pub async fn listen(
    program: &Path,
    args: &[String],
    env: impl Iterator<Item = (String, String)>,
    rules: TrialRules,
    mut is_it: impl FnMut(&str) -> bool,
    patience: Duration,
) -> Result<TrialOutput, String> {
    let mut child = TrialProcess::spawn(program, args, env, &rules.ports)?;
    let (stdout, stderr) = (child.stdout(), child.stderr());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err("produced no readable output".into());
    };
    let mut out = BufReader::new(stdout.take(MOST_HEARD)).split(b'\n');
    let mut err = BufReader::new(stderr.take(MOST_HEARD)).split(b'\n');
    let (mut out_is_open, mut err_is_open) = (true, true);
    let mut said = Vec::new();
    let mut limit = pin!(tokio::time::sleep(STARTUP_LIMIT));
    let mut has_started = false;
    // Whether the line was printed; `None` if the time is up.
    let heard = loop {
        if !out_is_open && !err_is_open {
            break Some(false);
        }
        let line = tokio::select! {
            line = out.next_segment(), if out_is_open => match line {
                Ok(Some(line)) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if is_it(&line) {
                        break Some(true);
                    }
                    line
                }
                _ => {
                    out_is_open = false;
                    continue;
                }
            },
            line = err.next_segment(), if err_is_open => match line {
                Ok(Some(line)) => String::from_utf8_lossy(&line).into_owned(),
                _ => {
                    err_is_open = false;
                    continue;
                }
            },
            () = limit.as_mut() => break None,
        };
        if !has_started {
            has_started = true;
            limit.as_mut().reset(Instant::now() + patience);
        }
        said.push(line);
    };
    if let (Some(true) | None, Some(grace)) = (heard, rules.grace) {
        child.interrupt(grace).await;
    }
    if heard == Some(true) {
        child.end().await;
        return Ok(TrialOutput::Line);
    }
    let ended = match heard {
        // The output is closed: the program has exited or is about to.
        Some(_) => tokio::time::timeout(EXIT_LIMIT, child.wait()).await.ok(),
        None => None,
    };
    child.end().await;
    match ended {
        None => Ok(TrialOutput::Nothing),
        Some(Err(e)) => Err(format!("cannot be started: {e}")),
        Some(Ok(status)) if status.code() == Some(BOXED) => Err(said.join(" ")),
        Some(Ok(status)) => Ok(TrialOutput::End {
            code: status.code(),
            said,
        }),
    }
}

/// A program in the sandbox, with its process group.
struct TrialProcess(tokio::process::Child);

impl TrialProcess {
    fn spawn(
        program: &Path,
        args: &[String],
        env: impl Iterator<Item = (String, String)>,
        ports: &[u16],
    ) -> Result<Self, String> {
        let mut command = tokio::process::Command::new("/proc/self/exe");
        command
            .arg("trial")
            .args(ports.iter().map(|port| format!("--may-listen={port}")))
            .arg("--")
            .arg(program)
            .args(args)
            .env_clear()
            .envs(env);
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
            .spawn()
            .map(Self)
            .map_err(|e| format!("cannot be started: {e}"))
    }

    fn stdout(&mut self) -> Option<tokio::process::ChildStdout> {
        self.0.stdout.take()
    }

    fn stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.0.stderr.take()
    }

    async fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.0.wait().await
    }

    /// Kills the program.
    async fn end(&mut self) {
        self.signal_group(Signal::KILL);
        let _ = self.0.wait().await;
    }

    /// Interrupts the program and waits for its exit.
    async fn interrupt(&mut self, grace: Duration) {
        self.signal_group(Signal::INT);
        let _ = tokio::time::timeout(grace, self.0.wait()).await;
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = self
            .0
            .id()
            .and_then(|group| Pid::from_raw(i32::try_from(group).ok()?))
        {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for TrialProcess {
    /// Kills the program if the caller is gone.
    fn drop(&mut self) {
        self.signal_group(Signal::KILL);
    }
}

/// The exit code that marks the text on standard error as an error of the sandbox.
const BOXED: i32 = 113;

/// The subcommand `trial`: executes the program in the sandbox. Returns only on failure.
pub fn trial(args: &TrialArgs) -> ExitCode {
    eprintln!("{}", enter_sandbox(&args.command, &args.ports));
    ExitCode::from(u8::try_from(BOXED).unwrap_or(1))
}

fn enter_sandbox(command: &[OsString], ports: &[u16]) -> String {
    let [program, rest @ ..] = command else {
        return "is missing".into();
    };
    let limits = [
        (Resource::Cpu, PROCESSOR_S),
        (Resource::Data, MEMORY),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        if let Err(e) = setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        ) {
            return format!("cannot be tested: setting limits failed: {e}");
        }
    }
    if let Err(e) = rustix::thread::set_no_new_privs(true) {
        return format!("cannot be tested: setting no_new_privs failed: {e}");
    }
    if let Err(e) = sandbox(ports) {
        return format!("cannot be tested: setting up the sandbox failed: {e}");
    }
    let error = Command::new(program).args(rest).exec();
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => {
            " (if the file exists, its interpreter or loader is missing)"
        }
        std::io::ErrorKind::PermissionDenied => " (is its file system mounted noexec?)",
        _ => "",
    };
    format!("cannot be started: {error}{advice}")
}

/// Allows only reading and executing files and listening on these TCP ports: no writing, no other TCP,
/// no signals to other processes. Limited by the features of the kernel.
fn sandbox(ports: &[u16]) -> Result<(), RulesetError> {
    let abi = ABI::V6;
    let ports = ports
        .iter()
        .map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::BindTcp)));
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(abi)))?
        .add_rules(ports)?
        .restrict_self()?;
    Ok(())
}
