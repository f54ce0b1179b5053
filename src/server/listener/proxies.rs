//! Identifies the peer of a request, which may be behind a proxy.
//!
//! Anyone can send `X-Forwarded-For`, `X-Forwarded-Proto` and `Forwarded` (RFC 7239).
//! They are used only from trusted proxies, and only the parts that such proxies have
//! added: read from the right, up to the first address that is not a trusted proxy.

use axum::http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

use crate::web::PeerAddress;

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const FORWARDED: &str = "forwarded";
/// Headers that only proxies send.
const TRACES: [&str; 6] = [
    FOR,
    PROTO,
    FORWARDED,
    "x-forwarded-host",
    "x-real-ip",
    "via",
];

/// The trusted proxies.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// The direct peer of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct NearEnd {
    /// The address; `None` over the Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Whether the connection uses TLS.
    pub(super) tls: bool,
}

impl TrustedProxies {
    /// Trusts these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether this is a trusted proxy.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The peer of a request with these headers on a connection.
    pub(super) fn peer(&self, side: NearEnd, headers: &HeaderMap) -> PeerAddress {
        let Some(address) = side.address.map(|address| address.to_canonical()) else {
            // A proxy on the socket would give everyone the local account; so its requests are
            // anonymous.
            let is_direct = TRACES.iter().all(|name| !headers.contains_key(*name));
            return PeerAddress {
                address: None,
                socket: is_direct,
                secure: false,
            };
        };
        if !self.include(address) {
            return PeerAddress {
                address: Some(address),
                socket: false,
                secure: side.tls,
            };
        }
        let plain = headers
            .contains_key(FOR)
            .then(|| self.first_stranger(address, addresses(headers)));
        let standard = headers
            .contains_key(FORWARDED)
            .then(|| self.first_stranger(address, hops(headers)));
        let found = match (plain, standard) {
            (Some(one), None) | (None, Some(one)) => one,
            // A proxy writes one of the headers and passes the other one unchanged: if they differ, one is
            // forged.
            (Some(one), Some(other)) if one == other => one,
            _ => address,
        };
        let is_https = |word: &str| word.eq_ignore_ascii_case("https");
        let secure = match headers
            .get_all(PROTO)
            .iter()
            .next_back()
            .map(|value| value.to_str().unwrap_or_default())
        {
            Some(list) => is_https(list.rsplit(',').next().unwrap_or_default().trim()),
            None => last_protocol(headers).is_some_and(|word| is_https(&word)),
        };
        PeerAddress {
            address: Some(found),
            socket: false,
            secure: side.tls || secure,
        }
    }

    /// The first address from the right that is not a trusted proxy; if the list ends or is invalid, the last
    /// trusted one.
    fn first_stranger(&self, nearest: IpAddr, from_right: Vec<Option<IpAddr>>) -> IpAddr {
        let mut last = nearest;
        for hop in from_right {
            let Some(hop) = hop else { break };
            last = hop;
            if !self.include(hop) {
                break;
            }
        }
        last
    }
}

/// The addresses in `X-Forwarded-For`, from the right; `None` for invalid ones.
fn addresses(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values: Vec<_> = headers.get_all(FOR).iter().collect();
    let mut all = Vec::new();
    for value in values.into_iter().rev() {
        match value.to_str() {
            Ok(list) => all.extend(list.rsplit(',').map(|piece| node(piece.trim()))),
            Err(_) => all.push(None),
        }
    }
    all
}

/// The `for` of each element of `Forwarded`, from the right; `None` for invalid ones.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    elements(headers)
        .into_iter()
        .map(|element| element.and_then(|pairs| node(&value_of(&pairs, "for")?)))
        .collect()
}

/// The `proto` that the nearest proxy has written.
fn last_protocol(headers: &HeaderMap) -> Option<String> {
    elements(headers)
        .into_iter()
        .next()?
        .and_then(|pairs| value_of(&pairs, "proto"))
}

type Pairs = Vec<(String, String)>;

fn value_of(pairs: &Pairs, name: &str) -> Option<String> {
    let mut found = pairs
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let (_, value) = found.next()?;
    // The standard forbids two in one element, and it is unknown who wrote which.
    found.next().is_none().then(|| value.clone())
}

/// The elements of all `Forwarded` headers, from the right; `None` for invalid
/// ones.
fn elements(headers: &HeaderMap) -> Vec<Option<Pairs>> {
    let values: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let mut all = Vec::new();
    for value in values.into_iter().rev() {
        match value.to_str().ok().and_then(parse) {
            Some(mut elements) => {
                elements.reverse();
                all.extend(elements.into_iter().map(Some));
            }
            // With an unterminated quote, the elements cannot be separated.
            None => all.push(None),
        }
    }
    all
}

