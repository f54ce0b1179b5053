//! Who may request changes: jd-manager's own pages and local programs, not another site's page in
//! the user's browser.
//!
//! Two checks, before anything else: a foreign `Host` is rejected (DNS rebinding), and a
//! change requested by another site is rejected (`Sec-Fetch-Site`, then `Origin` against
//! `Host`).

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::problem::ProblemResponse;

/// The host names that the manager accepts.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    /// Any IP address is accepted, not only loopback: the manager listens to other machines.
    /// DNS rebinding needs a name.
    pub any_address: bool,
    /// Names in lower case, in addition to `localhost` and its subdomains.
    pub names: Vec<String>,
}

impl AllowedHosts {
    /// The names of a manager that listens at `at`: the given ones and, if other machines can reach it,
    /// the server's `own` name, plain and as used in the local network (RFC 6762).
    pub fn of(at: std::net::SocketAddr, own: &str, given: &[String]) -> Self {
        let mut names = given.to_vec();
        let any_address = !at.ip().is_loopback();
        if any_address {
            let own = own.to_ascii_lowercase();
            names.extend(
                [format!("{own}.local"), own]
                    .into_iter()
                    .filter(|name| !name.starts_with('.') && !name.is_empty()),
            );
        }
        Self { any_address, names }
    }

    /// Whether a host is accepted, with any port.
    fn is_ours(&self, authority: &str) -> bool {
        match HostName::parse(authority) {
            Some(HostName::Address(ip)) => self.any_address || ip.is_loopback(),
            Some(HostName::Name(name)) => {
                name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
            }
            None => false,
        }
    }
}

/// The host of an authority.
#[derive(Debug, PartialEq, Eq)]
enum HostName {
    Address(IpAddr),
    /// In lower case, without the dot of the root.
    Name(String),
}

impl HostName {
    /// Parses `host [":" port]` (RFC 9110, 7.2; RFC 3986, 3.2.2 and 3.2.3). None for anything else:
    /// a user, a zone, an invalid host name.
    fn parse(authority: &str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let digits = if port.is_empty() {
            port
        } else {
            port.strip_prefix(':')?
        };
        if !digits.bytes().all(|b| b.is_ascii_digit())
            || digits.parse::<u16>().is_err() && !digits.is_empty()
        {
            return None;
        }
        if authority.starts_with('[') {
            return host
                .parse::<Ipv6Addr>()
                .ok()
                .map(|ip| Self::Address(ip.into()));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if let Ok(ip) = name.parse::<Ipv4Addr>() {
            return Some(Self::Address(ip.into()));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        name.split('.')
            .all(is_label)
            .then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

/// Rejects requests with a foreign `Host` and changes from a foreign site.
///
/// # Errors
/// 421: a foreign host; 403: a change from a foreign site; 400: more than one host.
pub fn check(hosts: &AllowedHosts, request: &Request) -> Result<(), ProblemResponse> {
    check_parts(hosts, request.method(), request.uri(), request.headers())
}

fn check_parts(
    hosts: &AllowedHosts,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ProblemResponse> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    // A value that is not text is foreign.
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => uri.authority().map(|a| a.as_str()).unwrap_or_default(),
    };
    // RFC 9112 §3.2: a server must respond with 400 to a request with more than one.
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(ProblemResponse::new(
            StatusCode::BAD_REQUEST,
            "The request contains more than one host name.",
        ));
    }
    if !hosts.is_ours(host)
        || uri
            .authority()
            .is_some_and(|authority| !hosts.is_ours(authority.as_str()))
    {
        return Err(ProblemResponse::new(
            StatusCode::MISDIRECTED_REQUEST,
            "jd-manager does not accept this host name. Use the machine's IP address (http://127.0.0.1 on the machine itself), or add the host to the setting allow_hosts.",
        ));
    }
    if method.is_safe() {
        return Ok(());
    }
    let same = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin
            .split_once("://")
            .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        // Neither header: not a browser.
        (None, None) => true,
    };
    if same {
        Ok(())
    } else {
        Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "This change was requested by another website. Only jd-manager's own pages may request changes.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, pairs: &[(&'static str, &'static str)]) -> Result<(), StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        check_parts(
            &AllowedHosts::default(),
            method,
            &Uri::from_static("/x"),
            &headers,
        )
        .map_err(|p| p.status())
    }

