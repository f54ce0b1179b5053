//! The addresses and the name by which other machines reach this one. Reads `/proc` and `/sys`; sends
//! nothing.
//!
//! A program that listens on all addresses is reached by any IPv4 address of this machine. Which one
//! a miner on the network can use follows from the kernel's tables: `/proc/net/fib_trie` lists the
//! addresses, `/proc/net/route` the interface of each network and of the default route.

use std::cmp::Reverse;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// Interfaces of containers and virtual machines. Only programs on this machine reach them.
const CONTAINER_INTERFACES: [&str; 15] = [
    "br-", "cali", "cilium", "cni", "docker", "flannel", "incusbr", "kube", "lxcbr", "lxdbr",
    "podman", "veth", "virbr", "vmnet", "vnet",
];

/// Interfaces of tunnels. Miners rarely use them.
const TUNNEL_INTERFACES: [&str; 7] = ["ppp", "tailscale", "tap", "tun", "utun", "wg", "zt"];

/// The UDP port of multicast DNS (RFC 6762), in hexadecimal as in `/proc/net/udp`.
const MDNS_PORT: &str = ":14E9";

/// How other machines reach this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalNetwork {
    /// The IPv4 addresses without loopback, link-local ones and those of container bridges; the most
    /// likely one for miners first.
    pub addresses: Vec<Ipv4Addr>,
    /// The host name with `.local`, if it probably works in the local network. It does not work
    /// everywhere: the miner must support multicast DNS, and another machine may have the same name.
    pub local_name: Option<String>,
}

impl LocalNetwork {
    /// Reads the kernel's tables.
    pub async fn read() -> Self {
        let read = tokio::task::spawn_blocking(|| {
            let [addresses, routes, udp, udp6] = ["fib_trie", "route", "udp", "udp6"]
                .map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
            let host_name = rustix::system::uname();
            Self {
                addresses: lan_addresses(&addresses, &routes, |interface| {
                    // An interface name has no slash, so this stays in the directory.
                    Path::new("/sys/class/net")
                        .join(interface)
                        .join("bridge")
                        .exists()
                }),
                local_name: local_name(&host_name.nodename().to_string_lossy(), &(udp + &udp6)),
            }
        });
        read.await.unwrap_or_default()
    }
}

