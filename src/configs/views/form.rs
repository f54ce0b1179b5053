//! The form of a configuration: what stands in its fields, under which labels, and what is wrong with which.
//!
//! The fields' names are those of [`form_to_value`](crate::configs::form_to_value); a field's id is its name with dashes for dots. A
//! secret key never gets into the form: whoever typed one types it again.

use askama::Template;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::configs::draft::OUTER_FIELDS;
use crate::configs::rules::{CORE_VERSIONS, MOST_UPSTREAMS};
use crate::configs::saved::{Saved, User};
use crate::configs::views::{Change, mode_in_words, versions_in_words};
use crate::configs::{BitcoinNetwork, ClientConfig, MASK, Mode, form_name, read};
use crate::error::{Error, FieldError};
use crate::http::Frame;
use crate::ids::ConfigId;
use crate::keys::SecretKey;

/// What the fields are called on pages, by name, in the order of the form.
const LABELS: &[(&str, &str)] = &[
    ("name", "Name"),
    ("description", "Description (optional)"),
    ("mode", "Mode"),
    ("user_identity", "Common account at the pools (optional)"),
    ("upstreams", "Pools"),
    ("coinbase_reward_script", "Payout address or descriptor"),
    ("jdc_signature", "Coinbase signature"),
    ("template_provider", "Kind"),
    ("template_provider_type.Sv2Tp.address", "Address of the template provider"),
    ("template_provider_type.Sv2Tp.public_key", "Its public key (optional)"),
    ("template_provider_type.BitcoinCoreIpc.version", "Version of Bitcoin Core"),
    ("template_provider_type.BitcoinCoreIpc.network", "Network"),
    ("template_provider_type.BitcoinCoreIpc.data_dir", "Data directory (optional)"),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", "Fee threshold, satoshis"),
    ("template_provider_type.BitcoinCoreIpc.min_interval", "Seconds between templates"),
    ("listening_address", "Address miners connect to"),
    ("shares_per_minute", "Shares per minute"),
    ("authority_public_key", "Public key"),
    ("authority_secret_key", "Secret key"),
    ("cert_validity_sec", "Certificate validity, seconds"),
    ("share_batch_size", "Shares per acknowledgement"),
    ("min_supported_version", "Lowest protocol version"),
    ("max_supported_version", "Highest protocol version"),
    ("supported_extensions", "Supported extensions (optional)"),
    ("required_extensions", "Required extensions (optional)"),
    ("reserved_downstream_rollable_extranonce_size", "Extranonce bytes kept for miners (optional)"),
    ("max_past_jobs", "Past jobs kept per channel (optional)"),
    ("monitoring_address", "Address of the client's figures (optional)"),
    ("monitoring_cache_refresh_secs", "Seconds between renewals (optional)"),
    ("miner_telemetry.cidrs", "Networks searched for miners (optional)"),
];

/// The fields of a pool, in the order of the form.
const POOL_LABELS: [(&str, &str); 6] = [
    ("pool_address", "Pool address"),
    ("pool_port", "Pool port"),
    ("user_identity", "Your account at this pool"),
    ("jds_address", "Job declarator server"),
    ("jds_port", "Its port"),
    ("authority_pubkey", "Public key of the pool"),
];

/// The first field in [`LABELS`] of the part of the form that is folded away; all after it are there too.
const FIRST_RARE: &str = "authority_public_key";

/// The values a form offers for the kind of template provider that is not in use.
const OTHER_KIND: [(&str, &str); 4] = [
    ("template_provider_type.BitcoinCoreIpc.version", "31"),
    ("template_provider_type.BitcoinCoreIpc.network", "mainnet"),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", "100"),
    ("template_provider_type.BitcoinCoreIpc.min_interval", "5"),
];

/// Pairs as a form sent them.
pub type Pairs = [(String, String)];

/// What the field at a pointer (relative to the configuration) is called on pages: `Pool 1, pool port`.
#[must_use]
pub fn label(pointer: &str) -> String {
    label_of(&form_name(pointer))
}

