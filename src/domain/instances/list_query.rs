//! The parameters of the list of instances: filter, order, part and columns. Pure.

use serde_json::json;
use std::cmp::Ordering;
use std::fmt;
use strum::{IntoEnumIterator, VariantNames};

use super::list_filter::{InstanceFilter, PoolTexts, filter_fields};
use super::model::Instance;
use crate::base::error::FieldError;
use crate::keeper::machine::InstanceState;
use crate::web::QueryParams;
use crate::web::openapi::{RequestField, any_of, member, one_of, text, whole};

/// Instances on a page, unless `limit` is given.
pub const PAGE_LIMIT: u64 = 100;

/// A value to sort by.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum SortKey {
    /// Name, without regard to case; `rig2` before `rig10`.
    Name,
    /// State, failures first.
    State,
    /// Health, the worst first.
    Health,
    /// Hashrate, average of ten minutes.
    Hashrate,
    /// Shares accepted in the last 24 h.
    Shares,
    /// Connected miners.
    Miners,
    /// Client version.
    Version,
    /// When it was created.
    CreatedAt,
}

impl SortKey {
    /// Whether a click on the header shows the largest first.
    const fn is_number(self) -> bool {
        matches!(self, Self::Hashrate | Self::Shares | Self::Miners)
    }
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListSort {
    /// The value.
    pub key: SortKey,
    /// The largest first.
    pub is_descending: bool,
}

impl ListSort {
    fn parse(text: &str) -> Option<Self> {
        let (is_descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        Some(Self {
            key: name.parse().ok()?,
            is_descending,
        })
    }

    /// Instances without a value come last in both directions; the name decides between equal ones.
    fn compare(self, a: &Instance, b: &Instance) -> Ordering {
        let directed = |order: Ordering| {
            if self.is_descending {
                order.reverse()
            } else {
                order
            }
        };
        let order = match self.key {
            SortKey::Name => directed(natural_order(&a.full_name(), &b.full_name())),
            SortKey::State => directed(state_rank(a.status).cmp(&state_rank(b.status))),
            SortKey::Health => directed(health_rank(a).cmp(&health_rank(b))),
            SortKey::Hashrate => {
                missing_last(a.hashrate, b.hashrate, |a, b| directed(a.total_cmp(b)))
            }
            SortKey::Shares => {
                missing_last(a.shares_accepted_24h, b.shares_accepted_24h, |a, b| {
                    directed(a.cmp(b))
                })
            }
            SortKey::Miners => {
                missing_last(a.miner_count, b.miner_count, |a, b| directed(a.cmp(b)))
            }
            SortKey::Version => missing_last(a.shown_version(), b.shown_version(), |a, b| {
                directed(natural_order(a, b))
            }),
            SortKey::CreatedAt => directed(a.created_at.cmp(&b.created_at)),
        };
        order.then_with(|| by_name(a, b))
    }
}

impl fmt::Display for ListSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_descending { "-" } else { "" };
        write!(f, "{sign}{}", <&str>::from(self.key))
    }
}

fn by_name(a: &Instance, b: &Instance) -> Ordering {
    natural_order(&a.full_name(), &b.full_name()).then_with(|| a.id.cmp(&b.id))
}

