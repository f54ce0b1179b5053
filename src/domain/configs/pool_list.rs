//! Known pools with their public keys: the built-in list `data/pools.toml`, and the user's own
//! `pools.toml` in the data directory, which extends or replaces it. Setup offers these pools, and
//! the rules for saved configurations use them. Pure except for [`read`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use super::model::{BitcoinNetwork, ConfigUpstream};
use crate::base::files::open_regular;

/// A known pool.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPool {
    /// The id.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The network it mines on.
    pub network: BitcoinNetwork,
    /// Information for users who want to choose it.
    #[serde(default)]
    pub note: String,
    /// The host of the pool.
    pub pool_address: String,
    /// The port of the pool.
    pub pool_port: u16,
    /// The prefix of accounts of this service, if several services share one address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account_prefix: String,
    /// The host of its job declaration server. Without one, a JD client cannot use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_address: Option<String>,
    /// The port of its job declaration server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_port: Option<u16>,
    /// The public key.
    pub authority_pubkey: String,
    /// The source of this information.
    #[serde(default)]
    pub source: String,
}

/// The known pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPools {
    /// Pools with job declaration first.
    pub pools: Vec<KnownPool>,
    /// The problem with the user's own list, if any. The list is not used then.
    pub problem: Option<String>,
}

impl KnownPools {
    /// The pool with this id.
    pub fn get(&self, id: &str) -> Option<&KnownPool> {
        self.pools.iter().find(|pool| pool.id == id)
    }

    /// The known pool of a configuration: by address, port and account, or by a key that no other
    /// known pool has.
    pub fn of_upstream(&self, upstream: &ConfigUpstream) -> Option<&KnownPool> {
        let account = &upstream.user_identity;
        let place = |pool: &&KnownPool| {
            is_same_host(&pool.pool_address, &upstream.pool_address)
                && pool.pool_port == upstream.pool_port
                && account.starts_with(&pool.account_prefix)
        };
        let by_place = self
            .pools
            .iter()
            .filter(place)
            .max_by_key(|pool| pool.account_prefix.len());
        let has_key = |pool: &&KnownPool| pool.authority_pubkey == upstream.authority_pubkey;
        by_place.or_else(|| {
            let mut owners = self.pools.iter().filter(has_key);
            owners.next().filter(|_| owners.next().is_none())
        })
    }

    /// The pool at this host with any port; none if there are several.
    pub fn at_host(&self, host: &str) -> Option<&KnownPool> {
        let mut there = self
            .pools
            .iter()
            .filter(|pool| is_same_host(&pool.pool_address, host));
        there.next().filter(|_| there.next().is_none())
    }
}

/// Whether two texts are the same host, ignoring case and a trailing dot.
fn is_same_host(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    plain(one) == plain(other)
}

impl KnownPool {
    /// Whether it supports job declaration.
    pub fn declares(&self) -> bool {
        self.jds_address.is_some() && self.jds_port.is_some()
    }

    /// The warning for a configuration, if the pool does not support job declaration.
    pub fn missing_declaration(&self) -> Option<String> {
        (!self.declares()).then(|| {
            format!(
                "{} has no job declaration server (JDS), so a JD client cannot use it and falls back to solo mining. Choose \
                 another pool, or connect your miners to this pool without a JD client.",
                self.name
            )
        })
    }

