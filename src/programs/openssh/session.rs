//! A session on another machine: one `ssh` process whose input and output are a connection to the
//! manager there.
//!
//! All sessions to a machine share one connection (`ControlMaster`), which stays open for a minute
//! after the last one. If the machine allows only one session per connection (`MaxSessions 1`), ssh
//! uses a new connection for each further session.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, Join, join};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::control_dir::control_dir;
use super::destination::SshDestination;
use super::failure::{SshFailure, SshFailureKind};

/// How long a shared connection stays open without a session, in seconds.
pub const PERSIST: u64 = 60;
/// A silent connection is closed after two of these intervals, in seconds.
const ALIVE_INTERVAL: u64 = 3;
/// The command, if `authorized_keys` does not force one.
const COMMAND: [&str; 2] = ["jd-manager", "dial-stdio"];
/// Maximum bytes of messages that are kept.
const MESSAGES: usize = 16 * 1024;
/// How long to wait for ssh's exit and its last message after its output has ended.
const LAST_MESSAGE: Duration = Duration::from_secs(2);

/// The program `ssh` and its shared connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct OpenSsh {
    /// The directory for shared connections, created when it is needed first.
    control: Arc<OnceLock<Option<PathBuf>>>,
    connect_timeout: u64,
}

/// A session.
#[derive(Debug)]
pub struct SshSession {
    /// The connection to the manager on the other machine.
    pub stream: Join<ChildStdout, ChildStdin>,
    /// The process behind it. Dropping it ends the session.
    pub process: SshProcess,
}

/// The `ssh` process of a session.
#[derive(Debug)]
pub struct SshProcess {
    child: Child,
    messages: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl OpenSsh {
    /// Uses shared connections if there can be a directory for them. `connect_timeout`: for the TCP
    /// connection, in seconds.
    pub fn new(connect_timeout: u64) -> Self {
        Self {
            control: Arc::default(),
            connect_timeout,
        }
    }

    fn control(&self) -> Option<&Path> {
        let dir = self.control.get_or_init(|| {
            control_dir()
                .inspect_err(|reason| tracing::warn!("SSH connections are not shared: {reason}"))
                .ok()
        });
        dir.as_deref()
    }

    /// Opens a session. Its connection is established later; a failure shows when the stream ends.
    ///
    /// # Errors
    /// `ssh` cannot be run.
    pub fn open(&self, to: &SshDestination) -> Result<SshSession, SshFailure> {
        let mut command = self.command();
        command.args(["-T", "--", to.as_str()]).args(COMMAND);
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|e| not_run(&e))?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(SshFailure {
                kind: SshFailureKind::NotInstalled,
                messages: String::new(),
            });
        };
        let messages = Arc::default();
        let reader = tokio::spawn(read_messages(errors, Arc::clone(&messages)));
        Ok(SshSession {
            stream: join(output, input),
            process: SshProcess {
                child,
                messages,
                reader,
            },
        })
    }

    /// Closes the shared connection to a machine, if there is one.
    pub async fn close(&self, to: &SshDestination) {
        if self.control().is_none() {
            return;
        }
        let mut command = self.command();
        command.args(["-O", "exit", "--", to.as_str()]);
        let output = command.stdin(Stdio::null()).output();
        let _ = tokio::time::timeout(LAST_MESSAGE, output).await;
    }

    /// `ssh` with the options of all sessions. Flags have priority over the user's configuration.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.kill_on_drop(true);
        let mut options = vec![
            // Nobody could answer a question.
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={}", self.connect_timeout),
            format!("ServerAliveInterval={ALIVE_INTERVAL}"),
            "ServerAliveCountMax=2".into(),
            "ClearAllForwardings=yes".into(),
            "ForwardAgent=no".into(),
            "PermitLocalCommand=no".into(),
        ];
        match self.control() {
            Some(dir) => options.extend([
                "ControlMaster=auto".into(),
                format!("ControlPath={}/%C", dir.display()),
                format!("ControlPersist={PERSIST}"),
            ]),
            None => options.push("ControlPath=none".into()),
        }
        for option in options {
            command.arg("-o").arg(option);
        }
        command
    }
}

impl SshProcess {
    /// Why the session ended before the manager there sent a response.
    pub async fn failure(mut self) -> SshFailure {
        let ended = tokio::time::timeout(LAST_MESSAGE, self.child.wait()).await;
        let code = match ended {
            Ok(Ok(status)) => status.code(),
            _ => None,
        };
        let _ = tokio::time::timeout(LAST_MESSAGE / 4, &mut self.reader).await;
        SshFailure::of(code, &self.messages())
    }

    /// What ssh has written to standard error.
    fn messages(&self) -> String {
        let bytes = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

async fn read_messages(mut errors: ChildStderr, messages: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        let mut kept = messages.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MESSAGES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

/// The failure to run `ssh`.
pub(super) fn not_run(error: &std::io::Error) -> SshFailure {
    SshFailure {
        kind: SshFailureKind::NotInstalled,
        messages: format!("cannot run ssh: {error}"),
    }
}
