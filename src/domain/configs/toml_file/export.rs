//! Exports a configuration as a complete file for all client versions, based on the file it was
//! imported from.
//!
//! Unlike the file for one version, it contains all settings, because clients ignore unknown keys.
//! Comments, unknown keys and the order of the imported file are kept.

use super::import::proper_name;
use super::render::complete;
use crate::domain::configs::model::{ClientConfig, MASK};
use crate::domain::configs::rules::address::host_port;
use crate::domain::configs::rules::peer_address::StratumAddress;
use crate::domain::keys::without_secret_keys;
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use toml::Value as Ours;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

/// The comment after the masked secret.
const WHERE_THE_SECRET_IS: &str = " # not exported: enter your secret key here";

/// The file with `secret` as the secret key. `source` is the imported file, if any.
fn with_secret(config: &ClientConfig, source: Option<&str>, secret: &str) -> DocumentMut {
    let ours = complete(config, secret);
    if let Some(Ok(mut document)) = source.map(str::parse::<DocumentMut>) {
        merge(document.as_table_mut(), &ours, "");
        return document;
    }
    let mut document = DocumentMut::new();
    merge(document.as_table_mut(), &ours, "");
    document
}

/// The file with [`MASK`] instead of the secret.
pub fn export(config: &ClientConfig, source: Option<&str>) -> String {
    let mut document = with_secret(config, source, MASK);
    let name = document
        .iter()
        .map(|(key, _)| key.to_owned())
        .find(|key| key.eq_ignore_ascii_case(SECRET_FIELD));
    if let Some(value) = name
        .and_then(|name| document.get_mut(&name))
        .and_then(Item::as_value_mut)
    {
        let has_comment = value
            .decor()
            .suffix()
            .and_then(|suffix| suffix.as_str())
            .is_some_and(|suffix| suffix.contains('#'));
        if !has_comment {
            value.decor_mut().set_suffix(WHERE_THE_SECRET_IS);
        }
    }
    document.to_string()
}

/// The file with the secret, only for users who may see it.
pub fn export_whole(config: &ClientConfig, source: Option<&str>) -> String {
    with_secret(config, source, config.authority_secret_key.reveal()).to_string()
}

/// An imported file without any secrets, to be stored for export.
pub fn text_of(file: &str) -> Option<String> {
    let mut document: DocumentMut = file.parse().ok()?;
    let names: Vec<String> = document
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| key.eq_ignore_ascii_case(SECRET_FIELD))
        .collect();
    for name in names {
        set_entry(
            document.as_table_mut(),
            &name,
            &Ours::String(MASK.into()),
            SECRET_FIELD,
        );
    }
    Some(without_secret_keys(&document.to_string()))
}

/// Sets the known keys of a table to the values in `ours`. `path` is the prefix of the table's keys
/// in the list of fields.
fn merge(table: &mut dyn TableLike, ours: &toml::Table, path: &str) {
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in &keys {
        // jd-manager does not use this key, but users of the exported file may.
        let Some(name) = proper_name(path, key).filter(|name| *name != "log_file") else {
            continue;
        };
        match ours.get(name) {
            Some(value) => set_entry(table, key, value, &format!("{path}{name}")),
            None => drop(table.remove(key)),
        }
    }
    for (name, value) in ours {
        if !keys.iter().any(|key| key.eq_ignore_ascii_case(name)) {
            table.insert(name, item(value));
        }
    }
}

fn set_entry(table: &mut dyn TableLike, key: &str, value: &Ours, path: &str) {
    let Some(there) = table.get_mut(key) else {
        return;
    };
    match (there, value) {
        (there, value) if there.as_value().is_some_and(|there| is_same(there, value)) => {}
        (there, Ours::Array(list)) if has_tables(there) && list.iter().any(Ours::is_table) => {
            let tables = match std::mem::take(there).into_array_of_tables() {
                Ok(tables) => tables,
                Err(_) => ArrayOfTables::new(),
            };
            let list: Vec<&toml::Table> = list.iter().filter_map(Ours::as_table).collect();
            *there = Item::ArrayOfTables(merge_list(&tables, &list, path));
        }
        (there, Ours::Table(ours)) if there.is_table_like() => {
            if let Some(there) = there.as_table_like_mut() {
                merge(there, ours, &format!("{path}."));
            }
        }
        (
            Item::Value(there),
            Ours::String(_) | Ours::Integer(_) | Ours::Float(_) | Ours::Boolean(_),
        ) if !there.is_inline_table() => {
            let decor = there.decor().clone();
            *there = single(value);
            *there.decor_mut() = decor;
        }
        _ => {
            table.remove(key);
            table.insert(key, item(value));
        }
    }
}

