//! Checks whether the ports of an instance are free, finds the process that uses them, and chooses
//! others.
//!
//! The client exits if its port is already in use: with exit code 1 for the miner port, with 0 for
//! monitoring (measured on 0.6.0). A check before the start can name the process and a free port.
//! Blocking; reads `/proc` as proc(5) describes it.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::base::ids::InstanceId;
use crate::base::listeners::overlap;
use crate::base::port_range::PortRange;
use crate::keeper::names::{self, MARK};
use crate::programs::translator;

/// The process that uses a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortHolder {
    /// The client of an instance.
    Instance(InstanceId),
    /// Another program of the same user.
    Program {
        /// Its process id.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// A program of another user, which cannot be identified.
    Unknown,
}

impl std::fmt::Display for PortHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance(_) => f.write_str("a client of another jd-manager"),
            Self::Program { pid, name } => write!(f, "{name} (pid {pid})"),
            Self::Unknown => f.write_str("another program"),
        }
    }
}

/// A port that is already in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConflict {
    /// Purpose of the port, for example `miners`.
    pub purpose: &'static str,
    /// Address and port.
    pub address: SocketAddr,
    /// The process that uses it.
    pub holder: PortHolder,
    /// A free port near it.
    pub free: Option<u16>,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PortListener {
    address: SocketAddr,
    /// Name of the link below `/proc/PID/fd`.
    socket: String,
}

/// All listening sockets. Read from `/proc` instead of binding the port: a test bind could make a
/// client fail that starts at that moment.
fn listeners() -> Vec<PortListener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    tables
        .iter()
        .flat_map(|table| {
            fs::read_to_string(table)
                .map(|t| parse(&t))
                .unwrap_or_default()
        })
        .collect()
}

/// The port of `address`, or the next free one in `range` that is not in `not`; none if there is none
/// nearby.
pub fn free(address: SocketAddr, not: &[u16], range: Option<PortRange>) -> Option<u16> {
    free_after(&listeners(), address, 0, not, range)
}

fn free_after(
    listeners: &[PortListener],
    address: SocketAddr,
    skipped: usize,
    not: &[u16],
    range: Option<PortRange>,
) -> Option<u16> {
    near(address.port(), range).skip(skipped).find(|port| {
        let near = SocketAddr::new(address.ip(), *port);
        !not.contains(port) && !listeners.iter().any(|l| overlap(l.address, near))
    })
}

/// How many ports are tried.
const NEAR: usize = 200;

/// The port and those near it: in `range`, or else those after it.
fn near(port: u16, range: Option<PortRange>) -> impl Iterator<Item = u16> {
    let after = || PortRange::new(port, u16::MAX);
    range
        .or_else(after)
        .into_iter()
        .flat_map(move |range| range.starting_at(port))
        .take(NEAR)
}

/// Chooses the ports of an instance at its start.
#[derive(Debug)]
pub struct PortChoice {
    own: InstanceId,
    listeners: Vec<PortListener>,
    /// Not to be chosen: the ports of other instances, and those of this one.
    not: HashSet<u16>,
    /// Used by another instance of the same configuration, even if it does not listen yet.
    siblings: HashSet<u16>,
}

impl PortChoice {
    /// For the instance `own`, whose configuration has the ports `configured`. `siblings`: the ports
    /// of other instances with the same configuration.
    pub fn new(own: InstanceId, configured: &[u16], siblings: &[u16]) -> Self {
        Self {
            own,
            listeners: listeners(),
            not: configured.iter().chain(siblings).copied().collect(),
            siblings: siblings.iter().copied().collect(),
        }
    }

    /// The port of `address`, or if it is not in `range`, a sibling uses it or `gives_way` to its holder,
    /// the next one that no program uses. The port stays if there is none nearby.
    pub fn choose(
        &mut self,
        address: SocketAddr,
        range: Option<PortRange>,
        gives_way: impl Fn(&PortHolder) -> bool,
    ) -> u16 {
        let port = address.port();
        let must_move = self.siblings.contains(&port)
            || range.is_some_and(|range| !range.contains(port))
            || self
                .holder(address)
                .is_some_and(|holder| gives_way(&holder));
        let is_free = |near: &u16| {
            !self.not.contains(near) && self.holder(SocketAddr::new(address.ip(), *near)).is_none()
        };
        let chosen = near(port, range)
            .filter(|near| must_move && *near != port)
            .find(is_free)
            .unwrap_or(port);
        self.not.insert(chosen);
        chosen
    }

