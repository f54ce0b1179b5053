//! What to do about a socket, in sentences, by system.
//!
//! Sources: `bitcoin node -ipcbind` is of Bitcoin Core 30 (its release notes; bitcoin#33229, #31802).
//! Umbrel: its Bitcoin app 1.3.0. StartOS: its Bitcoin Core package 31.0 (bitcoin-core-startos#220).
//! nix-bitcoin: the option of fort-nix/nix-bitcoin#837.

use std::path::Path;

use super::BitcoinNetwork;
use super::permissions::quoted;

/// How to switch the socket on, two lines for each system.
pub(super) fn enable(network: BitcoinNetwork, data_dir: &Path) -> String {
    let line = match network.directory() {
        None => "ipcbind=unix".to_owned(),
        Some(section) => {
            // The section of bitcoin.conf, as its documentation names it.
            format!("[{section}] and below it ipcbind=unix")
        }
    };
    let dir = data_dir.display();
    let systems = [
        (
            "Bitcoin Core",
            format!("Put {line} into {dir}/bitcoin.conf."),
            "Stop bitcoind and start bitcoin node (or bitcoin-node) of Bitcoin Core 30 or 31: bitcoind itself has no such socket.".to_owned(),
        ),
        (
            "systemd",
            format!("Put {line} into bitcoin.conf and change the command with sudo systemctl edit bitcoind: ExecStart= and below it ExecStart=/usr/local/bin/bitcoin node -datadir={dir}."),
            "Then run sudo systemctl restart bitcoind. The unit must not have PrivateTmp for a socket below /tmp.".to_owned(),
        ),
        (
            "Umbrel",
            "In the Bitcoin app (1.3.0 or newer), open Settings, Interfaces, and switch IPC on.".to_owned(),
            "Save, and wait until the app has restarted.".to_owned(),
        ),
        (
            "StartOS",
            "In Bitcoin Core, run Actions, Other, Enable IPC.".to_owned(),
            "Restart Bitcoin Core: until then there is no socket, although Runtime Information shows its path.".to_owned(),
        ),
        (
            "Docker",
            "Start the image with bitcoin node -ipcbind=unix as its command.".to_owned(),
            "Mount the data directory of the node into the container of jd-manager, not the socket.".to_owned(),
        ),
        (
            "nix-bitcoin",
            "Set services.bitcoind.ipcbind = [ \"unix\" ]; where your version has this option.".to_owned(),
            "Else override ExecStart of the unit bitcoind with bitcoin node -ipcbind=unix; then nixos-rebuild switch.".to_owned(),
        ),
    ];
    let mut text = String::from(
        "Switch the socket on (ipcbind=unix) and restart the node, or enter the path of its data directory if it is elsewhere.",
    );
    for (system, first, second) in systems {
        text.push_str(&format!("\n\n{system}:\n{first}\n{second}"));
    }
    text
}

/// A directory has the place of the socket.
pub(super) fn directory(socket: &Path) -> String {
    let parent = socket.parent().unwrap_or(socket).display();
    format!(
        "Docker creates a directory when a socket that it is to mount does not exist. Stop the node and jd-manager, remove it with \
         sudo rmdir {}, and mount the directory {parent} instead of the socket: volumes: - {parent}:{parent}:ro. Then start the node first.",
        quoted(socket)
    )
}

/// Something else has the place of the socket.
pub(super) fn other_file(socket: &Path) -> String {
    format!(
        "Enter the node's data directory or its socket. If this is the right place, move the file away and restart the node: sudo mv {0} {0}.old",
        quoted(socket)
    )
}

/// No process listens.
pub(super) fn stale() -> String {
    "Start the node. If it runs, it was started without ipcbind=unix, and the file is left from an earlier run. In a container, mount the \
     directory of the socket instead of the socket itself: a mounted socket still refers to the node's previous run."
        .into()
}

/// A process listens and does not answer.
pub(super) fn silent(socket: &Path) -> String {
    format!(
        "See which program listens there: sudo ss -xlp | grep {}. If it is Bitcoin Core, restart it; it may be starting or shutting down.",
        quoted(socket)
    )
}

/// A command that gives a client the name it opens; `link`: the data directory for it.
pub(super) fn link(socket: &Path, network: BitcoinNetwork, link: &Path) -> String {
    let name = network.socket_in(link);
    let parent = name.parent().unwrap_or(link);
    format!(
        "The client opens only <data directory>{}/node.sock. Create a link, as the user that jd-manager runs as: mkdir -p {} && ln -s {} {}. \
         Then enter {} as the data directory in the configuration.",
        network
            .directory()
            .map(|name| format!("/{name}"))
            .unwrap_or_default(),
        quoted(parent),
        quoted(socket),
        quoted(&name),
        link.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_two_lines() {
        for network in [BitcoinNetwork::Mainnet, BitcoinNetwork::Signet] {
            let text = enable(network, Path::new("/var/lib/bitcoind"));
            let systems: Vec<&str> = text.split("\n\n").skip(1).collect();
            assert_eq!(systems.len(), 6);
            for system in systems {
                assert_eq!(system.lines().count(), 3, "{system}");
            }
        }
        let signet = enable(BitcoinNetwork::Signet, Path::new("/b"));
        assert!(signet.contains("Put [signet] and below it ipcbind=unix into /b/bitcoin.conf"));
    }

    #[test]
    fn a_link_has_the_name_that_the_client_opens() {
        let socket = Path::new("/mnt/bitcoind/ipc/bitcoin-core.sock");
        let text = link(
            socket,
            BitcoinNetwork::Testnet4,
            Path::new("/var/lib/jd-manager/node"),
        );
        assert!(
            text.contains("mkdir -p /var/lib/jd-manager/node/testnet4 && ln -s /mnt/bitcoind/ipc/bitcoin-core.sock /var/lib/jd-manager/node/testnet4/node.sock"),
            "{text}"
        );
    }
}