fn label_of(name: &str) -> String {
    if let ["upstreams", row, field] = name.split('.').collect::<Vec<_>>()[..]
        && let Ok(row) = row.parse::<usize>()
    {
        let field = POOL_LABELS.iter().find(|(known, _)| *known == field).map_or(field, |(_, label)| label);
        return format!("Pool {}: {field}", row.saturating_add(1));
    }
    let known = LABELS.iter().find(|(known, _)| *known == name);
    known.map_or_else(|| name.to_owned(), |(_, label)| label.trim_end_matches(" (optional)").to_owned())
}

fn is_rare(name: &str) -> bool {
    LABELS.iter().skip_while(|(known, _)| *known != FIRST_RARE).any(|(known, _)| *known == name)
}

/// Label and value of the fields of the folded part that are set, besides the keys.
#[must_use]
pub fn rare_values(config: &ClientConfig) -> Vec<(String, String)> {
    let values = Values::of_config("", "", config);
    let names = LABELS.iter().map(|(name, _)| *name).filter(|name| is_rare(name) && !name.starts_with("authority_"));
    names.filter_map(|name| values.fields.get(name).map(|value| (label_of(name), value.clone()))).collect()
}

/// What stands in the fields, by name; no secret is among it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Values {
    #[serde(flatten)]
    fields: BTreeMap<String, String>,
    /// How many pools the form shows.
    #[serde(skip)]
    rows: usize,
}

impl Values {
    fn of_config(name: &str, description: &str, config: &ClientConfig) -> Self {
        let mut fields = BTreeMap::new();
        flatten(String::new(), &config.masked(), &mut fields);
        fields.remove("authority_secret_key");
        let is_ipc = fields.keys().any(|name| name.starts_with("template_provider_type.BitcoinCoreIpc."));
        fields.insert("template_provider".into(), if is_ipc { "ipc" } else { "sv2tp" }.into());
        if !is_ipc {
            fields.extend(OTHER_KIND.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        fields.insert("name".into(), name.into());
        fields.insert("description".into(), description.into());
        Self { fields, rows: config.upstreams.len().max(1) }
    }

    /// As sent, besides secrets. The rows close up; those left empty go, unless they are to be kept.
    fn of_pairs(pairs: &Pairs, keep_empty_rows: bool) -> Self {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut rows: BTreeMap<u32, Vec<(&str, &str)>> = BTreeMap::new();
        let shown = pairs.iter().filter(|(name, text)| name != "authority_secret_key" && SecretKey::parse(text).is_err());
        for (name, text) in shown {
            let pool = name.strip_prefix("upstreams.").and_then(|rest| rest.split_once('.'));
            match pool.and_then(|(row, field)| Some((row.parse().ok()?, field))) {
                Some((row, field)) => rows.entry(row).or_default().push((field, text)),
                None => drop(fields.insert(name.clone(), text.clone())),
            }
        }
        rows.retain(|_, fields| keep_empty_rows || fields.iter().any(|(_, text)| !text.trim().is_empty()));
        let mut values = Self { fields, rows: rows.len().min(MOST_UPSTREAMS + 1) };
        for (row, pool) in rows.into_values().take(values.rows).enumerate() {
            values.fields.extend(pool.into_iter().map(|(field, text)| (format!("upstreams.{row}.{field}"), text.to_owned())));
        }
        values
    }

    fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn swap_rows(&mut self, one: usize, other: usize) {
        for (field, _) in POOL_LABELS {
            let names = [one, other].map(|row| format!("upstreams.{row}.{field}"));
            let [first, second] = names.each_ref().map(|name| self.get(name).to_owned());
            self.fields.extend(names.into_iter().zip([second, first]));
        }
    }

    fn remove_row(&mut self, row: usize) {
        for at in row..self.rows.saturating_sub(1) {
            self.swap_rows(at, at + 1);
        }
        self.rows = self.rows.saturating_sub(1);
        let last = format!("upstreams.{}.", self.rows);
        self.fields.retain(|name, _| !name.starts_with(&last));
    }
}

/// Single values under their path with dots; lists of single values as one text.
fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(below(key), value, into)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(below(&at.to_string()), value, into));
        }
        Value::Array(list) => drop(into.insert(path, list.iter().map(single).collect::<Vec<_>>().join(", "))),
        single_value => drop(into.insert(path, single(single_value))),
    }
}