    #[test]
    fn one_that_others_can_reach_answers_to_addresses_and_its_own_names() {
        let hosts = AllowedHosts::of(
            "0.0.0.0:3000".parse().unwrap(),
            "Farm",
            &["miner.example.org".into()],
        );
        for good in [
            "192.168.1.2:3000",
            "[fe80::1]",
            "localhost",
            "Miner.example.org.:3000",
            "farm:80",
            "FARM.LOCAL",
        ] {
            assert!(hosts.is_ours(good), "{good}");
        }
        for bad in [
            "evil.example",
            "xminer.example.org",
            "miner.example.org.evil.example",
            "192.168.1.2.evil.example",
            "",
            ".local",
        ] {
            assert!(!hosts.is_ours(bad), "{bad}");
        }
        let hosts = AllowedHosts::of(
            "127.0.0.1:3000".parse().unwrap(),
            "farm",
            &["miner.example.org".into()],
        );
        assert!(
            hosts.is_ours("miner.example.org")
                && !hosts.is_ours("192.168.1.2")
                && !hosts.is_ours("farm")
        );
        assert!(!AllowedHosts::of("0.0.0.0:1".parse().unwrap(), "", &[]).is_ours(".local"));
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for good in [
            "localhost",
            "localhost:3000",
            "127.0.0.1:3000",
            "127.1.2.3",
            "[::1]:3000",
            "jd.localhost:1",
            "LOCALHOST.",
        ] {
            assert_eq!(ask(&Method::GET, &[("host", good)]), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example:3000",
            "192.168.1.2",
            "[::2]:3000",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert_eq!(
                ask(&Method::GET, &[("host", bad)]),
                Err(StatusCode::MISDIRECTED_REQUEST),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port_of_digits() {
        let address = |text: &str| Some(HostName::Address(text.parse().unwrap()));
        let name = |text: &str| Some(HostName::Name(text.into()));
        for (authority, host) in [
            ("localhost", name("localhost")),
            ("LocalHost.:3000", name("localhost")),
            ("localhost:", name("localhost")),
            ("a-b_c.example:65535", name("a-b_c.example")),
            ("127.0.0.1:80", address("127.0.0.1")),
            ("127.0.0.1.", address("127.0.0.1")),
            ("[::1]", address("::1")),
            ("[::1]:3000", address("::1")),
            ("[::ffff:127.0.0.1]:1", address("::ffff:127.0.0.1")),
        ] {
            assert_eq!(HostName::parse(authority), host, "{authority}");
        }
        for bad in [
            "",
            ":",
            ":80",
            ".",
            "..",
            "localhost..",
            ".localhost",
            "a..localhost",
            "[::1].evil.example",
            "[::1]evil.example",
            "[::1]:x",
            "[::1",
            "::1",
            "::1]",
            "[]",
            "[localhost]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "[::1]:80.evil.example",
            "localhost:evil.example",
            "localhost:80:80",
            "localhost:-1",
            "localhost:+80",
            "localhost:65536",
            "localhost: 80",
            "localhost :80",
            " localhost",
            "localhost\t",
            "user@localhost",
            "localhost@evil.example",
            "localhost,evil.example",
            "localhost/evil.example",
            "localhost#.evil.example",
            "localhost?x",
            "localhost\\x",
            "l\u{f6}calhost",
            "localhost%2eevil.example",
            "127.0.0.1:80@evil.example",
        ] {
            assert_eq!(HostName::parse(bad), None, "{bad:?}");
            assert!(
                !AllowedHosts::default().is_ours(bad)
                    && !AllowedHosts {
                        any_address: true,
                        ..AllowedHosts::default()
                    }
                    .is_ours(bad),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn an_address_in_the_request_line_and_the_header_must_both_be_ours() {
        let ask = |uri: &'static str, host: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(HOST, host.parse().unwrap());
            }
            check_parts(
                &AllowedHosts::default(),
                &Method::GET,
                &Uri::from_static(uri),
                &headers,
            )
            .map_err(|p| p.status())
        };
        for (uri, host, is_ours) in [
            ("http://localhost:3000/x", Some("localhost:3000"), true),
            ("http://127.0.0.1/x", None, true),
            ("http://[::1]:3000/x", Some("[::1]:3000"), true),
            ("/x", None, false),
            ("/x", Some(""), false),
            ("http://localhost/x", Some(""), false),
            ("http://evil.example/x", Some("localhost"), false),
            ("http://localhost/x", Some("evil.example"), false),
            ("http://localhost@evil.example/x", Some("localhost"), false),
            ("http://localhost/x", Some("[::1].evil.example"), false),
        ] {
            assert_eq!(ask(uri, host).is_ok(), is_ours, "{uri} {host:?}");
        }
    }

    #[test]
    fn changes_come_from_the_page_itself_or_from_a_program() {
        let host = ("host", "localhost:3000");
        let post =
            |more: &[(&'static str, &'static str)]| ask(&Method::POST, &[&[host], more].concat());
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[("sec-fetch-site", "none")]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:3000")]), Ok(()));
        for bad in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://localhost:3001")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://localhost:3000"),
            ],
        ] {
            assert_eq!(post(bad), Err(StatusCode::FORBIDDEN), "{bad:?}");
        }
        assert_eq!(
            ask(&Method::GET, &[host, ("sec-fetch-site", "cross-site")]),
            Ok(())
        );
    }
}
