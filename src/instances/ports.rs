//! Whether the ports a client is going to listen on are free, and if not, who holds them.
//!
//! The client itself ends when its port is taken: for miners with exit code 1, for monitoring with 0 (measured on 0.6.0). Asked
//! beforehand, the answer can name the holder and a port that is free. Blocking; reads `/proc` as proc(5) describes it.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::ids::InstanceId;
use crate::keeper::names::MARK;

/// Who listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The client of an instance.
    Instance(InstanceId),
    /// Another program of the same user.
    Program {
        /// Its process id.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// A program of another user, which cannot be looked into.
    Unknown,
}

/// A port that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it is for, e.g. `miners`.
    pub purpose: &'static str,
    /// Address and port.
    pub address: SocketAddr,
    /// Who has it.
    pub holder: Holder,
    /// A free port near it.
    pub free: Option<u16>,
}

/// The first of `wanted` that somebody else than the instance `own` holds.
#[must_use]
pub fn first_taken(wanted: &[(&'static str, SocketAddr)], own: InstanceId) -> Option<Taken> {
    wanted.iter().find_map(|&(purpose, address)| {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == ErrorKind::AddrInUse => {}
            // Free, or a fault that the client will tell in its own words (no such address here, a port below 1024).
            _ => return None,
        }
        let holder = holder(address.port());
        (holder != Holder::Instance(own)).then(|| Taken { purpose, address, holder, free: free_near(address) })
    })
}

/// The next port above that nobody listens on.
fn free_near(address: SocketAddr) -> Option<u16> {
    (1..200).filter_map(|step| address.port().checked_add(step)).find(|&port| TcpListener::bind((address.ip(), port)).is_ok())
}

fn holder(port: u16) -> Holder {
    let sockets: HashSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| fs::read_to_string(table).map(|t| listeners(&t, port)).unwrap_or_default())
        .collect();
    let Ok(processes) = fs::read_dir("/proc") else { return Holder::Unknown };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(handles) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = handles
            .flatten()
            .any(|handle| fs::read_link(handle.path()).is_ok_and(|to| to.to_str().is_some_and(|to| sockets.contains(to))));
        if holds {
            return match instance_of(pid) {
                Some(id) => Holder::Instance(id),
                None => Holder::Program {
                    pid,
                    name: fs::read_to_string(process.path().join("comm")).unwrap_or_default().trim().to_owned(),
                },
            };
        }
    }
    Holder::Unknown
}

/// The instance whose client a process is, by the mark in its environment.
fn instance_of(pid: u32) -> Option<InstanceId> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = environment.split(|b| *b == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    variables.filter_map(|variable| variable.strip_prefix(MARK)?.strip_prefix('=')).find_map(|id| id.parse().ok())
}

/// The sockets that listen on `port`, as links below `/proc/PID/fd` name them. Columns: `sl local_address rem_address st … inode`;
/// addresses and state are hexadecimal, state 0A is LISTEN.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    let socket = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(1)?.ends_with(&wanted) && *columns.get(3)? == "0A";
        listens.then(|| columns.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_holder_and_a_free_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = first_taken(&[("miners", address)], InstanceId::random()).unwrap();
        assert_eq!((taken.purpose, taken.address), ("miners", address));
        assert!(
            matches!(&taken.holder, Holder::Program { pid, name } if *pid == std::process::id() && !name.is_empty()),
            "{taken:?}"
        );
        let free = taken.free.unwrap();
        assert!(free > address.port() && TcpListener::bind(("127.0.0.1", free)).is_ok());
        // A listener on all addresses is in the way of one on a single address, and the other way round.
        let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
        assert!(first_taken(&[("miners", any)], InstanceId::random()).is_some());
        drop(listener);
        assert_eq!(first_taken(&[("miners", address)], InstanceId::random()), None);
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                     1: 0100007F:0BB8 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
                     2: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listeners(table, 3000), ["socket:[4711]"]);
        assert!(listeners("", 3000).is_empty());
    }
}
