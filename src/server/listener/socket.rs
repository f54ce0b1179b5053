//! The Unix socket: created atomically with mode 0600. A stale socket is replaced, and one in use is not
//! changed.
//!
//! A socket's path is limited to 107 bytes. Both sides open it through a descriptor of its directory,
//! so its path can be longer; only other programs have this limit.

use rustix::fs::{AtFlags, Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Maximum length of a socket's path for other programs, in bytes.
const LONGEST_PATH: usize = 107;

/// A listening socket; dropping it removes its file.
#[derive(Debug)]
pub(super) struct UnixListenSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The identity of our file: another manager may have created its own there.
    inode: (u64, u64),
}

/// A short path to a socket in any directory. It is valid while the returned
/// directory is open.
///
/// # Errors
/// Its directory cannot be opened.
pub fn reach(socket: &Path) -> io::Result<(File, PathBuf)> {
    let name = socket.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let dir = match socket.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let dir = File::from(rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?);
    let short = below(&dir, name);
    Ok((dir, short))
}

fn below(dir: &File, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)
}

impl UnixListenSocket {
    /// # Errors
    /// The problem, with the path.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let told = |what: &str, e: &io::Error| format!("{} {what}: {e}", path.display());
        let name = path
            .file_name()
            .ok_or_else(|| format!("{} is not a file name", path.display()))?;
        let (dir, short) = reach(path).map_err(|e| {
            told(
                "cannot be created because its directory cannot be opened",
                &e,
            )
        })?;
        match std::fs::symlink_metadata(&short) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(told("cannot be read", &e)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(format!(
                    "{} exists but is not a socket; remove the file or choose another path",
                    path.display()
                ));
            }
            // A socket without a listener is stale.
            Ok(_) => match std::os::unix::net::UnixStream::connect(&short) {
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) => {
                    return Err(told(
                        "exists, and cannot be checked for use by another program",
                        &e,
                    ));
                }
                Ok(_) => return Err(format!("another program is using {}", path.display())),
            },
        }
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}", std::process::id()));
        let made = below(&dir, &draft);
        let open = || -> io::Result<Self> {
            // Left by a process with the same pid.
            match std::fs::remove_file(&made) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let listener = UnixListener::bind(&made)?;
            std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
            let metadata = std::fs::symlink_metadata(&made)?;
            rustix::fs::renameat(&dir, &draft, &dir, name)?;
            Ok(Self {
                listener,
                path: path.to_owned(),
                inode: (metadata.dev(), metadata.ino()),
            })
        };
        let socket = open().map_err(|e| {
            let _ = rustix::fs::unlinkat(&dir, &draft, AtFlags::empty());
            told("cannot be created", &e)
        })?;
        let length = path.as_os_str().len();
        if length > LONGEST_PATH {
            tracing::warn!(
                socket = %path.display(),
                "the socket's path is {length} bytes long. jd-manager's own commands can use it; other programs (curl --unix-socket) allow at most \
                 {LONGEST_PATH}. If you need them, choose a shorter path with --socket."
            );
        }
        Ok(socket)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListenSocket {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == self.inode);
        if is_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_left_over_is_replaced_and_what_is_in_use_or_no_socket_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = UnixListenSocket::open(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            UnixListenSocket::open(&path)
                .unwrap_err()
                .contains("another program is using")
        );
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        // The file of another process at this path is not removed.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        drop(first);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(
            UnixListenSocket::open(&path)
                .unwrap_err()
                .contains("not a socket")
        );
        std::fs::remove_file(&path).unwrap();
        drop(UnixListenSocket::open(&path).unwrap());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "something was left behind"
        );
        assert!(
            UnixListenSocket::open(&dir.path().join("nowhere/manager.sock"))
                .unwrap_err()
                .contains("directory")
        );
    }

    #[tokio::test]
    async fn it_may_lie_deeper_than_a_sockets_path_reaches() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("manager.sock");
        let _socket = UnixListenSocket::open(&path).unwrap();
        assert!(
            std::os::unix::net::UnixStream::connect(&path).is_err(),
            "the limit is gone, and with it this way around it"
        );
        let (_dir, short) = reach(&path).unwrap();
        std::os::unix::net::UnixStream::connect(short).unwrap();
    }
}
