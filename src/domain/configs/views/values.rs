//! The values of the fields in a configuration's form, from a configuration or from a sent form.
//! Never contains a secret.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::fields::label_of;
use crate::base::quantity::typed_value;
use crate::base::units::Unit;
use crate::domain::configs::ClientConfig;
use crate::domain::configs::rules::MOST_UPSTREAMS;
use crate::domain::keys::SecretKey;
use crate::programs::jd_client::config_fields::{
    FIELDS, FieldGroup, SECRET_FIELD, USUAL_CORE, USUAL_TRANSLATOR,
};

/// The pairs that a form sent.
pub type Pairs = [(String, String)];

/// Label and value of the advanced fields that are set, except the keys.
pub(super) fn rare_values(config: &ClientConfig) -> Vec<(String, String)> {
    let values = FormValues::of_config("", "", config);
    FIELDS
        .iter()
        .filter(|field| field.group == FieldGroup::Rare)
        .filter_map(|field| Some((label_of(field.key), values.fields.get(field.key)?.clone())))
        .collect()
}

/// The values of the fields by name, without secrets.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct FormValues {
    #[serde(flatten)]
    pub(super) fields: BTreeMap<String, String>,
    /// The number of pool rows in the form.
    #[serde(skip)]
    pub(super) rows: usize,
}

impl FormValues {
    pub(super) fn of_config(name: &str, description: &str, config: &ClientConfig) -> Self {
        let mut fields = BTreeMap::new();
        flatten(String::new(), &config.masked(), &mut fields);
        fields.remove(SECRET_FIELD);
        let is_ipc = fields
            .keys()
            .any(|name| name.starts_with("template_provider_type.BitcoinCoreIpc."));
        fields.insert(
            "template_provider".into(),
            if is_ipc { "ipc" } else { "sv2tp" }.into(),
        );
        if !is_ipc {
            fields.extend(USUAL_CORE.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        match &config.translator {
            Some(translator) => drop(fields.insert(
                "translator.min_miner_hashrate".into(),
                typed_value(Unit::HashesPerSecond, translator.min_miner_hashrate),
            )),
            None => fields
                .extend(USUAL_TRANSLATOR.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        }
        fields.insert("name".into(), name.into());
        fields.insert("description".into(), description.into());
        Self {
            fields,
            rows: config.upstreams.len().max(1),
        }
    }

    /// The values of a sent form without secrets. Renumbers the rows and drops empty rows, unless
    /// they are kept.
    pub(super) fn of_pairs(pairs: &Pairs, keep_empty_rows: bool) -> Self {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut rows: BTreeMap<u32, Vec<(&str, &str)>> = BTreeMap::new();
        let shown = pairs
            .iter()
            .filter(|(name, text)| name != SECRET_FIELD && SecretKey::parse(text).is_err());
        for (name, text) in shown {
            let pool = name
                .strip_prefix("upstreams.")
                .and_then(|rest| rest.split_once('.'));
            match pool.and_then(|(row, field)| Some((row.parse().ok()?, field))) {
                Some((row, field)) => rows.entry(row).or_default().push((field, text)),
                None => drop(fields.insert(name.clone(), text.clone())),
            }
        }
        rows.retain(|_, fields| {
            keep_empty_rows || fields.iter().any(|(_, text)| !text.trim().is_empty())
        });
        let mut values = Self {
            fields,
            rows: rows.len().min(MOST_UPSTREAMS + 1),
        };
        for (row, pool) in rows.into_values().take(values.rows).enumerate() {
            values.fields.extend(
                pool.into_iter()
                    .map(|(field, text)| (format!("upstreams.{row}.{field}"), text.to_owned())),
            );
        }
        values
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(super) fn swap_rows(&mut self, one: usize, other: usize) {
        for field in FIELDS.iter().filter(|field| field.is_of_pool()) {
            let names = [one, other].map(|row| field.form_name(row));
            let [first, second] = names.each_ref().map(|name| self.get(name).to_owned());
            self.fields.extend(names.into_iter().zip([second, first]));
        }
    }

    pub(super) fn remove_row(&mut self, row: usize) {
        for at in row..self.rows.saturating_sub(1) {
            self.swap_rows(at, at + 1);
        }
        self.rows = self.rows.saturating_sub(1);
        let last = format!("upstreams.{}.", self.rows);
        self.fields.retain(|name, _| !name.starts_with(&last));
    }
}

/// Single values with their dotted path; lists of single values as one text.
fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| flatten(below(key), value, into)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter()
                .enumerate()
                .for_each(|(at, value)| flatten(below(&at.to_string()), value, into));
        }
        Value::Array(list) => {
            drop(into.insert(path, list.iter().map(single).collect::<Vec<_>>().join(", ")))
        }
        single_value => drop(into.insert(path, single(single_value))),
    }
}

fn single(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A button that changes the pool rows instead of saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowEdit {
    /// Add a pool at the end.
    Add,
    /// Remove this pool.
    Remove(usize),
    /// Move this pool up.
    Raise(usize),
}

impl RowEdit {
    /// The action of the button that sent the form, if it is one of these.
    pub fn of(pairs: &Pairs) -> Option<Self> {
        let (_, action) = pairs.iter().rev().find(|(name, _)| name == "action")?;
        match action.split_once('.') {
            None if action == "add-upstream" => Some(Self::Add),
            Some(("remove-upstream", row)) => row.parse().ok().map(Self::Remove),
            Some(("raise-upstream", row)) => row.parse().ok().map(Self::Raise),
            _ => None,
        }
    }
}
