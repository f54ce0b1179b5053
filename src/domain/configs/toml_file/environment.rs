//! The client's configuration as environment variables, `JDC__…`, which 0.6.0 reads: in a Docker
//! Compose file, an environment file, a systemd unit or a command line.
//!
//! The variables are converted to a file, which is then read like any other; each line keeps the
//! variable and line of its source. The rules are those of the client: names ignore case, two
//! underscores separate tables, commas separate list elements, `JDC__UPSTREAM_<NAME>__<FIELD>` is a
//! pool, and pools are sorted by name.

use super::import::FileRemark;
use crate::domain::configs::rules::scalar::shown;
use std::collections::BTreeMap;

/// The prefix of the client's variables.
const PREFIX: &str = "JDC__";
/// The second prefix of pool variables.
const POOL: &str = "UPSTREAM_";
/// The maximum number of variables. A configuration with all pools has about a hundred.
const MOST_VARIABLES: usize = 500;
/// The maximum length of a quoted name.
const LONGEST_NAME: usize = 100;
/// Keys of the client's file. A text with such a key is not a list of variables.
const OWN_KEYS: [&str; 4] = [
    "listening_address",
    "authority_public_key",
    "coinbase_reward_script",
    "template_provider_type",
];

/// Environment variables as the text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentText {
    /// The file.
    pub toml: String,
    /// Remarks about assumed values.
    pub remarks: Vec<FileRemark>,
    /// The source line and variable of each line of the file.
    places: Vec<(usize, String)>,
}

impl EnvironmentText {
    /// The source line and variable of a line of the file, counted from 1.
    pub fn place(&self, line: usize) -> Option<(usize, String)> {
        self.places.get(line.checked_sub(1)?).cloned()
    }
}

/// An assigned variable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EnvironmentVariable {
    /// The lowercase name without the prefix.
    name: String,
    /// The name as written.
    written: String,
    line: usize,
    value: String,
}

impl EnvironmentVariable {
    fn remark(&self, detail: impl Into<String>) -> FileRemark {
        FileRemark {
            key: self.written.chars().take(LONGEST_NAME).collect(),
            line: Some(self.line),
            detail: detail.into(),
        }
    }
}

/// The file for a text with variables; none if the text has no variables.
pub fn environment(text: &str) -> Option<Result<EnvironmentText, Vec<FileRemark>>> {
    let is_own = text.lines().any(|line| {
        line.split_once('=')
            .is_some_and(|(key, _)| OWN_KEYS.contains(&key.trim().to_ascii_lowercase().as_str()))
    });
    if is_own {
        return None;
    }
    let variables: Vec<EnvironmentVariable> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .flat_map(|(at, line)| variables(line, at + 1))
        .take(MOST_VARIABLES)
        .collect();
    (!variables.is_empty()).then(|| file(variables))
}

/// The variables that a line sets.
fn variables(line: &str, number: usize) -> Vec<EnvironmentVariable> {
    let mut found = Vec::new();
    let upper = line.to_ascii_uppercase();
    let starts: Vec<usize> = upper
        .match_indices(PREFIX)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = upper.get(..*at).and_then(|before| before.chars().last());
            before.is_none_or(|c| !c.is_alphanumeric() && !"_$({".contains(c))
        })
        .collect();
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(line.len());
        let Some(part) = line.get(*start..end) else {
            continue;
        };
        let name_end = part
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(part.len());
        let (name, rest) = part.split_at(name_end);
        let before = line.get(..*start).unwrap_or_default();
        let quote = before.chars().last().filter(|c| "\"'".contains(*c));
        let words = before.trim_end();
        let is_word = i + 1 < starts.len() || words.ends_with("-e") || words.ends_with("--env");
        let Some(value) = value(rest, quote, is_word) else {
            continue;
        };
        found.push(EnvironmentVariable {
            name: name
                .get(PREFIX.len()..)
                .unwrap_or_default()
                .to_ascii_lowercase(),
            written: name.to_owned(),
            line: number,
            value,
        });
    }
    found
}

