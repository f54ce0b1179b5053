//! Pools that are known with their keys: the list that is part of the program, `data/pools.toml`,
//! and the user's own, `pools.toml` in the data directory, which adds to it or takes its place.
//! Pure but for [`read`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use crate::base::files::open_regular;
use crate::domain::configs::BitcoinNetwork;

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
    #[serde(default)]
    pub note: String,
    /// Its host.
    pub pool_address: String,
    /// Its port.
    pub pool_port: u16,
    /// The host of its job declarator server; none: it has none, and a JD client cannot work with
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_address: Option<String>,
    /// That server's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jds_port: Option<u16>,
    /// Its public key.
    pub authority_pubkey: String,
    /// Where all this stands.
    #[serde(default)]
    pub source: String,
}

/// The pools that are known by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPools {
    /// Those that take declared jobs first.
    pub pools: Vec<KnownPool>,
    /// What is wrong with the user's own list, if anything; then it does not count.
    pub problem: Option<String>,
}

impl KnownPools {
    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&KnownPool> {
        self.pools.iter().find(|pool| pool.id == id)
    }
}

impl KnownPool {
    /// Whether jobs can be declared to it.
    pub fn declares(&self) -> bool {
        self.jds_address.is_some() && self.jds_port.is_some()
    }

    /// Its fields in a configuration, as a form names them; the account is the user's.
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
    /// The list of the program does not count.
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    pool: Vec<KnownPool>,
}

/// A list is small; what is larger is something else.
const LARGEST: u64 = 1024 * 1024;

static POOLS: LazyLock<Vec<KnownPool>> = LazyLock::new(|| {
    let file: PoolListFile = toml::from_str(include_str!("../../../data/pools.toml"))
        .expect("the list of pools was read by a test");
    file.pool
});

/// The list that is part of the program.
pub fn built_in() -> KnownPools {
    KnownPools {
        pools: POOLS.clone(),
        problem: None,
    }
}

/// The list that counts, with the user's own at `path`. It is read anew each time, so that a change
/// counts at once. Blocks.
pub fn read(path: &Path) -> KnownPools {
    let text = open_regular(path, std::fs::File::options().read(true)).and_then(|file| {
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text)?;
        Ok(text)
    });
    match text {
        Ok(text) => with_own(&text, &path.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => built_in(),
        Err(e) => KnownPools {
            problem: Some(format!("{} cannot be read: {e}.", path.display())),
            ..built_in()
        },
    }
}

/// The list of the program with a user's own, which is called `name` where something is wrong with
/// it.
fn with_own(text: &str, name: &str) -> KnownPools {
    let own = toml::from_str::<PoolListFile>(text)
        .map_err(|e| e.to_string())
        .and_then(|file| check(&file.pool).map(|()| file));
    let own = match own {
        Ok(own) => own,
        Err(mistake) => {
            return KnownPools {
                problem: Some(format!(
                    "{name} has a mistake and does not count: {}",
                    mistake.trim()
                )),
                ..built_in()
            };
        }
    };
    let mut pools = if own.replace {
        Vec::new()
    } else {
        built_in().pools
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

/// Whether each of them can be used as it stands.
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
            return wrong("id consists of small letters and digits.".into());
        }
        if !ids.insert(&pool.id) {
            return wrong("there is another one with this id.".into());
        }
        if pool.name.trim().is_empty()
            || pool.pool_address.trim().is_empty()
            || pool.pool_port == 0
            || pool.jds_port == Some(0)
        {
            return wrong("name, pool_address and ports cannot be empty or 0.".into());
        }
        if pool.jds_address.is_some() != pool.jds_port.is_some() {
            return wrong("jds_address and jds_port go together.".into());
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

    const OWN: &str = "[[pool]]\nid = \"attic\"\nname = \"In the attic\"\nnetwork = \"regtest\"\npool_address = \"attic.lan\"\npool_port = 3333\n\
        jds_address = \"attic.lan\"\njds_port = 3334\nauthority_pubkey = \"9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72\"\n";

    #[test]
    fn a_list_of_ones_own_adds_to_the_list_of_the_program_or_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.toml");
        assert_eq!(read(&path), built_in());
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
                "small letters",
            ),
            (&OWN.replace("3334", "0"), "0"),
            (&OWN.replace("jds_port = 3334\n", ""), "go together"),
            (&OWN.replace("PH72", "PH73"), "checksum"),
            (&format!("{OWN}{OWN}"), "another one with this id"),
            (&OWN.replace("regtest", "moonnet"), "moonnet"),
        ] {
            let known = with_own(text, "pools.toml");
            let problem = known.problem.unwrap();
            assert!(
                problem.starts_with("pools.toml has a mistake") && problem.contains(says),
                "{says}: {problem}"
            );
            assert_eq!(known.pools, built_in().pools);
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).problem.unwrap().contains("cannot be read"));
    }
}
