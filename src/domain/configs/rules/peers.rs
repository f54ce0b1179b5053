//! Rules for the pools and the template provider as peers of the client: impossible addresses, and
//! servers without authentication.

use super::{ConfigFindings, address};
use crate::domain::configs::model::{ClientConfig, ConfigUpstream, TemplateProvider};
use crate::domain::configs::pool_list::{KnownPool, built_in};
use crate::domain::keys::EXAMPLE_PUBLIC_KEY;
use crate::programs::jd_client::examples::{ExampleKind, example};
use std::net::{IpAddr, SocketAddr};

/// Adds warnings about the peers of a configuration.
pub(super) fn check(config: &ClientConfig, found: &mut ConfigFindings) {
    provider(&config.template_provider_type, found);
    // Solo mining keeps the pools for later, so they are checked as well.
    for (at, pool) in config.upstreams.iter().enumerate() {
        upstream(config, at, pool, found);
    }
}

fn provider(provider: &TemplateProvider, found: &mut ConfigFindings) {
    let TemplateProvider::Sv2Tp {
        address,
        public_key,
        ..
    } = provider
    else {
        return;
    };
    let Ok((host, _)) = address::host_port(address) else {
        return;
    };
    let at = "/template_provider_type/Sv2Tp";
    if example(ExampleKind::Provider, address).is_some() {
        found.hint(
            format!("{at}/address"),
            "This template provider is from the client's examples, and its operator chooses your transactions. Run your own node \
             to choose them yourself.",
        );
    }
    documentation(&format!("{at}/address"), &host, found);
    if public_key.is_none() && !is_this_machine(&host) {
        found.warn(
            format!("{at}/public_key"),
            format!("Without a public key the client cannot verify {host}, so an attacker on the network could choose what you mine. The template provider prints its key at startup."),
        );
    }
}

fn upstream(config: &ClientConfig, at: usize, pool: &ConfigUpstream, found: &mut ConfigFindings) {
    let field = |name: &str| format!("/upstreams/{at}/{name}");
    listed(at, pool, found);
    for (name, host) in [
        ("pool_address", &pool.pool_address),
        ("jds_address", &pool.jds_address),
    ] {
        if is_unspecified(host) {
            found.warn(
                field(name),
                format!("{host} is only for listening. Enter 127.0.0.1 if the server runs on this machine."),
            );
        }
    }
    documentation(&field("pool_address"), &pool.pool_address, found);
    if pool.jds_address != pool.pool_address {
        documentation(&field("jds_address"), &pool.jds_address, found);
    }
    if (&pool.pool_address, pool.pool_port) == (&pool.jds_address, pool.jds_port) {
        found.warn(field("jds_port"), "The pool and its job declaration server (JDS) have the same host and port. They are two services; enter each one's port.");
    }
    if pool.authority_pubkey == config.authority_public_key
        && pool.authority_pubkey != EXAMPLE_PUBLIC_KEY
    {
        found.warn(
            field("authority_pubkey"),
            "This is this client's public key. Enter the pool's public key.",
        );
    }
    for (name, host, port) in [
        ("pool_port", &pool.pool_address, pool.pool_port),
        ("jds_port", &pool.jds_address, pool.jds_port),
    ] {
        if points_to(host, port, config.listening_address) {
            found.warn(
                field(name),
                format!("This client already uses port {port} on this machine for miners. Enter another port."),
            );
        }
    }
    if let Some(same) = config.upstreams[..at]
        .iter()
        .position(|other| other == pool)
    {
        found.warn(
            field("pool_address"),
            format!(
                "This is the same as pool {}, so both would fail together. Enter another pool.",
                same + 1
            ),
        );
    }
}

