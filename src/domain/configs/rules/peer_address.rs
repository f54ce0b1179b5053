//! Addresses of pools and template providers as operators publish them and users paste them:
//! `stratum2+tcp://host:port/key`, `host:port/key`, and addresses of other protocols, which are
//! rejected by name.

use super::address;
use super::scalar::shown;
use crate::domain::configs::pool_list::built_in;

/// Schemes for Stratum V2, and schemes without a protocol.
const KNOWN_SCHEMES: [&str; 6] = [
    "stratum2+tcp",
    "stratum2",
    "stratumv2",
    "sv2+tcp",
    "sv2",
    "tcp",
];

/// The parts of a published address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StratumAddress {
    /// The host, as [`address::host`] accepts it.
    pub host: String,
    /// The port, if any.
    pub port: Option<u16>,
    /// The public key after the slash, not checked yet.
    pub key: Option<String>,
}

impl StratumAddress {
    /// Reads an address with a scheme or with a key after a slash. None if it has neither and is a
    /// host or `host:port`.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        match text.split_once("://") {
            Some((scheme, rest)) => Some(check_scheme(scheme, rest).and_then(|()| read(rest))),
            None => {
                let (place, _) = text.split_once('/')?;
                address::host_port(place).ok()?;
                Some(read(text))
            }
        }
    }
}

fn read(text: &str) -> Result<StratumAddress, String> {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (place, rest) = text.split_at(end);
    if place.contains('@') {
        return Err(
            "Remove everything up to and including the @. Enter the account in its own field; Stratum V2 has no passwords."
                .into(),
        );
    }
    let key = rest
        .trim_start_matches('/')
        .split(['/', '?', '#'])
        .next()
        .filter(|key| !key.is_empty())
        .map(str::to_owned);
    if place.is_empty() {
        return Err("The host is missing. Enter a host name or an IP address.".into());
    }
    let (host, port) = match address::host(place) {
        Ok(host) => (host, None),
        Err(_) => {
            let (host, port) = address::host_port(place)?;
            (host, Some(port))
        }
    };
    Ok(StratumAddress { host, port, key })
}

fn check_scheme(scheme: &str, rest: &str) -> Result<(), String> {
    let lower = scheme.to_ascii_lowercase();
    if KNOWN_SCHEMES.contains(&lower.as_str()) {
        return Ok(());
    }
    if is_first_version(&lower) {
        return Err(format!(
            "{} is a Stratum V1 address, but a JD client supports only Stratum V2. Enter the pool's Stratum V2 address, \
             which starts with stratum2+tcp://.{}",
            shown(&format!("{scheme}://")),
            known_instead(rest)
        ));
    }
    Err(format!(
        "{} is not a Stratum V2 scheme. Enter the host and the port, or an address that starts with stratum2+tcp://.",
        shown(&format!("{scheme}://"))
    ))
}

/// Whether a lowercase scheme means Stratum V1.
pub(super) fn is_first_version(scheme: &str) -> bool {
    scheme == "stratum"
        || ["stratum+", "stratum1", "stratumv1", "stratums"]
            .iter()
            .any(|start| scheme.starts_with(start))
}

/// The known Stratum V2 address of the pool at this host, as a sentence.
fn known_instead(rest: &str) -> String {
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let Some(pool) = built_in().at_host(host) else {
        return String::new();
    };
    let declares = match pool.missing_declaration() {
        Some(missing) => format!(" But {missing}"),
        None => String::new(),
    };
    format!(
        " The address of {} is {}:{}.{declares}",
        pool.name, pool.pool_address, pool.pool_port
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";

    fn parsed(text: &str) -> StratumAddress {
        StratumAddress::parse(text)
            .unwrap_or_else(|| panic!("{text} is not read"))
            .unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn published_addresses_are_taken_apart() {
        for (text, host, port, key) in [
            (
                format!("stratum2+tcp://pool.barn.lan:34254/{KEY}"),
                "pool.barn.lan",
                Some(34254),
                Some(KEY),
            ),
            (
                format!("SV2://[fd12::9]:3333/{KEY}/"),
                "[fd12::9]",
                Some(3333),
                Some(KEY),
            ),
            (
                format!("pool.barn.lan:34254/{KEY}?x=1"),
                "pool.barn.lan",
                Some(34254),
                Some(KEY),
            ),
            (
                "tcp://10.20.30.40:3333".into(),
                "10.20.30.40",
                Some(3333),
                None,
            ),
            (
                "stratum2+tcp://pool.barn.lan".into(),
                "pool.barn.lan",
                None,
                None,
            ),
        ] {
            let wanted = StratumAddress {
                host: host.into(),
                port,
                key: key.map(str::to_owned),
            };
            assert_eq!(parsed(&text), wanted, "{text}");
        }
        for other in ["pool.barn.lan", "pool.barn.lan:3333", "barn/lan", ""] {
            assert_eq!(StratumAddress::parse(other), None, "{other}");
        }
    }

    #[test]
    fn other_protocols_and_broken_addresses_are_named() {
        for (text, says) in [
            ("stratum+tcp://solo.barn.lan:3333", "Stratum V1"),
            ("stratum+ssl://solo.barn.lan:443", "Stratum V1"),
            ("STRATUM1+TLS://solo.barn.lan", "Stratum V1"),
            (
                "stratum+tcp://btc.mkpool.com:3333",
                "The address of MKPool is btc.mkpool.com:3340. But MKPool has no job declaration server",
            ),
            ("https://pool.barn.lan/", "not a Stratum V2 scheme"),
            (
                "stratum2+tcp://barn.w:x@pool.barn.lan:1",
                "up to and including the @",
            ),
            ("stratum2+tcp://pool.barn.lan:99999/k", "not a port"),
            ("stratum2+tcp:///k", "host is missing"),
            ("stratum2+tcp://two words:1", "neither"),
        ] {
            let message = StratumAddress::parse(text).unwrap().unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|(stratum2?\\+tcp|sv2)://[a-z.:/\\[\\]@?#0-9]{0,40}") {
            if let Some(Ok(found)) = StratumAddress::parse(&text) {
                prop_assert!(address::host(&found.host).is_ok());
            }
        }
    }
}
