//! Free TCP ports for programs that run only for a moment.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Different TCP ports of the loopback address that are free at this moment.
///
/// The kernel chooses them. A list of listening sockets is not enough: a port can also be the local
/// port of an outgoing connection, and two programs that choose from the same list choose the same.
///
/// # Errors
/// The kernel has no free port.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    // All stay open until the last is chosen, so that they differ.
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_ports_differ_and_can_be_bound() {
        let ports: [u16; 50] = free_ports().unwrap();
        assert_eq!(HashSet::from(ports).len(), 50);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
