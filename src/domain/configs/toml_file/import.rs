//! Reads a client's file of any version and reports key and line of every finding.
//!
//! Two steps: [`parse`] converts the text to the JSON that `configs::parse` reads and stores the
//! line of every key; [`TomlConfig::locate`] then converts an error in that JSON to key and line.
//! [`import`] does both. Like the client, it ignores the case of keys and unknown keys, but it
//! reports unknown keys.

mod complaints;

use super::former_keys::{KeyReplacement, RENAMES, replacement};
use crate::domain::configs::model::{ClientConfig, MiningMode};
use crate::domain::configs::parse::read;
use crate::programs::jd_client::config_fields::FIELDS;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The maximum number of reported syntax errors, because each can be a result of the previous one.
const MOST_SYNTAX_ERRORS: usize = 5;
/// The text in an error that importing for solo mining fixes.
pub const SOLO_OFFER: &str = "import the file for solo mining";
/// The maximum number of remarks about keys.
const MOST_REMARKS: usize = 50;

/// A finding at a position in a file: an error or a remark.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct FileRemark {
    /// The full key, `upstreams[0].pool_port`; empty for the whole file.
    pub key: String,
    /// The line, counted from 1, if known.
    pub line: Option<usize>,
    /// The text.
    pub detail: String,
}

/// A TOML file as a configuration, not checked yet.
#[derive(Clone, Debug)]
pub struct TomlConfig {
    /// The input for [`read`].
    pub value: Value,
    /// Keys that were ignored and values that were assumed.
    pub remarks: Vec<FileRemark>,
    /// Key and line of every pointer into `value` that is in the file.
    places: BTreeMap<String, FilePosition>,
    /// Top-level keys that are below a table and therefore part of it: their lines and the name of
    /// the table.
    misplaced: BTreeMap<&'static str, (usize, String)>,
    /// Keys of earlier clients, with pointers to the fields that replace them.
    former: Vec<(FileRemark, Vec<String>)>,
    /// Keys that no client knows: the pointer to their table, the key and the remark.
    unknown: Vec<(String, String, FileRemark)>,
    /// Set if the file has no mode and no pool. The text names the line of a commented-out pool, if
    /// any.
    solo: Option<String>,
}

#[derive(Clone, Debug)]
struct FilePosition {
    key: String,
    line: usize,
}

/// An imported file: its configuration and remarks.
#[derive(Clone, Debug)]
pub struct TomlImport {
    /// The configuration, with its secret.
    pub config: ClientConfig,
    /// Ignored keys, assumed values and warnings.
    pub remarks: Vec<FileRemark>,
}

/// Reads and checks a file. Every problem has its key and line.
pub fn import(text: &str) -> Result<TomlImport, Vec<FileRemark>> {
    let parsed = parse(text)?;
    match read(&parsed.value, None) {
        Ok(accepted) => {
            let mut remarks = parsed.remarks.clone();
            remarks.extend(
                accepted
                    .warnings
                    .iter()
                    .map(|warning| parsed.locate(warning)),
            );
            Ok(TomlImport {
                config: accepted.config,
                remarks,
            })
        }
        Err(findings) => Err(parsed.complaints(&findings.errors)),
    }
}

/// Reads the structure of a file. The errors are syntax errors and duplicate keys.
pub fn parse(text: &str) -> Result<TomlConfig, Vec<FileRemark>> {
    let lines = LineStarts::of(text);
    let (document, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        return Err(syntax_errors(&faults, &lines));
    }
    let mut reader = TomlReader {
        lines,
        remarks: Vec::new(),
        errors: Vec::new(),
        places: BTreeMap::new(),
        misplaced: BTreeMap::new(),
        former: Vec::new(),
        unknown: Vec::new(),
        solo: None,
    };
    let mut value = reader.table(document.get_ref(), "", "", "");
    reader.fill_in(&mut value, text);
    if reader.errors.is_empty() {
        Ok(TomlConfig {
            value: Value::Object(value),
            remarks: reader.remarks,
            places: reader.places,
            misplaced: reader.misplaced,
            former: reader.former,
            unknown: reader.unknown,
            solo: reader.solo,
        })
    } else {
        Err(reader.errors)
    }
}

fn syntax_errors(faults: &[toml::de::Error], lines: &LineStarts) -> Vec<FileRemark> {
    let mut remarks: Vec<FileRemark> = Vec::new();
    for fault in faults {
        let line = fault.span().map(|span| lines.number(&span));
        // Further errors on the same line result from the first one.
        if remarks.len() < MOST_SYNTAX_ERRORS && remarks.iter().all(|told| told.line != line) {
            remarks.push(FileRemark {
                key: String::new(),
                line,
                detail: format!("Invalid TOML: {}.", fault.message()),
            });
        }
    }
    remarks
}

/// The offsets of the lines of a text.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect(),
        )
    }

    /// The line, from 1, where `span` starts.
    fn number(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|end| *end < span.start) + 1
    }
}