/// The host name with `.local`, if a program on this machine answers multicast DNS (its UDP port is
/// in use: Avahi or systemd-resolved) and the name is not one that a container gets.
fn local_name(host_name: &str, udp: &str) -> Option<String> {
    let answers = udp
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .any(|local_address| local_address.ends_with(MDNS_PORT));
    let label = host_name.split('.').next()?.to_ascii_lowercase();
    let is_label = (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-');
    let is_container_id = label.len() == 12 && label.bytes().all(|b| b.is_ascii_hexdigit());
    (answers && is_label && label != "localhost" && !is_container_id)
        .then(|| format!("{label}.local"))
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

/// This machine's IPv4 addresses without loopback, link-local ones and those of container bridges; the
/// most likely one for miners first. `is_bridge`: whether an interface is a bridge of any name.
fn lan_addresses(fib_trie: &str, routes: &str, is_bridge: impl Fn(&str) -> bool) -> Vec<Ipv4Addr> {
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
    let starts_with_one =
        |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    // On a host of virtual machines, the bridge with the default route is the local network.
    let is_container = |name: &str| {
        starts_with_one(name, &CONTAINER_INTERFACES) || (default != Some(name) && is_bridge(name))
    };
    let mut found = own_addresses(fib_trie);
    found.retain(|&ip| !ip.is_link_local() && !interface(ip).is_some_and(is_container));
    found.sort_by_cached_key(|&ip| {
        let interface = interface(ip);
        let is_tunnel = interface.is_some_and(|name| starts_with_one(name, &TUNNEL_INTERFACES));
        let is_default = interface.is_some() && interface == default;
        // A machine with the first address of a network is usually the gateway itself, as on
        // bridges of containers.
        let is_gateway = ip.octets()[3] == 1;
        (is_tunnel, !is_default, is_gateway, distance(ip), ip)
    });
    found
}

/// How unlike a home network an address is.
fn distance(ip: Ipv4Addr) -> u8 {
    match ip.octets() {
        _ if ip.is_private() => 0,
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
    const HEAD: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    fn found_beside_bridges(fib_trie: &str, routes: &str, bridges: &[&str]) -> Vec<String> {
        lan_addresses(fib_trie, routes, |name| bridges.contains(&name))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn found(fib_trie: &str, routes: &str) -> Vec<String> {
        found_beside_bridges(fib_trie, routes, &[])
    }

    fn table(addresses: &[&str]) -> String {
        addresses.iter().fold(String::from("Main:\n"), |t, a| {
            t + "  |-- " + a + "\n     /32 host LOCAL\n"
        })
    }

    fn route(name: &str, network: [u8; 4], mask: [u8; 4], metric: u32) -> String {
        let [network, mask] =
            [network, mask].map(|bytes| format!("{:08X}", u32::from_ne_bytes(bytes)));
        format!("{name}\t{network}\t00000000\t0001\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn no_address_of_a_container_bridge_is_listed() {
        assert_eq!(found(UMBREL, UMBREL_ROUTES), ["192.168.7.20"]);
        // Without the routes, the interface of an address is unknown.
        for routes in ["", "nonsense\nnonsense\n"] {
            assert_eq!(found(UMBREL, routes)[0], "192.168.7.20", "{routes}");
        }
        assert_eq!(found(PLAIN, PLAIN_ROUTES), ["192.0.2.2"]);
        assert_eq!(found("", ""), [""; 0]);
        // A bridge of any name, unless it is the way to the network.
        let addresses = table(&["10.0.3.1", "192.168.1.7"]);
        let lan = [192, 168, 1, 0];
        let routes = format!(
            "{HEAD}{}",
            route("mine0", [10, 0, 3, 0], [255, 255, 255, 0], 0)
        ) + &route("vmbr0", lan, [255, 255, 255, 0], 0)
            + &route("vmbr0", [0; 4], [0; 4], 0);
        let bridges = ["mine0", "vmbr0"];
        assert_eq!(
            found_beside_bridges(&addresses, &routes, &bridges),
            ["192.168.1.7"]
        );
        for name in ["docker0", "br-1a2b", "veth12", "virbr0", "cni0", "podman1"] {
            let routes = format!("{HEAD}{}", route(name, lan, [255, 255, 255, 0], 0));
            assert_eq!(found(&addresses, &routes), ["10.0.3.1"], "{name}");
        }
    }

    #[test]
    fn the_interface_of_the_default_route_decides() {
        let two = table(&["10.0.0.5", "192.168.1.7", "127.0.0.1"]);
        let networks = route("eth0", [192, 168, 1, 0], [255, 255, 255, 0], 100)
            + &route("wlan0", [10, 0, 0, 0], [255, 0, 0, 0], 600);
        for (eth, wlan, first) in [(100, 600, "192.168.1.7"), (700, 600, "10.0.0.5")] {
            let defaults =
                route("eth0", [0; 4], [0; 4], eth) + &route("wlan0", [0; 4], [0; 4], wlan);
            assert_eq!(
                found(&two, &format!("{HEAD}{defaults}{networks}"))[0],
                first
            );
        }
        // Miners are rarely behind a tunnel with all traffic, or behind the first address of a
        // network if that is this machine's own.
        let tunnel =
            route("wg0", [0; 4], [0; 4], 0) + &route("wg0", [10, 0, 0, 0], [255, 0, 0, 0], 0);
        let networks = route("eth0", [192, 168, 1, 0], [255, 255, 255, 0], 100);
        assert_eq!(
            found(&two, &format!("{HEAD}{tunnel}{networks}")),
            ["192.168.1.7", "10.0.0.5"]
        );
        assert_eq!(
            found(&table(&["10.88.0.1", "100.100.3.4", "169.254.9.9"]), ""),
            ["100.100.3.4", "10.88.0.1"]
        );
        assert_eq!(
            found(&table(&["100.100.3.4", "169.254.9.9", "203.0.113.5"]), ""),
            ["203.0.113.5", "100.100.3.4"]
        );
    }

    #[test]
    fn a_local_name_needs_a_responder_and_a_real_host_name() {
        let udp = "  sl  local_address rem_address   st\n   \
                   7: 00000000:14E9 00000000:0000 07 00000000:00000000\n";
        let none = "  sl  local_address rem_address   st\n   \
                    7: 00000000:0044 00000000:14E9 07 00000000:00000000\n";
        for (host_name, expected) in [
            ("umbrel", Some("umbrel.local")),
            ("Barn-1.lan", Some("barn-1.local")),
            ("umbrel.local", Some("umbrel.local")),
            ("localhost", None),
            ("3f2a9c0d1e4b", None),
            ("my_host", None),
            ("-x", None),
            ("", None),
        ] {
            assert_eq!(
                local_name(host_name, udp).as_deref(),
                expected,
                "{host_name}"
            );
            assert_eq!(local_name(host_name, none), None, "{host_name}");
        }
    }
}
