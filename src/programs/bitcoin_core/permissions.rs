//! Why this user may not connect to a socket: the directory on the path, or the socket itself, that
//! denies access, and the command to fix it.
//!
//! Connecting requires permission to search every directory on the path and to write to the socket
//! (unix(7)). Names are read from `/etc/passwd` and `/etc/group`; a user without a name there is
//! shown by number.

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::{getegid, geteuid, getgroups};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The maximum size of the user and group files, in bytes.
const MOST_LISTED: u64 = 1024 * 1024;
/// The maximum number of symbolic links to follow, as in the kernel.
const MOST_LINKS: usize = 40;
/// The mode bits that allow a group to search a directory and to write to a file.
const GROUP_SEARCH: u32 = 0o010;
const GROUP_WRITE: u32 = 0o020;

/// The directory or socket that denies the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathBarrier {
    /// The directory or the socket.
    path: PathBuf,
    is_directory: bool,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// The first directory or socket on a path that this process may not use; none: nothing was found.
pub(super) fn barrier(socket: &Path) -> Option<PathBarrier> {
    let mut path = socket.to_owned();
    for _ in 0..MOST_LINKS {
        let mut directories: Vec<&Path> = path.ancestors().skip(1).collect();
        directories.reverse();
        let denied = directories
            .into_iter()
            .find(|directory| !may(directory, Access::EXEC_OK));
        let at = denied.unwrap_or(&path);
        // For a link, the target decides.
        let Ok(target) = fs::read_link(at) else {
            let is_directory = denied.is_some();
            let is_barrier = is_directory || !may(at, Access::WRITE_OK);
            return is_barrier.then(|| PathBarrier::of(at, is_directory))?;
        };
        let rest = path.strip_prefix(at).ok()?;
        let mut next = at.parent()?.join(target);
        // `join` with nothing would add a slash.
        if !rest.as_os_str().is_empty() {
            next.push(rest);
        }
        path = next;
    }
    None
}

fn may(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

impl PathBarrier {
    fn of(path: &Path, is_directory: bool) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            is_directory,
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
        })
    }

    /// What denies access to which user, in a sentence.
    pub(super) fn detail(&self) -> String {
        let (what, right) = if self.is_directory {
            ("directory", "enter")
        } else {
            ("socket", "write to")
        };
        format!(
            "jd-manager runs as {} and is not allowed to {right} the {what} {} (owner {}, group {}, mode {:04o}).",
            own_text(),
            self.path.display(),
            user_text(self.uid),
            group_text(self.gid),
            self.mode
        )
    }

    /// Commands that fix it now, and a permanent fix.
    pub(super) fn advice(&self) -> String {
        let (right, bit) = if self.is_directory {
            ("x", GROUP_SEARCH)
        } else {
            ("w", GROUP_WRITE)
        };
        let (us, path) = (user_name(geteuid().as_raw()), quoted(&self.path));
        // Commands accept a name; some of them need # or + before a number.
        let user = us.clone().unwrap_or_else(own_id);
        let is_member = own_groups().contains(&self.gid);
        let mut commands = Vec::new();
        match group_name(self.gid).filter(|_| self.gid != 0) {
            Some(group) if us.is_some() || is_member => {
                if self.mode & bit == 0 {
                    commands.push(format!("sudo chmod g+{right} {path}"));
                }
                if !is_member {
                    commands.push(format!("sudo usermod -aG {group} {user}"));
                }
            }
            _ => commands.push(format!(
                "sudo setfacl -m u:{user}:{} {path}",
                if self.is_directory { "x" } else { "rw" }
            )),
        }
        let restart = if commands.iter().any(|line| line.contains("usermod")) {
            " Then restart jd-manager, because a running process does not pick up new groups."
        } else {
            ""
        };
        let owner = user_text(self.uid);
        format!(
            "Run: {}.{restart} Then check again: other directories on the path may also deny access.\n\n\
             Bitcoin Core creates its socket again at every start, so permissions set by hand are lost. For a permanent fix, run jd-manager as \
             the node's user, {owner}: set User= in both systemd units, or user: \"{}:{}\" in both Docker services.",
            commands.join(" && "),
            self.uid,
            self.gid
        )
    }
}