fn single(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A button that changes the form's rows instead of saving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearrangement {
    /// One more pool at the end.
    Add,
    /// Without this pool.
    Remove(usize),
    /// This pool is tried before the one above it.
    Raise(usize),
}

impl Rearrangement {
    /// The button that sent the form, if it is one of these.
    #[must_use]
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

/// A field as the page shows it.
#[derive(Clone, Debug)]
pub struct Field<'p> {
    /// Its name in the form.
    pub name: String,
    /// Its id on the page.
    pub id: String,
    /// What it is called.
    pub label: &'static str,
    /// What stands in it.
    pub value: &'p str,
    /// What is wrong with it.
    pub errors: Vec<&'p str>,
    /// What is doubtful about it.
    pub warnings: Vec<&'p str>,
    /// The page opens with the cursor in it.
    pub has_focus: bool,
}

/// An entry of the summary of errors.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// The field, as a link on the page, or another page.
    pub href: String,
    /// What the field is called.
    pub label: String,
    /// What is wrong.
    pub detail: String,
}

/// `GET /saved-configs/new`, `GET /saved-configs/{id}/edit`, and both again when something is wrong.
#[derive(Debug, Template, Serialize)]
#[template(path = "configs/form.html", blocks = ["main"])]
pub struct FormPage {
    #[serde(skip)]
    frame: Frame,
    /// The one that is edited; none: a new one.
    id: Option<ConfigId>,
    #[serde(skip)]
    title: String,
    /// Its newest revision.
    revision: Option<i32>,
    /// The revision from which the values started.
    #[serde(skip)]
    based_on: Option<i32>,
    used_by: Vec<User>,
    /// On which clients it runs.
    #[serde(skip)]
    runs_on: String,
    /// What stands in the fields.
    values: Values,
    errors: Vec<FieldError>,
    warnings: Vec<FieldError>,
    #[serde(skip)]
    secret_was_dropped: bool,
    #[serde(skip)]
    focus: Option<String>,
}

crate::view!(FormPage { "main" => as_main });

impl FormPage {
    fn over(frame: Frame, saved: Option<&Saved>, values: Values) -> Self {
        Self {
            frame,
            id: saved.map(|saved| saved.id),
            title: saved.map_or_else(|| "New configuration".into(), |saved| format!("Edit {}", saved.name)),
            revision: saved.map(|saved| saved.revision),
            based_on: values.get("revision").parse().ok().or(saved.map(|saved| saved.revision)),
            used_by: saved.map(|saved| saved.used_by.clone()).unwrap_or_default(),
            runs_on: saved.map(|saved| versions_in_words(&saved.config)).unwrap_or_default(),
            values,
            errors: Vec::new(),
            warnings: Vec::new(),
            secret_was_dropped: false,
            focus: None,
        }
    }

    /// A new configuration, from what most people need.
    #[must_use]
    pub fn new(frame: Frame, starting: &ClientConfig) -> Self {
        let mut values = Values::of_config("", "", starting);
        // A new one gets keys of its own when it is saved.
        values.fields.remove("authority_public_key");
        Self::over(frame, None, values)
    }

    /// A saved configuration, with what is doubtful about it.
    #[must_use]
    pub fn edit(frame: Frame, saved: &Saved) -> Self {
        let values = Values::of_config(&saved.name, &saved.description, &saved.config);
        let warnings = read(&saved.config.to_stored_value(), None).map(|accepted| accepted.warnings).unwrap_or_default();
        let warnings = warnings.into_iter().map(|warning| warning.under("/config")).collect();
        Self { warnings, ..Self::over(frame, Some(saved), values) }
    }