struct TomlReader {
    lines: LineStarts,
    remarks: Vec<FileRemark>,
    errors: Vec<FileRemark>,
    places: BTreeMap<String, FilePosition>,
    misplaced: BTreeMap<&'static str, (usize, String)>,
    former: Vec<(FileRemark, Vec<String>)>,
    unknown: Vec<(String, String, FileRemark)>,
    solo: Option<String>,
}

impl TomlReader {
    /// The entries of a table that are keys of a configuration, with correct spelling. `pointer` is
    /// the pointer to the table in the value, `key` its full key in the file, and `path` the prefix
    /// of its keys in the list of fields.
    fn table(
        &mut self,
        table: &DeTable,
        pointer: &str,
        key: &str,
        path: &str,
    ) -> Map<String, Value> {
        let mut entries = Map::new();
        for (written, value) in table.iter() {
            let line = self.lines.number(&written.span());
            let Some(name) = proper_name(path, written.get_ref()) else {
                match replacement(path, written.get_ref(), table) {
                    Some(found) => self.remark_former(found, written.get_ref(), line, pointer, key),
                    None => self.remark_unknown(written.get_ref(), line, pointer, key),
                }
                continue;
            };
            let today = RENAMES
                .iter()
                .find(|(former, _)| *former == format!("{path}{name}"));
            if let Some((_, today)) = today {
                let remark = FileRemark {
                    key: format!("{key}.{name}"),
                    line: Some(line),
                    detail: format!("Clients now call this {today}. Exports use the new name."),
                };
                self.remark(remark.key.clone(), line, remark.detail.clone());
                if self.former.len() < MOST_REMARKS {
                    self.former.push((remark, Vec::new()));
                }
            }
            let full = if key.is_empty() {
                name.to_owned()
            } else {
                format!("{key}.{name}")
            };
            if path.is_empty() && name == "log_file" {
                self.remark(full, line, "jd-manager stores the client's output itself and does not use this setting. Exports keep it.");
                continue;
            }
            let here = format!("{pointer}/{name}");
            if let Some(first) = self.places.get(&here) {
                let detail = format!(
                    "This key is already set on line {}; the client ignores case.",
                    first.line
                );
                self.errors.push(FileRemark {
                    key: full,
                    line: Some(line),
                    detail,
                });
                continue;
            }
            self.places.insert(
                here.clone(),
                FilePosition {
                    key: full.clone(),
                    line,
                },
            );
            let value = self.value(value, &here, &full, &format!("{path}{name}"));
            entries.insert(name.into(), value);
        }
        entries
    }

