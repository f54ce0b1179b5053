//! Converts errors of the parsed value to errors of the file, with keys and lines.

use super::{FileRemark, TomlConfig};
use crate::base::error::FieldError;

impl TomlConfig {
    /// The errors of the file for the errors of [`value`](Self::value), with key and line, and with
    /// the replacement for every key of an earlier client.
    pub fn complaints(&self, errors: &[FieldError]) -> Vec<FileRemark> {
        let mut told: Vec<FileRemark> = Vec::new();
        let replaced = self.former.iter().map(|(remark, _)| remark.clone());
        for remark in errors
            .iter()
            .map(|error| self.locate(error))
            .chain(replaced)
        {
            if !told.contains(&remark) {
                told.push(remark);
            }
        }
        told
    }

    /// The same file with lines and keys of its source text: `place` returns both for a line, with
    /// the key as written.
    pub fn relocate(mut self, place: impl Fn(usize) -> Option<(usize, String)>) -> Self {
        let relocate = |remark: &mut FileRemark| remark.relocate(&place);
        self.remarks.iter_mut().for_each(relocate);
        self.former
            .iter_mut()
            .for_each(|(remark, _)| relocate(remark));
        self.unknown
            .iter_mut()
            .for_each(|(.., remark)| relocate(remark));
        for position in self.places.values_mut() {
            if let Some((line, key)) = place(position.line) {
                (position.line, position.key) = (line, key);
            }
        }
        for (line, _) in self.misplaced.values_mut() {
            *line = place(*line).map_or(*line, |(line, _)| line);
        }
        self
    }

    /// The position in the file for an error of [`value`](Self::value). For a missing key: the
    /// table that should contain it, or the line where it is in the wrong table.
    pub fn locate(&self, complaint: &FieldError) -> FileRemark {
        let detail = complaint.detail.clone();
        if let Some(place) = self.places.get(&complaint.pointer) {
            return FileRemark {
                key: place.key.clone(),
                line: Some(place.line),
                detail,
            };
        }
        if let Some((line, table)) = complaint
            .pointer
            .strip_prefix('/')
            .and_then(|key| self.misplaced.get(key))
        {
            let detail = format!(
                "It is below [{table}] and therefore part of that table. Move it above the first line in square brackets."
            );
            return FileRemark {
                key: complaint.pointer[1..].into(),
                line: Some(*line),
                detail,
            };
        }
        if complaint.pointer == "/mode"
            && let Some(detail) = &self.solo
        {
            return FileRemark {
                key: "mode".into(),
                line: None,
                detail: detail.clone(),
            };
        }
        if let Some((remark, _)) = self
            .former
            .iter()
            .find(|(_, fields)| fields.contains(&complaint.pointer))
        {
            return remark.clone();
        }
        if let Some(remark) = self.typing_error(&complaint.pointer) {
            return remark;
        }
        let mut key = String::new();
        let mut pointer = String::new();
        let mut line = None;
        for part in complaint.pointer.split('/').skip(1) {
            pointer = format!("{pointer}/{part}");
            match self.places.get(&pointer) {
                Some(place) => (key, line) = (place.key.clone(), Some(place.line)),
                None if key.is_empty() => key = part.into(),
                None => key = format!("{key}.{part}"),
            }
        }
        FileRemark { key, line, detail }
    }
}

impl TomlConfig {
    /// A key with almost the same spelling as the missing one.
    fn typing_error(&self, pointer: &str) -> Option<FileRemark> {
        let (table, field) = pointer.rsplit_once('/')?;
        let (.., remark) = self
            .unknown
            .iter()
            .find(|(place, key, _)| place == table && is_nearly(key, field))?;
        Some(FileRemark {
            detail: format!("The client does not know this key. Did you mean {field}?"),
            ..remark.clone()
        })
    }
}

impl FileRemark {
    /// The same with line and key of the source text.
    pub fn relocate(&mut self, place: impl Fn(usize) -> Option<(usize, String)>) {
        if let Some((line, key)) = self.line.and_then(place) {
            self.line = Some(line);
            if !self.key.is_empty() {
                self.key = key;
            }
        }
    }
}

