//! The addresses to enter in the miners of an instance, best first.
//!
//! A client that listens on all addresses is reached by any IPv4 address of this machine. Which one
//! a miner on the network can use follows from the kernel's tables: `/proc/net/fib_trie` lists the
//! addresses, `/proc/net/route` the interface of each network and of the default route.

use schemars::JsonSchema;
use serde::Serialize;
use std::cmp::Reverse;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::domain::configs::ClientConfig;

/// Interfaces of containers, virtual machines and tunnels. No miner uses them.
const VIRTUAL: [&str; 20] = [
    "br-",
    "cali",
    "cni",
    "docker",
    "flannel",
    "incusbr",
    "kube",
    "lxcbr",
    "lxdbr",
    "podman",
    "ppp",
    "tailscale",
    "tap",
    "tun",
    "utun",
    "veth",
    "virbr",
    "vmnet",
    "wg",
    "zt",
];

/// The protocol of a port for miners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinerProtocol {
    /// Stratum V1, by the translator.
    V1,
    /// Stratum V2, by the client itself.
    V2,
}

impl MinerProtocol {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// What to enter in a miner.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct MinerAddress {
    /// The protocol of the miner.
    pub protocol: MinerProtocol,
    /// Everything in one: `stratum2+tcp://host:port/key` or `stratum+tcp://host:port`.
    pub url: String,
    /// The host's IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The public key of the client, for Stratum V2 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl MinerAddress {
    /// The addresses for miners of one protocol.
    pub fn of_protocol(all: &[Self], protocol: MinerProtocol) -> Vec<&Self> {
        let is_wanted = |address: &&Self| address.protocol == protocol;
        all.iter().filter(is_wanted).collect()
    }

    /// Only programs on this machine can connect.
    pub fn is_local(&self) -> bool {
        self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

/// The addresses of an instance with this configuration, those for Stratum V2 miners first, best first
/// within a protocol. Never empty: without a network it is loopback's.
pub async fn miner_addresses(config: &ClientConfig) -> Vec<MinerAddress> {
    let key = &config.authority_public_key;
    let mut found: Vec<MinerAddress> = reachable(config.listening_address)
        .await
        .into_iter()
        .map(|address| MinerAddress {
            protocol: MinerProtocol::V2,
            url: format!("stratum2+tcp://{address}/{key}"),
            host: address.ip().to_string(),
            port: address.port(),
            key: Some(key.clone()),
        })
        .collect();
    if let Some(translator) = config.enabled_translator() {
        let addresses = reachable(translator.listening_address).await;
        found.extend(addresses.into_iter().map(|address| MinerAddress {
            protocol: MinerProtocol::V1,
            url: format!("stratum+tcp://{address}"),
            host: address.ip().to_string(),
            port: address.port(),
            key: None,
        }));
    }
    found
}

/// The addresses by which a listener is reached, best first.
async fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    if address.ip().is_unspecified() {
        let read = tokio::task::spawn_blocking(|| {
            let [addresses, routes] = ["fib_trie", "route"]
                .map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
            lan_addresses(&addresses, &routes)
        });
        let own = read.await.unwrap_or_default();
        let own = if own.is_empty() {
            vec![Ipv4Addr::LOCALHOST]
        } else {
            own
        };
        own.into_iter()
            .map(|ip| SocketAddr::from((ip, address.port())))
            .collect()
    } else {
        vec![address]
    }
}

/// A row of `/proc/net/route`.
struct KernelRoute<'t> {
    interface: &'t str,
    network: u32,
    mask: u32,
    metric: u32,
}

impl<'t> KernelRoute<'t> {
    /// Columns: `Iface Destination Gateway Flags RefCnt Use MetricKind Mask …`. Addresses are
    /// hexadecimal in the machine's byte order.
    fn parse(line: &'t str) -> Option<Self> {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| {
            Some(u32::from_be_bytes(
                u32::from_str_radix(columns.get(at)?, 16)
                    .ok()?
                    .to_ne_bytes(),
            ))
        };
        Some(Self {
            interface: columns.first()?,
            network: address(1)?,
            mask: address(7)?,
            metric: columns.get(6)?.parse().ok()?,
        })
    }
}