fn missing_last<T>(a: Option<T>, b: Option<T>, compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
    match (&a, &b) {
        (Some(a), Some(b)) => compare(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

const fn state_rank(state: InstanceState) -> u8 {
    match state {
        InstanceState::Failed => 0,
        InstanceState::BackingOff => 1,
        InstanceState::Starting => 2,
        InstanceState::Stopping => 3,
        InstanceState::Running => 4,
        InstanceState::Stopped => 5,
    }
}

fn health_rank(instance: &Instance) -> (u8, u32) {
    let rank = match instance.health_word() {
        "unhealthy" => 0,
        "warning" => 1,
        "unknown" => 2,
        _ => 3,
    };
    (
        rank,
        instance.health.as_ref().map_or(0, |health| health.score),
    )
}

/// Compares texts without regard to case, and numbers in them by value: `rig2` before `Rig10`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (x, y) = match (left.chars().next(), right.chars().next()) {
            (Some(x), Some(y)) => (x, y),
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number, other);
            (number, left) = split_digits(left);
            (other, right) = split_digits(right);
            number
                .len()
                .cmp(&other.len())
                .then_with(|| number.cmp(other))
        } else {
            left = &left[x.len_utf8()..];
            right = &right[y.len_utf8()..];
            x.to_lowercase().cmp(y.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The digits at the start without leading zeros, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    (digits.trim_start_matches('0'), rest)
}

/// A column of the list on pages, besides name, state and actions.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum ListColumn {
    /// Health.
    Health,
    /// The pool, or solo.
    Pool,
    /// Hashrate.
    Hashrate,
    /// Shares.
    Shares,
    /// Miners.
    Miners,
    /// The states of the last day.
    History,
    /// Hashrate chart.
    Chart,
    /// Client version.
    Version,
    /// Configuration.
    Config,
    /// Port for miners.
    Port,
    /// Automatic restarts.
    Restarts,
}

impl ListColumn {
    /// The name in addresses.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The header.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Health => "Health",
            Self::Pool => "Pool",
            Self::Hashrate => "Hashrate, 10 min",
            Self::Shares => "Shares, 24 h",
            Self::Miners => "Miners",
            Self::History => "Last 24 h",
            Self::Chart => "Hashrate chart",
            Self::Version => "Client version",
            Self::Config => "Configuration",
            Self::Port => "Port",
            Self::Restarts => "Restarts",
        }
    }

    /// What a click on the header sorts by.
    pub const fn sort_key(self) -> Option<SortKey> {
        match self {
            Self::Health => Some(SortKey::Health),
            Self::Hashrate => Some(SortKey::Hashrate),
            Self::Shares => Some(SortKey::Shares),
            Self::Miners => Some(SortKey::Miners),
            Self::Version => Some(SortKey::Version),
            Self::Pool
            | Self::History
            | Self::Chart
            | Self::Config
            | Self::Port
            | Self::Restarts => None,
        }
    }

    /// Whether its values are numbers.
    pub const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Hashrate
                | Self::Shares
                | Self::Miners
                | Self::Version
                | Self::Port
                | Self::Restarts
        )
    }

    /// The class of its cells: a column that was not chosen is hidden if the window is not wide
    /// enough.
    pub const fn class(self, is_chosen: bool) -> &'static str {
        match (self, self.is_number(), is_chosen) {
            (Self::History | Self::Chart, _, false) => "wide some",
            (Self::History | Self::Chart, _, true) => "wide",
            (Self::Config, _, false) => "wide cut minor",
            (Self::Config, _, true) => "wide cut",
            (Self::Pool, _, false) => "some",
            (Self::Version | Self::Port | Self::Restarts, _, false) => "n minor",
            (_, true, _) => "n",
            _ => "",
        }
    }
}

/// The parameters of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Which instances.
    pub filter: InstanceFilter,
    /// Their order; none: oldest first in JSON, on pages by need for attention and name.
    pub sort: Option<ListSort>,
    /// Maximum number of instances.
    pub limit: u64,
    /// The number of instances before the part.
    pub offset: u64,
    /// The chosen columns; empty: the default.
    pub columns: Vec<ListColumn>,
    /// How a page groups the instances.
    pub group: Option<GroupKey>,
}

/// How a page groups instances.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum GroupKey {
    /// By tag. An instance with several tags is in each of their groups.
    Tag,
}

/// The parameters, for the documentation.
pub fn list_fields() -> Vec<RequestField> {
    let sorts = SortKey::VARIANTS.iter();
    let sorts: Vec<String> = sorts
        .flat_map(|key| [(*key).to_owned(), format!("-{key}")])
        .collect();
    let sorts: Vec<&str> = sorts.iter().map(String::as_str).collect();
    let mut fields = filter_fields();
    fields.extend([
        one_of(
            "sort",
            "Sorts by this value; with `-`, the largest first. Instances without a value come last, equal ones are sorted by name. Default: \
             oldest first; on pages, those that need attention first, then by name.",
            &sorts,
        ),
        whole(
            "limit",
            "Maximum number of results. Pages show 100 by default.",
            1,
            1000,
        )
        .or(1000),
        whole("offset", "Number of results to skip.", 0, u32::MAX.into()).or(0),
        text(
            "cursor",
            "Where to continue: `next_cursor` of the previous part. Instead of `offset`.",
        ),
        member(
            "columns",
            "HTML only: the columns of the table besides name and state.",
            json!({ "type": "array", "items": { "type": "string", "enum": ListColumn::VARIANTS } }),
        ),
        one_of(
            "group",
            "HTML only: groups with sums. With `tag`, an instance with several tags is in each of their groups.",
            GroupKey::VARIANTS,
        ),
    ]);
    fields
}

impl ListQuery {
    /// All instances in one part, as for programs.
    pub const WHOLE: Self = Self {
        filter: InstanceFilter {
            search: String::new(),
            states: Vec::new(),
            health: Vec::new(),
            attention: None,
            tags: Vec::new(),
            versions: Vec::new(),
            configs: Vec::new(),
            hosts: Vec::new(),
        },
        sort: None,
        limit: u64::MAX,
        offset: 0,
        columns: Vec::new(),
        group: None,
    };