    /// The process that listens there, if it is not one of this instance.
    fn holder(&self, address: SocketAddr) -> Option<PortHolder> {
        holder_at(&self.listeners, address)
            .filter(|holder| *holder != PortHolder::Instance(self.own))
    }
}

/// The ports that an instance used at its last start, from the files in its directory.
pub fn ports_in(dir: &Path) -> Vec<u16> {
    let text = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let client: toml::Table = text(names::CONFIG)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let clients = ["listening_address", "monitoring_address"]
        .into_iter()
        .filter_map(|key| client.get(key)?.as_str()?.parse::<SocketAddr>().ok());
    let translator = text(names::TRANSLATOR_CONFIG)
        .and_then(|text| Some(translator::config::read(&text).ok()?.config));
    let translators = translator
        .into_iter()
        .flat_map(|config| [Some(config.listening), config.monitoring]);
    clients
        .chain(translators.flatten())
        .map(|address| address.port())
        .collect()
}

/// The first of `wanted` that another process than the instance `own` uses.
pub fn first_taken(wanted: &[(&'static str, SocketAddr)], own: InstanceId) -> Option<PortConflict> {
    let listeners = listeners();
    wanted.iter().find_map(|&(purpose, address)| {
        let holder = holder_at(&listeners, address)?;
        let free = free_after(&listeners, address, 1, &[], None);
        (holder != PortHolder::Instance(own)).then_some(PortConflict {
            purpose,
            address,
            holder,
            free,
        })
    })
}

/// The process that prevents another from listening at `address`.
fn holder_at(listeners: &[PortListener], address: SocketAddr) -> Option<PortHolder> {
    let in_the_way: HashSet<&str> = listeners
        .iter()
        .filter(|l| overlap(l.address, address))
        .map(|l| l.socket.as_str())
        .collect();
    (!in_the_way.is_empty()).then(|| holder(&in_the_way))
}

fn holder(sockets: &HashSet<&str>) -> PortHolder {
    let Ok(processes) = fs::read_dir("/proc") else {
        return PortHolder::Unknown;
    };
    for process in processes.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(handles) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = handles.flatten().any(|handle| {
            fs::read_link(handle.path())
                .is_ok_and(|to| to.to_str().is_some_and(|to| sockets.contains(to)))
        });
        if holds {
            return match instance_of(pid) {
                Some(id) => PortHolder::Instance(id),
                None => PortHolder::Program {
                    pid,
                    name: fs::read_to_string(process.path().join("comm"))
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                },
            };
        }
    }
    PortHolder::Unknown
}

/// The instance of a client process, from the mark in its environment.
fn instance_of(pid: u32) -> Option<InstanceId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment
        .split(|b| *b == 0)
        .filter_map(|variable| std::str::from_utf8(variable).ok());
    variables
        .filter_map(|variable| variable.strip_prefix(MARK)?.strip_prefix('='))
        .find_map(|id| id.parse().ok())
}

