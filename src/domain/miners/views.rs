//! The page of miners, which is also its JSON. No I/O here.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::Miner;
use super::series;
use super::service::{MinerPart, MinerService};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::units::{Unit, format_value};
use crate::domain::instances::Instance;
use crate::domain::metrics;
use crate::view;

/// `/instances/{id}/miners` and `/miners`.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "miners/list.html", blocks = ["main", "miners"])]
#[schemars(rename = "Miners")]
pub struct MinersPage {
    /// The instance; none: all of them.
    #[serde(skip)]
    pub(super) instance: Option<Instance>,
    /// Miners that have many rejected shares, no channel, or are offline come first, then the
    /// others; each group by hashrate.
    pub miners: Vec<Miner>,
    /// How many miners there are in the whole list.
    pub total: u64,
    /// Miners that are connected and not listed: 1,000 are kept for each instance. Their shares
    /// count in the totals of the instance.
    pub unlisted: u64,
    /// The `offset` of the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    #[serde(skip)]
    limit: u64,
    #[serde(skip)]
    offset: u64,
    #[serde(skip)]
    now: Timestamp,
}
view!(MinersPage { "main" => as_main, "miners" => as_miners });

impl MinersPage {
    /// The part of a list that begins at `offset`.
    pub(super) fn new(
        instance: Option<Instance>,
        part: MinerPart,
        (limit, offset): (u64, u64),
        now: Timestamp,
    ) -> Self {
        let count = u64::try_from(part.miners.len()).unwrap_or_default();
        let end = offset.saturating_add(count);
        Self {
            instance,
            next: (count > 0 && end < part.total).then_some(end),
            miners: part.miners,
            total: part.total,
            unlisted: part.unlisted,
            limit,
            offset,
            now,
        }
    }

    fn path(&self) -> String {
        match &self.instance {
            Some(instance) => format!("/instances/{}/miners", instance.id),
            None => "/miners".into(),
        }
    }

    /// What is shown of the whole list; empty if it is all.
    fn part_text(&self) -> String {
        if self.offset == 0 && self.next.is_none() {
            return String::new();
        }
        let count = u64::try_from(self.miners.len()).unwrap_or_default();
        let end = self.offset.saturating_add(count);
        format!(
            "Miners {} to {end} of {}. ",
            self.offset.saturating_add(1).min(end),
            self.total
        )
    }

    fn unlisted_text(&self) -> String {
        let most = MinerService::MOST;
        match self.unlisted {
            0 => String::new(),
            1 => format!(
                "1 more miner is connected but not listed. jd-manager lists up to {most} miners per instance. The totals of an instance include all miners."
            ),
            more => format!(
                "{more} more miners are connected but not listed. jd-manager lists up to {most} miners per instance. The totals of an instance include all miners."
            ),
        }
    }

    /// The path of the chart of a miner's hashrate; none for a miner without a name, which has no
    /// history.
    fn chart_path(&self, miner: &Miner) -> Option<String> {
        let instance = self.instance.as_ref().map(|instance| instance.id);
        let id = instance.or(miner.instance_id)?;
        let detail = series::detail(&miner.name, &miner.address);
        (!miner.name.is_empty()).then(|| {
            let series = metrics::series_path(id, &format!("miner_hashrate:{detail}"));
            format!("/{series}/timeseries?range=24h")
        })
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }
}

impl Miner {
    /// The hashrate for people; none if nothing is known yet.
    fn hashrate_text(&self) -> Option<String> {
        (self.settled || self.hashrate > 0.0)
            .then(|| format_value(Unit::HashesPerSecond, self.hashrate))
    }

    /// Accepted shares of today, and the rejected ones.
    fn shares_text(&self) -> String {
        let count = |shares: u64| format_value(Unit::Count, shares as f64);
        format!(
            "{} / {}",
            count(self.shares_accepted),
            count(self.shares_rejected)
        )
    }

    fn total_text(&self) -> String {
        let reasons: Vec<String> = self
            .rejected_by_reason
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let reasons = match reasons.is_empty() {
            true => String::new(),
            false => format!(" ({})", reasons.join(", ")),
        };
        format!(
            "All time: {} accepted, {} rejected{reasons}",
            self.shares_accepted_total, self.shares_rejected_total
        )
    }

    fn protocol_text(&self) -> &'static str {
        match self.protocol {
            crate::domain::instances::MinerProtocol::V1 => "Stratum V1",
            crate::domain::instances::MinerProtocol::V2 => "Stratum V2",
        }
    }

    fn name_text(&self) -> &str {
        if self.name.is_empty() {
            "(no name)"
        } else {
            &self.name
        }
    }
}
