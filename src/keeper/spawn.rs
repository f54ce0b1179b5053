//! Starting a client or a translator: a fresh process of our own that arranges what must hold for it
//! and then becomes it (the chain-loading of s6). All of it survives `execve`, and none of it needs
//! `unsafe`.
//!
//! Arranged: death together with the keeper (parent-death signal), a session and group of its own,
//! limits, a tight umask, its own working directory, nothing of the keeper's environment, no
//! descriptor but its output.

use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

/// The arguments of the internal subcommand `exec`.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// The keeper's process id; if it is gone, nothing is started.
    #[arg(long)]
    parent: i32,
    /// The working directory.
    #[arg(long)]
    dir: PathBuf,
    /// Private memory it may have, bytes.
    #[arg(long)]
    memory: Option<u64>,
    /// Files and sockets it may have open.
    #[arg(long)]
    open_files: Option<u64>,
    /// How far it steps back for others.
    #[arg(long, default_value_t = 0)]
    nice: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The limits of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpawnLimits {
    /// Private memory it may have, bytes.
    pub memory_bytes: Option<u64>,
    /// Files and sockets it may have open.
    pub open_files: Option<u64>,
    /// How far it steps back for others, 0 to 19.
    pub nice: i32,
}

/// What to start, and within which limits.
#[derive(Clone, Copy, Debug)]
pub struct SpawnPlan<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Its whole environment: nothing is inherited.
    pub env: &'a [(String, String)],
    /// Its limits.
    pub limits: SpawnLimits,
}

/// A process that has just been started.
#[derive(Debug)]
pub struct StartedProcess {
    /// The process, leader of its own group and session.
    pub child: Child,
    /// Its standard output and standard error in one pipe, in the order written.
    pub output: OwnedFd,
}

/// Starts a process in the instance's directory `dir`.
///
/// # Errors
/// The program cannot be run; the text says which and why.
pub fn start(plan: &SpawnPlan<'_>, dir: &Path) -> Result<StartedProcess, String> {
    let program = plan.program.display();
    let told = |what: &str, e: io::Error| format!("{what} {program}: {e}");
    let (output, output_end) = io::pipe().map_err(|e| told("no pipe for", e))?;
    // A large pipe lets a talkative client go on while the disk is busy; a refusal costs nothing.
    // Not larger, though: all pipes of a user together have a soft limit of 64 MiB (pipe(7)).
    let _ = rustix::pipe::fcntl_setpipe_size(&output, 256 * 1024);
    // Standard input of the starting process tells back why it could not become the client; it
    // closes when it has.
    let (mut verdict, verdict_end) = io::pipe().map_err(|e| told("no pipe for", e))?;
    let error_end = output_end.try_clone().map_err(|e| told("no pipe for", e))?;
    let SpawnLimits {
        memory_bytes,
        open_files,
        nice,
    } = plan.limits;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("exec")
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--dir")
        .arg(dir.join(super::names::WORK))
        .args(memory_bytes.map(|bytes| format!("--memory={bytes}")))
        .args(open_files.map(|files| format!("--open-files={files}")))
        .arg(format!("--nice={nice}"))
        .arg("--")
        .arg(plan.program)
        .args(plan.args)
        .env_clear()
        .envs(plan.env.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::from(verdict_end))
        .stdout(Stdio::from(output_end))
        .stderr(Stdio::from(error_end));
    let mut child = command.spawn().map_err(|e| told("cannot start", e))?;
    // The command holds our copies of the write ends; they must go, or the pipes never end.
    drop(command);
    let mut reason = String::new();
    let read = verdict.read_to_string(&mut reason);
    if read.is_err() || !reason.is_empty() {
        let _ = child.wait();
        return Err(if reason.is_empty() {
            format!("cannot start {program}")
        } else {
            reason
        });
    }
    Ok(StartedProcess {
        child,
        output: output.into(),
    })
}

/// The subcommand `exec`: becomes the client. Returns only if it could not.
pub fn exec(args: &ExecArgs) -> ExitCode {
    let verdict = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    let reason = exec_client(args);
    if let Ok(verdict) = verdict {
        let _ = File::from(verdict).write_all(reason.as_bytes());
    }
    ExitCode::from(127)
}

fn exec_client(args: &ExecArgs) -> String {
    let [program, rest @ ..] = args.command.as_slice() else {
        return "no program to start".into();
    };
    let failed = |what: &str, e: &dyn std::fmt::Display| {
        format!("{what} for {}: {e}", Path::new(program).display())
    };
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return failed("no parent-death signal", &e);
    }
    // The keeper may have died before the signal was set.
    if rustix::process::getppid().map(Pid::as_raw_pid) != Some(args.parent) {
        return failed("the keeper has gone", &"not started");
    }
    // A program with set-user-id or file capabilities would lose the death signal as it starts
    // (prctl(2)) and outlive its keeper.
    if let Err(e) = rustix::thread::set_no_new_privs(true) {
        return failed("new privileges cannot be ruled out", &e);
    }
    if let Err(e) = rustix::process::setsid() {
        return failed("no session", &e);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // RLIMIT_DATA counts private writable memory (getrlimit(2), since Linux 4.7); the address space
    // would count what is merely reserved.
    for (resource, most) in [
        (Resource::Data, args.memory),
        (Resource::Nofile, args.open_files),
    ] {
        if let Some(most) = most
            && let Err(e) = setrlimit(
                resource,
                Rlimit {
                    current: Some(most),
                    maximum: Some(most),
                },
            )
        {
            return failed("no limit", &e);
        }
    }
    if args.nice != 0
        && let Err(e) = rustix::process::setpriority_process(None, args.nice)
    {
        return failed("no priority", &e);
    }
    if let Err(e) = std::env::set_current_dir(&args.dir) {
        return failed("no working directory", &e);
    }
    match File::open("/dev/null") {
        Ok(null) => {
            if let Err(e) = rustix::stdio::dup2_stdin(null) {
                return failed("no standard input", &e);
            }
        }
        Err(e) => return failed("no /dev/null", &e),
    }
    let error = Command::new(program).args(rest).exec();
    let advice = match error.kind() {
        io::ErrorKind::NotFound => " (if the file is there, its interpreter or loader is missing)",
        io::ErrorKind::PermissionDenied => {
            " (is it executable, and its file system not mounted noexec?)"
        }
        _ if error.raw_os_error() == Some(8) => " (it is not a program for this machine)",
        _ => "",
    };
    format!(
        "cannot run {}: {error}{advice}",
        Path::new(program).display()
    )
}

/// Sends a signal to the client's whole group; to the process alone while it has not made its group
/// yet.
pub fn signal_group(pid: u32, signal: Signal) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    if rustix::process::kill_process_group(pid, signal).is_err() {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
