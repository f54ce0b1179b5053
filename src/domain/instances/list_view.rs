//! The page with the list of instances, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use strum::IntoEnumIterator;

use super::display::{capitalised, state_text};
use super::filter_choices::FilterChoices;
use super::list_extras::{HEALTH_WORDS, JobMention, ListStats};
use super::list_filter::{InstanceFilter, LONGEST_SEARCH, THIS_MACHINE};
use super::list_groups::{GroupHeader, ListGroup};
use super::list_query::{ListColumn, ListQuery, PAGE_LIMIT, SortKey};
use super::miner_address::{MinerAddress, MinerProtocol};
use super::model::Instance;
use super::remote_instances::HostMention;
use super::views::row_id;
use crate::base::ids::InstanceId;
use crate::infra::chart::{Unit, format_value};
use crate::infra::notices::ManagerNotice;
use crate::keeper::machine::InstanceState;
use crate::view;

/// A group with its rows: the element id and the instance of each.
type GroupTableRows<'a> = (Option<&'a GroupHeader>, Vec<(String, &'a Instance)>);

/// Instances that need attention which the page describes before the list.
const MOST_DESCRIBED: usize = 10;
/// The number of instances from which the page has the search and the filters.
const LEAST_TO_SEARCH: usize = 5;

/// States in the order of their lists.
const STATE_LISTS: [InstanceState; 6] = [
    InstanceState::Running,
    InstanceState::Failed,
    InstanceState::BackingOff,
    InstanceState::Starting,
    InstanceState::Stopping,
    InstanceState::Stopped,
];

/// `/instances` and `/`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "instances/list.html", blocks = ["main", "summary", "table"])]
#[schemars(rename = "Instances")]
pub struct InstanceListPage {
    /// Problems with jd-manager, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<ManagerNotice>,
    /// The instances, oldest first unless `sort` is given.
    pub instances: Vec<Instance>,
    /// The number of instances that match.
    pub total: usize,
    /// `cursor` of the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(skip)]
    query: ListQuery,
    #[serde(skip)]
    pub(super) notes: PageNotes,
    #[serde(skip)]
    pub(super) fleet: FleetSummary,
    #[serde(skip)]
    choices: FilterChoices,
    /// Totals of all instances that match: label and value.
    #[serde(skip)]
    totals: Vec<(&'static str, String)>,
    /// The groups of the part; one without a header if the list has none.
    #[serde(skip)]
    pub(super) groups: Vec<ListGroup>,
    /// The number of rows of all parts: an instance can be in several groups.
    #[serde(skip)]
    row_count: usize,
    /// The addresses for miners of each instance, with its id and name; empty on a long list.
    #[serde(skip)]
    pub(super) miners: Vec<(InstanceId, String, Vec<MinerAddress>)>,
}
view!(InstanceListPage { "main" => as_main, "table" => as_table, "summary" => as_summary });

/// What pages show besides instances.
#[derive(Debug, Default)]
pub struct PageNotes {
    /// A bulk action without a selection.
    pub nothing_selected: bool,
    /// There is a saved configuration.
    pub has_configs: bool,
    /// Why no client can be started.
    pub no_client: Option<String>,
    /// News about client releases.
    pub news: Option<String>,
    /// Actions on several instances.
    pub jobs: Vec<JobMention>,
    /// Problems with hosts.
    pub hosts: Vec<HostMention>,
    /// Problems with jd-manager.
    pub notices: Vec<ManagerNotice>,
}

impl PageNotes {
    /// Only the problems with jd-manager.
    pub fn of(notices: Vec<ManagerNotice>) -> Self {
        Self {
            notices,
            ..Self::default()
        }
    }
}

/// All instances, whichever of them the list shows.
#[derive(Debug, Default)]
pub struct FleetSummary {
    pub(super) count: usize,
    running: usize,
    /// The number in each state.
    states: Vec<(InstanceState, usize)>,
    /// Those that need attention,
    attention_count: usize,
    /// and the first of them.
    described: Vec<Instance>,
    restarts: i32,
    is_in_motion: bool,
}

impl FleetSummary {
    /// Of these instances.
    pub fn of(all: &[Instance]) -> Self {
        let count = |state| all.iter().filter(|i| i.is_in(state)).count();
        let with_problem = || all.iter().filter(|i| i.has_problem());
        Self {
            count: all.len(),
            running: count(InstanceState::Running),
            states: STATE_LISTS.map(|state| (state, count(state))).into(),
            attention_count: with_problem().count(),
            described: with_problem().take(MOST_DESCRIBED).cloned().collect(),
            restarts: all.iter().map(|i| i.restarts).sum(),
            is_in_motion: all.iter().any(Instance::is_in_motion),
        }
    }
}

/// A field of the filter form: a list to choose from.
struct FilterField {
    name: &'static str,
    label: &'static str,
    /// The choice without this filter.
    any: &'static str,
    /// Value, text, and whether it is chosen.
    options: Vec<(String, String, bool)>,
}

/// The header of a column.
struct ListHeader {
    label: &'static str,
    class: &'static str,
    /// The list sorted by it.
    address: Option<String>,
    /// The value of `aria-sort`.
    direction: Option<&'static str>,
    /// Only for screen readers.
    is_hidden: bool,
}

/// A value of the filter that can be removed.
struct FilterChip {
    text: String,
    /// The list without it.
    address: String,
}

impl InstanceListPage {
    /// A part of the list that begins at the query's offset, of `total` instances.
    pub(super) fn new(
        query: &ListQuery,
        instances: Vec<Instance>,
        total: usize,
        mut notes: PageNotes,
    ) -> Self {
        let count = u64::try_from(instances.len()).unwrap_or_default();
        let end = query.offset.saturating_add(count);
        let has_more = count > 0 && usize::try_from(end).is_ok_and(|end| end < total);
        let groups = vec![ListGroup {
            header: None,
            count: instances.len(),
        }];
        Self {
            groups,
            row_count: total,
            notices: std::mem::take(&mut notes.notices),
            instances,
            total,
            next_cursor: has_more.then(|| end.to_string()),
            query: query.clone(),
            notes,
            fleet: FleetSummary::default(),
            choices: FilterChoices::default(),
            totals: Vec::new(),
            miners: Vec::new(),
        }
    }

    /// The same with what only pages show. `found`: all instances that match.
    pub(super) fn with_fleet(
        self,
        fleet: FleetSummary,
        choices: FilterChoices,
        found: &[Instance],
    ) -> Self {
        Self {
            fleet,
            choices,
            totals: totals(found),
            ..self
        }
    }

    /// The same in groups. `total`: the number of instances that match.
    pub(super) fn with_groups(self, groups: Vec<ListGroup>, total: usize) -> Self {
        Self {
            row_count: self.total,
            total,
            groups,
            ..self
        }
    }

    /// The rows of the part in their groups, each with its element id. An instance that is in several
    /// groups has several rows.
    pub(super) fn grouped_rows(&self) -> Vec<GroupTableRows<'_>> {
        let mut seen: HashMap<InstanceId, usize> = HashMap::new();
        let mut rows = self.instances.iter().map(|instance| {
            let times = seen.entry(instance.id).or_default();
            *times += 1;
            let id = match *times {
                1 => row_id(instance.id),
                times => format!("{}-{times}", row_id(instance.id)),
            };
            (id, instance)
        });
        let groups = self.groups.iter();
        let groups = groups.map(|group| {
            let rows = rows.by_ref().take(group.count).collect();
            (group.header.as_ref(), rows)
        });
        groups.collect()
    }

    /// How the list can be grouped: value, text, and whether it is chosen.
    fn group_choices(&self) -> Vec<(&'static str, &'static str, bool)> {
        let is_grouped = self.query.group.is_some();
        if self.choices.tags.is_empty() && !is_grouped {
            return Vec::new();
        }
        vec![("", "No groups", !is_grouped), ("tag", "Tag", is_grouped)]
    }

    fn headline(&self) -> String {
        let running = self.fleet.running;
        match self.fleet.count {
            0 => "No instances yet".into(),
            1 if running == 1 => "1 instance, running".into(),
            1 => "1 instance".into(),
            all => format!("{all} instances, {running} running"),
        }
    }

    /// The title of the page: problems first, so that a tab shows them.
    fn title(&self) -> String {
        match self.fleet.attention_count {
            0 => self.headline(),
            1 => format!("1 needs attention · {}", self.headline()),
            count => format!("{count} need attention · {}", self.headline()),
        }
    }

    /// All instances, or those that need attention: the page describes their problems.
    fn describes_problems(&self) -> bool {
        let filter = self.query.filter.without("attention", "true");
        filter.is_empty() && self.query.offset == 0 && !self.fleet.described.is_empty()
    }

    /// The address of this list, to return to.
    fn here(&self) -> String {
        self.query.address()
    }

    /// Lists by state: text, number, address, whether it is this list, and class.
    fn state_lists(&self) -> Vec<(String, usize, String, bool, &'static str)> {
        let list = |text: &str, count, name: &str, value: &str, class| {
            let pairs = [(name.to_owned(), value.to_owned())];
            let (filter, _) = InstanceFilter::read(&pairs);
            let is_here = self.query.filter == filter;
            let address = self.query.with_filter(filter).address();
            (capitalised(text), count, address, is_here, class)
        };
        let fleet = &self.fleet;
        let mut lists = vec![list("All", fleet.count, "", "", "")];
        let (attention, class) = (fleet.attention_count, "bad");
        if attention > 0 {
            lists.push(list(
                "Needs attention",
                attention,
                "attention",
                "true",
                class,
            ));
        }
        for (state, count) in &fleet.states {
            // The two usual ones are there for comparison.
            if *count > 0 || matches!(state, InstanceState::Running | InstanceState::Stopped) {
                lists.push(list(
                    state_text(*state),
                    *count,
                    "state",
                    state.as_str(),
                    "",
                ));
            }
        }
        lists
    }

    fn longest_search(&self) -> usize {
        LONGEST_SEARCH
    }

    /// A few instances need no search. What an address asks for can always be changed.
    fn has_filter_form(&self) -> bool {
        let query = &self.query;
        let is_asked = !query.filter.is_empty() || query.sort.is_some() || query.group.is_some();
        self.fleet.count >= LEAST_TO_SEARCH || is_asked || !query.columns.is_empty()
    }

    fn filter_fields(&self) -> Vec<FilterField> {
        let chosen = |name: &str| self.query.filter.values(name);
        let field = |name, label, any, options: Vec<(String, String)>| {
            let chosen = chosen(name);
            // Tags are the same in upper and lower case.
            let is_same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
            let mut options = options;
            if let [one] = chosen.as_slice()
                && !options.iter().any(|(value, _)| is_same(value, one))
            {
                // No instance has it any more, but the address asks for it.
                options.push((one.clone(), one.clone()));
            }
            let options = options.into_iter().map(|(value, text)| {
                let is_chosen = matches!(chosen.as_slice(), [one] if is_same(one, &value));
                (value, text, is_chosen)
            });
            FilterField {
                name,
                label,
                any,
                options: options.collect(),
            }
        };
        let same = |texts: &[String]| -> Vec<(String, String)> {
            texts
                .iter()
                .map(|text| (text.clone(), text.clone()))
                .collect()
        };
        let states =
            InstanceState::iter().map(|state| (state.to_string(), state_text(state).into()));
        let health = HEALTH_WORDS.map(|word| (word.to_owned(), word.to_owned()));
        let configs = self.choices.configs.iter();
        let configs = configs.map(|(id, name)| (id.to_string(), name.clone()));
        let mut fields = vec![
            field("state", "State", "Any state", states.collect()),
            field("health", "Health", "Any health", health.into()),
            field("tag", "Tag", "Any tag", same(&self.choices.tags)),
            field(
                "version",
                "Client version",
                "Any version",
                same(&self.choices.versions),
            ),
            field(
                "config",
                "Configuration",
                "Any configuration",
                configs.collect(),
            ),
        ];
        if !self.choices.hosts.is_empty() {
            let here = (THIS_MACHINE.to_owned(), "this machine".to_owned());
            let hosts = same(&self.choices.hosts).into_iter();
            let hosts = std::iter::once(here).chain(hosts).collect();
            fields.push(field("host", "Host", "Any host", hosts));
        }
        fields.retain(|field| !field.options.is_empty());
        fields
    }

    /// Parameters that the filter form repeats, because it has no field for them: the order, and
    /// filters with values that its fields do not have.
    fn other_parameters(&self) -> Vec<(&'static str, String)> {
        let fields = self.filter_fields();
        let has_field = |name: &str| {
            let mut fields = fields.iter().filter(|field| field.name == name);
            fields.any(|field| field.options.iter().any(|(_, _, is_chosen)| *is_chosen))
        };
        let mut others = self.query.filter.pairs();
        others.retain(|(name, _)| *name != "q" && !has_field(name));
        others.extend(self.query.sort.map(|sort| ("sort", sort.to_string())));
        let limit = Some(self.query.limit).filter(|limit| *limit != PAGE_LIMIT);
        others.extend(limit.map(|limit| ("limit", limit.to_string())));
        others
    }

    /// Fields with several values are chips only: a list has one choice.
    fn has_several(&self, name: &str) -> bool {
        self.query.filter.values(name).len() > 1
    }

    fn filter_chips(&self) -> Vec<FilterChip> {
        let filter = &self.query.filter;
        let chip = |(name, value): (&'static str, String)| {
            let without = filter.without(name, &value);
            FilterChip {
                text: self.chip_text(name, value),
                address: self.query.with_filter(without).address(),
            }
        };
        filter.pairs().into_iter().map(chip).collect()
    }

    fn chip_text(&self, name: &str, value: String) -> String {
        match (name, value.as_str()) {
            ("q", _) => format!("“{value}”"),
            ("attention", "true") => "needs attention".into(),
            ("attention", _) => "needs no attention".into(),
            ("state", state) => match state.parse() {
                Ok(state) => state_text(state).into(),
                Err(_) => value,
            },
            ("config", _) => {
                let mut known = self.choices.configs.iter();
                let name = known.find(|(id, _)| id.to_string() == value);
                format!("configuration {}", name.map_or(&*value, |(_, name)| name))
            }
            ("version", _) => format!("client {value}"),
            _ => format!("{name} {value}"),
        }
    }

    fn columns(&self) -> Vec<ListColumn> {
        ListQuery::shown_columns(&self.query.columns)
    }

    fn headers(&self) -> Vec<ListHeader> {
        let header = |label, class, key: Option<SortKey>| ListHeader {
            label,
            class,
            address: key.map(|key| self.query.sorted_by(key).address()),
            direction: key.and_then(|key| self.query.direction(key)),
            is_hidden: false,
        };
        let is_chosen = !self.query.columns.is_empty();
        let columns = self.columns().into_iter().map(|column| ListHeader {
            is_hidden: column == ListColumn::Chart,
            ..header(column.label(), column.class(is_chosen), column.sort_key())
        });
        let mut headers = vec![
            header("Name", "", Some(SortKey::Name)),
            header("State", "", Some(SortKey::State)),
        ];
        headers.extend(columns);
        headers.push(ListHeader {
            is_hidden: true,
            ..header("Actions", "", None)
        });
        headers
    }

    /// Each column, and whether it was chosen.
    fn column_choices(&self) -> impl Iterator<Item = (ListColumn, bool)> {
        ListColumn::iter().map(|column| (column, self.query.columns.contains(&column)))
    }

    /// `101–200 of 1,000`; empty if the list is whole.
    fn part_text(&self) -> String {
        if self.query.offset == 0 && self.next_cursor.is_none() {
            return String::new();
        }
        let first = self.query.offset.saturating_add(1);
        let count = u64::try_from(self.instances.len()).unwrap_or_default();
        let last = self.query.offset.saturating_add(count);
        format!("{first}–{last} of {}", grouped(self.row_count))
    }

    /// The address of the previous part.
    fn previous(&self) -> Option<String> {
        let offset = Some(self.query.offset).filter(|offset| *offset > 0)?;
        let offset = offset.saturating_sub(self.query.limit);
        Some(self.query.at(offset).address())
    }

    /// The address of the next part.
    fn next(&self) -> Option<String> {
        let offset = self.next_cursor.as_ref()?.parse().ok()?;
        Some(self.query.at(offset).address())
    }

    /// The filter as a form sends it with an action on all instances that match.
    fn filter_text(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.query.filter.pairs());
        text.finish()
    }
}

