//! Checks whether a path has a socket of a node, and whether a node answers on it. Blocks for at
//! most [`PATIENCE`].
//!
//! The check looks at files by name only and lists no directories. It connects without blocking,
//! because a socket with a full queue would block forever, and opens nothing else, because a named
//! pipe would block, too.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use strum::IntoEnumIterator;

use super::bootstrap::{self, BootstrapReply};
use super::network::SOCKET_NAME;
use super::permissions;
use super::places;
use super::{BitcoinNetwork, NodeCheckResult, NodeStatus, advice};

/// A node answers within milliseconds.
pub const PATIENCE: Duration = Duration::from_millis(2500);
/// The time limit for each of several sockets.
const TURN: Duration = Duration::from_secs(1);
/// The path of a socket has at most 107 bytes (unix(7)).
pub const LONGEST_PATH: usize = 107;

/// Checks the socket or data directory `given`; none: the first of the usual places that has a
/// socket. `network`: the expected chain; none: derived from the path.
pub fn check(given: Option<&Path>, network: Option<BitcoinNetwork>) -> NodeCheckResult {
    let deadline = Instant::now() + PATIENCE;
    match given {
        Some(path) => check_path(path, network, deadline),
        None => check_usual(network, deadline),
    }
}

/// Checks the socket that a client of this chain opens with a data directory.
pub fn check_data_dir(
    data_dir: &Path,
    network: BitcoinNetwork,
    deadline: Instant,
) -> NodeCheckResult {
    check_socket(&network.socket_in(data_dir), network, deadline)
}

fn check_usual(network: Option<BitcoinNetwork>, deadline: Instant) -> NodeCheckResult {
    let dirs: Vec<PathBuf> = places::usual()
        .into_iter()
        .chain(places::others())
        .collect();
    let expected = network.unwrap_or(BitcoinNetwork::Mainnet);
    let mut first = None;
    for (socket, found) in dirs.iter().flat_map(|dir| candidates(dir, network)) {
        if !exists(&socket) {
            continue;
        }
        let result = check_socket(&socket, found, turn(deadline));
        if result.status == NodeStatus::Connected {
            return result;
        }
        first = first.or(Some(result));
    }
    let nothing = || {
        let dir = dirs.first().cloned().unwrap_or_default();
        let socket = expected.socket_in(&dir);
        let detail = format!(
            "There is no Bitcoin Core socket at {} or at {} other default locations.",
            socket.display(),
            dirs.len().saturating_sub(1)
        );
        NodeCheckResult::new(
            &socket,
            expected,
            NodeStatus::NoSocket,
            detail,
            advice::enable(expected, &dir),
        )
    };
    first.unwrap_or_else(nothing)
}

/// The deadline for one of several sockets. A silent socket leaves time for the others.
pub fn turn(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + TURN)
}

