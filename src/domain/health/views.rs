//! The health page, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use super::model::{CheckResult, HealthGrade, score};
use super::remediation_policy::Remediation;
use super::service::HealthReport;
use crate::base::clock::{Timestamp, human_duration};
use crate::domain::instances::Instance;
use crate::programs::jd_client::diagnosis::{ProviderState, WorkState};
use crate::view;

/// Time range of the strip in hours.
pub const STRIP_HOURS: i64 = 24;
/// Parts of the strip, 15 minutes each.
pub const STRIP_CELLS: usize = 96;
/// Width of a part in drawing units.
const CELL: usize = 8;
const HEIGHT: usize = 24;

/// `/health/{id}`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "health/show.html", blocks = ["main", "checks"])]
#[schemars(rename = "Health")]
pub struct HealthPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    /// The report.
    #[serde(flatten)]
    pub report: HealthReport,
    /// The worst grade in each part of the last day.
    #[serde(skip)]
    pub(super) strip: Vec<HealthGrade>,
    #[serde(skip)]
    pub(super) now: Timestamp,
}
view!(HealthPage { "main" => as_main, "checks" => as_checks });

/// A fact from the log, with its time.
#[derive(Debug, PartialEq, Eq)]
pub struct HealthFact {
    pub(super) what: &'static str,
    pub(super) words: String,
    pub(super) at: Option<Timestamp>,
}

impl HealthGrade {
    /// The state with the same shape and color on a page.
    pub(crate) fn shape(self) -> &'static str {
        match self {
            Self::Unknown => "stopped",
            Self::Healthy => "running",
            // A triangle.
            Self::Warning => "starting",
            Self::Unhealthy => "failed",
        }
    }
}

impl CheckResult {
    fn for_text(&self, now: &Timestamp) -> String {
        human_duration(now.since(self.since))
    }
}

impl HealthPage {
    fn headline(&self) -> String {
        match score(&self.report.results) {
            Some(score) => format!("Health score: {score} of 100"),
            None => "No health score".into(),
        }
    }

    /// Time of the last check.
    fn looked_at(&self) -> Option<Timestamp> {
        self.report.results.iter().map(|r| r.timestamp).max()
    }

    /// The known parts of the strip: position, height, width and grade. Equal neighbors are joined.
    fn bars(&self) -> Vec<(usize, usize, usize, HealthGrade)> {
        let mut bars: Vec<(usize, usize, usize, HealthGrade)> = Vec::new();
        for (place, grade) in self.strip.iter().enumerate() {
            let height = match grade {
                HealthGrade::Unknown => continue,
                HealthGrade::Healthy => 8,
                HealthGrade::Warning => 16,
                HealthGrade::Unhealthy => HEIGHT,
            };
            match bars.last_mut() {
                Some((at, _, width, last)) if *last == *grade && *at + *width == place * CELL => {
                    *width += CELL
                }
                _ => bars.push((place * CELL, height, CELL, *grade)),
            }
        }
        bars
    }

    fn width() -> usize {
        STRIP_CELLS * CELL
    }

    /// The strip as text, for screen readers. Counts parts, not hours: a part has the grade of its
    /// worst moment.
    fn strip_text(&self) -> String {
        let count = |grade: HealthGrade| self.strip.iter().filter(|found| **found == grade).count();
        if count(HealthGrade::Unknown) == self.strip.len() {
            return "No data for the last 24 hours.".into();
        }
        format!(
            "Last 24 hours in 15-minute intervals, worst state of each: {} healthy, {} warning, {} unhealthy, {} unknown.",
            count(HealthGrade::Healthy),
            count(HealthGrade::Warning),
            count(HealthGrade::Unhealthy),
            count(HealthGrade::Unknown)
        )
    }

