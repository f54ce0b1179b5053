//! Where systems keep the node's data directory and its socket.

use std::path::PathBuf;

/// A socket with a name of its own that StartOS gives it, below the data directory.
pub(super) const START_OS_SOCKET: &str = "ipc/bitcoin-core.sock";

/// Data directories of packages and node systems, besides that of the own user.
const KNOWN: [&str; 10] = [
    // Packages, and nix-bitcoin.
    "/var/lib/bitcoind",
    "/var/lib/bitcoin",
    "/home/bitcoin/.bitcoin",
    // RaspiBolt, MiniBolt; RaspiBlitz; myNode.
    "/data/bitcoin",
    "/mnt/hdd/bitcoin",
    "/mnt/hdd/mynode/bitcoin",
    // Umbrel on the machine itself, and as apps mount it.
    "/home/umbrel/umbrel/app-data/bitcoin/data/bitcoin",
    "/bitcoin",
    // StartOS: the node's volume, as services mount it.
    "/mnt/bitcoind",
    // Images of Bitcoin Core.
    "/data/.bitcoin",
];

/// The usual data directory: that of the own user. It is the one that a client takes when its
/// configuration names none.
pub fn usual() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".bitcoin"))
}

/// A data directory with the own user's home written out, as shells write it: `~`, `~/dir`. The
/// client may not do that.
pub fn expanded(dir: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    match dir.trim().strip_prefix('~') {
        Some(rest) if !home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
            format!("{home}{rest}")
        }
        _ => dir.to_owned(),
    }
}

/// Data directories in other places. Umbrel names its own in `APP_BITCOIN_DATA_DIR`.
pub fn others() -> Vec<PathBuf> {
    let usual = usual();
    let umbrel = std::env::var_os("APP_BITCOIN_DATA_DIR").map(PathBuf::from);
    let mut found: Vec<PathBuf> = umbrel
        .into_iter()
        .filter(|dir| dir.is_absolute())
        .chain(KNOWN.map(PathBuf::from))
        .filter(|dir| Some(dir) != usual.as_ref())
        .collect();
    found.dedup();
    found
}
