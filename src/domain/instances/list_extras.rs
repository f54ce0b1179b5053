//! Values of other domains for the list of instances. Those domains measure and store them here.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::infra::chart::{Unit, format_value};

/// The figures of an instance at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListStats {
    /// Average hashrate of the last ten minutes, H/s.
    pub hashrate: Option<f64>,
    /// Average hashrate of the last hour, H/s.
    pub hashrate_1h: Option<f64>,
    /// Connections from miners and translators.
    pub miners: Option<f64>,
    /// Until when these count as current.
    pub current_until: Timestamp,
    /// Shares accepted within the last day.
    pub accepted: f64,
    /// Shares rejected within the last day.
    pub rejected: f64,
    /// Shares that the pool acknowledged within the last day; none when mining solo.
    pub acknowledged: f64,
    /// Its hashrate over the last hours as a small drawing, an SVG element; empty without figures.
    pub spark: String,
}

impl ListStats {
    /// Accepted shares, and the rejected ones if there are any.
    pub fn shares_text(&self) -> Option<String> {
        let say = |count: f64| format_value(Unit::Count, count);
        match (self.accepted > 0.0, self.rejected > 0.0) {
            (false, false) => None,
            (_, false) => Some(say(self.accepted)),
            (_, true) => Some(format!("{} − {}", say(self.accepted), say(self.rejected))),
        }
    }

    /// What the pool acknowledged of them; none when nothing was, as when mining solo.
    pub fn acknowledged_text(&self) -> Option<String> {
        (self.acknowledged > 0.0)
            .then(|| format!("pool: {}", format_value(Unit::Count, self.acknowledged)))
    }

    /// The drawing as it goes into a page.
    pub fn drawing(&self) -> SparklineSvg<'_> {
        SparklineSvg(&self.spark)
    }
}

/// Markup of our own that is put into a page as it is.
#[derive(Clone, Copy, Debug)]
pub struct SparklineSvg<'a>(&'a str);

impl std::fmt::Display for SparklineSvg<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl askama::filters::HtmlSafe for SparklineSvg<'_> {}

/// How an instance is and where its work goes, according to those who look after its health.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct HealthSummary {
    /// `healthy`, `warning`, `unhealthy` or `unknown`.
    pub status: &'static str,
    /// 0 to 100; 0 while the status is unknown.
    pub score: u32,
    /// Where its work goes: `pool 1 of 2`, `solo`; empty when that is not known.
    pub place: String,
    /// Since when it goes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_since: Option<Timestamp>,
    /// What to look at first, and what to do about it; none when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Each check that could be told: 0 healthy, 1 warning, 2 unhealthy.
    #[serde(skip)]
    pub checks: Vec<(&'static str, f64)>,
}

impl HealthSummary {
    /// It does not do its work, though its process may run.
    pub fn is_bad(&self) -> bool {
        self.status == "unhealthy"
    }

    /// Status and score for people.
    pub fn words(&self) -> String {
        if self.status == "unknown" {
            "–".into()
        } else {
            format!("{} {}", self.status, self.score)
        }
    }
}

/// What others know of all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ListExtras(Arc<RwLock<ExtraSources>>);

#[derive(Debug, Default)]
struct ExtraSources {
    figures: HashMap<InstanceId, ListStats>,
    wellbeing: HashMap<InstanceId, HealthSummary>,
    news: Option<String>,
}

impl ListExtras {
    /// What there is to say of new clients; none: nothing.
    pub fn news(&self) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .news
            .clone()
    }

    /// Replaces what there is to say of new clients.
    pub fn set_news(&self, words: Option<String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).news = words;
    }

    /// The figures and the health of one instance, as far as they are known.
    pub fn of(&self, id: InstanceId) -> (Option<ListStats>, Option<HealthSummary>) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (
            known.figures.get(&id).cloned(),
            known.wellbeing.get(&id).cloned(),
        )
    }

    /// Replaces the figures of all of them.
    pub fn replace(&self, all: HashMap<InstanceId, ListStats>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .figures = all;
    }

    /// Replaces what is known of one's health; none: nothing any more. Tells whether that is news.
    pub fn set_wellbeing(&self, id: InstanceId, wellbeing: Option<HealthSummary>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = match &wellbeing {
            Some(now) => known.wellbeing.insert(id, now.clone()),
            None => known.wellbeing.remove(&id),
        };
        before != wellbeing
    }
}