    /// The facts from the log.
    fn facts(&self) -> Vec<HealthFact> {
        let standing = &self.report.standing;
        let mut facts = Vec::new();
        let mut say = |what, words: String, at| facts.push(HealthFact { what, words, at });
        if standing.work != WorkState::Unknown {
            say("Mining", self.report.place.clone(), standing.work.since());
        }
        if let Some(upstream) = &standing.upstream {
            let why = upstream
                .why
                .as_deref()
                .map(|why| format!(", {why}"))
                .unwrap_or_default();
            let state = match upstream.state {
                crate::programs::jd_client::diagnosis::UpstreamState::Trying => "connecting",
                crate::programs::jd_client::diagnosis::UpstreamState::Connected => "connected",
                crate::programs::jd_client::diagnosis::UpstreamState::Lost => "connection lost",
                crate::programs::jd_client::diagnosis::UpstreamState::Failed => "failed",
            };
            say(
                "Pool",
                format!(
                    "{} of {}, {}: {state}{why}",
                    upstream.number, upstream.of, upstream.pool
                ),
                Some(upstream.since),
            );
        }
        if let Some(left) = &standing.pool_left {
            say("Pool problem", left.sentence(), Some(left.at));
        }
        let provider = match &standing.provider {
            ProviderState::Unknown => None,
            ProviderState::Connecting { .. } => Some("connecting".to_owned()),
            ProviderState::Connected { .. } => Some("connected".to_owned()),
            ProviderState::Lost { .. } => Some("connection lost".to_owned()),
            ProviderState::Refused { words, .. } => Some(format!("cannot be used: {words}")),
        };
        if let Some(words) = provider {
            say("Template provider", words, standing.provider.since());
        }
        let moments = [
            ("Waiting for template", standing.waiting_since),
            ("Last template", standing.template_at),
            ("Latest block on the network", standing.prev_hash_at),
            ("Last declared job", standing.declared_at),
            ("Last accepted job", standing.accepted_at),
            ("Last accepted share", standing.shares.accepted_at),
            ("Last rejected share (pool)", standing.shares.rejected_at),
            (
                "Last rejected share (client)",
                standing.shares.miners_rejected_at,
            ),
        ];
        for (what, at) in moments {
            if at.is_some() {
                say(what, String::new(), at);
            }
        }
        let said = [
            ("Job rejected", &standing.refused),
            ("Block found", &standing.block),
            ("Miner handshake failed", &standing.handshake_refused),
            ("Partial crash", &standing.panicked),
        ];
        for (what, said) in said {
            if let Some(said) = said {
                say(what, said.words.clone(), Some(said.at));
            }
        }
        facts
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn cures(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        Remediation::iter().map(|cure| {
            let is_on = self
                .report
                .cures
                .get(cure.as_str())
                .copied()
                .unwrap_or(cure.is_on_by_default());
            (cure.as_str(), cure.words(), is_on)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strip_joins_what_is_alike_and_leaves_gaps_where_nothing_is_known() {
        use HealthGrade::{Healthy, Unhealthy, Unknown};
        let instance = Instance::sample(crate::keeper::machine::InstanceState::Stopped);
        let report = HealthReport {
            status: Unknown,
            score: 0,
            results: Vec::new(),
            standing: crate::programs::jd_client::diagnosis::ClientStatus::default(),
            place: String::new(),
            cures: std::collections::BTreeMap::new(),
            setting: None,
        };
        let strip = vec![Healthy, Healthy, Unknown, Healthy, Unhealthy, Unhealthy];
        let page = HealthPage {
            instance,
            report,
            strip,
            now: Timestamp(0),
        };
        let bars = page.bars();
        assert_eq!(
            bars,
            [
                (0, 8, 16, Healthy),
                (24, 8, 8, Healthy),
                (32, HEIGHT, 16, Unhealthy)
            ]
        );
        let parts = "3 healthy, 0 warning, 2 unhealthy, 1 unknown.";
        assert_eq!(
            page.strip_text(),
            format!("Last 24 hours in 15-minute intervals, worst state of each: {parts}")
        );
        assert_eq!(page.headline(), "No health score");
    }
}
