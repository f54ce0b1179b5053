//! The client versions that can run a configuration, why others cannot, and how its file differs
//! between versions.
//!
//! Pure: everything is derived from `toml_file` and the list in
//! `programs/jd_client/config_fields.rs`.

use similar::{ChangeTag, TextDiff};
use std::collections::BTreeSet;

use super::model::ClientConfig;
use super::toml_file::{lacking, left_out, render_masked};
use crate::base::error::FieldError;
use crate::programs::jd_client::version::ClientVersion;

/// How a client version handles a configuration.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct VersionSupport {
    /// The client version.
    pub client_version: ClientVersion,
    /// True if it can run the configuration.
    pub runs: bool,
    /// Why it cannot, with pointers below `/config`.
    pub errors: Vec<FieldError>,
    /// Settings that it ignores, with pointers below `/config`.
    pub without_effect: Vec<FieldError>,
    /// Keys in its file that are not in the file of the newest version that can run the
    /// configuration.
    pub keys_added: Vec<String>,
    /// Keys that are missing in its file compared with that newest version.
    pub keys_left_out: Vec<String>,
}

/// The result for each known version, oldest first.
pub fn support(config: &ClientConfig) -> Vec<VersionSupport> {
    let newest = ClientVersion::KNOWN
        .into_iter()
        .rev()
        .find_map(|version| keys(config, version))
        .unwrap_or_default();
    ClientVersion::KNOWN
        .into_iter()
        .map(|version| {
            let below_config =
                |list: Vec<FieldError>| list.into_iter().map(|one| one.under("/config")).collect();
            let own = keys(config, version);
            let other = |one: &BTreeSet<String>, than: &BTreeSet<String>| {
                one.difference(than).cloned().collect()
            };
            VersionSupport {
                client_version: version,
                runs: own.is_some(),
                errors: below_config(lacking(config, &version)),
                without_effect: below_config(left_out(config, &version)),
                keys_added: own
                    .as_ref()
                    .map(|own| other(own, &newest))
                    .unwrap_or_default(),
                keys_left_out: own
                    .as_ref()
                    .map(|own| other(&newest, own))
                    .unwrap_or_default(),
            }
        })
        .collect()
}

/// The keys of the file for a version, with `[]` instead of array indices; none if the version
/// cannot run the configuration.
fn keys(config: &ClientConfig, version: ClientVersion) -> Option<BTreeSet<String>> {
    let table = render_masked(config, &version)
        .ok()?
        .parse::<toml::Table>()
        .ok()?;
    let mut found = BTreeSet::new();
    flatten("", &toml::Value::Table(table), &mut found);
    Some(found)
}

fn flatten(path: &str, value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                flatten(
                    &if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    },
                    value,
                    found,
                );
            }
        }
        toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
            list.iter()
                .for_each(|value| flatten(&format!("{path}[]"), value, found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

/// A line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct VersionDiffLine {
    /// `-` if the line was removed, `+` if it was added, a space if it did not change.
    pub mark: char,
    /// The line without the line break.
    pub text: String,
}

/// Compares two files line by line.
pub fn compared(before: &str, after: &str) -> Vec<VersionDiffLine> {
    let diff = TextDiff::from_lines(before, after);
    let line = |change: similar::Change<&str>| VersionDiffLine {
        mark: match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        },
        text: change.value().trim_end_matches('\n').to_owned(),
    };
    diff.iter_all_changes().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    fn of(config: &ClientConfig, version: &str) -> VersionSupport {
        support(config)
            .into_iter()
            .find(|one| one.client_version.to_string() == version)
            .unwrap()
    }

    #[test]
    fn each_version_says_whether_it_runs_it_and_what_it_is_told_differently() {
        let pool = samples::pool();
        let newest = of(&pool, "0.6.0");
        assert!(newest.runs && newest.keys_added.is_empty() && newest.keys_left_out.is_empty());
        let older = of(&pool, "0.2.0");
        assert!(older.runs && older.errors.is_empty() && older.without_effect.is_empty());
        assert_eq!(
            (older.keys_added, older.keys_left_out),
            (
                vec!["user_identity".to_owned()],
                vec!["upstreams[].user_identity".to_owned()]
            )
        );
        let solo = of(&samples::solo(), "0.1.2");
        assert!(!solo.runs && solo.keys_added.is_empty() && solo.keys_left_out.is_empty());
        assert_eq!(solo.errors[0].pointer, "/config/mode");
        let everything = samples::with_everything();
        let before = of(&everything, "0.3.0");
        let pointers: Vec<&str> = before
            .without_effect
            .iter()
            .map(|one| one.pointer.as_str())
            .collect();
        assert_eq!(
            pointers,
            ["/config/miner_telemetry", "/config/max_past_jobs"]
        );
        assert_eq!(
            before.keys_left_out,
            [
                "max_past_jobs",
                "miner_telemetry.cidrs",
                "template_provider_type.BitcoinCoreIpc.version"
            ]
        );
        assert_eq!(of(&everything, "0.1.5").errors.len(), 1, "Bitcoin Core 31");
    }

    #[test]
    fn what_a_version_runs_is_what_is_said_elsewhere() {
        for config in samples::all() {
            let able: Vec<_> = support(&config)
                .into_iter()
                .filter(|one| one.runs)
                .map(|one| one.client_version)
                .collect();
            assert_eq!(able, crate::domain::configs::versions_for(&config));
        }
    }

    #[test]
    fn lines_are_marked_by_where_they_stand() {
        let told: String = compared("a\nb\nc\n", "a\nx\nc\nd")
            .iter()
            .map(|line| format!("{}{}|", line.mark, line.text))
            .collect();
        assert_eq!(told, " a|-b|+x| c|+d|");
        assert!(compared("a\n", "a\n").iter().all(|line| line.mark == ' '));
        assert!(compared("", "").is_empty());
    }
}