    /// Its configuration fields with their form names, without the account.
    pub fn fields(&self) -> [(&'static str, String); 5] {
        [
            ("pool_address", self.pool_address.clone()),
            ("pool_port", self.pool_port.to_string()),
            ("jds_address", self.jds_address.clone().unwrap_or_default()),
            (
                "jds_port",
                self.jds_port
                    .map(|port| port.to_string())
                    .unwrap_or_default(),
            ),
            ("authority_pubkey", self.authority_pubkey.clone()),
        ]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolListFile {
    /// True to replace the built-in list.
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    pool: Vec<KnownPool>,
}

/// The maximum size of a list file.
const LARGEST: u64 = 1024 * 1024;

static POOLS: LazyLock<KnownPools> = LazyLock::new(|| {
    let file: PoolListFile = toml::from_str(include_str!("../../../data/pools.toml"))
        .expect("a test checks the list of pools");
    KnownPools {
        pools: file.pool,
        problem: None,
    }
});

/// The built-in list.
pub fn built_in() -> &'static KnownPools {
    &POOLS
}

/// The known pools, including the user's own list at `path`, which is read each time so that
/// changes apply immediately. Blocks.
pub fn read(path: &Path) -> KnownPools {
    let text = open_regular(path, std::fs::File::options().read(true)).and_then(|file| {
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text)?;
        Ok(text)
    });
    match text {
        Ok(text) => with_own(&text, &path.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => built_in().clone(),
        Err(e) => KnownPools {
            problem: Some(format!("{} cannot be read: {e}.", path.display())),
            ..built_in().clone()
        },
    }
}

/// The built-in list with a user's own list. Error messages use `name` for the user's file.
fn with_own(text: &str, name: &str) -> KnownPools {
    let own = toml::from_str::<PoolListFile>(text)
        .map_err(|e| e.to_string())
        .and_then(|file| check(&file.pool).map(|()| file));
    let own = match own {
        Ok(own) => own,
        Err(mistake) => {
            return KnownPools {
                problem: Some(format!(
                    "{name} has an error and is not used: {}",
                    mistake.trim()
                )),
                ..built_in().clone()
            };
        }
    };
    let mut pools = if own.replace {
        Vec::new()
    } else {
        built_in().pools.clone()
    };
    for one in own.pool {
        match pools.iter_mut().find(|known| known.id == one.id) {
            Some(known) => *known = one,
            None => pools.push(one),
        }
    }
    pools.sort_by_key(|pool| !pool.declares());
    KnownPools {
        pools,
        problem: None,
    }
}

/// Checks every pool of a list.
fn check(pools: &[KnownPool]) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    for (at, pool) in pools.iter().enumerate() {
        let wrong = |words: String| Err(format!("pool {} (\"{}\"): {words}", at + 1, pool.id));
        if pool.id.is_empty()
            || !pool
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            return wrong("id can contain only lowercase letters and digits.".into());
        }
        if !ids.insert(&pool.id) {
            return wrong("another pool has this id.".into());
        }
        if pool.name.trim().is_empty()
            || pool.pool_address.trim().is_empty()
            || pool.pool_port == 0
            || pool.jds_port == Some(0)
        {
            return wrong("name, pool_address and ports cannot be empty or 0.".into());
        }
        if pool.jds_address.is_some() != pool.jds_port.is_some() {
            return wrong("jds_address and jds_port must be set together.".into());
        }
        if let Err(fault) = crate::domain::keys::parse_public_key(&pool.authority_pubkey) {
            return wrong(format!("authority_pubkey: {fault}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pool_of_the_list_can_be_used_as_it_stands() {
        let known = built_in();
        check(&known.pools).unwrap();
        assert!(
            known.pools.iter().any(KnownPool::declares)
                && known.pools.is_sorted_by_key(|pool| !pool.declares())
        );
        for pool in &known.pools {
            assert_eq!(
                crate::domain::keys::parse_public_key(&pool.authority_pubkey).unwrap(),
                pool.authority_pubkey,
                "{}",
                pool.id
            );
            assert!(
                pool.note.ends_with('.') && pool.source.contains('/'),
                "{pool:?}"
            );
            assert_eq!(known.get(&pool.id), Some(pool));
        }
        assert_eq!(known.get("nobody"), None);
    }

    fn upstream(address: &str, port: u16, key: &str, account: &str) -> ConfigUpstream {
        ConfigUpstream {
            authority_pubkey: key.into(),
            pool_address: address.into(),
            pool_port: port,
            jds_address: "jds.barn.lan".into(),
            jds_port: 3334,
            user_identity: account.into(),
        }
    }

    #[test]
    fn a_pool_is_known_by_its_place_its_key_and_the_kind_of_account() {
        let known = built_in();
        let sri = known.get("sri").unwrap().authority_pubkey.clone();
        let mkpool = known.get("mkpool").unwrap().authority_pubkey.clone();
        for (pool, id) in [
            (upstream("75.119.150.111", 3333, &sri, "barn"), Some("sri")),
            (
                upstream("75.119.150.111", 3333, &sri, "sri/solo/bc1q/x"),
                Some("srisolo"),
            ),
            (
                upstream("Stratum.CKpool.org.", 3336, &sri, "barn"),
                Some("ckpool"),
            ),
            // Another host with the key of a pool is that pool.
            (
                upstream("eu.mkpool.lan", 1, &mkpool, "barn"),
                Some("mkpool"),
            ),
            // The key of the examples is that of many.
            (upstream("pool.barn.lan", 3333, &sri, "barn"), None),
            (upstream("75.119.150.111", 4444, &sri, "barn"), None),
        ] {
            let found = known.of_upstream(&pool).map(|pool| pool.id.as_str());
            assert_eq!(found, id, "{pool:?}");
        }
        assert_eq!(
            known.at_host("nexuspool.io").map(|pool| pool.pool_port),
            Some(3350)
        );
        assert_eq!(known.at_host("75.119.150.111"), None, "two services");
    }

    const OWN: &str = "[[pool]]\nid = \"attic\"\nname = \"In the attic\"\nnetwork = \"regtest\"\npool_address = \"attic.lan\"\npool_port = 3333\n\
        jds_address = \"attic.lan\"\njds_port = 3334\nauthority_pubkey = \"9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72\"\n";

    #[test]
    fn a_list_of_ones_own_adds_to_the_list_of_the_program_or_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.toml");
        assert_eq!(read(&path), *built_in());
        std::fs::write(&path, OWN).unwrap();
        let known = read(&path);
        assert_eq!(
            (known.pools.len(), known.problem.as_ref()),
            (built_in().pools.len() + 1, None)
        );
        assert!(
            known.get("attic").unwrap().declares()
                && known.pools.is_sorted_by_key(|pool| !pool.declares())
        );
        std::fs::write(&path, format!("replace = true\n{OWN}")).unwrap();
        assert_eq!(read(&path).pools.len(), 1);
        std::fs::write(&path, OWN.replace("attic", "sri")).unwrap();
        let known = read(&path);
        assert_eq!(
            (
                known.pools.len(),
                known.get("sri").unwrap().pool_address.as_str()
            ),
            (built_in().pools.len(), "sri.lan")
        );
    }

    #[test]
    fn a_mistake_in_it_is_named_and_the_list_of_the_program_counts() {
        for (text, says) in [
            ("[[pool]", "line 1"),
            ("[[pool]]\nid = \"x\"", "missing field"),
            ("colour = 1", "colour"),
            (&OWN.replace("port = 3333", "port = 70000"), "70000"),
            (
                &OWN.replace("attic\"\nname", "At tic\"\nname"),
                "lowercase letters",
            ),
            (&OWN.replace("3334", "0"), "0"),
            (
                &OWN.replace("jds_port = 3334\n", ""),
                "must be set together",
            ),
            (&OWN.replace("PH72", "PH73"), "checksum"),
            (&format!("{OWN}{OWN}"), "another pool has this id"),
            (&OWN.replace("regtest", "moonnet"), "moonnet"),
        ] {
            let known = with_own(text, "pools.toml");
            let problem = known.problem.unwrap();
            assert!(
                problem.starts_with("pools.toml has an error") && problem.contains(says),
                "{says}: {problem}"
            );
            assert_eq!(known.pools, built_in().pools);
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).problem.unwrap().contains("cannot be read"));
    }
}