/// The value after a name. `quote` is the quotation mark before the name, if any. `is_word`: more
/// of a command line follows.
fn value(rest: &str, quote: Option<char>, is_word: bool) -> Option<String> {
    // `"NAME": value`, as in JSON, and `"NAME=value"`, as in a list.
    let closed = quote.filter(|quote| rest.starts_with(*quote));
    let rest = match closed {
        Some(quote) => rest.strip_prefix(quote)?,
        None => rest,
    };
    let rest = rest.trim_start();
    let text = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':'))?;
    if let Some(quote) = quote.filter(|_| closed.is_none()) {
        return Some(text.split(quote).next()?.to_owned());
    }
    let text = text.trim_start();
    if let Some(quote) = text.chars().next().filter(|c| "\"'".contains(*c)) {
        return Some(text.get(1..)?.split(quote).next()?.to_owned());
    }
    let text = match text.find(" #") {
        Some(comment) => text.get(..comment)?,
        None => text,
    };
    let text = match is_word {
        true => text.split_whitespace().next().unwrap_or_default(),
        false => text.trim().trim_end_matches('\\').trim_end(),
    };
    Some(text.trim_end_matches(',').to_owned())
}

fn file(variables: Vec<EnvironmentVariable>) -> Result<EnvironmentText, Vec<FileRemark>> {
    let mut errors = Vec::new();
    let mut remarks = Vec::new();
    let mut tables: BTreeMap<String, Vec<(String, EnvironmentVariable)>> = BTreeMap::new();
    let mut pools: BTreeMap<String, Vec<(String, EnvironmentVariable)>> = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for mut variable in variables {
        if let Some(first) = seen.get(&variable.name) {
            errors.push(variable.remark(format!(
                "This variable is already set on line {first}. Import one client's variables at a time."
            )));
            continue;
        }
        seen.insert(variable.name.clone(), variable.line);
        if let Some(fallback) = fallback(&variable.value) {
            remarks.push(variable.remark(format!(
                "The value comes from the environment. jd-manager uses the default on this line, {}.",
                shown(&fallback)
            )));
            variable.value = fallback;
        }
        let pool = variable
            .name
            .strip_prefix(&POOL.to_ascii_lowercase())
            .and_then(|rest| rest.split_once("__"));
        let (list, table, key) = match pool {
            // The client sorts by the name in capital letters.
            Some((name, field)) => (&mut pools, name.to_ascii_uppercase(), field.to_owned()),
            None => {
                let (table, key) = variable
                    .name
                    .rsplit_once("__")
                    .unwrap_or(("", &variable.name));
                let (table, key) = (table.replace("__", "."), key.to_owned());
                (&mut tables, table, key)
            }
        };
        let is_key = |text: &str| !text.is_empty() && text.split('.').all(|part| !part.is_empty());
        if !is_key(&key) || !table.is_empty() && !is_key(&table) {
            errors.push(variable.remark(
                "This is not a setting name. Separate levels with two underscores, as in JDC__TEMPLATE_PROVIDER_TYPE__SV2TP__ADDRESS.",
            ));
            continue;
        }
        list.entry(table).or_default().push((key, variable));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut text = EnvironmentText {
        toml: String::new(),
        remarks,
        places: Vec::new(),
    };
    // Single values come before all tables, because the empty name sorts first.
    for (table, entries) in tables {
        text.add(&format!("[{table}]"), !table.is_empty(), entries);
    }
    for (_, entries) in pools {
        text.add("[[upstreams]]", true, entries);
    }
    Ok(text)
}

impl EnvironmentText {
    fn add(&mut self, header: &str, has_header: bool, entries: Vec<(String, EnvironmentVariable)>) {
        if let Some((_, first)) = entries.first().filter(|_| has_header) {
            self.toml.push_str(&format!("{header}\n"));
            let name = first.written.rsplit_once("__").map_or("", |(name, _)| name);
            self.places.push((first.line, name.to_owned()));
        }
        for (key, variable) in entries {
            // A line contains no line break, and this notation stays on one line.
            let value = serde_json::Value::from(variable.value.replace('\u{7f}', ""));
            self.toml.push_str(&format!("{key} = {value}\n"));
            self.places.push((variable.line, variable.written));
        }
    }
}

/// The default value in `${NAME:-value}`.
fn fallback(value: &str) -> Option<String> {
    let inside = value.strip_prefix("${")?.strip_suffix('}')?;
    let (_, fallback) = inside.split_once(":-").or_else(|| inside.split_once('-'))?;
    (!fallback.contains(['{', '}'])).then(|| fallback.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Vec<(String, String)> {
        let found = variables(line, 1);
        found
            .into_iter()
            .map(|variable| (variable.name, variable.value))
            .collect()
    }

    #[test]
    fn a_variable_is_read_in_every_notation() {
        for line in [
            "JDC__SHARE_BATCH_SIZE=7",
            "      JDC__SHARE_BATCH_SIZE: 7",
            "      JDC__SHARE_BATCH_SIZE: \"7\"  # seven",
            "      - JDC__SHARE_BATCH_SIZE=7",
            "      - \"JDC__SHARE_BATCH_SIZE=7\"",
            "export JDC__SHARE_BATCH_SIZE='7'",
            "Environment=\"JDC__SHARE_BATCH_SIZE=7\"",
            "ENV JDC__SHARE_BATCH_SIZE=7",
            "  \"JDC__SHARE_BATCH_SIZE\": \"7\",",
            "jdc__share_batch_size=7 # seven",
            "docker run -e JDC__SHARE_BATCH_SIZE=7 \\",
        ] {
            let wanted = ("share_batch_size".to_owned(), "7".to_owned());
            assert_eq!(one(line), [wanted], "{line}");
        }
        assert_eq!(
            one("docker run -e JDC__MODE=SOLOMINING -e JDC__MAX_PAST_JOBS=4 image"),
            [
                ("mode".to_owned(), "SOLOMINING".to_owned()),
                ("max_past_jobs".to_owned(), "4".to_owned())
            ]
        );
        for none in ["echo $JDC__MODE", "MY_JDC__MODE=x", "JDC__MODE", ""] {
            assert!(one(none).is_empty(), "{none}");
        }
    }

    const COMPOSE: &str = "services:\n  jdc:\n    image: stratumv2/jd_client_sv2:v0.8.0\n    environment:\n      JDC__MODE: COINBASEONLY\n      \
        JDC__TEMPLATE_PROVIDER_TYPE__SV2TP__ADDRESS: \"10.0.0.5:8442\"\n      JDC__UPSTREAM_B__POOL_PORT: 2\n      JDC__UPSTREAM_A__POOL_PORT: \
        ${PORT:-1}\n      # JDC__MAX_PAST_JOBS: 9\n";

    #[test]
    fn variables_become_a_file_whose_lines_know_where_they_come_from() {
        let found = environment(COMPOSE).unwrap().unwrap();
        assert_eq!(
            found.toml,
            "mode = \"COINBASEONLY\"\n[template_provider_type.sv2tp]\naddress = \"10.0.0.5:8442\"\n[[upstreams]]\npool_port = \"1\"\n\
             [[upstreams]]\npool_port = \"2\"\n"
        );
        assert_eq!(found.place(3).map(|(line, _)| line), Some(6));
        assert_eq!(
            found.place(7),
            Some((7, "JDC__UPSTREAM_B__POOL_PORT".to_owned()))
        );
        assert_eq!((found.place(0), found.place(8)), (None, None));
        assert_eq!(found.remarks.len(), 1, "the assumed port");
    }

    #[test]
    fn variables_of_two_clients_and_broken_names_are_refused() {
        let twice = "a:\n  JDC__MODE: SOLOMINING\nb:\n  JDC__MODE: FULLTEMPLATE\n";
        let errors = environment(twice).unwrap().unwrap_err();
        assert_eq!((errors.len(), errors[0].line), (1, Some(4)));
        assert!(errors[0].detail.contains("line 2"), "{errors:?}");
        let errors = environment("JDC__MODE__=x\n").unwrap().unwrap_err();
        assert!(errors[0].detail.contains("two underscores"), "{errors:?}");
        assert_eq!(environment("services:\n  pool:\n    image: x\n"), None);
        assert_eq!(environment("listening_address = 1\nJDC__MODE = 2\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC{0,10}|JDC__[A-Z_]{0,12}|[=: \"'$#\n{}-]{1,3}){0,12}") {
            if let Some(Ok(found)) = environment(&text) {
                prop_assert_eq!(found.toml.lines().count(), found.places.len());
            }
        }
    }
}
