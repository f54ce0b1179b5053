//! Rules for socket addresses, hosts, networks and directories, as the client (0.6.0) reads them.

use super::scalar::shown;
use crate::programs::telemetry_network::check_network;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The length of the longest host name (RFC 1035, text form).
const LONGEST_HOST: usize = 253;
/// The longest path of a Unix socket on Linux in bytes, without the NUL at the end.
const LONGEST_SOCKET_PATH: usize = 107;

/// `IP:port` of a listener, with brackets around an IPv6 address. The client accepts no host names
/// here.
///
/// Ignores a scheme and the part after a slash, as copied from a browser or a miner's page.
pub fn listening(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let text = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.to_ascii_lowercase().starts_with("stratum+") => {
            rest.split(['/', '?', '#']).next().unwrap_or_default()
        }
        _ => text,
    };
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => {
            Err("Port 0 means “any port”, so miners would not know where to connect. Choose a port from 1 to 65535.".into())
        }
        Ok(address) => Ok(address),
        Err(_) => Err(listen_error(text)),
    }
}

fn listen_error(text: &str) -> String {
    if let Some((scheme, _)) = text.split_once("://") {
        return format!(
            "{} means Stratum V1, but the client supports only Stratum V2; V1 miners need a translator. Enter only an IP address and a \
             port, such as 0.0.0.0:34265.",
            shown(&format!("{scheme}://"))
        );
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return format!("The port is missing. Enter {}.", SocketAddr::new(ip, 34265));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return format!(
            "{} is not an address with a port. Enter one such as 0.0.0.0:34265 (all addresses on this machine).",
            shown(text)
        );
    };
    if let Err(fault) = port_number(port) {
        return fault;
    }
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("An IPv6 address with a port needs brackets. Enter [{ip}]:{port}."),
        Err(_) => format!(
            "{} is not an IP address, and the client does not accept host names here. Enter 0.0.0.0:{port} for all addresses on this machine, or 127.0.0.1:{port} for this machine only.",
            shown(host)
        ),
    }
}

/// A host name or an IP address without port. An IPv6 address can have brackets.
pub fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("The host is missing. Enter a host name or an IP address.".into());
    }
    if text.contains("://") || text.contains('/') {
        return Err(format!(
            "{} is more than a host name. Remove the scheme and the path.",
            shown(text)
        ));
    }
    if text.parse::<IpAddr>().is_ok() || bracketed(text).is_some() {
        return Ok(text.into());
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        return Err(match port_number(port) {
            Ok(_) => format!(
                "Enter port {port} in its own field, and only {} here.",
                shown(host)
            ),
            Err(_) => format!("{} is neither a host name nor an IP address.", shown(text)),
        });
    }
    host_name(text)
}

fn host_name(text: &str) -> Result<String, String> {
    if !text.is_ascii() {
        return Err(format!(
            "{} contains non-ASCII letters. Enter the xn-- form of the name.",
            shown(text)
        ));
    }
    if text.len() > LONGEST_HOST {
        return Err(format!(
            "A host name can be at most {LONGEST_HOST} characters long; this one is {} characters long.",
            text.len()
        ));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // A last label of only digits is never a name (RFC 1123, 2.1) but a mistyped IPv4 address.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if !name.split('.').all(label) || last_is_number {
        return Err(format!(
            "{} is neither a host name nor an IP address.",
            shown(text)
        ));
    }
    Ok(text.into())
}

/// `host:port` of a server. The host is as in [`host`], an IPv6 address in brackets.
pub fn host_port(text: &str) -> Result<(String, u16), String> {
    let text = text.trim();
    if text.contains("://") {
        return Err(format!(
            "{} is a URL. Enter only host:port, such as 127.0.0.1:8442.",
            shown(text)
        ));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Err(format!(
            "The port is missing. Enter {}.",
            SocketAddr::new(ip, 8442)
        ));
    }
    let Some((host_part, port)) = text.rsplit_once(':') else {
        return Err(format!(
            "{} has no port. Enter host:port, such as 127.0.0.1:8442.",
            shown(text)
        ));
    };
    if host_part.parse::<Ipv6Addr>().is_ok() {
        return Err(format!(
            "An IPv6 address with a port needs brackets. Enter [{host_part}]:{port}."
        ));
    }
    Ok((host(host_part)?, port_number(port)?))
}

fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn port_number(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if port > 0 && digits => Ok(port),
        _ => Err(format!(
            "{} is not a port. Enter a number from 1 to 65535 after the colon.",
            shown(text)
        )),
    }
}

/// A private IPv4 network of at most 256 addresses, `192.168.1.0/24`. The client ignores other
/// networks with a warning.
pub fn private_network(text: &str) -> Result<String, String> {
    let text = text.trim();
    check_network(text)
        .map(|()| text.into())
        .map_err(|fault| format!("{} {fault}", shown(text)))
}

/// The number of addresses in a network that [`private_network`] accepted.
pub fn addresses_in(network: &str) -> Option<u32> {
    let prefix: u32 = network.split_once('/')?.1.parse().ok()?;
    1_u32.checked_shl(32_u32.checked_sub(prefix)?)
}

/// The data directory of a node, absolute or below `~`. `chain_folder` is the subdirectory of its
/// network; empty on mainnet.
///
/// The client would expand variables and resolve relative paths, but each client has its own
/// working directory and environment, so the result would differ from what the user expects.
pub fn data_dir(text: &str, chain_folder: &str) -> Result<String, String> {
    let text = text.trim();
    if text.contains('$') {
        return Err("Enter the full path: the client does not expand shell variables.".into());
    }
    if !(text.starts_with('/') || text == "~" || text.starts_with("~/")) {
        return Err(format!(
            "{} is not an absolute path. Enter a path such as /home/me/.bitcoin.",
            shown(text)
        ));
    }
    let socket = text.trim_end_matches('/').len() + 1 + chain_folder.len() + "/node.sock".len();
    if socket > LONGEST_SOCKET_PATH {
        return Err(format!(
            "The path of the node's socket would be {socket} bytes long, but the system allows only {LONGEST_SOCKET_PATH}. Create a link with a shorter path to this directory."
        ));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    #[test]
    fn something_that_listens_has_an_ip_and_a_port() {
        for good in [
            "0.0.0.0:34265",
            " [::1]:34265 ",
            "[::]:1",
            "192.168.1.9:65535",
        ] {
            assert_eq!(listening(good), Ok(good.trim().parse().unwrap()));
        }
        for (pasted, meant) in [
            ("http://127.0.0.1:9091/metrics", "127.0.0.1:9091"),
            ("stratum2+tcp://0.0.0.0:34265/9abc", "0.0.0.0:34265"),
        ] {
            assert_eq!(listening(pasted), Ok(meant.parse().unwrap()));
        }
        for (bad, says) in [
            ("", "not an address with a port"),
            ("34265", "not an address with a port"),
            ("0.0.0.0", "Enter 0.0.0.0:34265"),
            ("::1", "Enter [::1]:34265"),
            ("[::1]", "Enter [::1]:34265"),
            ("fe80::1:x", "not a port"),
            ("0.0.0.0:0", "Port 0"),
            ("0.0.0.0:70000", "not a port"),
            ("0.0.0.0:", "not a port"),
            ("localhost:34265", "does not accept host names here"),
            ("256.0.0.1:34265", "not an IP address"),
            ("stratum+tcp://0.0.0.0:1", "means Stratum V1"),
            (
                "stratum2+tcp://barn.lan:1/key",
                "does not accept host names here",
            ),
        ] {
            let message = listening(bad).unwrap_err();
            assert!(message.contains(says), "{bad}: {message}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_ip_without_port() {
        for good in [
            "pool.example.com",
            "pool.example.com.",
            "localhost",
            "75.119.150.111",
            "2001:db8::7",
            "[2001:db8::7]",
            "a_b-c",
            "1e.example",
        ] {
            assert_eq!(host(good), Ok(good.into()));
        }
        for (bad, says) in [
            (" ", "missing"),
            ("pool.example.com:3333", "in its own field"),
            ("[::1]:3333", "in its own field"),
            ("stratum+tcp://pool.example.com", "Remove the scheme"),
            ("pool.example.com/x", "Remove the scheme"),
            ("bücher.example", "xn--"),
            ("256.1.1.1", "neither a host name nor an IP"),
            ("a..b", "neither"),
            ("-a.example", "neither"),
            ("two words", "neither"),
            ("a\"b", "neither"),
            (&"a".repeat(64), "neither"),
            (&"a.".repeat(130), "at most 253"),
            ("pool:port", "neither"),
        ] {
            let message = host(bad).unwrap_err();
            assert!(message.contains(says), "{bad}: {message}");
        }
    }

    #[test]
    fn something_to_connect_to_has_a_host_and_a_port() {
        assert_eq!(
            host_port("tp.example.com:8442"),
            Ok(("tp.example.com".into(), 8442))
        );
        assert_eq!(host_port(" 127.0.0.1:1 "), Ok(("127.0.0.1".into(), 1)));
        assert_eq!(host_port("[::1]:8442"), Ok(("[::1]".into(), 8442)));
        for (bad, says) in [
            ("", "has no port"),
            ("127.0.0.1", "Enter 127.0.0.1:8442"),
            ("::1:8442", "Enter [::1:8442]:8442"),
            ("2001:db8:0:0:0:0:0:1:8442", "needs brackets"),
            ("tp.example.com", "has no port"),
            ("tp.example.com:0", "not a port"),
            ("tp.example.com:+5", "not a port"),
            (":8442", "host is missing"),
            ("http://tp.example.com:8442", "is a URL"),
            ("256.1.1.1:8442", "neither"),
        ] {
            let message = host_port(bad).unwrap_err();
            assert!(message.contains(says), "{bad}: {message}");
        }
    }

    #[test]
    fn a_network_that_is_not_searched_is_quoted() {
        assert_eq!(
            private_network(" 192.168.1.0/24 "),
            Ok("192.168.1.0/24".into())
        );
        let message = private_network("8.8.8.0/24").unwrap_err();
        assert!(
            message.starts_with("“8.8.8.0/24” is not a private network."),
            "{message}"
        );
    }

    #[test]
    fn a_networks_addresses_are_counted() {
        assert_eq!(
            ["10.0.0.0/24", "10.0.0.1/32", "10.0.0.0/0", "x"].map(addresses_in),
            [Some(256), Some(1), None, None]
        );
    }

    #[test]
    fn a_data_directory_is_a_full_path_short_enough_for_the_socket() {
        for good in ["/srv/bitcoin", "~/.bitcoin", "~"] {
            assert_eq!(data_dir(good, "testnet4"), Ok(good.into()));
        }
        for bad in ["bitcoin", "./x", "$HOME/.bitcoin", "~other/x", ""] {
            assert!(data_dir(bad, "").is_err(), "{bad}");
        }
        let longest = format!(
            "/{}",
            "d".repeat(LONGEST_SOCKET_PATH - "//node.sock".len() - "signet".len() - 1)
        );
        assert!(data_dir(&longest, "signet").is_ok());
        assert!(data_dir(&format!("{longest}d"), "signet").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,60}") {
            if let Ok((host, port)) = host_port(&text) {
                let is_ip = host.parse::<Ipv4Addr>().is_ok() || bracketed(&host).is_some();
                prop_assert_eq!(format!("{host}:{port}").parse::<SocketAddr>().is_ok(), is_ip);
            }
            let _ = (listening(&text), host(&text), private_network(&text), data_dir(&text, "regtest"));
        }
    }
}
