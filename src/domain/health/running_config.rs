//! What a running client was told: the few things of its configuration file that its health is
//! judged by. Pure.

use std::net::SocketAddr;

/// The client renews its monitoring's figures so often unless told otherwise, seconds (0.6.0).
const DEFAULT_REFRESH_S: u64 = 15;

/// The configuration of a running client, as far as it matters here. Anything may be missing: the
/// file is the client's own format, of any version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunningConfig {
    /// It is to mine alone.
    pub is_solo: bool,
    /// The pools in their order.
    pub pools: Vec<PoolEndpoints>,
    /// It takes templates from Bitcoin Core's socket, without a template provider in between.
    pub uses_node_socket: bool,
    /// It was given an address for its monitoring.
    pub has_monitoring: bool,
    /// How often it renews the figures of its monitoring, seconds; 0: it never does, by a fault of
    /// the client.
    pub refresh_s: u64,
    /// Shares a minute that each miner is to find; none if unreadable.
    pub shares_per_minute: Option<f64>,
}

/// Where a pool and its job declarator server listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEndpoints {
    /// The pool's host and port.
    pub pool: (String, u16),
    /// The job declarator server's host and port; none for the old clients' files, which have one
    /// address for both in another form.
    pub jds: Option<(String, u16)>,
}

impl PoolEndpoints {
    /// The pool's address for people.
    pub fn words(&self) -> String {
        match self.pool.0.contains(':') {
            true => format!("[{}]:{}", self.pool.0, self.pool.1),
            false => format!("{}:{}", self.pool.0, self.pool.1),
        }
    }
}

impl RunningConfig {
    /// Reads the client's file.
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
        let pool = |value: &toml::Value| {
            let table = value.as_table()?;
            let whole = text(table, "pool_address")?;
            match port(table.get("pool_port")) {
                Some(port_of_pool) => {
                    let jds = text(table, "jds_address").zip(port(table.get("jds_port")));
                    Some(PoolEndpoints {
                        pool: (whole, port_of_pool),
                        jds,
                    })
                }
                None => Some(PoolEndpoints {
                    pool: split(&whole)?,
                    jds: text(table, "jd_address").and_then(|jds| split(&jds)),
                }),
            }
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

    /// A pool is configured and it is to be used.
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
        assert_eq!(pool.pools[0].pool, ("127.0.0.1".to_owned(), 25333));
        assert_eq!(pool.pools[0].jds, Some(("127.0.0.1".to_owned(), 25334)));
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
        assert_eq!(old.pools[0].jds, Some(("pool.example".to_owned(), 34264)));
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