/// The listening sockets of a table. Columns: `sl local_address rem_address st … inode`; addresses
/// and state are hexadecimal, each group of four bytes in the machine's order, state 0A is LISTEN.
fn parse(table: &str) -> Vec<PortListener> {
    let listener = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if *columns.get(3)? != "0A" {
            return None;
        }
        let (ip, port) = columns.get(1)?.split_once(':')?;
        let groups: Option<Vec<[u8; 4]>> = (0..ip.len())
            .step_by(8)
            .map(|at| {
                Some(
                    u32::from_str_radix(ip.get(at..at + 8)?, 16)
                        .ok()?
                        .to_ne_bytes(),
                )
            })
            .collect();
        let ip = match groups?.as_slice() {
            [four] => IpAddr::from(*four),
            groups => IpAddr::from(<[u8; 16]>::try_from(groups.concat()).ok()?),
        };
        let address = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
        Some(PortListener {
            address,
            socket: format!("socket:[{}]", columns.get(9)?),
        })
    };
    table.lines().skip(1).filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::translator::config::TranslatorConfig;
    use std::net::TcpListener;

    #[test]
    fn a_taken_port_names_its_holder_and_a_free_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = first_taken(&[("miners", address)], InstanceId::random()).unwrap();
        assert_eq!((taken.purpose, taken.address), ("miners", address));
        assert!(
            matches!(&taken.holder, PortHolder::Program { pid, name } if *pid == std::process::id() && !name.is_empty()),
            "{taken:?}"
        );
        let free = taken.free.unwrap();
        assert_eq!(super::free(address, &[], None), Some(free));
        assert!(super::free(address, &[free], None) > Some(free));
        assert!(free > address.port() && TcpListener::bind(("127.0.0.1", free)).is_ok());
        // A listener on all addresses conflicts with one on a single address, and vice versa.
        let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
        assert!(first_taken(&[("miners", any)], InstanceId::random()).is_some());
        drop(listener);
        assert_eq!(
            first_taken(&[("miners", address)], InstanceId::random()),
            None
        );
    }

    #[test]
    fn a_port_is_replaced_only_if_a_sibling_or_a_process_that_it_gives_way_to_uses_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        let own = InstanceId::random();
        let choice =
            |configured: &[u16], siblings: &[u16]| PortChoice::new(own, configured, siblings);
        assert_eq!(choice(&[port], &[]).choose(address, None, |_| false), port);
        let other = choice(&[port], &[]).choose(address, None, |holder| {
            matches!(holder, PortHolder::Program { .. })
        });
        assert!(other > port && TcpListener::bind(("127.0.0.1", other)).is_ok());
        // Neither a port of the configuration nor one chosen before.
        let mut both = choice(&[port, other], &[]);
        let next = both.choose(address, None, |_| true);
        assert!(next > other, "{next}");
        assert!(both.choose(address, None, |_| true) > next);
        drop(listener);
        assert_eq!(choice(&[port], &[]).choose(address, None, |_| true), port);
        assert!(choice(&[port], &[port]).choose(address, None, |_| false) > port);
        let last = SocketAddr::from(([127, 0, 0, 1], u16::MAX));
        assert_eq!(
            choice(&[u16::MAX], &[u16::MAX]).choose(last, None, |_| true),
            u16::MAX
        );
        // A port outside the range moves into it, and there wraps around.
        let range = PortRange::new(port, port.saturating_add(1));
        let outside = SocketAddr::new(address.ip(), port - 1);
        assert_eq!(
            choice(&[port - 1], &[]).choose(outside, range, |_| false),
            port
        );
        let second = SocketAddr::new(address.ip(), port + 1);
        assert_eq!(
            choice(&[port + 1], &[port + 1]).choose(second, range, |_| false),
            port
        );
    }

    #[test]
    fn the_ports_of_the_last_start_are_read_from_both_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ports_in(dir.path()).is_empty());
        let client =
            "listening_address = \"0.0.0.0:34265\"\nmonitoring_address = \"127.0.0.1:9091\"\n";
        fs::write(dir.path().join(names::CONFIG), client).unwrap();
        assert_eq!(ports_in(dir.path()), [34265, 9091]);
        let file = TranslatorConfig {
            listening: SocketAddr::from(([0, 0, 0, 0], 34255)),
            monitoring: Some(SocketAddr::from(([127, 0, 0, 1], 14255))),
            ..TranslatorConfig::beside_client(
                "127.0.0.1".into(),
                34265,
                "9azvK9CL5ZAmAdjDw9GEs9vHYAzVzxERRUUBT6SCWnr8RNd56Wh".into(),
                "acct".into(),
            )
        };
        let file = file.to_toml(8).unwrap();
        fs::write(dir.path().join(names::TRANSLATOR_CONFIG), file).unwrap();
        assert_eq!(ports_in(dir.path()), [34265, 9091, 34255, 14255]);
        fs::write(dir.path().join(names::CONFIG), "nonsense = ").unwrap();
        assert_eq!(ports_in(dir.path()), [34255, 14255]);
    }

    #[test]
    fn only_listening_sockets_count_and_addresses_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                     1: 0100007F:0BB8 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
                     2: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1\n\
                     3: nonsense\n";
        let found: Vec<(String, String)> = parse(table)
            .into_iter()
            .map(|l| (l.address.to_string(), l.socket))
            .collect();
        let expected = [
            ("127.0.0.1:3000", "socket:[4711]"),
            ("[::1]:3001", "socket:[4713]"),
        ];
        assert_eq!(found, expected.map(|(a, s)| (a.to_owned(), s.to_owned())));
        assert!(parse("").is_empty());
    }
}
