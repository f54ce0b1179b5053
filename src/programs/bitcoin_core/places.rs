//! The usual places of the node's data directory and socket.

use std::path::PathBuf;

/// The name of the socket on StartOS, relative to the data directory.
pub(super) const START_OS_SOCKET: &str = "ipc/bitcoin-core.sock";

/// Data directories of packages and node systems, in addition to the user's own.
const KNOWN: [&str; 10] = [
    // Packages, and nix-bitcoin.
    "/var/lib/bitcoind",
    "/var/lib/bitcoin",
    "/home/bitcoin/.bitcoin",
    // RaspiBolt, MiniBolt; RaspiBlitz; myNode.
    "/data/bitcoin",
    "/mnt/hdd/bitcoin",
    "/mnt/hdd/mynode/bitcoin",
    // Umbrel on the host, and as mounted in apps.
    "/home/umbrel/umbrel/app-data/bitcoin/data/bitcoin",
    "/bitcoin",
    // StartOS: the node's volume, as mounted in services.
    "/mnt/bitcoind",
    // Images of Bitcoin Core.
    "/data/.bitcoin",
];

/// The data directory of the current user. A client uses it if its configuration has none.
pub fn usual() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".bitcoin"))
}

/// A data directory with `~` replaced by the user's home, as shells do: `~`, `~/dir`. The client
/// may not do that.
pub fn expanded(dir: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    match dir.trim().strip_prefix('~') {
        Some(rest) if !home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
            format!("{home}{rest}")
        }
        _ => dir.to_owned(),
    }
}

/// Data directories in other places. Umbrel sets `APP_BITCOIN_DATA_DIR`.
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
