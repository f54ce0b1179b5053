//! The settings of a running client that its health depends on, read from its configuration file.
//! Pure.

use std::net::SocketAddr;

use crate::domain::configs::ClientConfig;
use crate::programs::jd_client::monitoring::DEFAULT_REFRESH_S;
use crate::programs::sv2_peer::{PeerRole, PeerTarget};

/// The only version of the mining protocol.
const DEFAULT_VERSION: u16 = 2;

/// The relevant part of the configuration of a running client. Anything may be missing: the file is
/// in the format of the client, of any version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunningConfig {
    /// Solo mining.
    pub is_solo: bool,
    /// The pools in order.
    pub pools: Vec<PoolEndpoints>,
    /// Uses Bitcoin Core's socket, without a separate template provider.
    pub uses_node_socket: bool,
    /// A monitoring address is configured.
    pub has_monitoring: bool,
    /// Refresh interval of monitoring, seconds; 0: never, because of a bug in the client.
    pub refresh_s: u64,
    /// Shares per minute expected from each miner; none if unreadable.
    pub shares_per_minute: Option<f64>,
}

/// A pool and its job declaration server, as probe targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEndpoints {
    /// The pool.
    pub pool: PeerTarget,
    /// The job declaration server; none if its address cannot be read.
    pub jds: Option<PeerTarget>,
}

impl PoolEndpoints {
    /// Address of the pool as text.
    pub fn words(&self) -> String {
        self.pool.address()
    }

    /// The pools of a saved configuration; empty for solo mining.
    pub fn of_saved(config: &ClientConfig) -> Vec<Self> {
        let pools = config.upstreams.iter().filter(|_| config.mode.needs_pool());
        pools
            .map(|upstream| Self {
                pool: config.pool_target(upstream),
                jds: Some(config.jds_target(upstream)),
            })
            .collect()
    }
}

impl RunningConfig {
    /// Reads the configuration file of the client.
    pub fn read(file: &toml::Table) -> Self {
        let text = |table: &toml::Table, key: &str| {
            table
                .get(key)
                .and_then(toml::Value::as_str)
                .map(str::to_owned)
        };
        let pools = file
            .get("upstreams")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten();
        let version = |key: &str| port(file.get(key)).unwrap_or(DEFAULT_VERSION);
        let versions = (
            version("min_supported_version"),
            version("max_supported_version"),
        );
        // Clients up to 0.5.0 read every other word as FULLTEMPLATE.
        let is_full_template =
            !text(file, "mode").is_some_and(|mode| mode.eq_ignore_ascii_case("COINBASEONLY"));
        let pool = |value: &toml::Value| {
            let table = value.as_table()?;
            let whole = text(table, "pool_address")?;
            let (pool, jds) = match port(table.get("pool_port")) {
                Some(port_of_pool) => (
                    (whole, port_of_pool),
                    text(table, "jds_address").zip(port(table.get("jds_port"))),
                ),
                None => (
                    split(&whole)?,
                    text(table, "jd_address").and_then(|jds| split(&jds)),
                ),
            };
            let key = text(table, "authority_pubkey");
            let target = |role, (host, port): (String, u16)| {
                PeerTarget::new(role, &host, port)
                    .with_key(key.clone())
                    .with_full_template(is_full_template)
                    .with_versions(versions.0, versions.1)
            };
            Some(PoolEndpoints {
                pool: target(PeerRole::Pool, pool),
                jds: jds.map(|jds| target(PeerRole::JobDeclarationServer, jds)),
            })
        };
        Self {
            is_solo: text(file, "mode").is_some_and(|mode| mode.eq_ignore_ascii_case("SOLOMINING")),
            pools: pools.filter_map(pool).collect(),
            uses_node_socket: file
                .get("template_provider_type")
                .and_then(toml::Value::as_table)
                .is_some_and(|table| {
                    table
                        .keys()
                        .any(|key| key.eq_ignore_ascii_case("BitcoinCoreIpc"))
                }),
            has_monitoring: text(file, "monitoring_address")
                .is_some_and(|address| address.parse::<SocketAddr>().is_ok()),
            refresh_s: match file
                .get("monitoring_cache_refresh_secs")
                .and_then(toml::Value::as_integer)
            {
                Some(seconds) => u64::try_from(seconds).unwrap_or(0),
                None => DEFAULT_REFRESH_S,
            },
            shares_per_minute: file
                .get("shares_per_minute")
                .and_then(|value| {
                    value
                        .as_float()
                        .or_else(|| value.as_integer()?.to_string().parse().ok())
                })
                .filter(|shares| shares.is_finite() && *shares > 0.0),
        }
    }

    /// Pools are configured and used.
    pub fn wants_pool(&self) -> bool {
        !self.is_solo && !self.pools.is_empty()
    }
}

fn port(value: Option<&toml::Value>) -> Option<u16> {
    u16::try_from(value?.as_integer()?).ok()
}

fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_clients_file_is_read() {
        let read = |text: &str| RunningConfig::read(&text.parse().unwrap());
        let pool = read(include_str!("../../../tests/data/jd-client/pool.toml"));
        assert!(pool.wants_pool() && pool.has_monitoring);
        let key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72".to_owned();
        let target =
            |role, port| PeerTarget::new(role, "127.0.0.1", port).with_key(Some(key.clone()));
        assert_eq!(pool.pools[0].pool, target(PeerRole::Pool, 25333));
        assert_eq!(
            pool.pools[0].jds,
            Some(target(PeerRole::JobDeclarationServer, 25334).with_full_template(true))
        );
        assert_eq!(pool.pools[0].words(), "127.0.0.1:25333");
        assert!(pool.shares_per_minute.is_some());
        let solo = read(include_str!("../../../tests/data/jd-client/solo.toml"));
        assert!(solo.is_solo && !solo.wants_pool());
    }

    #[test]
    fn files_of_old_clients_and_nonsense_are_read_as_far_as_they_go() {
        let read = |text: &str| RunningConfig::read(&text.parse().unwrap());
        let old = read(
            "[[upstreams]]\npool_address = \"[::1]:34254\"\njd_address = \"pool.example:34264\"\n[[upstreams]]\npool_address = 5",
        );
        assert_eq!(old.pools.len(), 1);
        assert_eq!(old.pools[0].words(), "[::1]:34254");
        let jds = old.pools[0].jds.as_ref().unwrap();
        assert_eq!(jds.host_and_port(), ("pool.example", 34264));
        let coinbase_only = read(
            "mode = \"COINBASEONLY\"\n[[upstreams]]\npool_address = \"p\"\npool_port = 1\njds_address = \"j\"\njds_port = 2",
        );
        assert_eq!(
            coinbase_only.pools[0].jds,
            Some(PeerTarget::new(PeerRole::JobDeclarationServer, "j", 2))
        );
        let odd = read(
            "mode = 1\nupstreams = \"no\"\nshares_per_minute = \"many\"\nmonitoring_cache_refresh_secs = -4",
        );
        assert_eq!(
            odd,
            RunningConfig {
                refresh_s: 0,
                ..RunningConfig::default()
            }
        );
        assert_eq!(read("shares_per_minute = 6").shares_per_minute, Some(6.0));
        assert_eq!(read("").refresh_s, DEFAULT_REFRESH_S);
    }
}