/// Whether two keys differ by at most two wrong, missing or extra letters.
fn is_nearly(written: &str, key: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-', '.'], "");
    let (written, key) = (plain(written), plain(key));
    if written.len().abs_diff(key.len()) > 2 || key.len() < 5 {
        return written == key;
    }
    // Distances from the prefix of `written` to each prefix of `key`.
    let mut row: Vec<usize> = (0..=key.len()).collect();
    for (at, one) in written.bytes().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(key.bytes()) {
            let change = diagonal + usize::from(one != other);
            diagonal = *cell;
            *cell = change.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().is_some_and(|distance| *distance <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples::{POOL_FILE, SOLO_FILE};
    use crate::domain::configs::toml_file::import;

    /// Key, line and text of everything that is wrong with a file.
    fn refused(text: &str) -> Vec<(String, Option<usize>, String)> {
        let errors = import(text).expect_err("it should be refused");
        let parts = |one: FileRemark| (one.key, one.line, one.detail);
        errors.into_iter().map(parts).collect()
    }

    fn details(text: &str, key: &str) -> Vec<String> {
        let found = refused(text).into_iter().filter(|(at, ..)| at == key);
        found.map(|(.., detail)| detail).collect()
    }

    /// The example of the first client of all, with the values of a barn.
    const FIRST: &str = r#"downstream_address = "10.0.0.9"
downstream_port = 34000
max_supported_version = 2
min_supported_version = 2
min_extranonce2_size = 8
withhold = false
authority_public_key = "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan"
authority_secret_key = "zmBEmPhqo3A92FkiLVvyCz6htc3e53ph3ZbD4ASqGaLjwnFLi"
cert_validity_sec = 3600
retry = 10
tp_address = "10.0.0.5:8442"
tp_authority_public_key = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc"
coinbase_outputs = [
    { output_script_type = "P2WPKH", output_script_value = "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9" },
]
[timeout]
unit = "secs"
value = 1
[[upstreams]]
authority_pubkey = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc"
pool_address = "10.0.0.7:34254"
jd_address = "10.0.0.7"
jd_port = 34264
pool_signature = "barn"
"#;

    #[test]
    fn every_key_of_the_first_client_has_its_replacement_named_among_the_errors() {
        let told = refused(FIRST);
        for (key, line, says) in [
            (
                "downstream_address",
                1,
                "listening_address = \"10.0.0.9:34000\"",
            ),
            ("downstream_port", 2, "listening_address"),
            ("min_extranonce2_size", 5, "reserved_downstream"),
            ("withhold", 6, "Remove it"),
            ("retry", 10, "Remove it"),
            (
                "tp_address",
                11,
                "address = \"10.0.0.5:8442\" below [template_provider_type.Sv2Tp]",
            ),
            ("tp_authority_public_key", 12, "public_key = \"9bwHCY"),
            (
                "coinbase_outputs",
                13,
                "coinbase_reward_script = \"wpkh(02f9",
            ),
            ("timeout", 16, "Remove it"),
            (
                "upstreams[0].pool_signature",
                24,
                "jdc_signature = \"barn\"",
            ),
        ] {
            let found = told
                .iter()
                .find(|(at, number, _)| at == key && *number == Some(line));
            let (.., detail) = found.unwrap_or_else(|| panic!("{key} in {told:?}"));
            assert!(detail.contains(says), "{key}: {detail}");
        }
        // A key that they explain is not reported as missing as well.
        for key in [
            "listening_address",
            "template_provider_type",
            "coinbase_reward_script",
            "jdc_signature",
        ] {
            assert!(details(FIRST, key).is_empty(), "{key}: {told:?}");
        }
        // The rest is.
        assert_eq!(details(FIRST, "shares_per_minute").len(), 1);
        for (key, today) in [("jd_address", "jds_address"), ("jd_port", "jds_port")] {
            let found = details(FIRST, &format!("upstreams[0].{key}"));
            assert!(found[0].contains(today), "{found:?}");
        }
    }

    #[test]
    fn a_socket_path_says_network_and_directory_beside_another_error() {
        let file = SOLO_FILE
            .split("[template")
            .next()
            .unwrap()
            .replace("share_batch_size = 3", "share_batch_size = \"x\"")
            + "[template_provider_type.BitcoinCoreIpc]\nunix_socket_path = \"/srv/btc/regtest/node.sock\"\nfee_threshold = 9\nmin_interval = 7\n";
        let told = refused(&file);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[1]
                .2
                .contains("network = \"regtest\" and data_dir = \"/srv/btc\""),
            "{told:?}"
        );
    }

    #[test]
    fn a_file_without_mode_and_pool_is_offered_for_solo_mining() {
        let file = SOLO_FILE.replace("mode = \"SOLOMINING\"\n", "");
        for text in [file.clone(), file.replace("upstreams = []\n", "")] {
            let told = refused(&text);
            assert_eq!((told.len(), told[0].0.as_str()), (1, "mode"), "{told:?}");
            assert!(
                told[0].2.contains("add mode = \"SOLOMINING\"")
                    && told[0].2.contains("[[upstreams]]"),
                "{told:?}"
            );
        }
        let commented = file.replace("upstreams = []\n", "# [[upstreams]]\n# pool_port = 1\n");
        let told = refused(&commented);
        assert!(told[0].2.contains("from line 13"), "{told:?}");
        // A file with a pool uses the client's default mode.
        let pool = POOL_FILE.replace("mode = \"FULLTEMPLATE\"\n", "");
        assert!(import(&pool).is_ok());
    }

    #[test]
    fn a_key_with_a_typing_error_is_found_where_it_stands() {
        for (right, wrong, line) in [
            ("shares_per_minute", "share_per_minutes", 7),
            ("cert_validity_sec", "cert-validity-secs", 6),
            ("jdc_signature", "jcd_signature", 10),
        ] {
            let told = refused(&SOLO_FILE.replace(right, wrong));
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!((told[0].0.as_str(), told[0].1), (wrong, Some(line)));
            assert!(
                told[0].2.contains(&format!("Did you mean {right}?")),
                "{told:?}"
            );
        }
        assert!(!is_nearly("barn", "mode") && !is_nearly("listening", "listening_address"));
    }
}