    /// The form as it was sent, with what is wrong.
    #[must_use]
    pub fn refused(frame: Frame, saved: Option<&Saved>, pairs: &Pairs, error: Error) -> Self {
        let mut page = Self::over(frame, saved, Values::of_pairs(pairs, false)).noticing_secret(pairs).with_a_row();
        page.errors = match error {
            Error::Invalid(errors) => errors,
            Error::Conflict(detail) if page.based_on != page.revision => {
                // Now they know: saved once more it replaces what was saved meanwhile.
                page.based_on = page.revision;
                vec![FieldError::new("", detail)]
            }
            // The one other thing that can be in the way is a configuration of the same name.
            other => vec![FieldError::new("/name", other.to_string())],
        };
        page
    }

    /// The form as it was sent, with its pools rearranged.
    #[must_use]
    pub fn rearranged(frame: Frame, saved: Option<&Saved>, pairs: &Pairs, how: Rearrangement) -> Self {
        let mut page = Self::over(frame, saved, Values::of_pairs(pairs, true)).noticing_secret(pairs);
        let rows = page.values.rows;
        let focus = match how {
            Rearrangement::Add if rows < MOST_UPSTREAMS => {
                page.values.rows += 1;
                rows
            }
            Rearrangement::Raise(row) if (1..rows).contains(&row) => {
                page.values.swap_rows(row, row - 1);
                row - 1
            }
            Rearrangement::Remove(row) if row < rows => {
                page.values.remove_row(row);
                row.min(rows.saturating_sub(2))
            }
            _ => 0,
        };
        page.focus = Some(format!("upstreams.{focus}.pool_address"));
        page.with_a_row()
    }

    fn noticing_secret(mut self, pairs: &Pairs) -> Self {
        self.secret_was_dropped =
            pairs.iter().any(|(name, text)| (name == "authority_secret_key" && !text.trim().is_empty()) || SecretKey::parse(text).is_ok());
        self.values.fields.retain(|name, _| name != "action");
        self
    }

    /// Without a pool there is still a row to fill in.
    fn with_a_row(mut self) -> Self {
        self.values.rows = self.values.rows.max(1);
        self
    }

    /// Where the form is sent.
    fn action(&self) -> String {
        self.id.map_or_else(|| "/saved-configs".into(), |id| format!("/saved-configs/{id}"))
    }

    fn rows(&self) -> Range<usize> {
        0..self.values.rows
    }

    fn modes(&self) -> Vec<(String, String)> {
        options(Mode::ALL.map(|mode| (mode.as_str(), mode_in_words(mode))))
    }

    fn provider_kinds(&self) -> Vec<(String, String)> {
        options([("sv2tp", "Stratum V2 template provider, by address"), ("ipc", "Bitcoin Core on this machine (IPC)")])
    }

    fn networks(&self) -> Vec<(String, String)> {
        options(BitcoinNetwork::ALL.map(|network| (network.as_str(), network.as_str())))
    }

    fn core_versions(&self) -> Vec<(String, String)> {
        options(CORE_VERSIONS.map(|version| (version, version)))
    }

    fn can_add(&self) -> bool {
        self.values.rows < MOST_UPSTREAMS
    }

