//! `jd-manager dial-stdio`: connects standard input and output to the running manager, so that
//! another machine can use it through SSH.

use clap::Args;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::error::{CommandError, FAILED, NO_MANAGER};
use crate::base::role::Role;
use crate::base::ssh_access::{SshAccess, SshKeyName};
use crate::server::listener::reach;
use crate::server::settings::Settings;

/// What the connection may do.
#[derive(Args, Clone, Debug)]
pub struct DialArgs {
    /// Highest role of the requests: viewer, operator or admin.
    #[arg(long, value_name = "ROLE", default_value = "admin")]
    role: Role,
    /// Name of the SSH key for the audit log.
    #[arg(long, value_name = "KEY")]
    name: Option<SshKeyName>,
}

/// Bytes per read.
const CHUNK: usize = 64 * 1024;

/// Runs until either side closes its end.
pub fn dial_stdio(settings: &Settings, args: DialArgs) -> ExitCode {
    let access = SshAccess {
        role: args.role,
        key: args.name,
    };
    let (error, code) = match connect(settings) {
        Ok(socket) => match copy(socket, &access) {
            Ok(()) => return ExitCode::SUCCESS,
            // The other end is gone.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Err(e) => (
                CommandError::Failed(format!("the connection to jd-manager failed: {e}")),
                FAILED,
            ),
        },
        Err(failure) => failure,
    };
    let _ = error.message(false);
    ExitCode::from(code)
}

fn connect(settings: &Settings) -> Result<UnixStream, (CommandError, u8)> {
    let Some(path) = settings.socket_path() else {
        let detail = "the Unix socket of jd-manager is disabled (setting socket). Remove the setting and restart jd-manager.";
        return Err((CommandError::Failed(detail.into()), NO_MANAGER));
    };
    let found = reach(&path).and_then(|(_dir, short)| UnixStream::connect(short));
    found.map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
            CommandError::Failed(format!(
                "no jd-manager is running with the data directory {} (no program is listening on {}). Start it, or pass its data directory with --data-dir.",
                settings.data_dir.display(),
                path.display()
            )),
            NO_MANAGER,
        ),
        _ => (
            CommandError::Failed(format!(
                "cannot open {}: {e}. Use the SSH account of the user that runs jd-manager, or pass its data directory with --data-dir.",
                path.display()
            )),
            FAILED,
        ),
    })
}

fn copy(mut socket: UnixStream, access: &SshAccess) -> std::io::Result<()> {
    // Before anything of the other end: so it cannot change its role.
    socket.write_all(access.line().as_bytes())?;
    let mut requests = socket.try_clone()?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut requests);
        let _ = requests.shutdown(Shutdown::Write);
    });
    let (mut out, mut chunk) = (std::io::stdout().lock(), vec![0; CHUNK]);
    loop {
        let count = match socket.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // jd-manager stopped before it read everything.
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(e) => return Err(e),
        };
        // Standard output waits for a line break otherwise.
        out.write_all(&chunk[..count])?;
        out.flush()?;
    }
}