/// `for=192.0.2.43, for="[2001:db8:cafe::17]:4711";proto=https`.
fn parse(text: &str) -> Option<Vec<Pairs>> {
    let mut elements = vec![Pairs::new()];
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest
            .find(['=', ';', ',', '"'])
            .filter(|at| rest[*at..].starts_with('='))?;
        let key = rest[..end].trim();
        if key.is_empty() {
            return None;
        }
        let (value, after) = value(rest[end + 1..].trim_start())?;
        elements.last_mut()?.push((key.to_owned(), value));
        rest = after.trim_start();
        if let Some(more) = rest.strip_prefix(',') {
            elements.push(Pairs::new());
            rest = more.trim_start();
        } else if let Some(more) = rest.strip_prefix(';') {
            rest = more.trim_start();
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(elements)
}

/// A token or a quoted string, and the rest.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', '"']).unwrap_or(text.len());
        return (!text[end..].starts_with('"'))
            .then(|| (text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

/// An address in the formats of proxies: alone, with a port, in brackets.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| {
        text.parse::<SocketAddr>()
            .ok()
            .map(|with_port| with_port.ip())
    });
    let address = address.or_else(|| {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse()
            .ok()
            .map(IpAddr::V6)
    });
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(vec![
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ])
    }

    fn seen(from: &str, pairs: &[(&'static str, &str)]) -> (String, bool) {
        let side = NearEnd {
            address: Some(from.parse().unwrap()),
            tls: false,
        };
        let peer = proxies().peer(side, &headers(pairs));
        assert!(!peer.socket);
        (peer.address.unwrap().to_string(), peer.secure)
    }

    #[test]
    fn a_strangers_headers_count_for_nothing() {
        for name in [FOR, PROTO, FORWARDED] {
            for value in ["127.0.0.1", "https", "for=127.0.0.1;proto=https"] {
                assert_eq!(
                    seen("192.0.2.7", &[(name, value)]),
                    ("192.0.2.7".into(), false),
                    "{name}: {value}"
                );
            }
        }
    }

    #[test]
    fn the_first_from_the_right_who_is_no_proxy_of_ours_is_the_other_end() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("127.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("127.0.0.1,192.0.2.1 , 10.1.1.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db9::1]:80", "2001:db9::1"),
            ("[2001:db9::1]", "2001:db9::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            // All are trusted: the farthest.
            ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
            // An invalid element hides everything to its left.
            ("192.0.2.1, unknown", "10.9.9.9"),
            ("192.0.2.1, unknown, 10.2.2.2", "10.2.2.2"),
            ("192.0.2.1,", "10.9.9.9"),
            ("", "10.9.9.9"),
        ] {
            assert_eq!(seen("10.9.9.9", &[(FOR, value)]).0, expected, "{value}");
        }
        assert_eq!(
            seen("10.9.9.9", &[(FOR, "127.0.0.1"), (FOR, "192.0.2.1")]).0,
            "192.0.2.1"
        );
        assert_eq!(
            seen("::ffff:10.9.9.9", &[(FOR, "192.0.2.1")]).0,
            "192.0.2.1"
        );
        assert_eq!(seen("10.9.9.9", &[]).0, "10.9.9.9");
    }

    #[test]
    fn the_standards_header_is_read_by_its_grammar() {
        for (value, expected, secure) in [
            ("for=192.0.2.1", "192.0.2.1", false),
            (
                "For=\"192.0.2.1:4711\";Proto=HTTPS;by=10.0.0.1",
                "192.0.2.1",
                true,
            ),
            ("for=\"[2001:db9::1]:4711\"", "2001:db9::1", false),
            (
                "for=127.0.0.1;proto=https, for=192.0.2.1;proto=http",
                "192.0.2.1",
                false,
            ),
            ("for=192.0.2.1, for=10.2.2.2;proto=https", "192.0.2.1", true),
            // A comma in quotes is not a separator.
            ("for=\"192.0.2.1, for=127.0.0.1\"", "10.9.9.9", false),
            (
                "for=\"_hidden\\\", for=127.0.0.1\", for=192.0.2.1",
                "192.0.2.1",
                false,
            ),
            ("for=127.0.0.1;for=192.0.2.1", "10.9.9.9", false),
            ("for=\"192.0.2.1", "10.9.9.9", false),
            ("for", "10.9.9.9", false),
            ("=192.0.2.1", "10.9.9.9", false),
        ] {
            assert_eq!(
                seen("10.9.9.9", &[(FORWARDED, value)]),
                (expected.into(), secure),
                "{value}"
            );
        }
    }

    #[test]
    fn two_headers_that_do_not_agree_are_both_not_believed() {
        assert_eq!(
            seen(
                "10.9.9.9",
                &[(FOR, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")]
            )
            .0,
            "192.0.2.1"
        );
        assert_eq!(
            seen(
                "10.9.9.9",
                &[(FOR, "192.0.2.1"), (FORWARDED, "for=127.0.0.1")]
            )
            .0,
            "10.9.9.9"
        );
        assert_eq!(
            seen(
                "10.9.9.9",
                &[(FOR, "127.0.0.1"), (FORWARDED, "for=192.0.2.1")]
            )
            .0,
            "10.9.9.9"
        );
    }

    #[test]
    fn the_nearest_proxy_says_whether_the_browser_sees_https() {
        for (value, secure) in [
            ("https", true),
            ("HTTPS", true),
            ("http", false),
            ("https, http", false),
            ("http,https", true),
            ("", false),
        ] {
            assert_eq!(seen("10.9.9.9", &[(PROTO, value)]).1, secure, "{value}");
        }
        let side = NearEnd {
            address: Some("192.0.2.7".parse().unwrap()),
            tls: true,
        };
        assert!(
            proxies().peer(side, &headers(&[(PROTO, "http")])).secure,
            "TLS is TLS, whatever a header says"
        );
    }

    #[test]
    fn whoever_comes_through_the_socket_by_a_proxy_is_not_the_machines_own_user() {
        let side = NearEnd {
            address: None,
            tls: false,
        };
        assert!(
            proxies()
                .peer(side, &headers(&[("user-agent", "curl")]))
                .socket
        );
        for name in TRACES {
            let peer = proxies().peer(side, &headers(&[(name, "x")]));
            assert!(
                !peer.socket && peer.address.is_none() && !peer.secure,
                "{name}"
            );
        }
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()))
        ]
        .prop_map(|address| address.to_canonical())
    }

    fn written(address: IpAddr, style: u8) -> String {
        match (address, style % 3) {
            (IpAddr::V6(ip), 1) => format!("[{ip}]"),
            (_, 2) => SocketAddr::new(address, 4711).to_string(),
            _ => address.to_string(),
        }
    }

    proptest! {
        /// Whatever a client sends, the address that the nearest proxy appends is
        /// used.
        #[test]
        fn a_forged_beginning_changes_nothing(
            forged in "[ -~]{0,60}", client in address(), between in 0_u32..0x00ff_ffff, style in any::<u8>(), lines in any::<bool>(),
        ) {
            prop_assume!(!proxies().include(client));
            let proxy = IpAddr::V4((0x0a00_0000 + between).into());
            let honest = format!("{}, {proxy}", written(client, style));
            let pairs = if lines { vec![(FOR, forged.clone()), (FOR, honest)] } else { vec![(FOR, format!("{forged},{honest}"))] };
            let pairs: Vec<(&'static str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            prop_assert_eq!(seen("10.9.9.9", &pairs).0, client.to_string());
        }

        /// The same for the standard header.
        #[test]
        fn a_forged_element_before_changes_nothing(forged in "[ -~]{0,60}", client in address(), style in any::<u8>()) {
            prop_assume!(!proxies().include(client));
            let honest = format!("for=\"{}\";proto=https", written(client, style));
            let found = seen("10.9.9.9", &[(FORWARDED, forged.as_str()), (FORWARDED, honest.as_str())]);
            prop_assert_eq!(found, (client.to_string(), true));
        }

        /// No input causes a panic, and the result is an address in the headers or the
        /// proxy's own.
        #[test]
        fn any_text_is_borne(a in "[ -~]{0,80}", b in "[ -~]{0,80}", c in "[ -~]{0,20}") {
            let (address, _) = seen("10.9.9.9", &[(FOR, a.as_str()), (FORWARDED, b.as_str()), (PROTO, c.as_str())]);
            address.parse::<IpAddr>().unwrap();
        }

        /// Headers from untrusted peers are ignored.
        #[test]
        fn a_stranger_is_who_he_is(from in address(), a in "[ -~]{0,80}", b in "[ -~]{0,80}", tls in any::<bool>()) {
            prop_assume!(!proxies().include(from));
            let peer = proxies().peer(NearEnd { address: Some(from), tls }, &headers(&[(FOR, &a), (FORWARDED, &b), (PROTO, "https")]));
            prop_assert_eq!(peer, PeerAddress { address: Some(from), socket: false, secure: tls });
        }
    }
}
