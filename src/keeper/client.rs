//! The manager's side of a keeper: check whether one is running, start one, connect to one. All
//! functions are short and blocking.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::names;
use crate::base::files::open_regular;

/// Timeout for the start of a keeper, in seconds. It normally needs milliseconds.
const PATIENCE_S: i64 = 10;

/// Whether a keeper is running for the instance in `dir`.
///
/// # Errors
/// The lock cannot be checked.
pub fn is_kept(dir: &Path) -> io::Result<bool> {
    let file = match open_regular(&dir.join(names::LOCK), File::options().read(true)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Connects to the keeper of the instance in `dir`.
///
/// # Errors
/// No keeper listens there.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    // The path of a socket may have at most 107 bytes. The path through the directory's descriptor
    // is always short.
    let handle = File::open(dir)?;
    UnixStream::connect(format!(
        "/proc/self/fd/{}/{}",
        handle.as_raw_fd(),
        names::SOCKET
    ))
}

/// Starts a keeper for the instance in `dir` and returns once it listens.
///
/// # Errors
/// The keeper could not be started or failed at startup; the text gives the reason.
pub fn launch(dir: &Path) -> io::Result<Child> {
    let complaints = File::options()
        .create(true)
        .append(true)
        .open(dir.join(names::COMPLAINTS))?;
    let mut child = Command::new("/proc/self/exe")
        // The name in ps(1).
        .arg0("jd-manager")
        .arg("keep")
        .arg(dir)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaints)
        .spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let wait = Timespec {
            tv_sec: PATIENCE_S,
            tv_nsec: 0,
        };
        if !matches!(
            poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&wait)),
            Ok(1)
        ) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(
                "the keeper did not start in time (is the disk stuck?)",
            ));
        }
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim_end() == "ready" {
        return Ok(child);
    }
    let _ = child.wait();
    let said = said.trim_end();
    Err(io::Error::other(if said.is_empty() {
        "the keeper exited and gave no reason; see its keeper.log"
    } else {
        said
    }))
}
