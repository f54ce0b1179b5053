//! The networks that a client and a translator search for the web pages of miners (`miner_telemetry`).
//!
//! Both use the same library and ignore other networks with a warning (`monitoring/miner_telemetry.rs`
//! of stratum-apps 0.7.0).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Why a network would be ignored; continues the quoted network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryNetworkFault {
    /// Only an address.
    #[error("has no prefix length. Enter a network such as 192.168.1.0/24.")]
    NoPrefix,
    /// Not an IPv4 address before the slash.
    #[error("is not an IPv4 network. Only IPv4 networks are searched.")]
    NotIpv4,
    /// More than 256 addresses.
    #[error(
        "has too many addresses to search. The largest network allowed is /24 (256 addresses)."
    )]
    TooLarge,
    /// No number from 0 to 32 after the slash.
    #[error("has no valid prefix length. Enter a number from 24 to 32 after the slash.")]
    InvalidPrefix,
    /// Public addresses.
    #[error(
        "is not a private network. Only 10.x, 172.16.x to 172.31.x and 192.168.x are searched."
    )]
    NotPrivate,
}

/// Checks that a text is a private IPv4 network of at most 256 addresses, such as `192.168.1.0/24`.
///
/// # Errors
/// The first reason why the programs would ignore it.
pub fn check_network(text: &str) -> Result<(), TelemetryNetworkFault> {
    let (address, prefix) = text
        .split_once('/')
        .ok_or(TelemetryNetworkFault::NoPrefix)?;
    if address.parse::<Ipv4Addr>().is_err() {
        return Err(TelemetryNetworkFault::NotIpv4);
    }
    if prefix.parse::<u8>().is_ok_and(|length| length < 24) {
        return Err(TelemetryNetworkFault::TooLarge);
    }
    let network: Ipv4Net = text
        .parse()
        .map_err(|_| TelemetryNetworkFault::InvalidPrefix)?;
    // The private ranges are larger than a /24, so one address decides.
    if network.addr().is_private() {
        Ok(())
    } else {
        Err(TelemetryNetworkFault::NotPrivate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_to_search_are_private_and_small() {
        use TelemetryNetworkFault as Fault;
        for (network, result) in [
            ("192.168.1.0/24", Ok(())),
            ("10.1.2.3/32", Ok(())),
            ("172.16.5.128/25", Ok(())),
            ("172.31.0.0/30", Ok(())),
            ("192.168.1.0", Err(Fault::NoPrefix)),
            ("192.168.0.0/23", Err(Fault::TooLarge)),
            ("10.0.0.0/8", Err(Fault::TooLarge)),
            ("8.8.8.0/24", Err(Fault::NotPrivate)),
            ("172.32.0.0/24", Err(Fault::NotPrivate)),
            ("fd00::/120", Err(Fault::NotIpv4)),
            ("barn.lan/24", Err(Fault::NotIpv4)),
            ("192.168.1.0/33", Err(Fault::InvalidPrefix)),
            ("192.168.1.0/x", Err(Fault::InvalidPrefix)),
            ("192.168.1.0/", Err(Fault::InvalidPrefix)),
            ("192.168.1.0/24/24", Err(Fault::InvalidPrefix)),
        ] {
            assert_eq!(check_network(network), result, "{network}");
        }
    }
}
