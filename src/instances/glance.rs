//! What else there is to say of an instance in a list: figures that other domains measure and hand in here. Nothing is measured here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::chart::{Unit, format_value};
use crate::ids::InstanceId;

/// The figures of an instance at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glance {
    /// Hashrate of its miners as the client expects it, H/s; none: nothing is known of now.
    pub hashrate: Option<f64>,
    /// Shares accepted within the last day.
    pub accepted: f64,
    /// Shares rejected within the last day.
    pub rejected: f64,
    /// Its hashrate over the last hours as a small drawing, an SVG element; empty without figures.
    pub spark: String,
}

impl Glance {
    /// The hashrate for people.
    #[must_use]
    pub fn hashrate_words(&self) -> Option<String> {
        self.hashrate.map(|rate| format_value(Unit::HashesPerSecond, rate))
    }

    /// Accepted shares, and the rejected ones if there are any.
    #[must_use]
    pub fn shares_words(&self) -> Option<String> {
        let say = |count: f64| format_value(Unit::Count, count);
        match (self.accepted > 0.0, self.rejected > 0.0) {
            (false, false) => None,
            (_, false) => Some(say(self.accepted)),
            (_, true) => Some(format!("{} − {}", say(self.accepted), say(self.rejected))),
        }
    }

    /// The drawing as it goes into a page.
    #[must_use]
    pub fn drawing(&self) -> Drawing<'_> {
        Drawing(&self.spark)
    }
}

/// Markup of our own that is put into a page as it is.
#[derive(Clone, Copy, Debug)]
pub struct Drawing<'a>(&'a str);

impl std::fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl askama::filters::HtmlSafe for Drawing<'_> {}

/// The figures of all instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Glances(Arc<RwLock<HashMap<InstanceId, Glance>>>);

impl Glances {
    /// Those of one instance, if anything is known.
    #[must_use]
    pub fn of(&self, id: InstanceId) -> Option<Glance> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Replaces all of them.
    pub fn replace(&self, all: HashMap<InstanceId, Glance>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }
}