/// Whether it is a list of tables, written as sections or inline.
fn has_tables(item: &Item) -> bool {
    match item {
        Item::ArrayOfTables(_) => true,
        Item::Value(Value::Array(list)) => {
            !list.is_empty() && list.iter().all(Value::is_inline_table)
        }
        _ => false,
    }
}

/// A list with the entries of `ours`. Each entry is based on the same pool in the file, so that its
/// comments and unknown keys stay with it even if the order changed.
fn merge_list(there: &ArrayOfTables, ours: &[&toml::Table], path: &str) -> ArrayOfTables {
    let sources = same_pools(there, ours);
    let is_in_order = sources.iter().flatten().is_sorted()
        && sources
            .iter()
            .skip_while(|source| source.is_some())
            .all(Option::is_none);
    let position = there.iter().find_map(Table::position);
    let mut merged = ArrayOfTables::new();
    for (ours, source) in ours.iter().zip(sources) {
        let mut table = source
            .and_then(|at| there.get(at))
            .cloned()
            .unwrap_or_default();
        if !is_in_order {
            set_positions(&mut table, position);
        }
        merge(&mut table, ours, &format!("{path}[]."));
        merged.push(table);
    }
    merged
}

/// The entry in the file for each of our pools: first pools with the same address, port and key,
/// then pools with one difference.
fn same_pools(there: &ArrayOfTables, ours: &[&toml::Table]) -> Vec<Option<usize>> {
    let there: Vec<PoolIdentity> = there.iter().map(PoolIdentity::of_file).collect();
    let ours: Vec<PoolIdentity> = ours
        .iter()
        .map(|table| PoolIdentity::of_ours(table))
        .collect();
    let mut sources = vec![None; ours.len()];
    let mut is_free = vec![true; there.len()];
    for wanted in [3, 2] {
        for (source, one) in sources.iter_mut().zip(&ours) {
            if source.is_some() {
                continue;
            }
            let is_same = |at: &usize| is_free[*at] && there[*at].parts_in_common(one) == wanted;
            *source = (0..there.len()).find(is_same);
            if let Some(at) = *source {
                is_free[at] = false;
            }
        }
    }
    sources
}

/// The values that identify a pool.
#[derive(Default)]
struct PoolIdentity {
    host: Option<String>,
    port: Option<String>,
    key: Option<String>,
}

impl PoolIdentity {
    /// From a file of any version: the port can be part of the address, and numbers can be quoted.
    fn of_file(table: &Table) -> Self {
        let text = |name: &str| {
            let (_, item) = table
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            let number = item.as_integer().map(|number| number.to_string());
            item.as_str().map(|text| text.trim().to_owned()).or(number)
        };
        Self::of_texts(
            text("pool_address"),
            text("pool_port"),
            text("authority_pubkey"),
        )
    }

    fn of_ours(table: &toml::Table) -> Self {
        let text = |name: &str| match table.get(name)? {
            Ours::String(text) => Some(text.clone()),
            Ours::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        Self::of_texts(
            text("pool_address"),
            text("pool_port"),
            text("authority_pubkey"),
        )
    }

    fn of_texts(address: Option<String>, port: Option<String>, key: Option<String>) -> Self {
        let published = address.as_deref().and_then(StratumAddress::parse);
        let (host, own_port, own_key) = match published {
            Some(Ok(published)) => (
                Some(published.host),
                published.port.map(|port| port.to_string()),
                published.key,
            ),
            _ => match address.as_deref().map(host_port) {
                Some(Ok((host, port))) => (Some(host), Some(port.to_string()), None),
                _ => (address, None, None),
            },
        };
        Self {
            host: host.map(|host| host.to_ascii_lowercase()),
            port: port.or(own_port),
            key: key.or(own_key),
        }
    }

    fn parts_in_common(&self, other: &Self) -> usize {
        let pairs = [
            (&self.host, &other.host),
            (&self.port, &other.port),
            (&self.key, &other.key),
        ];
        pairs
            .iter()
            .filter(|(one, other)| one.is_some() && one == other)
            .count()
    }
}

/// The library writes tables by their positions. All tables of a reordered list get the same
/// position, so they are written in the order of the list.
fn set_positions(table: &mut Table, position: Option<isize>) {
    table.set_position(position);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => set_positions(inner, position),
            Item::ArrayOfTables(list) => {
                list.iter_mut()
                    .for_each(|inner| set_positions(inner, position));
            }
            _ => {}
        }
    }
}