/// This machine's IPv4 addresses without loopback, the most likely one for miners first.
fn lan_addresses(fib_trie: &str, routes: &str) -> Vec<Ipv4Addr> {
    let routes: Vec<KernelRoute<'_>> = routes
        .lines()
        .skip(1)
        .filter_map(KernelRoute::parse)
        .collect();
    let default = routes
        .iter()
        .filter(|route| route.mask == 0)
        .min_by_key(|route| route.metric)
        .map(|route| route.interface);
    let interface = |ip: Ipv4Addr| {
        let reaching = routes
            .iter()
            .filter(|route| route.mask != 0 && u32::from(ip) & route.mask == route.network);
        reaching
            .max_by_key(|route| (route.mask, Reverse(route.metric)))
            .map(|route| route.interface)
    };
    let mut found = own_addresses(fib_trie);
    found.sort_by_cached_key(|&ip| {
        let interface = interface(ip);
        let is_virtual =
            interface.is_some_and(|name| VIRTUAL.iter().any(|prefix| name.starts_with(prefix)));
        let is_default = interface.is_some() && interface == default;
        // A machine with the first address of a network is usually the gateway itself, as on
        // bridges of containers.
        let is_gateway = ip.octets()[3] == 1;
        (is_virtual, !is_default, is_gateway, distance(ip), ip)
    });
    found
}

/// How unlike a home network an address is.
fn distance(ip: Ipv4Addr) -> u8 {
    match ip.octets() {
        _ if ip.is_private() => 0,
        _ if ip.is_link_local() => 3,
        [100, 64..=127, ..] => 2,
        _ => 1,
    }
}

/// In `/proc/net/fib_trie`, an address of this machine is followed by `/32 host LOCAL`.
fn own_addresses(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.take().filter(|address| !address.is_loopback()));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6 writes it for a machine with two container networks.
    const UMBREL: &str = include_str!("../../../tests/data/proc/umbrel-fib_trie");
    const UMBREL_ROUTES: &str = include_str!("../../../tests/data/proc/umbrel-route");
    /// As Linux 6 writes it for a machine with one address.
    const PLAIN: &str = include_str!("../../../tests/data/proc/plain-fib_trie");
    const PLAIN_ROUTES: &str = include_str!("../../../tests/data/proc/plain-route");

    fn found(fib_trie: &str, routes: &str) -> Vec<String> {
        lan_addresses(fib_trie, routes)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_container_bridge_never_comes_first() {
        for routes in [UMBREL_ROUTES, "", "nonsense\nnonsense\n"] {
            assert_eq!(
                found(UMBREL, routes),
                ["192.168.7.20", "10.21.0.1", "172.17.0.1"],
                "{routes}"
            );
        }
        assert_eq!(found(PLAIN, PLAIN_ROUTES), ["192.0.2.2"]);
        assert_eq!(found("", ""), [""; 0]);
    }

    #[test]
    fn the_interface_of_the_default_route_decides() {
        let table = |addresses: &[&str]| {
            addresses.iter().fold(String::from("Main:\n"), |t, a| {
                t + "  |-- " + a + "\n     /32 host LOCAL\n"
            })
        };
        let two = table(&["10.0.0.5", "192.168.1.7", "127.0.0.1"]);
        let route = |name: &str, network: [u8; 4], mask: [u8; 4], metric: u32| {
            let [network, mask] =
                [network, mask].map(|bytes| format!("{:08X}", u32::from_ne_bytes(bytes)));
            format!("{name}\t{network}\t00000000\t0001\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
        };
        let networks = route("eth0", [192, 168, 1, 0], [255, 255, 255, 0], 100)
            + &route("wlan0", [10, 0, 0, 0], [255, 0, 0, 0], 600);
        let head =
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        for (eth, wlan, first) in [(100, 600, "192.168.1.7"), (700, 600, "10.0.0.5")] {
            let defaults =
                route("eth0", [0; 4], [0; 4], eth) + &route("wlan0", [0; 4], [0; 4], wlan);
            assert_eq!(
                found(&two, &format!("{head}{defaults}{networks}"))[0],
                first
            );
        }
        // No miner is behind a tunnel with all traffic, or behind the first address of a network if
        // that is this machine's own.
        let tunnel =
            route("wg0", [0; 4], [0; 4], 0) + &route("wg0", [10, 0, 0, 0], [255, 0, 0, 0], 0);
        let networks = route("eth0", [192, 168, 1, 0], [255, 255, 255, 0], 100);
        assert_eq!(
            found(&two, &format!("{head}{tunnel}{networks}"))[0],
            "192.168.1.7"
        );
        assert_eq!(
            found(&table(&["10.88.0.1", "100.100.3.4", "169.254.9.9"]), "")[2],
            "10.88.0.1"
        );
        assert_eq!(
            found(&table(&["100.100.3.4", "169.254.9.9", "203.0.113.5"]), ""),
            ["203.0.113.5", "100.100.3.4", "169.254.9.9"]
        );
    }
}