/// Totals of instances: label and value.
fn totals(instances: &[Instance]) -> Vec<(&'static str, String)> {
    let all = || instances.iter().filter_map(|i| i.glance.as_ref());
    if all().next().is_none() {
        return Vec::new();
    }
    let hashrates: Vec<f64> = instances.iter().filter_map(|i| i.hashrate).collect();
    let hashrate = match hashrates.is_empty() {
        true => "–".into(),
        false => format_value(Unit::HashesPerSecond, hashrates.iter().sum()),
    };
    let sum = |of: fn(&ListStats) -> f64| all().map(of).sum::<f64>();
    let say = |count: f64| format_value(Unit::Count, count);
    let acknowledged = sum(|g| g.acknowledged);
    let miners: u64 = instances.iter().filter_map(|i| i.miner_count).sum();
    let running = instances
        .iter()
        .filter(|i| i.status == InstanceState::Running);
    let mut totals = vec![
        ("Hashrate, 10-min average", hashrate),
        ("Shares accepted, 24 h", say(sum(|g| g.accepted))),
        ("Shares rejected, 24 h", say(sum(|g| g.rejected))),
        ("Miners", miners.to_string()),
        (
            "Running",
            format!("{} of {}", running.count(), instances.len()),
        ),
    ];
    if acknowledged > 0.0 {
        totals.insert(2, ("Acknowledged by pools, 24 h", say(acknowledged)));
    }
    totals
}

/// A number with a comma between each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        let texts = [0, 12, 999, 1000, 45_678, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "45,678", "1,234,567"]);
    }
}