    /// The field of this name; unknown names are a mistake in the template that a test notices.
    fn field(&self, name: &str) -> Field<'_> {
        let label = LABELS.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| label);
        self.field_called(name.to_owned(), label)
    }

    fn pool_field(&self, row: &usize, field: &str) -> Field<'_> {
        let label = POOL_LABELS.iter().find(|(known, _)| *known == field).map_or("", |(_, label)| label);
        self.field_called(format!("upstreams.{row}.{field}"), label)
    }

    fn field_called(&self, name: String, label: &'static str) -> Field<'_> {
        let (errors, warnings) = (told(&self.errors, &name), told(&self.warnings, &name));
        let has_focus = self.focus.as_ref() == Some(&name);
        Field { id: id_of(&name), value: self.values.get(&name), label, errors, warnings, has_focus, name }
    }

    /// What is wrong, in the order of the form, each with a link to its field.
    fn complaints(&self) -> Vec<Complaint> {
        let complaint = |error: &FieldError| match field_name(&error.pointer).and_then(|name| Some((place_of(&name)?, name))) {
            Some((place, name)) if place.1 < self.values.rows => {
                (Some(place), Complaint { href: format!("#{}", id_of(&name)), label: label_of(&name), detail: error.detail.clone() })
            }
            _ => {
                // What is not about a field is about what was saved meanwhile.
                let history = self.id.filter(|_| error.pointer.is_empty()).map(|id| format!("/saved-configs/{id}/revisions"));
                let label = if history.is_some() { "History" } else { "The form" };
                let href = history.unwrap_or_else(|| "#form".into());
                (None, Complaint { href, label: label.into(), detail: error.detail.clone() })
            }
        };
        let mut complaints: Vec<_> = self.errors.iter().map(complaint).collect();
        complaints.sort_by_key(|(place, _)| *place);
        complaints.into_iter().map(|(_, complaint)| complaint).collect()
    }

    /// Whether a complaint leads to another page, which must not take the place of what was typed here.
    fn leads_away(&self, complaint: &Complaint) -> bool {
        complaint.href.starts_with('/')
    }

    /// Whether the folded part holds something to mend, to look at or to type again.
    fn opens_rare(&self) -> bool {
        let mut told = self.errors.iter().chain(&self.warnings);
        self.secret_was_dropped || told.any(|one| field_name(&one.pointer).is_some_and(|name| is_rare(&name)))
    }

    /// What stands in the empty field of a secret that is kept.
    fn secret_placeholder(&self) -> &'static str {
        if self.id.is_some() { MASK } else { "" }
    }
}

/// Where a field stands in the form: the part, the pool's row, the place in the row. `None`: there is no such field.
fn place_of(name: &str) -> Option<(usize, usize, usize)> {
    let find = |list: &[(&str, &str)], name: &str| list.iter().position(|(known, _)| *known == name);
    match name.strip_prefix("upstreams.").and_then(|rest| rest.split_once('.')) {
        Some((row, field)) => Some((find(LABELS, "upstreams")?, row.parse().ok()?, find(&POOL_LABELS, field)?)),
        None => find(LABELS, name).map(|place| (place, 0, 0)),
    }
}

/// What is said about the field of this name.
fn told<'p>(list: &'p [FieldError], name: &str) -> Vec<&'p str> {
    let is_here = |error: &&FieldError| field_name(&error.pointer).is_some_and(|field| field == name);
    list.iter().filter(is_here).map(|error| error.detail.as_str()).collect()
}

/// Values to choose from, with what they are called.
fn options<V: ToString, W: ToString>(list: impl IntoIterator<Item = (V, W)>) -> Vec<(String, String)> {
    list.into_iter().map(|(value, words)| (value.to_string(), words.to_string())).collect()
}

/// The name of the field a complaint about the whole body belongs to.
fn field_name(pointer: &str) -> Option<String> {
    match pointer.strip_prefix("/config/") {
        Some(inner) => Some(form_name(&format!("/{inner}"))),
        None => pointer.strip_prefix('/').filter(|name| OUTER_FIELDS.contains(name)).map(str::to_owned),
    }
}

fn id_of(name: &str) -> String {
    name.replace('.', "-")
}

impl From<&crate::configs::Difference> for Change {
    fn from(difference: &crate::configs::Difference) -> Self {
        let label = match difference.path.as_str() {
            "/name" => "Name".into(),
            "/description" => "Description".into(),
            path => label(path),
        };
        Self { label, from: difference.from.clone(), to: difference.to.clone() }
    }
}