    fn value(&mut self, value: &Spanned<DeValue>, pointer: &str, key: &str, path: &str) -> Value {
        match value.get_ref() {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => number.into(),
                    // Too large for TOML, and as text also too large for its field.
                    Err(_) => number.as_str().into(),
                }
            }
            DeValue::Float(number) => match number
                .as_str()
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
            {
                Some(number) => Value::Number(number),
                // inf and nan are not JSON numbers and not valid in any field.
                None => number.as_str().into(),
            },
            DeValue::Boolean(yes) => (*yes).into(),
            DeValue::Datetime(moment) => moment.to_string().into(),
            DeValue::Array(elements) => {
                let mut list = Vec::new();
                for (i, element) in elements.iter().enumerate() {
                    let (here, full) = (format!("{pointer}/{i}"), format!("{key}[{i}]"));
                    self.places.insert(
                        here.clone(),
                        FilePosition {
                            key: full.clone(),
                            line: self.lines.number(&element.span()),
                        },
                    );
                    list.push(self.value(element, &here, &full, &format!("{path}[]")));
                }
                list.into()
            }
            DeValue::Table(table) => {
                Value::Object(self.table(table, pointer, key, &format!("{path}.")))
            }
        }
    }

    fn remark(&mut self, key: String, line: usize, detail: impl Into<String>) {
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(FileRemark {
                key,
                line: Some(line),
                detail: detail.into(),
            });
        }
    }

    /// A key of an earlier client.
    fn remark_former(
        &mut self,
        found: KeyReplacement,
        written: &str,
        line: usize,
        pointer: &str,
        table: &str,
    ) {
        let short = short_key(written);
        let remark = FileRemark {
            key: full_key(table, &short),
            line: Some(line),
            detail: format!(
                "{short} is a key from earlier client versions that current versions ignore. {}",
                found.hint
            ),
        };
        let below = |field: &&str| match field.starts_with('/') {
            true => (*field).to_owned(),
            false => format!("{pointer}/{field}"),
        };
        let fields = found.fields.iter().map(below).collect();
        self.remark(remark.key.clone(), line, remark.detail.clone());
        if self.former.len() < MOST_REMARKS {
            self.former.push((remark, fields));
        }
    }

    fn remark_unknown(&mut self, written: &str, line: usize, pointer: &str, table: &str) {
        let short = short_key(written);
        if !table.is_empty()
            && let Some(name) = proper_name("", written)
        {
            self.misplaced
                .entry(name)
                .or_insert((line, table.to_owned()));
            self.remark(
                format!("{table}.{short}"),
                line,
                format!(
                    "{short} is below [{table}], so the client ignores it. Move it above the first line in square \
                     brackets."
                ),
            );
            return;
        }
        let remark = FileRemark {
            key: full_key(table, &short),
            line: Some(line),
            detail: format!("The client does not know {short} and ignores it. Exports keep it."),
        };
        self.remark(remark.key.clone(), line, remark.detail.clone());
        if self.unknown.len() < MOST_REMARKS {
            self.unknown.push((pointer.to_owned(), short, remark));
        }
    }

    /// Adds the defaults of the client, or of a client of the file's age.
    fn fill_in(&mut self, top: &mut Map<String, Value>, text: &str) {
        let has_pool = top.get("upstreams").is_some_and(|pools| match pools {
            Value::Array(pools) => !pools.is_empty(),
            _ => true,
        });
        let moved = self
            .former
            .iter()
            .any(|(_, fields)| fields.iter().any(|field| field == "/upstreams"));
        if !top.contains_key("mode") && !has_pool && !moved {
            self.solo = Some(solo_offer(text));
        } else if !top.contains_key("mode") {
            top.insert("mode".into(), MiningMode::FullTemplate.as_str().into());
            self.remarks.push(FileRemark {
                key: "mode".into(),
                line: None,
                detail: "Not set; the client uses FULLTEMPLATE.".into(),
            });
        }
        let had_own_accounts = self.distribute_identity(top);
        let since_0_2 =
            had_own_accounts || top.contains_key("reserved_downstream_rollable_extranonce_size");
        if let Some(Value::Object(ipc)) = top
            .get_mut("template_provider_type")
            .and_then(|choice| choice.get_mut("BitcoinCoreIpc"))
            && !ipc.contains_key("version")
        {
            // This key exists since 0.4.0: 0.1.x supported Bitcoin Core 30, and 0.2.0 and 0.3.0
            // supported 31.
            let version = if since_0_2 { 31 } else { 30 };
            ipc.insert("version".into(), version.into());
            let key = "template_provider_type.BitcoinCoreIpc.version".to_owned();
            let detail = format!(
                "Not set, as in files for older clients. jd-manager assumes Bitcoin Core {version}; change it if your node has another version."
            );
            self.remarks.push(FileRemark {
                key,
                line: None,
                detail,
            });
        }
    }

    /// Copies the common account of older files to pools without an account. Returns true for newer
    /// files: the pools have their own accounts, or there is neither a pool nor a common account.
    fn distribute_identity(&mut self, top: &mut Map<String, Value>) -> bool {
        let Some(common) = top.get("user_identity").cloned() else {
            return true;
        };
        let Some(Value::Array(pools)) = top.get_mut("upstreams") else {
            return false;
        };
        let (mut given, mut own) = (0, 0);
        for (i, pool) in pools.iter_mut().enumerate() {
            let Value::Object(pool) = pool else { continue };
            if pool.contains_key("user_identity") {
                own += 1;
                continue;
            }
            pool.insert("user_identity".into(), common.clone());
            given += 1;
            if let Some(place) = self.places.get("/user_identity").cloned() {
                self.places
                    .insert(format!("/upstreams/{i}/user_identity"), place);
            }
        }
        if given > 0 && own == 0 {
            top.remove("user_identity");
        }
        own > 0
    }
}

/// The error for a file with no mode and no pool. The client would use FULLTEMPLATE and exit
/// because it has no pool.
fn solo_offer(text: &str) -> String {
    let commented = text.lines().position(|line| {
        line.trim_start()
            .strip_prefix('#')
            .is_some_and(|rest| rest.trim_start().starts_with("[[upstreams]]"))
    });
    let pool = match commented {
        Some(at) => format!(
            "To mine with a pool, remove the # from line {} and from that pool's other lines.",
            at + 1
        ),
        None => "To mine with a pool, add it below an [[upstreams]] line.".into(),
    };
    format!(
        "The file has no mode and no pool. To mine solo, add mode = \"SOLOMINING\" at the beginning, or \
         {SOLO_OFFER} (solo = true). {pool}"
    )
}

/// A key for messages, shortened if it is long.
fn short_key(written: &str) -> String {
    written
        .chars()
        .filter(|c| !c.is_control())
        .take(60)
        .collect()
}

fn full_key(table: &str, short: &str) -> String {
    match table {
        "" => short.to_owned(),
        _ => format!("{table}.{short}"),
    }
}

/// The correct spelling of a key below `path` (as in the list of fields, with separator), if it is
/// one.
pub(super) fn proper_name(path: &str, written: &str) -> Option<&'static str> {
    let known = FIELDS.iter().filter(|field| field.is_in_files());
    known
        .filter_map(|field| field.key.strip_prefix(path))
        .find(|rest| !rest.contains(['.', '[']) && rest.eq_ignore_ascii_case(written))
}

#[cfg(test)]
mod tests;