/// Compares a pool with the list of known pools and with the client's examples.
fn listed(at: usize, pool: &ConfigUpstream, found: &mut ConfigFindings) {
    let field = |name: &str| format!("/upstreams/{at}/{name}");
    let known = built_in().of_upstream(pool);
    if let Some(missing) = known.and_then(KnownPool::missing_declaration) {
        found.warn(field("jds_address"), missing);
    }
    if let Some(known) = known
        && known.authority_pubkey != pool.authority_pubkey
    {
        found.warn(
            field("authority_pubkey"),
            format!(
                "This is not the public key of {}, so the client would reject the connection. The published key is {}.",
                known.name, known.authority_pubkey
            ),
        );
    }
    let place = format!("{}:{}", pool.pool_address, pool.pool_port);
    if example(ExampleKind::Pool, &place).is_some() {
        let note = known.map_or("", |known| known.note.as_str());
        found.hint(
            field("pool_address"),
            format!("This pool is from the client's examples. {note} Enter the pool where you have an account, unless you want this one."),
        );
    } else if known.is_none()
        && let Some(other) = built_in().at_host(&pool.pool_address)
    {
        found.hint(
            field("pool_port"),
            format!(
                "The Stratum V2 port of {} is {}.",
                other.name, other.pool_port
            ),
        );
    }
}

fn is_unspecified(host: &str) -> bool {
    host.trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip.is_unspecified())
}

/// Whether `host` is this machine, as seen from the client.
fn is_this_machine(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => is_localhost(host),
    }
}

fn points_to(host: &str, port: u16, listener: SocketAddr) -> bool {
    let is_same = host
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .is_ok_and(|ip| ip == listener.ip());
    port == listener.port()
        && (is_same
            || is_this_machine(host)
                && (listener.ip().is_loopback() || listener.ip().is_unspecified()))
}

/// Warns of names and addresses that are reserved for documentation.
fn documentation(pointer: &str, host: &str, found: &mut ConfigFindings) {
    if is_for_documents(host) {
        found.warn(
            pointer,
            format!("{host} is a documentation example. Enter the real host."),
        );
    }
}

/// Whether a host is reserved for documentation (RFC 2606, 6761, 5737, 3849).
pub(in crate::domain::configs) fn is_for_documents(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_documentation(),
        Ok(IpAddr::V6(ip)) => ip.segments()[..2] == [0x2001, 0xdb8],
        Err(_) => [
            "example",
            "invalid",
            "test",
            "example.com",
            "example.net",
            "example.org",
        ]
        .iter()
        .any(|name| is_below(host, name)),
    }
}

/// Whether a name always means this machine (RFC 6761).
pub(in crate::domain::configs) fn is_localhost(host: &str) -> bool {
    is_below(host, "localhost")
}