    /// Reads the parameters of a request, with an error for each invalid one.
    pub fn read(params: &mut QueryParams, is_page: bool) -> Self {
        let limit = match params.text("limit") {
            None if is_page => PAGE_LIMIT,
            _ => params.number("limit"),
        };
        let offset = params.number("offset");
        let (filter, mut errors) = InstanceFilter::read(params.pairs());
        let sort = params.text("sort").map(ListSort::parse);
        if sort == Some(None) {
            let keys = SortKey::VARIANTS.join(", ");
            let detail =
                format!("sort must be one of {keys}, with \"-\" before it for descending.");
            errors.push(FieldError::new("/sort", detail));
        }
        let cursor = params.text("cursor").map(str::parse::<u32>);
        let offset = match cursor {
            None => offset,
            Some(Ok(at)) if params.text("offset").is_none() => at.into(),
            Some(Ok(_)) => {
                errors.push(FieldError::new(
                    "/cursor",
                    "cursor cannot be combined with offset.",
                ));
                0
            }
            Some(Err(_)) => {
                let detail = "cursor must be the next_cursor of a previous part.";
                errors.push(FieldError::new("/cursor", detail));
                0
            }
        };
        let columns = read_columns(params.pairs(), &mut errors);
        let group = params.get("group", any_of(GroupKey::VARIANTS).as_str());
        params.refuse_all(errors);
        Self {
            filter,
            sort: sort.flatten(),
            limit,
            offset,
            columns,
            group,
        }
    }

    /// The query of an address of this list, which this page linked to.
    pub fn columns_of(address: &str) -> Vec<ListColumn> {
        let (_, query) = address.split_once('?').unwrap_or_default();
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        read_columns(&pairs, &mut Vec::new())
    }

    /// The columns of a page: the chosen ones in their own order, or all but the chart, which is as wide
    /// as the states of the last day.
    pub fn shown_columns(chosen: &[ListColumn]) -> Vec<ListColumn> {
        let is_shown = |column: &ListColumn| match chosen.is_empty() {
            true => *column != ListColumn::Chart,
            false => chosen.contains(column),
        };
        ListColumn::iter().filter(is_shown).collect()
    }

    /// The address of the page with these parameters.
    pub fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.filter.pairs());
        if let Some(sort) = self.sort {
            query.append_pair("sort", &sort.to_string());
        }
        if self.limit != PAGE_LIMIT {
            query.append_pair("limit", &self.limit.to_string());
        }
        if let Some(group) = self.group {
            query.append_pair("group", group.into());
        }
        for column in &self.columns {
            query.append_pair("columns", column.name());
        }
        if self.offset > 0 {
            query.append_pair("offset", &self.offset.to_string());
        }
        match query.finish() {
            query if query.is_empty() => "/instances".into(),
            query => format!("/instances?{query}"),
        }
    }

    /// The first part with another filter.
    pub fn with_filter(&self, filter: InstanceFilter) -> Self {
        Self {
            filter,
            offset: 0,
            ..self.clone()
        }
    }

    /// The part at an offset.
    pub fn at(&self, offset: u64) -> Self {
        Self {
            offset,
            ..self.clone()
        }
    }

    /// The first part, sorted as after a click on a header.
    pub fn sorted_by(&self, key: SortKey) -> Self {
        let is_descending = match self.sort {
            Some(sort) if sort.key == key => !sort.is_descending,
            _ => key.is_number(),
        };
        Self {
            sort: Some(ListSort { key, is_descending }),
            ..self.at(0)
        }
    }

    /// The value of `aria-sort` of a column.
    pub fn direction(&self, key: SortKey) -> Option<&'static str> {
        let sort = self.sort.filter(|sort| sort.key == key)?;
        Some(if sort.is_descending {
            "descending"
        } else {
            "ascending"
        })
    }

    /// The instances that match, in order; `all`: oldest first.
    pub fn select(&self, all: Vec<Instance>, pools: &PoolTexts, is_page: bool) -> Vec<Instance> {
        let mut found = all;
        found.retain(|instance| self.filter.matches(instance, pools));
        match self.sort {
            Some(sort) => found.sort_by(|a, b| sort.compare(a, b)),
            None if is_page => found.sort_by(|a, b| {
                b.has_problem()
                    .cmp(&a.has_problem())
                    .then_with(|| by_name(a, b))
            }),
            None => {}
        }
        found
    }

    /// The part of a list.
    pub fn part_of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let rest = all.get(whole(self.offset)..).unwrap_or_default();
        rest.get(..whole(self.limit)).unwrap_or(rest)
    }
}

fn read_columns(pairs: &[(String, String)], errors: &mut Vec<FieldError>) -> Vec<ListColumn> {
    let mut columns = Vec::new();
    for (_, value) in pairs.iter().filter(|(name, _)| name == "columns") {
        match value.parse() {
            _ if value.is_empty() => {}
            Ok(column) if columns.contains(&column) => {}
            Ok(column) => columns.push(column),
            Err(_) => {
                let known = ListColumn::VARIANTS.join(", ");
                let error = FieldError::new("/columns", format!("columns must be any of {known}."));
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
        }
    }
    columns
}

#[cfg(test)]
mod tests;
