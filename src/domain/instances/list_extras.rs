//! Values of other domains for the list of instances. Those domains measure and store them here.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::infra::chart::{Unit, format_value};

/// The metrics of an instance for lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListStats {
    /// Hashrate, average of ten minutes, H/s.
    pub hashrate: Option<f64>,
    /// Hashrate, average of one hour, H/s.
    pub hashrate_1h: Option<f64>,
    /// Hashrate, average of the samples of the last day, H/s. Updated every few minutes.
    pub hashrate_24h: Option<f64>,
    /// Connections from miners and translators.
    pub miners: Option<f64>,
    /// Until when these values are current.
    pub current_until: Timestamp,
    /// Shares accepted in the last 24 h.
    pub accepted: f64,
    /// Shares rejected in the last 24 h.
    pub rejected: f64,
    /// Shares acknowledged by the pool in the last 24 h; none for solo mining.
    pub acknowledged: f64,
    /// Hashrate of the last hours as a small SVG chart; empty without data.
    pub spark: String,
}

impl ListStats {
    /// Accepted shares; none without any share.
    pub fn shares_text(&self) -> Option<String> {
        (self.accepted > 0.0 || self.rejected > 0.0)
            .then(|| format_value(Unit::Count, self.accepted))
    }

    /// Rejected shares; none if there are none.
    pub fn rejected_text(&self) -> Option<String> {
        (self.rejected > 0.0).then(|| rejected_text(self.rejected))
    }

    /// Shares acknowledged by the pool; none if there are none, as for solo mining.
    pub fn acknowledged_text(&self) -> Option<String> {
        (self.acknowledged > 0.0)
            .then(|| format!("pool: {}", format_value(Unit::Count, self.acknowledged)))
    }

    /// The chart for a page.
    pub fn drawing(&self) -> SparklineSvg<'_> {
        SparklineSvg(&self.spark)
    }
}

/// Trusted markup that is inserted into a page unescaped.
#[derive(Clone, Copy, Debug)]
pub struct SparklineSvg<'a>(&'a str);

impl std::fmt::Display for SparklineSvg<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl askama::filters::HtmlSafe for SparklineSvg<'_> {}

/// A number of rejected shares.
pub fn rejected_text(count: f64) -> String {
    format!("{} rejected", format_value(Unit::Count, count))
}

/// An action on several instances that lists mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobMention {
    /// The action and its result.
    pub text: String,
    /// Its page.
    pub address: String,
    /// It has finished, so a user can dismiss it.
    pub is_over: bool,
}

/// The words of [`HealthSummary::status`].
pub const HEALTH_WORDS: [&str; 4] = ["healthy", "warning", "unhealthy", "unknown"];

/// One of [`HEALTH_WORDS`]. serde would read a field of type `&str` from text that lives as long.
pub type HealthWord = &'static str;

/// Summary of the health checks of an instance.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct HealthSummary {
    /// `healthy`, `warning`, `unhealthy` or `unknown`.
    #[serde(deserialize_with = "known_word")]
    pub status: HealthWord,
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// Where the client mines: `pool 1 of 2` or `solo`; empty if unknown.
    pub place: String,
    /// Since when it mines there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_since: Option<Timestamp>,
    /// The most important problem and its fix; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Each check with a known result: 0 healthy, 1 warning, 2 unhealthy.
    #[serde(skip)]
    pub checks: Vec<(&'static str, f64)>,
}

/// The health of an instance on another host; a word of a newer version counts as unknown.
fn known_word<'de, D: Deserializer<'de>>(d: D) -> Result<HealthWord, D::Error> {
    let text = String::deserialize(d)?;
    let known = HEALTH_WORDS.into_iter().find(|word| *word == text);
    Ok(known.unwrap_or("unknown"))
}

impl HealthSummary {
    /// Unhealthy, although its process may be running.
    pub fn is_bad(&self) -> bool {
        self.status == "unhealthy"
    }

    /// Status and score as text.
    pub fn words(&self) -> String {
        if self.status == "unknown" {
            "–".into()
        } else {
            format!("{} {}", self.status, self.score)
        }
    }
}

/// Values of other domains for all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ListExtras(Arc<RwLock<ExtraSources>>);

#[derive(Debug, Default)]
struct ExtraSources {
    figures: HashMap<InstanceId, ListStats>,
    wellbeing: HashMap<InstanceId, HealthSummary>,
    miner_names: HashMap<InstanceId, Arc<str>>,
    news: Option<String>,
    jobs: Vec<JobMention>,
    /// The number of changes, for cached lists.
    changes: u64,
}

impl ListExtras {
    /// Differs whenever a value has changed.
    pub fn changes(&self) -> u64 {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .changes
    }

    /// The news about client releases, if any.
    pub fn news(&self) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .news
            .clone()
    }

    /// Sets the news about client releases.
    pub fn set_news(&self, words: Option<String>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.news = words;
        known.changes += 1;
    }

    /// The actions on several instances that lists mention: text and address.
    pub fn jobs(&self) -> Vec<JobMention> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.jobs.clone()
    }

    /// Sets the actions on several instances that lists mention.
    pub fn set_jobs(&self, jobs: Vec<JobMention>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.jobs != jobs {
            known.jobs = jobs;
            known.changes += 1;
        }
    }

    /// The metrics, the health and the names of the miners of one instance, if known.
    pub fn of(
        &self,
        id: InstanceId,
    ) -> (Option<ListStats>, Option<HealthSummary>, Option<Arc<str>>) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (
            known.figures.get(&id).cloned(),
            known.wellbeing.get(&id).cloned(),
            known.miner_names.get(&id).cloned(),
        )
    }

    /// Replaces the names of the miners of all instances; in lowercase, one on each line.
    pub fn replace_miner_names(&self, all: HashMap<InstanceId, Arc<str>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.miner_names != all {
            known.miner_names = all;
            known.changes += 1;
        }
    }

    /// Replaces the metrics of all instances.
    pub fn replace(&self, all: HashMap<InstanceId, ListStats>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.figures = all;
        known.changes += 1;
    }

    /// Sets or removes the health of one instance. Returns whether it changed.
    pub fn set_wellbeing(&self, id: InstanceId, wellbeing: Option<HealthSummary>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = match &wellbeing {
            Some(now) => known.wellbeing.insert(id, now.clone()),
            None => known.wellbeing.remove(&id),
        };
        let is_changed = before != wellbeing;
        known.changes += u64::from(is_changed);
        is_changed
    }
}
