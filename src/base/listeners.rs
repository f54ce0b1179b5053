//! Whether two programs can listen on their addresses at the same time.

use std::net::{IpAddr, SocketAddr};

/// Whether a listener on one address prevents a listener on the other: the same port, and the same
/// IP address or one that includes the other.
///
/// On Linux `[::]` also accepts IPv4 connections by default, so it includes all addresses; `0.0.0.0`
/// includes all IPv4 addresses.
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let includes = |one: IpAddr, other: IpAddr| match one {
        IpAddr::V4(one) => one.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(one) => one.is_unspecified(),
    };
    // `[::ffff:127.0.0.1]` is 127.0.0.1.
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (a == b || includes(a, b) || includes(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_overlap_on_one_port_of_addresses_that_include_each_other() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (one, other, overlaps) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.2:1", true),
            ("[::]:1", "127.0.0.2:1", true),
            ("[::]:1", "0.0.0.0:1", true),
            ("[::]:1", "[::1]:1", true),
            ("[::1]:1", "127.0.0.1:1", false),
            ("[::1]:1", "0.0.0.0:1", false),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
            ("[::ffff:0.0.0.0]:1", "127.0.0.1:1", true),
            ("192.168.1.2:1", "127.0.0.1:1", false),
        ] {
            assert_eq!(
                (overlap(at(one), at(other)), overlap(at(other), at(one))),
                (overlaps, overlaps),
                "{one} {other}"
            );
        }
    }
}
