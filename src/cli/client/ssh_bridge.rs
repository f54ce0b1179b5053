//! Connections to the manager on another machine: a Unix socket of this process, each of whose
//! connections is a session over SSH. So the HTTP client is the same for every kind of connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::programs::openssh::control_dir::control_dir;
use crate::programs::openssh::{OpenSsh, SshDestination, SshFailure, SshFailureKind, SshSession};

/// Timeout for connecting to the machine, in seconds.
const CONNECT: u64 = 10;
/// How long the other machine may send after this side has closed its end.
const LINGER: Duration = Duration::from_secs(1);
/// The beginning of every response.
const RESPONSE: &[u8] = b"HTTP/";

/// The bridge to one machine. Dropping it removes its socket.
#[derive(Debug)]
pub(super) struct SshBridge {
    socket: PathBuf,
    failure: LastFailure,
}

/// The last failure of a session.
type LastFailure = Arc<Mutex<Option<SshFailure>>>;

impl SshBridge {
    /// Opens the socket and serves it in the background.
    ///
    /// # Errors
    /// There can be no private socket; the text says why.
    pub(super) fn open(to: SshDestination) -> Result<Self, String> {
        let dir = control_dir()?;
        let socket = dir.join(format!("cli.{}", std::process::id()));
        // Left by a process with the same id.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)
            .map_err(|e| format!("cannot listen on {}: {e}", socket.display()))?;
        let failure = LastFailure::default();
        tokio::spawn(serve(listener, to, failure.clone()));
        Ok(Self { socket, failure })
    }

    /// The path of the socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Why the last session failed.
    pub(super) fn failure(&self) -> Option<SshFailure> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for SshBridge {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve(listener: UnixListener, to: SshDestination, failure: LastFailure) {
    let ssh = OpenSsh::new(CONNECT);
    let mut relays = JoinSet::new();
    while let Ok((local, _)) = listener.accept().await {
        let (ssh, to, failure) = (ssh.clone(), to.clone(), failure.clone());
        record(&failure, None);
        relays.spawn(async move {
            // The local connection is closed after the failure was recorded, so that it is there
            // when the request fails.
            let mut local = local;
            let outcome = match ssh.open(&to) {
                Ok(session) => relay(&mut local, session).await,
                Err(failed) => Err(failed),
            };
            if let Err(failed) = outcome {
                // Its command would stay the same for a minute, even if authorized_keys is fixed.
                ssh.close(&to).await;
                record(&failure, Some(failed));
            }
        });
    }
}

fn record(failure: &LastFailure, last: Option<SshFailure>) {
    *failure.lock().unwrap_or_else(PoisonError::into_inner) = last;
}

/// Copies in both directions until one side closes its end.
async fn relay(local: &mut UnixStream, session: SshSession) -> Result<(), SshFailure> {
    let SshSession { stream, process } = session;
    let (mut responses, mut requests) = stream.into_inner();
    let (mut from_here, mut to_here) = local.split();
    let up = async {
        let _ = copy(&mut from_here, &mut requests).await;
        let _ = requests.shutdown().await;
        tokio::time::sleep(LINGER).await;
        None
    };
    let down = async {
        let mut start = [0; 4096];
        let count = responses.read(&mut start).await.unwrap_or(0);
        let start = &start[..count];
        if !start.is_empty() && (start.starts_with(RESPONSE) || RESPONSE.starts_with(start)) {
            let _ = to_here.write_all(start).await;
            let _ = copy(&mut responses, &mut to_here).await;
            return None;
        }
        Some(String::from_utf8_lossy(start).into_owned())
    };
    let other_text = tokio::select! {
        none = up => none,
        text = down => text,
    };
    match other_text {
        None => Ok(()),
        Some(text) if text.is_empty() => Err(process.failure().await),
        Some(text) => Err(SshFailure {
            kind: SshFailureKind::WrongCommand,
            messages: text.lines().next().unwrap_or_default().to_owned(),
        }),
    }
}
