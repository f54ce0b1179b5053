//! Tests the check with real files and sockets.

use super::*;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::thread;

/// The beginning of the answer of a node, as `capnp encode` writes it.
const ANSWER: [u8; 24] = [
    0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0,
];

/// Serves `count` connections, each with this, and ends.
fn serve(
    listener: UnixListener,
    count: usize,
    each: impl Fn(UnixStream) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().take(count) {
            each(stream.unwrap());
        }
    })
}

fn answer(mut stream: UnixStream) {
    let _ = stream.read(&mut [0; 48]);
    let _ = stream.write_all(&ANSWER);
}

fn status(path: &Path, network: Option<BitcoinNetwork>) -> NodeStatus {
    check(Some(path), network).status
}

#[test]
fn a_node_that_answers_is_found_by_its_socket_and_by_its_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("regtest")).unwrap();
    let socket = dir.path().join("regtest/node.sock");
    let node = serve(UnixListener::bind(&socket).unwrap(), 4, answer);
    let regtest = Some(BitcoinNetwork::Regtest);
    for (path, network) in [
        (socket.as_path(), None),
        (dir.path(), None),
        (dir.path(), regtest),
        (&dir.path().join("regtest"), regtest),
    ] {
        let result = check(Some(path), network);
        assert_eq!(result.status, NodeStatus::Connected, "{result:?}");
        assert_eq!(result.network, BitcoinNetwork::Regtest);
        assert_eq!(result.data_dir.as_deref(), dir.path().to_str());
    }
    node.join().unwrap();
}

#[test]
fn the_socket_of_another_chain_is_the_wrong_network() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("regtest")).unwrap();
    let socket = dir.path().join("regtest/node.sock");
    let node = serve(UnixListener::bind(&socket).unwrap(), 1, answer);
    let by_directory = check(Some(dir.path()), Some(BitcoinNetwork::Mainnet));
    assert_eq!(
        by_directory.status,
        NodeStatus::WrongNetwork,
        "{by_directory:?}"
    );
    assert!(by_directory.advice.contains("Set the network to regtest"));
    let by_socket = check(Some(&socket), Some(BitcoinNetwork::Signet));
    assert_eq!(by_socket.status, NodeStatus::WrongNetwork, "{by_socket:?}");
    node.join().unwrap();
}

#[test]
fn what_is_no_socket_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("node.sock")).unwrap();
    fs::write(path("file"), "").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _other = UnixDatagram::bind(path("datagram")).unwrap();
    symlink(path("file"), path("link")).unwrap();
    for (name, word) in [
        ("node.sock", "directory"),
        ("file", "a file"),
        ("link", "a file"),
        ("pipe", "a named pipe"),
        ("datagram", "a different type of socket"),
    ] {
        let result = check(Some(&path(name)), None);
        assert_eq!(result.status, NodeStatus::NotASocket, "{result:?}");
        assert!(result.detail.contains(word), "{result:?}");
    }
    let null = check(Some(Path::new("/dev/null")), None);
    assert!(null.detail.contains("a device"), "{null:?}");
    let directory = check(Some(dir.path()), None);
    assert_eq!(directory.status, NodeStatus::NotASocket, "{directory:?}");
    assert!(
        directory.advice.contains("sudo rmdir") && directory.advice.contains("volumes"),
        "{directory:?}"
    );
}