fn is_same(there: &Value, ours: &Ours) -> bool {
    match ours {
        Ours::String(text) => there.as_str() == Some(text),
        Ours::Integer(number) => there.as_integer() == Some(*number),
        Ours::Float(number) => {
            there
                .as_float()
                .or(there.as_integer().map(|whole| whole as f64))
                == Some(*number)
        }
        Ours::Boolean(yes) => there.as_bool() == Some(*yes),
        Ours::Array(list) => there.as_array().is_some_and(|there| {
            there.len() == list.len()
                && there
                    .iter()
                    .zip(list)
                    .all(|(there, ours)| is_same(there, ours))
        }),
        Ours::Table(table) => there.as_inline_table().is_some_and(|there| {
            table
                .iter()
                .all(|(key, ours)| there.get(key).is_some_and(|there| is_same(there, ours)))
        }),
        Ours::Datetime(_) => false,
    }
}

/// A value, a table or a list of tables in the library that keeps comments.
fn item(value: &Ours) -> Item {
    match value {
        Ours::Table(ours) => {
            let mut table = Table::new();
            merge(&mut table, ours, "");
            table.set_implicit(ours.values().all(Ours::is_table));
            Item::Table(table)
        }
        Ours::Array(list) if list.iter().any(Ours::is_table) => {
            let mut tables = ArrayOfTables::new();
            for ours in list.iter().filter_map(Ours::as_table) {
                let mut table = Table::new();
                merge(&mut table, ours, "");
                tables.push(table);
            }
            Item::ArrayOfTables(tables)
        }
        single_value => Item::Value(single(single_value)),
    }
}

