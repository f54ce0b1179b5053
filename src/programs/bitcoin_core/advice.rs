//! Advice about the node's socket, for each system.
//!
//! Sources: `bitcoin node -ipcbind` is from Bitcoin Core 30 (its release notes; bitcoin#33229,
//! #31802). Umbrel: its Bitcoin app 1.3.0. StartOS: its Bitcoin Core package 31.0
//! (bitcoin-core-startos#220). nix-bitcoin: the option of fort-nix/nix-bitcoin#837.

use std::path::Path;

use super::BitcoinNetwork;
use super::permissions::quoted;

/// How to enable the socket, two lines for each system.
pub(super) fn enable(network: BitcoinNetwork, data_dir: &Path) -> String {
    let line = match network.directory() {
        None => "ipcbind=unix".to_owned(),
        Some(section) => {
            // The name of the section in bitcoin.conf, as in its documentation.
            format!("ipcbind=unix below the line [{section}]")
        }
    };
    let dir = data_dir.display();
    let systems = [
        (
            "Bitcoin Core",
            format!("In {dir}/bitcoin.conf, add {line}."),
            "Stop bitcoind and start bitcoin node (or bitcoin-node) from Bitcoin Core 30 or 31. bitcoind itself does not provide this socket.".to_owned(),
        ),
        (
            "systemd",
            format!("In bitcoin.conf, add {line}. Run sudo systemctl edit bitcoind and add three lines: [Service], ExecStart= and ExecStart=/usr/local/bin/bitcoin node -datadir={dir}."),
            "Then run sudo systemctl restart bitcoind. If the socket is under /tmp, the unit must not use PrivateTmp.".to_owned(),
        ),
        (
            "Umbrel",
            "In the Bitcoin app (1.3.0 or newer), open Settings > Interfaces and turn on IPC.".to_owned(),
            "Save, and wait until the app has restarted.".to_owned(),
        ),
        (
            "StartOS",
            "In Bitcoin Core, open Actions > Other and choose Enable IPC.".to_owned(),
            "Restart Bitcoin Core. The socket does not exist before the restart, even though Runtime Information shows its path.".to_owned(),
        ),
        (
            "Docker",
            "Use bitcoin node -ipcbind=unix as the image's command.".to_owned(),
            "Mount the node's data directory, not the socket, into the jd-manager container.".to_owned(),
        ),
        (
            "nix-bitcoin",
            "Set services.bitcoind.ipcbind = [ \"unix\" ]; if your version has this option.".to_owned(),
            "Otherwise, override ExecStart in the bitcoind unit with bitcoin node -ipcbind=unix. Then run nixos-rebuild switch.".to_owned(),
        ),
    ];
    let mut text = String::from(
        "Enable the socket (ipcbind=unix) and restart the node. If the node's data directory is elsewhere, enter its path instead.",
    );
    for (system, first, second) in systems {
        text.push_str(&format!("\n\n{system}:\n{first}\n{second}"));
    }
    text
}

/// There is a directory instead of the socket.
pub(super) fn directory(socket: &Path) -> String {
    let parent = socket.parent().unwrap_or(socket).display();
    format!(
        "Docker creates a directory if the socket to mount does not exist. Stop the node and jd-manager, remove the directory with \
         sudo rmdir {}, and mount the directory {parent} instead of the socket: volumes: - {parent}:{parent}:ro. Then start the node first.",
        quoted(socket)
    )
}

/// There is another file instead of the socket.
pub(super) fn other_file(socket: &Path) -> String {
    format!(
        "Enter the node's data directory or its socket. If this path is correct, move the file away and restart the node: sudo mv {0} {0}.old",
        quoted(socket)
    )
}

/// No process listens on the socket.
pub(super) fn stale() -> String {
    "Start the node. If it is already running, it was started without ipcbind=unix, and the file is left over from an earlier run. In a container, mount \
     the socket's directory instead of the socket: a mounted socket still refers to the node's previous run."
        .into()
}

/// A process listens on the socket, but does not answer.
pub(super) fn silent(socket: &Path) -> String {
    format!(
        "Find out which program is listening there: sudo ss -xlp | grep {}. If it is Bitcoin Core, it may be starting or shutting down; if this persists, restart it.",
        quoted(socket)
    )
}

/// A command that creates a link with the name that the client opens. `link`: the data directory
/// for the link.
pub(super) fn link(socket: &Path, network: BitcoinNetwork, link: &Path) -> String {
    let name = network.socket_in(link);
    let parent = name.parent().unwrap_or(link);
    format!(
        "The client opens only <data directory>{}/node.sock. Create a link as the user that runs jd-manager: mkdir -p {} && ln -s {} {}. \
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
        assert!(signet.contains("In /b/bitcoin.conf, add ipcbind=unix below the line [signet]."));
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
