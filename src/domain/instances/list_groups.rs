//! Groups of a list on pages, with sums. No I/O.

use askama::Template;
use std::collections::BTreeMap;

use super::list_extras::rejected_text;
use super::list_query::{ListColumn, ListQuery};
use super::model::Instance;
use crate::infra::chart::{Unit, format_value};
use crate::keeper::machine::InstanceState;

/// A group in a part of a list.
#[derive(Debug)]
pub(super) struct ListGroup {
    /// None: the list has no groups.
    pub(super) header: Option<GroupHeader>,
    /// Rows of the group in this part.
    pub(super) count: usize,
}

/// The instances with a tag.
#[derive(Debug)]
pub(super) struct TagGroup {
    header: GroupHeader,
    /// Their places in the list.
    members: Vec<usize>,
}

/// The sums of a group, over all its instances.
#[derive(Clone, Debug, Default)]
pub struct GroupHeader {
    /// Its place among the groups.
    place: usize,
    /// None: the instances without a tag.
    tag: Option<String>,
    /// An earlier part has the first of its instances.
    is_continued: bool,
    count: usize,
    running: usize,
    hashrate: Option<f64>,
    accepted: Option<u64>,
    rejected: u64,
    miners: Option<u64>,
}

/// The row of a group, for an open page.
#[derive(Debug, Template)]
#[template(path = "instances/group.html")]
pub(super) struct GroupRow<'a> {
    header: &'a GroupHeader,
    columns: Vec<ListColumn>,
    is_chosen: bool,
}

/// The groups of instances by tag in alphabetical order, ignoring case, and the instances without a tag
/// last. An instance with several tags is in each of their groups, so that every group is complete.
pub(super) fn by_tag(instances: &[Instance]) -> Vec<TagGroup> {
    let mut groups: BTreeMap<(bool, String), TagGroup> = BTreeMap::new();
    for (at, instance) in instances.iter().enumerate() {
        let mut add = |tag: Option<&str>| {
            let key = (tag.is_none(), tag.unwrap_or_default().to_lowercase());
            let group = groups.entry(key).or_insert_with(|| TagGroup {
                header: GroupHeader {
                    tag: tag.map(str::to_owned),
                    ..GroupHeader::default()
                },
                members: Vec::new(),
            });
            // One spelling, whatever the order of the list: lower case wins.
            if tag > group.header.tag.as_deref() {
                group.header.tag = tag.map(str::to_owned);
            }
            group.header.add(instance);
            group.members.push(at);
        };
        for tag in instance.tags.iter() {
            add(Some(tag));
        }
        if instance.tags.is_empty() {
            add(None);
        }
    }
    let groups = groups.into_values().enumerate();
    groups
        .map(|(place, mut group)| {
            group.header.place = place;
            group
        })
        .collect()
}

/// The number of rows of groups.
pub(super) fn row_count(groups: &[TagGroup]) -> usize {
    groups.iter().map(|group| group.members.len()).sum()
}

/// The rows of a part, and their groups.
pub(super) fn part_of(
    groups: &[TagGroup],
    instances: &[Instance],
    query: &ListQuery,
) -> (Vec<Instance>, Vec<ListGroup>) {
    let rows: Vec<(usize, usize)> = groups
        .iter()
        .enumerate()
        .flat_map(|(place, group)| group.members.iter().map(move |at| (place, *at)))
        .collect();
    let part = query.part_of(&rows);
    let mut shown: Vec<ListGroup> = Vec::new();
    for (place, at) in part {
        let is_new = shown
            .last()
            .and_then(|group| group.header.as_ref())
            .is_none_or(|header| header.place != *place);
        if let (true, Some(group)) = (is_new, groups.get(*place)) {
            let header = GroupHeader {
                is_continued: group.members.first() != Some(at),
                ..group.header.clone()
            };
            shown.push(ListGroup {
                header: Some(header),
                count: 0,
            });
        }
        if let Some(group) = shown.last_mut() {
            group.count += 1;
        }
    }
    let found = part.iter().filter_map(|(_, at)| instances.get(*at));
    (found.cloned().collect(), shown)
}

impl GroupHeader {
    fn add(&mut self, instance: &Instance) {
        self.count += 1;
        self.running += usize::from(instance.is_in(InstanceState::Running));
        if let Some(hashrate) = instance.hashrate {
            self.hashrate = Some(self.hashrate.unwrap_or(0.0) + hashrate);
        }
        if let Some(accepted) = instance.shares_accepted_24h {
            self.accepted = Some(self.accepted.unwrap_or(0) + accepted);
        }
        self.rejected += instance.shares_rejected_24h.unwrap_or(0);
        if let Some(miners) = instance.miner_count {
            self.miners = Some(self.miners.unwrap_or(0) + miners);
        }
    }