fn single(value: &Ours) -> Value {
    match value {
        Ours::Integer(number) => (*number).into(),
        Ours::Float(number) => (*number).into(),
        Ours::Boolean(yes) => (*yes).into(),
        Ours::Array(list) => Value::Array(list.iter().map(single).collect::<Array>()),
        Ours::String(text) => text.as_str().into(),
        // Our values contain neither.
        Ours::Datetime(_) | Ours::Table(_) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples::{self, POOL_FILE, SOLO_FILE};
    use crate::domain::configs::toml_file::import;
    use crate::domain::configs::{MiningMode, read};
    use proptest::prelude::*;

    /// The file as it would be with its secret.
    fn whole(config: &ClientConfig, source: Option<&str>) -> String {
        with_secret(config, source, config.authority_secret_key.reveal()).to_string()
    }

    fn imported(text: &str) -> ClientConfig {
        import(text)
            .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
            .config
    }

    #[test]
    fn a_file_that_was_imported_goes_out_as_it_came_in() {
        let solo = format!(
            "# My miner.\n{}\n# the end\n",
            SOLO_FILE
                .replace("mode =", "\n# why: because\nmode   =")
                .replace(
                    "\n[template",
                    "\nunheard_of = { a = 1 } # mine\nlog_file = '/var/log/jdc.log'\n\n[other]\nx = 1\n\n[template"
                )
                .replace("shares_per_minute = 6.0", "shares_per_minute = 6")
        );
        let odd = POOL_FILE.replace("[template_provider_type.Sv2Tp]\naddress = \"127.0.0.1:25442\"\n", "").replace(
            "[[upstreams]]",
            "template_provider_type = { Sv2Tp = { address = \"127.0.0.1:25442\" } } # in one line\n\n[[upstreams]] # home",
        );
        for file in [SOLO_FILE, POOL_FILE, &solo, &odd] {
            assert_eq!(whole(&imported(file), Some(file)), file);
        }
    }

    #[test]
    fn what_was_changed_meanwhile_is_changed_in_its_place() {
        let file = POOL_FILE
            .replace("share_batch_size = 3", "share_batch_size = 3 # three")
            .replace("monitoring_address", "# figures\nmonitoring_address")
            .replace(
                "user_identity = \"acct.worker\"",
                "user_identity = \"acct.worker\" # me\nfriend = true",
            );
        let mut config = imported(&file);
        config.share_batch_size = 7;
        config.monitoring_address = None;
        config.max_past_jobs = Some(4);
        config.upstreams[0].user_identity = "bob".into();
        let text = whole(&config, Some(&file));
        assert_eq!(imported(&text), config);
        for kept in [
            "share_batch_size = 7 # three\n",
            "user_identity = \"bob\" # me\nfriend = true\n",
            "max_past_jobs = 4\n[[upstreams]]",
        ] {
            assert!(text.contains(kept), "{kept}\n{text}");
        }
        assert!(!text.contains("monitoring_address"), "{text}");

        config.mode = MiningMode::SoloMining;
        config.upstreams.clear();
        let solo = whole(&config, Some(&text));
        assert!(
            solo.contains("upstreams = []\n") && !solo.contains("[[upstreams]]"),
            "{solo}"
        );
        assert_eq!(imported(&solo), config);
        config.upstreams = imported(&file).upstreams;
        config.upstreams.push(samples::pool().upstreams.remove(0));
        config.template_provider_type = samples::with_everything().template_provider_type;
        config.coinbase_reward_script = samples::REWARD.into();
        let again = whole(&config, Some(&solo));
        assert_eq!(
            (imported(&again), again.matches("[[upstreams]]").count()),
            (config, 2),
            "{again}"
        );
    }

    /// A file with two pools, each with a comment, an unknown key and an unknown table.
    fn two_pools() -> String {
        let [head, tail] =
            ["[[upstreams]]", "[template_provider_type"].map(|mark| POOL_FILE.find(mark).unwrap());
        let pool = |name: &str, port: u16| {
            POOL_FILE[head..tail]
                .replace(
                    "[[upstreams]]",
                    &format!("# the pool {name}\n[[upstreams]]"),
                )
                .replace("25333", &port.to_string())
                + &format!("rank = \"{name}\"\n[upstreams.contact]\nname = \"{name}\"\n")
        };
        let (before, after) = (&POOL_FILE[..head], &POOL_FILE[tail..]);
        format!(
            "{before}{}{}{after}",
            pool("barn", 4100),
            pool("loft", 4200)
        )
    }

    /// Port, unknown key and unknown table of each pool of a file.
    fn owners(text: &str) -> Vec<(i64, String, String)> {
        let table: toml::Table = text.parse().unwrap();
        let word =
            |value: Option<&Ours>| value.and_then(Ours::as_str).unwrap_or_default().to_owned();
        let pools = table["upstreams"].as_array().unwrap();
        let owner = |pool: &Ours| {
            let contact = pool.get("contact").and_then(|contact| contact.get("name"));
            let port = pool["pool_port"].as_integer().unwrap();
            (port, word(pool.get("rank")), word(contact))
        };
        pools.iter().map(owner).collect()
    }

    #[test]
    fn unknown_keys_stay_with_their_pool() {
        let file = two_pools();
        let original = imported(&file);
        let own = |port: i64, name: &str| (port, name.to_owned(), name.to_owned());
        let (barn, loft) = (own(4100, "barn"), own(4200, "loft"));
        assert_eq!(owners(&file), [barn.clone(), loft.clone()]);

        let exported = |change: &dyn Fn(&mut ClientConfig)| {
            let mut config = original.clone();
            change(&mut config);
            let text = whole(&config, Some(&file));
            assert_eq!(imported(&text), config, "{text}");
            assert_eq!(whole(&config, Some(&text)), text);
            (owners(&text), text)
        };
        let new = || samples::pool().upstreams.remove(0);
        // Another pool in front of them, between them, and they the other way round.
        let (found, text) = exported(&|config| config.upstreams.insert(0, new()));
        assert_eq!(found, [own(3333, ""), barn.clone(), loft.clone()]);
        let at = |words: &str| text.find(words).unwrap();
        assert!(at("pool.attic") < at("# the pool barn") && at("\"barn\"") < at("# the pool loft"));
        assert_eq!(
            exported(&|config| config.upstreams.insert(1, new())).0,
            [barn.clone(), own(3333, ""), loft.clone()]
        );
        assert_eq!(
            exported(&|config| config.upstreams.reverse()).0,
            [loft.clone(), barn.clone()]
        );
        // One is gone.
        assert_eq!(
            exported(&|config| drop(config.upstreams.remove(0))).0,
            std::slice::from_ref(&loft)
        );
        // One moved to another port, to another account, to another host.
        assert_eq!(
            exported(&|config| config.upstreams[1].pool_port = 4300).0,
            [barn.clone(), own(4300, "loft")]
        );
        assert_eq!(
            exported(&|config| config.upstreams[0].user_identity = "carol".into()).0,
            [barn.clone(), loft.clone()]
        );
        // A different pool keeps nothing of the pool that it replaces.
        assert_eq!(
            exported(&|config| config.upstreams[0] = new()).0,
            [own(3333, ""), loft]
        );
    }

    #[test]
    fn pools_in_one_line_keep_their_unknown_keys_too() {
        let pool = |port: u16, name: &str| {
            format!(
                "{{ authority_pubkey = \"{}\", pool_address = \"127.0.0.1:{port}\", jds_address = \"127.0.0.1\", jds_port = 4, \
                 user_identity = \"a\", rank = \"{name}\" }}",
                samples::POOL_KEY
            )
        };
        let inline = format!(
            "upstreams = [{}, {}]",
            pool(4100, "barn"),
            pool(4200, "loft")
        );
        let file = SOLO_FILE
            .replace("upstreams = []", &inline)
            .replace("SOLOMINING", "FULLTEMPLATE");
        let mut config = imported(&file);
        config.upstreams.swap(0, 1);
        let text = whole(&config, Some(&file));
        assert_eq!(imported(&text), config, "{text}");
        let ranks: Vec<String> = owners(&text).into_iter().map(|(_, rank, _)| rank).collect();
        assert_eq!(ranks, ["loft", "barn"], "{text}");
    }

    #[test]
    fn the_older_shape_becomes_todays() {
        let file = POOL_FILE
            .replace(
                "pool_address = \"127.0.0.1\"\npool_port = 25333",
                "pool_address = \"127.0.0.1:25333\"",
            )
            .replace(
                "jds_address = \"127.0.0.1\"\njds_port = 25334",
                "jd_address = \"127.0.0.1:25334\"",
            )
            .replace("cert_validity_sec = 3600", "CERT_validity_sec = \"3600\"");
        let text = whole(&imported(&file), Some(&file));
        assert!(
            import(&text)
                .unwrap()
                .remarks
                .iter()
                .all(|remark| !remark.detail.contains("ignore")),
            "{text}"
        );
        assert!(
            text.contains("CERT_validity_sec = 3600\n") && !text.contains("jd_address"),
            "{text}"
        );
        assert_eq!(imported(&text), imported(&file));
    }

    #[test]
    fn secrets_stay_here_wherever_they_stood() {
        let file = SOLO_FILE.replace(
            "cert_validity",
            &format!(
                "# before: authority_secret_key = \"{}\"\nspare = '{}'\ncert_validity",
                samples::SECRET,
                samples::SECRET
            ),
        );
        let words = text_of(&file).unwrap();
        assert!(
            !words.contains(samples::SECRET) && !words.contains("mkDLTB"),
            "{words}"
        );
        assert_eq!(words.matches(MASK).count(), 3);
        let config = imported(&file);
        for source in [None, Some(words.as_str())] {
            let out = export(&config, source);
            assert!(
                out.contains(&format!(
                    "authority_secret_key = \"{MASK}\"{WHERE_THE_SECRET_IS}\n"
                )),
                "{out}"
            );
            assert!(!out.contains("mkDLTB") && !out.contains(samples::SECRET));
            // Taken in and out once more nothing is added.
            assert_eq!(export(&config, Some(&out)), out);
        }
        assert_eq!(text_of("not = [toml"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_configuration_goes_out_and_comes_in_unchanged(
            one in samples::configurations::any(),
            other in samples::configurations::any(),
            comment in "[ -~]{0,30}",
        ) {
            let [one, other] = [one, other].map(|value| read(&value, None).map(|accepted| accepted.config));
            let (one, other) = (one.expect("it obeys the rules"), other.expect("it obeys the rules"));
            let text = whole(&one, None);
            prop_assert_eq!(&imported(&text), &one);
            // The words of one file in that of another configuration.
            let words = format!("# {comment}\nunheard_of = 'kept'\n{text}");
            let text = whole(&other, Some(&words));
            prop_assert_eq!(&imported(&text), &other);
            let kept = format!("# {comment}\nunheard_of = 'kept'\n");
            prop_assert!(text.starts_with(&kept), "{}", text);
            prop_assert_eq!(whole(&other, Some(&text)), text);
        }
    }
}
