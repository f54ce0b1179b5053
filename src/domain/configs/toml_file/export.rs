//! A configuration as a file to be taken elsewhere: complete, for clients of every version, and
//! with the words of the file it was once imported from.
//!
//! Other than a file for one version it holds all that is set: clients pass over what they do not
//! know. What the imported file held besides, comments, unknown keys and the order of things, stays
//! where it was.

use super::import::proper_name;
use super::render::complete;
use crate::domain::configs::model::{ClientConfig, MASK};
use crate::domain::keys::without_secret_keys;
use crate::programs::jd_client::config_fields::SECRET_FIELD;
use toml::Value as Ours;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

/// What stands behind it instead.
const WHERE_THE_SECRET_IS: &str = " # jd-manager keeps it to itself: put yours here";

/// The file with `secret` in its place. `source` is the file the configuration was imported from.
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

/// The file with [`MASK`] in the place of the secret.
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

/// The file with the secret in it: for those who may see it, and for nobody else.
pub fn export_whole(config: &ClientConfig, source: Option<&str>) -> String {
    with_secret(config, source, config.authority_secret_key.reveal()).to_string()
}

/// A file that was imported, to be kept for its words: without its secrets, wherever they stand.
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

/// Makes the known keys of a table say what `ours` says. `path` is how the list of fields names what
/// stands in it.
fn merge(table: &mut dyn TableLike, ours: &toml::Table, path: &str) {
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in &keys {
        // The manager has no use for it; whoever takes the file elsewhere may.
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
        (Item::ArrayOfTables(tables), Ours::Array(list)) if !list.is_empty() => {
            let ours: Vec<&toml::Table> = list.iter().filter_map(Ours::as_table).collect();
            tables.retain({
                let mut at = 0;
                move |_| {
                    at += 1;
                    at <= ours.len()
                }
            });
            let ours = list.iter().filter_map(Ours::as_table);
            for (at, ours) in ours.enumerate() {
                if tables.get(at).is_none() {
                    tables.push(Table::new());
                }
                if let Some(table) = tables.get_mut(at) {
                    merge(table, ours, &format!("{path}[]."));
                }
            }
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

/// A value, a table, or tables in a row, as a library that keeps words has them.
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
        // Our files hold neither of them inside a value.
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
                .all(|remark| !remark.detail.contains("passes over")),
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
