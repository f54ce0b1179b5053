//! The page of miners, which is also its JSON. No I/O here.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use super::model::{Miner, MinerFilter, MinerState};
use super::series;
use super::service::{MinerPart, MinerService};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::InstanceId;
use crate::base::units::{Unit, format_value};
use crate::domain::instances::{Instance, MinerProtocol, rejected_text};
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
    #[serde(skip)]
    filter: MinerFilter,
    /// Sorted by name, then by address, protocol and instance.
    pub miners: Vec<Miner>,
    /// How many miners pass the filter.
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
    pub fn new(
        instance: Option<Instance>,
        filter: MinerFilter,
        part: MinerPart,
        (limit, offset): (u64, u64),
        now: Timestamp,
    ) -> Self {
        let count = u64::try_from(part.miners.len()).unwrap_or_default();
        let end = offset.saturating_add(count);
        Self {
            instance,
            filter,
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
            Some(instance) => format!("{}/miners", instance.path()),
            None => "/miners".into(),
        }
    }

    fn is_filtered(&self) -> bool {
        self.filter.protocol.is_some() || self.filter.state.is_some()
    }

    /// The part of the address that repeats the filter.
    fn filter_query(&self) -> String {
        let protocol = self.filter.protocol.map(MinerProtocol::as_str);
        let state = self.filter.state.map(MinerState::as_str);
        let all = [("protocol", protocol), ("state", state)];
        let given = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        given
            .map(|(name, value)| format!("&{name}={value}"))
            .collect()
    }

    /// The protocols to choose from, each with its title, and whether it is chosen.
    fn protocols(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let chosen = self.filter.protocol;
        [MinerProtocol::V1, MinerProtocol::V2]
            .into_iter()
            .map(move |one| (one.as_str(), one.title(), chosen == Some(one)))
    }

    /// The same for states.
    fn states(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let chosen = self.filter.state;
        MinerState::iter().map(move |one| (one.as_str(), one.text(), chosen == Some(one)))
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

    /// The path of the chart of a miner.
    fn chart_path(&self, miner: &Miner) -> Option<String> {
        if self.instance.as_ref().is_some_and(|one| one.host.is_some()) {
            return None;
        }
        let instance = self.instance.as_ref().map(|instance| instance.id);
        miner.chart_path(&instance.or(miner.instance_id)?)
    }
}

impl Miner {
    /// The path of the chart of its hashrate; none for a miner without a name, which has no history.
    pub(crate) fn chart_path(&self, id: &InstanceId) -> Option<String> {
        let detail = series::detail(&self.name, &self.address);
        (!self.name.is_empty()).then(|| {
            let series = metrics::series_path(*id, &format!("miner_hashrate:{detail}"));
            format!("/{series}/timeseries?range=24h")
        })
    }

    /// How long ago its last accepted share was counted.
    pub(crate) fn last_share_text(&self, now: &Timestamp) -> String {
        self.last_share_at
            .map_or_else(String::new, |at| human_duration(now.since(at)))
    }

    /// The hashrate for people; none if nothing is known yet.
    pub(crate) fn hashrate_text(&self) -> Option<String> {
        (self.settled || self.hashrate > 0.0)
            .then(|| format_value(Unit::HashesPerSecond, self.hashrate))
    }

    /// A connected miner whose first accepted share is still missing.
    fn awaits_share(&self) -> bool {
        self.state == MinerState::Mining && self.counted && self.shares_accepted_total == 0
    }

    /// The state for people.
    pub(crate) fn state_text(&self) -> &'static str {
        if self.awaits_share() {
            "mining, no share yet"
        } else {
            self.state.text()
        }
    }

    /// What the state means and what to do about it; empty if nothing is wrong.
    pub(crate) fn advice(&self) -> &'static str {
        if self.awaits_share() {
            "Connected, with a channel. A miner with a low hashrate can need several minutes for its first accepted share."
        } else {
            self.state.advice()
        }
    }

    /// Its shares were never counted. Earlier counts remain when the counting ends.
    const fn has_no_counts(&self) -> bool {
        !self.counted && self.shares_accepted_total == 0 && self.shares_rejected_total == 0
    }

    /// Accepted shares of today.
    pub(crate) fn shares_text(&self) -> String {
        if self.has_no_counts() {
            return "–".into();
        }
        format_value(Unit::Count, self.shares_accepted as f64)
    }

    /// Rejected shares of today; none if there are none.
    pub(crate) fn rejected_text(&self) -> Option<String> {
        (self.shares_rejected > 0).then(|| rejected_text(self.shares_rejected as f64))
    }

    pub(crate) fn total_text(&self) -> String {
        if self.has_no_counts() {
            return "Unknown: the shares of this miner are not counted individually.".into();
        }
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

    /// The protocol as a column has space for it.
    const fn short_protocol(&self) -> &'static str {
        match self.protocol {
            MinerProtocol::V1 => "V1",
            MinerProtocol::V2 => "V2",
        }
    }

    pub(crate) fn protocol_text(&self) -> &'static str {
        self.protocol.title()
    }

    pub(crate) fn name_text(&self) -> &str {
        if self.name.is_empty() {
            "(no name)"
        } else {
            &self.name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_miner_without_a_share_is_told_apart_from_one_whose_shares_are_unknown() {
        let waiting = Miner {
            instance_id: None,
            instance_name: None,
            name: "rig".into(),
            protocol: MinerProtocol::V1,
            address: "192.0.2.7".into(),
            hashrate: 0.0,
            settled: false,
            counted: true,
            shares_accepted: 0,
            shares_rejected: 0,
            shares_accepted_total: 0,
            shares_rejected_total: 0,
            rejected_by_reason: BTreeMap::new(),
            last_share_at: None,
            connected_since: Some(Timestamp(1)),
            offline_since: None,
            state: MinerState::Mining,
        };
        let uncounted = Miner {
            counted: false,
            ..waiting.clone()
        };
        let mining = Miner {
            shares_accepted_total: 1,
            ..waiting.clone()
        };
        let stuck = Miner {
            state: MinerState::NoChannel,
            ..waiting.clone()
        };
        let shown = [&waiting, &uncounted, &mining, &stuck]
            .map(|miner| (miner.state_text(), miner.shares_text()));
        assert_eq!(
            shown,
            [
                ("mining, no share yet", "0".to_owned()),
                ("mining", "–".to_owned()),
                ("mining", "0".to_owned()),
                ("no channel", "0".to_owned()),
            ]
        );
        assert!(waiting.advice().contains("first accepted share"));
        assert!(uncounted.total_text().starts_with("Unknown"));
    }
}
