//! The values that the page with the list offers to filter by. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::list_query::natural_order;
use super::model::Instance;
use crate::base::ids::ConfigId;

/// Values of one filter that the page offers.
const MOST_CHOICES: usize = 200;

/// The values that the page offers to filter by.
#[derive(Debug, Default)]
pub struct FilterChoices {
    pub(super) tags: Vec<String>,
    pub(super) versions: Vec<String>,
    /// By name.
    pub(super) configs: Vec<(ConfigId, String)>,
    /// Other hosts.
    pub(super) hosts: Vec<String>,
}

impl FilterChoices {
    /// The values of these instances, in alphabetical order.
    pub fn of(all: &[Instance]) -> Self {
        let (mut tags, mut versions, mut configs) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let hosts: BTreeSet<&String> = all.iter().filter_map(|one| one.host.as_ref()).collect();
        for instance in all {
            for tag in instance.tags.iter() {
                tags.entry(tag.to_lowercase()).or_insert(tag);
            }
            if let Some(version) = instance.shown_version() {
                versions.insert(version, version);
            }
            configs.insert((&instance.config_name, instance.config_id), ());
        }
        let mut configs = Vec::from_iter(configs.into_keys());
        configs.sort_by(|(a, _), (b, _)| natural_order(a, b));
        let configs = configs.into_iter().take(MOST_CHOICES);
        let text = |text: &str| text.to_owned();
        Self {
            tags: tags.into_values().take(MOST_CHOICES).map(text).collect(),
            versions: versions
                .into_values()
                .take(MOST_CHOICES)
                .map(text)
                .collect(),
            configs: configs.map(|(name, id)| (id, name.clone())).collect(),
            hosts: hosts.into_iter().cloned().collect(),
        }
    }
}