    /// The row for an open page at this address.
    pub(super) fn row(&self, here: &str) -> GroupRow<'_> {
        let chosen = ListQuery::columns_of(here);
        GroupRow {
            header: self,
            columns: ListQuery::shown_columns(&chosen),
            is_chosen: !chosen.is_empty(),
        }
    }

    /// The id of its row.
    pub fn element_id(&self) -> String {
        format!("g-{}", self.place)
    }

    /// The tag.
    pub fn title(&self) -> &str {
        self.tag.as_deref().unwrap_or("No tag")
    }

    /// The list of its instances alone.
    pub fn address(&self) -> Option<String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("tag", self.tag.as_ref()?);
        Some(format!("/instances?{}", query.finish()))
    }

    /// The number of its instances, and of those that run.
    pub fn count_text(&self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        let continued = if self.is_continued { ", continued" } else { "" };
        format!(
            "{} instance{plural}, {} running{continued}",
            self.count, self.running
        )
    }

    /// The sum for a column; empty if it has none.
    pub fn sum(&self, column: &ListColumn) -> String {
        let count = |number: u64| format_value(Unit::Count, number as f64);
        match column {
            ListColumn::Hashrate => self
                .hashrate
                .map(|rate| format_value(Unit::HashesPerSecond, rate)),
            ListColumn::Shares => self.accepted.map(count),
            ListColumn::Miners => self.miners.map(|miners| miners.to_string()),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// A second line below the sum for a column.
    pub fn details(&self, column: &ListColumn) -> Option<String> {
        (*column == ListColumn::Shares && self.rejected > 0)
            .then(|| rejected_text(self.rejected as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tags::InstanceTags;
    use super::*;

    fn instance(name: &str, tags: &str, state: InstanceState, miners: Option<u64>) -> Instance {
        Instance {
            name: name.into(),
            tags: InstanceTags::from_text(tags).unwrap(),
            miner_count: miners,
            hashrate: miners.map(|miners| miners as f64 * 1e12),
            shares_accepted_24h: miners.map(|miners| miners * 1000),
            shares_rejected_24h: miners,
            ..Instance::sample(state)
        }
    }

    fn farm() -> [Instance; 4] {
        use InstanceState::{Running, Stopped};
        [
            instance("a", "north, rack 1", Running, Some(2)),
            instance("b", "North", Running, Some(3)),
            instance("c", "", Stopped, None),
            instance("d", "attic", Stopped, None),
        ]
    }

    type Shown = Vec<(String, String, usize)>;

    fn shown(offset: u64, limit: u64) -> (Vec<String>, Shown) {
        let (farm, query) = (
            farm(),
            ListQuery {
                limit,
                ..ListQuery::WHOLE.at(offset)
            },
        );
        let all = by_tag(&farm);
        assert_eq!(row_count(&all), 5);
        let (rows, groups) = part_of(&all, &farm, &query);
        let text = |group: &ListGroup| {
            let header = group.header.as_ref().unwrap();
            (header.title().to_owned(), header.count_text(), group.count)
        };
        (
            rows.into_iter().map(|one| one.name).collect(),
            groups.iter().map(text).collect(),
        )
    }

    #[test]
    fn an_instance_is_in_the_group_of_each_of_its_tags() {
        let (rows, groups) = shown(0, 100);
        assert_eq!(rows, ["d", "a", "b", "a", "c"]);
        let wanted = [
            ("attic", "1 instance, 0 running", 1),
            ("north", "2 instances, 2 running", 2),
            ("rack 1", "1 instance, 1 running", 1),
            ("No tag", "1 instance, 0 running", 1),
        ];
        let wanted = wanted.map(|(title, text, rows)| (title.to_owned(), text.to_owned(), rows));
        assert_eq!(groups, wanted);
    }

    #[test]
    fn a_group_in_two_parts_has_the_sums_of_the_whole_in_both() {
        let (rows, groups) = shown(2, 2);
        assert_eq!(rows, ["b", "a"]);
        assert_eq!(groups[0].1, "2 instances, 2 running, continued");
        assert_eq!(groups[1].0, "rack 1");
        assert_eq!(shown(9, 2), (Vec::new(), Vec::new()));
        let north = &by_tag(&farm())[1].header;
        let sum = |column| north.sum(&column);
        assert_eq!(sum(ListColumn::Miners), "5");
        assert_eq!(sum(ListColumn::Hashrate), "5\u{a0}TH/s");
        assert_eq!(sum(ListColumn::Shares), "5000");
        let details = north.details(&ListColumn::Shares);
        assert_eq!(details.as_deref(), Some("5 rejected"));
        assert_eq!(sum(ListColumn::Version), "");
        assert_eq!(north.address().unwrap(), "/instances?tag=north");
    }
}
