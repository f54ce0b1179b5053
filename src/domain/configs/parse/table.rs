//! Reads a JSON object field by field: its pointer, the keys that were read, and the messages for
//! missing fields.

use crate::domain::configs::rules::{ConfigFindings, scalar};
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The maximum number of warnings about unknown keys in one object. A body of a megabyte could
/// contain a hundred thousand.
const MOST_UNKNOWN: usize = 20;

/// A JSON object that is being read.
pub struct ObjectReader<'v> {
    pointer: String,
    entries: &'v Map<String, Value>,
    read: BTreeSet<&'static str>,
}

impl<'v> ObjectReader<'v> {
    /// The configuration itself.
    pub fn root(value: &'v Value, found: &mut ConfigFindings) -> Option<Self> {
        Self::from(value, String::new(), found)
    }

    fn from(value: &'v Value, pointer: String, found: &mut ConfigFindings) -> Option<Self> {
        match value {
            Value::Object(entries) => Some(Self {
                pointer,
                entries,
                read: BTreeSet::new(),
            }),
            other => {
                let what = if pointer.is_empty() {
                    "The configuration"
                } else {
                    "This"
                };
                found.error(
                    pointer,
                    format!(
                        "{what} must be an object with named fields, not {}.",
                        scalar::kind(other)
                    ),
                );
                None
            }
        }
    }

    /// The pointer to `key` in this object.
    pub fn at(&self, key: &str) -> String {
        format!(
            "{}/{}",
            self.pointer,
            key.replace('~', "~0").replace('/', "~1")
        )
    }

    /// The value of `key`, without marking it as read. Null means absent.
    pub fn peek(&self, key: &str) -> Option<&'v Value> {
        self.entries.get(key).filter(|value| !value.is_null())
    }

    /// Marks `key` as read.
    pub fn skip(&mut self, key: &'static str) {
        self.read.insert(key);
    }

    /// A field that must be present and not empty.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        found: &mut ConfigFindings,
        rule: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.peek(key) {
            Some(value) if !is_blank(value) => self.present(key, found, rule),
            _ => {
                self.skip(key);
                found.error(self.at(key), missing(key));
                None
            }
        }
    }

    /// A field that must be present but can be empty.
    pub fn present<T>(
        &mut self,
        key: &'static str,
        found: &mut ConfigFindings,
        rule: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.skip(key);
        match self.peek(key).map_or_else(|| Err(missing(key)), rule) {
            Ok(read) => Some(read),
            Err(fault) => {
                found.error(self.at(key), fault);
                None
            }
        }
    }

    /// An optional field. `None` if it is absent, empty or invalid; an invalid field adds an error.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        found: &mut ConfigFindings,
        rule: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.skip(key);
        if self.peek(key).is_none_or(is_blank) {
            None
        } else {
            self.present(key, found, rule)
        }
    }

    /// An object that must be present.
    pub fn table(
        &mut self,
        key: &'static str,
        found: &mut ConfigFindings,
    ) -> Option<ObjectReader<'v>> {
        self.skip(key);
        match self.peek(key) {
            Some(value) if !is_blank(value) => Self::from(value, self.at(key), found),
            _ => {
                found.error(self.at(key), missing(key));
                None
            }
        }
    }

    /// A list of objects, if present. A list that is too long is read up to the limit.
    pub fn tables(
        &mut self,
        key: &'static str,
        most: usize,
        found: &mut ConfigFindings,
    ) -> Option<Vec<ObjectReader<'v>>> {
        let list = self.elements(key, most, found)?;
        let at = self.at(key);
        Some(
            list.iter()
                .enumerate()
                .filter_map(|(i, value)| Self::from(value, format!("{at}/{i}"), found))
                .collect(),
        )
    }

    /// A list of single values, empty if absent. A list can also be one text with elements
    /// separated by commas or spaces.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        most: usize,
        found: &mut ConfigFindings,
        rule: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<T> {
        let split: Vec<Value>;
        let list = match self.peek(key) {
            Some(Value::String(text)) => {
                self.skip(key);
                split = split_list(text).take(most + 1).map(Value::from).collect();
                self.limited(key, &split, most, found)
            }
            _ => self.elements(key, most, found).unwrap_or_default(),
        };
        let mut elements = Vec::new();
        for (i, value) in list.iter().enumerate() {
            match rule(value) {
                Ok(element) => elements.push(element),
                Err(fault) => found.error(format!("{}/{i}", self.at(key)), fault),
            }
        }
        elements
    }

    fn elements(
        &mut self,
        key: &'static str,
        most: usize,
        found: &mut ConfigFindings,
    ) -> Option<&'v [Value]> {
        self.skip(key);
        match self.peek(key)? {
            Value::Array(list) => Some(self.limited(key, list, most, found)),
            value if is_blank(value) => None,
            other => {
                found.error(
                    self.at(key),
                    format!("This must be a list, not {}.", scalar::kind(other)),
                );
                None
            }
        }
    }

    fn limited<'l>(
        &self,
        key: &str,
        list: &'l [Value],
        most: usize,
        found: &mut ConfigFindings,
    ) -> &'l [Value] {
        if list.len() > most {
            found.error(
                self.at(key),
                format!("There are too many entries. The maximum is {most}."),
            );
        }
        &list[..list.len().min(most)]
    }

    /// Warns of every key that was not read.
    pub fn warn_of_unknown(&self, found: &mut ConfigFindings) {
        for key in self
            .entries
            .keys()
            .filter(|key| !self.read.contains(key.as_str()))
            .take(MOST_UNKNOWN)
        {
            let short: String = key.chars().take(60).collect();
            let lower = key.to_ascii_lowercase();
            let near = self.read.iter().find(|known| {
                known.eq_ignore_ascii_case(&lower)
                    || known.replace('_', "") == lower.replace(['_', '-'], "")
            });
            let hint = near.map_or_else(String::new, |known| format!(" Did you mean {known}?"));
            found.warn(
                self.at(&short),
                format!(
                    "{} is not a configuration field and was ignored.{hint}",
                    scalar::shown(&short)
                ),
            );
        }
    }
}

/// Whether a value is null or empty, as from an empty form field.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// The elements of a list in one text, separated by commas, semicolons, spaces or line breaks.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c.is_whitespace())
        .filter(|part| !part.is_empty())
}

/// The instruction for a required field without a value.
fn missing(key: &str) -> String {
    let is_it = |field: &&ConfigField| {
        !field.missing.is_empty() && field.key.rsplit('.').next() == Some(key)
    };
    match FIELDS.iter().find(is_it) {
        Some(field) => field.missing.into(),
        None => "Enter a value.".into(),
    }
}
