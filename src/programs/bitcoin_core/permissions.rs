//! Why this user may not connect to a socket: which directory on the path, or the socket itself,
//! and the command that changes it.
//!
//! To connect takes the right to search every directory on the path and to write to the socket
//! (unix(7)). Names come from `/etc/passwd` and `/etc/group`; a user that is not listed there is
//! shown by number.

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::{getegid, geteuid, getgroups};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The lists of users and groups are read up to here, bytes.
const MOST_LISTED: u64 = 1024 * 1024;
/// Symbolic links that are followed, as the kernel does.
const MOST_LINKS: usize = 40;
/// The bit of a mode by which a group may search a directory, and write to a file.
const GROUP_SEARCH: u32 = 0o010;
const GROUP_WRITE: u32 = 0o020;

/// What denies the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathBarrier {
    /// The directory or the socket.
    path: PathBuf,
    is_directory: bool,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// The first thing on the path of a socket that this process may not use; none: nothing was found.
pub(super) fn barrier(socket: &Path) -> Option<PathBarrier> {
    let mut path = socket.to_owned();
    for _ in 0..MOST_LINKS {
        let mut directories: Vec<&Path> = path.ancestors().skip(1).collect();
        directories.reverse();
        let denied = directories
            .into_iter()
            .find(|directory| !may(directory, Access::EXEC_OK));
        let at = denied.unwrap_or(&path);
        // A link is denied by what it leads to.
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

    /// What denies it, and who asks, in sentences.
    pub(super) fn detail(&self) -> String {
        let (what, right) = if self.is_directory {
            ("directory", "enter")
        } else {
            ("socket", "write to")
        };
        format!(
            "jd-manager runs as {} and may not {right} the {what} {} (owner {}, group {}, mode {:04o}).",
            own_text(),
            self.path.display(),
            user_text(self.uid),
            group_text(self.gid),
            self.mode
        )
    }

    /// Commands that change it, and what lasts.
    pub(super) fn advice(&self) -> String {
        let (right, bit) = if self.is_directory {
            ("x", GROUP_SEARCH)
        } else {
            ("w", GROUP_WRITE)
        };
        let (us, path) = (user_name(geteuid().as_raw()), quoted(&self.path));
        // A name that commands take; a number needs # or + with some of them.
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
            " Restart jd-manager afterwards: a process keeps the groups it was started with."
        } else {
            ""
        };
        let owner = user_text(self.uid);
        format!(
            "Run: {}.{restart} Then check again: other directories on the path may deny it, too.\n\n\
             Bitcoin Core creates its socket again at every start, so a mode that was set by hand is lost. For a permanent fix, run jd-manager as \
             the node's user, {owner}: systemd with User= in both units, Docker with user: \"{}:{}\" in both services.",
            commands.join(" && "),
            self.uid,
            self.gid
        )
    }
}

/// The path for a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The user that this process runs as, with its groups.
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

/// The group first, then those besides it.
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

/// The name of an id: `name:password:id:…`, one a line. A name that is not plain is not shown.
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
            detail.contains("may not enter the directory /home/bitcoin/.bitcoin (owner uid 4000000, group root, mode 0700)"),
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
        assert!(socket.detail().contains("may not write to the socket"));
    }
}