fn is_below(host: &str, name: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    fn told(config: &ClientConfig) -> Vec<String> {
        let mut found = ConfigFindings::default();
        check(config, &mut found);
        assert!(found.errors.is_empty(), "{found:?}");
        found.warnings.into_iter().map(|one| one.pointer).collect()
    }

    #[test]
    fn hosts_that_stand_in_documents_are_known() {
        for host in [
            "pool.example.com",
            "EXAMPLE.org.",
            "a.b.example",
            "x.test",
            "invalid",
            "192.0.2.7",
            "203.0.113.1",
            "[2001:db8::7]",
            "2001:db8:1::",
        ] {
            assert!(is_for_documents(host), "{host}");
        }
        for host in [
            "pool.attic.lan",
            "myexample.com",
            "example.com.evil.lan",
            "latest",
            "192.0.3.7",
            "2001:db9::1",
            "localhost",
        ] {
            assert!(!is_for_documents(host), "{host}");
        }
    }

    #[test]
    fn a_provider_elsewhere_needs_a_key() {
        let provider = |address: &str, key: bool| {
            let public_key = key.then(|| samples::POOL_KEY.to_owned());
            let template_provider_type = TemplateProvider::Sv2Tp {
                address: address.into(),
                public_key,
                network: None,
            };
            told(&ClientConfig {
                template_provider_type,
                ..samples::pool()
            })
        };
        for near in [
            "127.0.0.1:8442",
            "localhost:8442",
            "[::1]:8442",
            "tp.localhost:1",
        ] {
            assert_eq!(provider(near, false), Vec::<String>::new(), "{near}");
        }
        for far in ["tp.attic.lan:8442", "10.0.0.3:8442", "[fd12::3]:8442"] {
            assert_eq!(
                provider(far, false),
                ["/template_provider_type/Sv2Tp/public_key"],
                "{far}"
            );
            assert_eq!(provider(far, true), Vec::<String>::new(), "{far}");
        }
        assert_eq!(
            provider("tp.example.net:8442", true),
            ["/template_provider_type/Sv2Tp/address"]
        );
    }

    #[test]
    fn pools_of_the_list_are_recognized() {
        let said = |address: &str, port: u16, key: &str, account: &str| {
            let mut config = samples::pool();
            let pool = &mut config.upstreams[0];
            (pool.pool_address, pool.pool_port) = (address.into(), port);
            (pool.authority_pubkey, pool.user_identity) = (key.into(), account.into());
            let mut found = ConfigFindings::default();
            check(&config, &mut found);
            let all = found.warnings.into_iter().chain(found.hints);
            all.map(|one| format!("{} {}", one.pointer, one.detail))
                .collect::<Vec<_>>()
        };
        let key = |id: &str| built_in().get(id).unwrap().authority_pubkey.as_str();
        let nexus = said("nexuspool.io", 3350, key("nexuspool"), "barn");
        assert!(
            nexus.len() == 1
                && nexus[0].starts_with(
                    "/upstreams/0/jds_address NexusPool has no job declaration server"
                ),
            "{nexus:?}"
        );
        let wrong_key = said("nexuspool.io", 3350, samples::POOL_KEY, "barn");
        assert!(
            wrong_key.len() == 2 && wrong_key[1].contains(key("nexuspool")),
            "{wrong_key:?}"
        );
        let other_port = said("nexuspool.io", 3333, samples::POOL_KEY, "barn");
        assert!(
            other_port.len() == 1 && other_port[0].contains("port of NexusPool is 3350"),
            "{other_port:?}"
        );
        let example = said("75.119.150.111", 3333, key("sri"), "barn");
        assert!(
            example.len() == 1 && example[0].contains("This pool is from the client's examples"),
            "{example:?}"
        );
        let solo = said("75.119.150.111", 3333, key("sri"), "sri/solo/bc1q/barn");
        assert!(
            solo[0].contains("SRI community solo pool has no job declaration server"),
            "{solo:?}"
        );
        let testnet = said("75.119.150.111", 43333, key("sri"), "barn");
        assert!(
            testnet.len() == 1 && testnet[0].contains("examples"),
            "{testnet:?}"
        );
        let nowhere = said("0.0.0.0", 3333, samples::POOL_KEY, "barn");
        assert!(nowhere[0].contains("is only for listening"), "{nowhere:?}");
    }

    #[test]
    fn a_pool_is_somebody_else() {
        let pool = |change: &dyn Fn(&mut ConfigUpstream)| {
            let mut config = samples::pool();
            change(&mut config.upstreams[0]);
            told(&config)
        };
        assert_eq!(pool(&|_| ()), Vec::<String>::new());
        assert_eq!(
            pool(&|p| p.pool_address = "pool.example.com".into()),
            ["/upstreams/0/pool_address"]
        );
        assert_eq!(
            pool(&|p| p.jds_address = "192.0.2.7".into()),
            ["/upstreams/0/jds_address"]
        );
        assert_eq!(
            pool(&|p| (p.jds_address, p.jds_port) = (p.pool_address.clone(), p.pool_port)),
            ["/upstreams/0/jds_port"]
        );
        assert_eq!(
            pool(&|p| p.authority_pubkey = samples::PUBLIC.into()),
            ["/upstreams/0/authority_pubkey"]
        );
        assert_eq!(
            pool(&|p| (p.pool_address, p.pool_port) = ("localhost".into(), 34265)),
            ["/upstreams/0/pool_port"]
        );
        assert_eq!(
            pool(&|p| p.authority_pubkey = EXAMPLE_PUBLIC_KEY.into()),
            Vec::<String>::new(),
            "real pools use it"
        );
        let mut twice = samples::pool();
        twice.upstreams.push(twice.upstreams[0].clone());
        assert_eq!(told(&twice), ["/upstreams/1/pool_address"]);
    }
}
