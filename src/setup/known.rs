//! Pools that are known with their keys, from `data/pools.toml`. Pure: the list is part of the program.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

use crate::configs::BitcoinNetwork;

/// A pool of the list.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPool {
    /// By which programs name it.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// The chain it mines on.
    pub network: BitcoinNetwork,
    /// What to know before choosing it.
    pub note: String,
    /// Its host.
    pub pool_address: String,
    /// Its port.
    pub pool_port: u16,
    /// The host of its job declarator server; none: it has none, and a JD client cannot work with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_address: Option<String>,
    /// That server's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_port: Option<u16>,
    /// Its public key.
    pub authority_pubkey: String,
    /// Where all this stands.
    pub source: String,
}

impl KnownPool {
    /// Whether jobs can be declared to it.
    #[must_use]
    pub fn declares(&self) -> bool {
        self.jds_address.is_some() && self.jds_port.is_some()
    }

    /// Its fields in a configuration, as a form names them; the account is the user's.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, String); 5] {
        [
            ("pool_address", self.pool_address.clone()),
            ("pool_port", self.pool_port.to_string()),
            ("jds_address", self.jds_address.clone().unwrap_or_default()),
            ("jds_port", self.jds_port.map(|port| port.to_string()).unwrap_or_default()),
            ("authority_pubkey", self.authority_pubkey.clone()),
        ]
    }
}

#[derive(Deserialize)]
struct File {
    pool: Vec<KnownPool>,
}

static POOLS: LazyLock<Vec<KnownPool>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../data/pools.toml")).expect("the list of pools was read by a test");
    file.pool
});

/// All of them, those that take declared jobs first.
pub fn pools() -> &'static [KnownPool] {
    &POOLS
}

/// The one with this id.
#[must_use]
pub fn pool(id: &str) -> Option<&'static KnownPool> {
    POOLS.iter().find(|pool| pool.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pool_of_the_list_can_be_used_as_it_stands() {
        assert!(pools().iter().any(KnownPool::declares) && pools().is_sorted_by_key(|pool| !pool.declares()));
        let ids: BTreeSet<_> = pools().iter().map(|pool| &pool.id).collect();
        assert_eq!(ids.len(), pools().len());
        for known in pools() {
            assert_eq!(crate::keys::parse_public_key(&known.authority_pubkey).unwrap(), known.authority_pubkey, "{}", known.id);
            assert!(known.pool_port > 0 && known.note.ends_with('.') && known.source.contains('/'), "{known:?}");
            assert!(known.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "it stands in a form: {}", known.id);
            assert_eq!(pool(&known.id), Some(known));
        }
        assert_eq!(pool("nobody"), None);
    }
}
