//! The directory for shared connections (`ControlPath`). Its path is short, because it contains Unix
//! sockets. Only this user can open it: a process that opens a socket there can use the connection.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Maximum length of the directory, in bytes. A socket's path has at most 107; ssh adds 41 for the
/// name of the connection and 17 while it creates the socket.
const LONGEST: usize = 48;

/// Creates the directory or checks the existing one.
///
/// # Errors
/// It cannot be created, or belongs to someone else, or others can open it. The text names it.
pub fn control_dir() -> Result<PathBuf, String> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("jd-manager"));
    let uid = rustix::process::geteuid().as_raw();
    let dir = runtime
        .filter(|dir| {
            dir.is_absolute()
                && dir.as_os_str().len() <= LONGEST
                && dir.parent().is_some_and(Path::is_dir)
        })
        .unwrap_or_else(|| Path::new("/tmp").join(format!("jd-manager-{uid}")));
    check(&dir, uid).map_err(|e| {
        format!(
            "cannot use {} for SSH connections: {e}. It must be a directory that only you can open.",
            dir.display()
        )
    })?;
    Ok(dir)
}

fn check(dir: &Path, uid: u32) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let found = std::fs::symlink_metadata(dir)?;
    if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_an_own_and_closed_directory_is_used() {
        let uid = rustix::process::geteuid().as_raw();
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("control");
        check(&dir, uid).unwrap();
        check(&dir, uid).unwrap();
        assert!(check(&dir, uid + 1).is_err(), "of another user");
        let link = place.path().join("link");
        symlink(&dir, &link).unwrap();
        assert!(check(&link, uid).is_err(), "a link");
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(check(&dir, uid).is_err(), "open to a group");
        assert!(check(&place.path().join("none/control"), uid).is_err());
    }
}