/// The possible sockets in a data directory, with their chains, the most common first.
fn candidates(dir: &Path, network: Option<BitcoinNetwork>) -> Vec<(PathBuf, BitcoinNetwork)> {
    let wanted = |one: &BitcoinNetwork| network.is_none_or(|network| network == *one);
    let mut found: Vec<(PathBuf, BitcoinNetwork)> = BitcoinNetwork::iter()
        .filter(wanted)
        .map(|network| (network.socket_in(dir), network))
        .collect();
    let own = dir.join(SOCKET_NAME);
    // The directory of a test network itself.
    if let Some(network) = BitcoinNetwork::of_socket(&own).filter(wanted)
        && found.iter().all(|(socket, _)| *socket != own)
    {
        found.insert(0, (own, network));
    }
    let other = network.unwrap_or(BitcoinNetwork::Mainnet);
    found.push((dir.join(places::START_OS_SOCKET), other));
    found.push((dir.join("bitcoin-core.sock"), other));
    found
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn check_path(path: &Path, network: Option<BitcoinNetwork>, deadline: Instant) -> NodeCheckResult {
    let is_socket_name = path
        .extension()
        .is_some_and(|extension| extension == "sock");
    let is_directory = fs::metadata(path).is_ok_and(|meta| meta.is_dir());
    if !is_directory || is_socket_name {
        let by_path = BitcoinNetwork::of_socket(path);
        let expected = network.or(by_path).unwrap_or(BitcoinNetwork::Mainnet);
        let result = check_socket(path, expected, deadline);
        return match by_path {
            Some(by_path) if by_path != expected && result.status == NodeStatus::Connected => {
                mismatch(result, path, by_path)
            }
            _ => result,
        };
    }
    let all = candidates(path, network);
    if let Some((socket, found)) = all.iter().find(|(socket, _)| exists(socket)) {
        return check_socket(socket, *found, deadline);
    }
    let others = candidates(path, None);
    let other = others.iter().find(|(socket, _)| exists(socket));
    if let (Some(expected), Some((socket, found))) = (network, other) {
        let missing = expected.socket_in(path);
        let result = NodeCheckResult::new(
            &missing,
            expected,
            NodeStatus::WrongNetwork,
            String::new(),
            String::new(),
        );
        return mismatch(result, socket, *found);
    }
    // A file without access permission is more informative than a missing file.
    match all.first() {
        Some((socket, found)) => check_socket(socket, *found, deadline),
        None => {
            let network = network.unwrap_or(BitcoinNetwork::Mainnet);
            check_socket(&network.socket_in(path), network, deadline)
        }
    }
}

/// The existing socket belongs to a different chain than expected.
fn mismatch(result: NodeCheckResult, socket: &Path, found: BitcoinNetwork) -> NodeCheckResult {
    let expected = result.network;
    let detail = format!(
        "Expected a node on {expected}, but {} is the socket for a node on {found}.",
        socket.display()
    );
    let advice = format!(
        "Set the network to {found} in the configuration, or start a node on {expected} with ipcbind=unix."
    );
    result.with(NodeStatus::WrongNetwork, detail, advice)
}

/// Checks one socket.
fn check_socket(socket: &Path, network: BitcoinNetwork, deadline: Instant) -> NodeCheckResult {
    let result = |status, detail: String, advice: String| {
        NodeCheckResult::new(socket, network, status, detail, advice)
    };
    let shown = socket.display();
    let data_dir = network
        .data_dir_of(socket)
        .or_else(|| socket.parent().map(Path::to_owned))
        .unwrap_or_else(|| socket.to_owned());
    let length = socket.as_os_str().len();
    if length > LONGEST_PATH {
        return result(
            NodeStatus::NoSocket,
            format!("The path {shown} is {length} bytes long. A socket path can be at most {LONGEST_PATH} bytes long."),
            "Choose a data directory with a shorter path, or create a short symbolic link to it with ln -s and use that.".into(),
        );
    }
    let meta = match fs::metadata(socket) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            return forbidden(socket, network);
        }
        Err(e) => {
            let detail = missing(socket, &e);
            return result(
                NodeStatus::NoSocket,
                detail,
                advice::enable(network, &data_dir),
            );
        }
    };
    let kind = meta.file_type();
    if kind.is_dir() {
        return result(
            NodeStatus::NotASocket,
            format!("{shown} is a directory, not a socket."),
            advice::directory(socket),
        );
    }
    if !kind.is_socket() {
        return result(
            NodeStatus::NotASocket,
            format!("{shown} is {}, not a socket.", kind_text(kind)),
            advice::other_file(socket),
        );
    }
    let mut stream = match open(socket) {
        Ok(stream) => stream,
        Err(Errno::CONNREFUSED) => {
            return result(
                NodeStatus::Stale,
                format!("The socket {shown} exists, but no process is listening on it."),
                advice::stale(),
            );
        }
        Err(Errno::ACCESS | Errno::PERM) => return forbidden(socket, network),
        Err(Errno::PROTOTYPE) => {
            return result(
                NodeStatus::NotASocket,
                format!("{shown} is a different type of socket than Bitcoin Core's."),
                advice::other_file(socket),
            );
        }
        Err(Errno::NOENT) => {
            return result(
                NodeStatus::NoSocket,
                format!("The socket {shown} was removed during the check."),
                advice::enable(network, &data_dir),
            );
        }
        Err(Errno::AGAIN) => {
            return result(
                NodeStatus::Silent,
                format!(
                    "The program listening on {shown} is not accepting connections: its queue is full."
                ),
                advice::silent(socket),
            );
        }
        Err(e) => {
            return result(
                NodeStatus::Silent,
                format!("The connection to {shown} failed: {e}."),
                advice::silent(socket),
            );
        }
    };
    let detail = match bootstrap::exchange(&mut stream, deadline) {
        BootstrapReply::Return => {
            return result(
                NodeStatus::Connected,
                format!("A node is responding on {shown}."),
                String::new(),
            );
        }
        BootstrapReply::Closed => {
            format!("The program listening on {shown} closes the connection immediately.")
        }
        BootstrapReply::Silence => {
            format!("The program listening on {shown} accepts the connection but does not respond.")
        }
        BootstrapReply::Foreign => format!(
            "The program listening on {shown} does not speak Bitcoin Core's protocol (Cap'n Proto RPC)."
        ),
    };
    result(NodeStatus::Silent, detail, advice::silent(socket))
}