/// The path, quoted for a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The user and groups of this process.
fn own_text() -> String {
    let groups: Vec<String> = own_groups().into_iter().map(group_text).collect();
    format!(
        "{} ({} {})",
        user_text(geteuid().as_raw()),
        if groups.len() == 1 { "group" } else { "groups" },
        groups.join(", ")
    )
}

fn own_id() -> String {
    geteuid().as_raw().to_string()
}

/// The primary group, then the supplementary groups.
fn own_groups() -> Vec<u32> {
    let first = getegid().as_raw();
    let others = getgroups().unwrap_or_default();
    let others = others
        .into_iter()
        .map(|gid| gid.as_raw())
        .filter(|gid| *gid != first);
    std::iter::once(first).chain(others).collect()
}

fn user_text(uid: u32) -> String {
    user_name(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name}, uid {uid}"))
}

fn group_text(gid: u32) -> String {
    group_name(gid).unwrap_or_else(|| format!("gid {gid}"))
}

fn user_name(uid: u32) -> Option<String> {
    name_in(&list("/etc/passwd"), uid)
}

fn group_name(gid: u32) -> Option<String> {
    name_in(&list("/etc/group"), gid)
}

fn list(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MOST_LISTED).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name for an id, from lines such as `name:password:id:…`. Names with special characters are
/// not shown.
fn name_in(list: &str, id: u32) -> Option<String> {
    let entries = list.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let listed = fields.nth(1)?.parse::<u32>().ok()?;
        Some((name, listed))
    });
    let is_plain = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let mut named = entries.filter(|(name, listed)| *listed == id && is_plain(name));
    named.next().map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_id() {
        let list = "root:x:0:0:root:/root:/bin/bash\nbroken\nbad name:x:7:\nbitcoin:x:1000:1000::/:\nagain:x:1000:";
        assert_eq!(name_in(list, 0).as_deref(), Some("root"));
        assert_eq!(name_in(list, 1000).as_deref(), Some("bitcoin"));
        assert_eq!((name_in(list, 7), name_in("", 0)), (None, None));
    }

    #[test]
    fn a_path_is_quoted_for_a_shell_where_it_has_to_be() {
        for (path, text) in [
            ("/var/lib/bitcoind/node.sock", "/var/lib/bitcoind/node.sock"),
            ("/a b/node.sock", "'/a b/node.sock'"),
            ("/it's;rm", "'/it'\\''s;rm'"),
            ("/$(x)", "'/$(x)'"),
        ] {
            assert_eq!(quoted(Path::new(path)), text);
        }
    }

    #[test]
    fn the_advice_names_group_and_mode_that_are_missing() {
        let found = PathBarrier {
            path: "/home/bitcoin/.bitcoin".into(),
            is_directory: true,
            uid: 4_000_000,
            gid: 0,
            mode: 0o700,
        };
        let detail = found.detail();
        assert!(
            detail.contains("is not allowed to enter the directory /home/bitcoin/.bitcoin (owner uid 4000000, group root, mode 0700)"),
            "{detail}"
        );
        let advice = found.advice();
        assert!(
            advice.contains("sudo setfacl -m u:")
                && advice.contains(":x /home/bitcoin/.bitcoin")
                && advice.contains("User="),
            "{advice}"
        );
        let socket = PathBarrier {
            is_directory: false,
            gid: own_groups()[0],
            path: "/run/b/node.sock".into(),
            ..found
        };
        let advice = socket.advice();
        assert!(advice.contains("/run/b/node.sock"), "{advice}");
        assert!(
            socket
                .detail()
                .contains("is not allowed to write to the socket")
        );
    }
}
