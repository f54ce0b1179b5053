//! Running a program in a box, to ask it for its version or to hear what it says first: little
//! time, little memory, little output, nowhere to write, no TCP but ports it is allowed to listen
//! on, no signals to others.
//!
//! The box is made by chain-loading, as a client's start is: a fresh process of this program shuts
//! itself in and then becomes the other one. What the kernel does not offer (Landlock is younger
//! than some kernels) is left out; the limits hold everywhere. It may read what this process may
//! read: the box keeps an honest program's faults from doing harm, it is no reason to run a hostile
//! one.

use landlock::{
    ABI, Access, AccessFs, AccessNet, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// More than this is no version, bytes.
const MOST_SAID: u64 = 4096;
/// What is heard of a program at most, bytes.
const MOST_HEARD: u64 = 64 * 1024;
/// A program that takes longer to tell its version is not what it should be. The real client takes
/// some milliseconds.
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
    /// A TCP port that the program may listen on.
    #[arg(long = "may-listen", value_name = "PORT")]
    ports: Vec<u16>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What a program says when it is run with `--version`: at most 200 characters of its first lines.
///
/// # Errors
/// It cannot be run, does not end in time, or ends with an error; in words that complete "The
/// program …".
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
    let answered = tokio::time::timeout(PATIENCE, answer).await;
    child.end().await;
    let status = match answered {
        Err(_) => {
            return Err(format!(
                "did not tell its version within {} s",
                PATIENCE.as_secs()
            ));
        }
        Ok(Err(e)) => return Err(format!("cannot be run: {e}")),
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
        Some(code) => format!("ends with code {code}"),
        None => "is ended by a signal".to_owned(),
    };
    let quoted = if complaint.is_empty() {
        String::new()
    } else {
        format!(" and says \"{complaint}\"")
    };
    Err(format!("{how} when asked for its version{quoted}"))
}

/// What was heard of a program before it was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialOutput {
    /// The line that was waited for.
    Line,
    /// It ended before.
    End {
        /// With this code; none: by a signal.
        code: Option<i32>,
        /// What it said, a line each.
        said: Vec<String>,
    },
    /// Neither in time.
    Nothing,
}

/// What a program may do in its box besides reading, and how it ends.
#[derive(Clone, Debug, Default)]
pub struct TrialRules {
    /// TCP ports that it may listen on.
    pub ports: Vec<u16>,
    /// It is interrupted (SIGINT) and may take so long to end before it is killed; none: it is
    /// killed.
    pub grace: Option<Duration>,
}

/// Runs a program in the box until it says a line on standard output that `is_it`, or ends, or
/// `patience` is over. It is gone afterwards, with all that it started.
///
/// # Errors
/// It cannot be run; in words that complete "The program …".
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
        return Err("cannot be listened to".into());
    };
    let mut out = BufReader::new(stdout.take(MOST_HEARD)).split(b'\n');
    let mut err = BufReader::new(stderr.take(MOST_HEARD)).split(b'\n');
    let (mut out_is_open, mut err_is_open) = (true, true);
    let mut said = Vec::new();
    let heard = async {
        while out_is_open || err_is_open {
            tokio::select! {
                line = out.next_segment(), if out_is_open => match line {
                    Ok(Some(line)) => {
                        let line = String::from_utf8_lossy(&line).into_owned();
                        if is_it(&line) {
                            return true;
                        }
                        said.push(line);
                    }
                    _ => out_is_open = false,
                },
                line = err.next_segment(), if err_is_open => match line {
                    Ok(Some(line)) => said.push(String::from_utf8_lossy(&line).into_owned()),
                    _ => err_is_open = false,
                },
            }
        }
        false
    };
    let heard = tokio::time::timeout(patience, heard).await;
    if let (Ok(true) | Err(_), Some(grace)) = (&heard, rules.grace) {
        child.interrupt(grace).await;
    }
    if heard == Ok(true) {
        child.end().await;
        return Ok(TrialOutput::Line);
    }
    let ended = match heard {
        // Its output is closed: it has ended, or is about to.
        Ok(_) => tokio::time::timeout(PATIENCE, child.wait()).await.ok(),
        Err(_) => None,
    };
    child.end().await;
    match ended {
        None => Ok(TrialOutput::Nothing),
        Some(Err(e)) => Err(format!("cannot be run: {e}")),
        Some(Ok(status)) if status.code() == Some(BOXED) => Err(said.join(" ")),
        Some(Ok(status)) => Ok(TrialOutput::End {
            code: status.code(),
            said,
        }),
    }
}

/// A program in its box, with its process group.
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
            .map_err(|e| format!("cannot be run: {e}"))
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

    /// Whatever it is doing still, it is not wanted any more.
    async fn end(&mut self) {
        self.signal_group(Signal::KILL);
        let _ = self.0.wait().await;
    }

    /// Asks it to end, and waits for that.
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
    /// Whoever waited has gone: so does the program.
    fn drop(&mut self) {
        self.signal_group(Signal::KILL);
    }
}

/// The exit code by which the box says that the words on standard error are its own.
const BOXED: i32 = 113;

/// The subcommand `trial`: becomes the program, shut in. Returns only if it could not.
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
            return format!("cannot be tried: no limit could be set: {e}");
        }
    }
    if let Err(e) = rustix::thread::set_no_new_privs(true) {
        return format!("cannot be tried: new privileges cannot be ruled out: {e}");
    }
    if let Err(e) = sandbox(ports) {
        return format!("cannot be tried: it could not be shut in: {e}");
    }
    let error = Command::new(program).args(rest).exec();
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => {
            " (if the file is there, its interpreter or loader is missing)"
        }
        std::io::ErrorKind::PermissionDenied => " (is its file system mounted noexec?)",
        _ => "",
    };
    format!("cannot be run: {error}{advice}")
}

/// May read and run files, listen on these TCP ports, and nothing else: no writing, no other TCP, no
/// signals to other processes. As far as this kernel can.
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