fn open(socket: &Path) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&descriptor, &SocketAddrUnix::new(socket)?)?;
    let stream = UnixStream::from(descriptor);
    // From here on, each call has a timeout.
    stream
        .set_nonblocking(false)
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    Ok(stream)
}

/// Why the path does not exist.
fn missing(socket: &Path, error: &std::io::Error) -> String {
    let shown = socket.display();
    if Errno::from_io_error(error) == Some(Errno::LOOP) {
        return format!("{shown} cannot be followed: its symbolic links form a loop.");
    }
    if let Ok(target) = fs::read_link(socket) {
        return format!(
            "{shown} is a symbolic link to {}, which does not exist.",
            target.display()
        );
    }
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            let there = socket.ancestors().skip(1).find(|dir| dir.is_dir());
            match there {
                Some(dir) if Some(dir) != socket.parent() => format!(
                    "There is no socket at {shown}. Only the directory {} exists.",
                    dir.display()
                ),
                _ => format!("There is no socket at {shown}."),
            }
        }
        std::io::ErrorKind::NotADirectory => {
            format!("There is no socket at {shown}: a part of its path is a file, not a directory.")
        }
        _ => format!("{shown} cannot be examined: {error}."),
    }
}

fn forbidden(socket: &Path, network: BitcoinNetwork) -> NodeCheckResult {
    let (detail, advice) = match permissions::barrier(socket) {
        Some(barrier) => (barrier.detail(), barrier.advice()),
        None => (
            format!(
                "The system denies access to {}, even though the file permissions allow it.",
                socket.display()
            ),
            "Check whether a security module (AppArmor, SELinux) or a systemd setting such as ProtectHome denies access: sudo dmesg | grep -i denied."
                .into(),
        ),
    };
    NodeCheckResult::new(socket, network, NodeStatus::Forbidden, detail, advice)
}

fn kind_text(kind: FileType) -> &'static str {
    if kind.is_file() {
        "a file"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "something else"
    }
}

/// The advice for a socket with a name that the client cannot open. `data_dir`: where the link may
/// be created.
pub fn link_advice(result: &NodeCheckResult, data_dir: &Path) -> Option<String> {
    let socket = Path::new(&result.path);
    let link = data_dir.join("node");
    let name = result.network.socket_in(&link);
    (result.data_dir.is_none() && name.as_os_str().len() <= LONGEST_PATH && name != socket)
        .then(|| advice::link(socket, result.network, &link))
}

#[cfg(test)]
mod tests;