#[test]
fn a_path_without_a_socket_says_how_to_enable_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    symlink("round", path("about")).unwrap();
    symlink("about", path("round")).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    fs::write(path("file"), "").unwrap();
    for (name, word) in [
        ("node.sock", "There is no socket"),
        ("a/b/node.sock", "Only the directory"),
        ("round", "form a loop"),
        ("dangling", "symbolic link to nowhere"),
        ("file/node.sock", "not a directory"),
    ] {
        let result = check(Some(&path(name)), None);
        assert_eq!(result.status, NodeStatus::NoSocket, "{result:?}");
        assert!(result.detail.contains(word), "{result:?}");
        for system in ["Umbrel:", "StartOS:", "Docker:", "nix-bitcoin:", "systemd:"] {
            assert!(result.advice.contains(system), "{result:?}");
        }
    }
    assert_eq!(status(dir.path(), None), NodeStatus::NoSocket);
    let long = check(
        Some(&path(&"x".repeat(120)).join(SOCKET_NAME)),
        Some(BitcoinNetwork::Mainnet),
    );
    assert_eq!(long.status, NodeStatus::NoSocket);
    assert!(long.detail.contains("at most 107"), "{long:?}");
}

#[test]
fn a_socket_that_nobody_listens_on_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(SOCKET_NAME);
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(status(&socket, None), NodeStatus::Stale);
}

#[test]
fn a_program_that_does_not_answer_is_silent_and_the_check_ends() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(SOCKET_NAME);
    let listener = UnixListener::bind(&socket).unwrap();
    let begun = Instant::now();
    let result = check(Some(&socket), None);
    assert_eq!(result.status, NodeStatus::Silent, "{result:?}");
    assert!(
        begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE * 2,
        "{:?}",
        begun.elapsed()
    );
    // Its queue is full: a connection would block.
    let mut waiting = Vec::new();
    while let Ok(stream) = open(&socket) {
        waiting.push(stream);
        assert!(waiting.len() < 100_000);
    }
    let begun = Instant::now();
    let full = check(Some(&socket), None);
    assert!(full.detail.contains("queue is full"), "{full:?}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop((listener, waiting));
    for (each, word) in [
        (drop as fn(UnixStream), "closes the connection"),
        (
            |mut stream| {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
                let _ = stream.read_to_end(&mut Vec::new());
            },
            "does not speak",
        ),
    ] {
        fs::remove_file(&socket).unwrap();
        let peer = serve(UnixListener::bind(&socket).unwrap(), 1, each);
        let result = check(Some(&socket), None);
        assert_eq!(result.status, NodeStatus::Silent, "{result:?}");
        assert!(result.detail.contains(word), "{result:?}");
        peer.join().unwrap();
    }
}

/// As root nothing is denied; tests/quick/routes/node.rs does this as another user.
#[test]
fn what_may_not_be_used_is_named_with_the_command_that_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let socket = closed.join(SOCKET_NAME);
    let _node = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let found = permissions::barrier(&socket);
    if rustix::process::geteuid().is_root() {
        assert_eq!(found, None);
        return;
    }
    let result = check(Some(&socket), None);
    assert_eq!(result.status, NodeStatus::Forbidden, "{result:?}");
    assert!(
        result
            .detail
            .contains("is not allowed to enter the directory")
            && result.detail.contains("0600"),
        "{result:?}"
    );
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_socket_with_another_name_can_be_linked() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ipc")).unwrap();
    let socket = dir.path().join(places::START_OS_SOCKET);
    let node = serve(UnixListener::bind(&socket).unwrap(), 2, answer);
    let result = check(Some(dir.path()), None);
    assert_eq!(result.status, NodeStatus::Connected, "{result:?}");
    assert_eq!(result.data_dir, None);
    let manager = dir.path().join("m");
    let advice = link_advice(&result, &manager).unwrap();
    assert!(advice.contains("ln -s"), "{advice}");
    // The link leads to a socket that the check, and so a client, can use.
    fs::create_dir_all(manager.join("node")).unwrap();
    symlink(&socket, manager.join("node").join(SOCKET_NAME)).unwrap();
    let linked = check(Some(&manager.join("node")), None);
    assert_eq!(linked.status, NodeStatus::Connected, "{linked:?}");
    assert_eq!(linked.data_dir.as_deref(), manager.join("node").to_str());
    assert_eq!(link_advice(&linked, &manager), None);
    node.join().unwrap();
}
