//! The overview and the configuration of an instance, which are also their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::config_summary::ConfigSummaryView;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::ConfigId;
use crate::base::units::{Unit, format_value};
use crate::domain::configs::ClientVersion;
use crate::domain::instances::{Instance, InstanceEvent, MinerAddress, MinerProtocol};
use crate::domain::metrics::RunningShare;
use crate::domain::metrics::views::ChartGroup;
use crate::domain::miners::model::Miner;
use crate::view;

/// `/instances/{id}`: the overview of an instance. The JSON contains the instance.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "overview/show.html", blocks = ["main", "numbers", "chart", "miners"])]
#[schemars(rename = "InstanceInFull")]
pub struct InstancePage {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    #[serde(flatten)]
    pub(super) summary: ConfigSummaryView,
    #[serde(skip)]
    pub(super) parts: OverviewParts,
}
view!(InstancePage { "main" => as_main, "numbers" => as_numbers, "hashrate" => as_chart, "miners" => as_miners });

/// What only the page of an overview shows.
#[derive(Debug, Default)]
pub struct OverviewParts {
    /// The hashrate of the last day.
    pub chart: Option<ChartGroup>,
    /// The first miners by name.
    pub miners: Vec<Miner>,
    /// The number of all miners.
    pub miner_total: u64,
    /// Miners without a channel or with many rejected shares.
    pub in_trouble: u64,
    /// The uptime of the last month.
    pub uptime: Option<RunningShare>,
    /// The newest events, newest first.
    pub events: Vec<InstanceEvent>,
    /// The current time.
    pub now: Timestamp,
}

/// One of the numbers at the top: label, value and a line of details.
struct OverviewNumber {
    label: &'static str,
    value: String,
    details: String,
}

impl InstancePage {
    /// The four numbers.
    fn numbers(&self) -> [OverviewNumber; 4] {
        let (i, parts) = (&self.instance, &self.parts);
        let hashrate = |rate: Option<f64>| {
            rate.map_or_else(
                || "–".to_owned(),
                |rate| format_value(Unit::HashesPerSecond, rate),
            )
        };
        let day = parts.chart.as_ref().and_then(ChartGroup::average);
        let day = day.or(i.hashrate_24h);
        let count = |count: Option<u64>| {
            count.map_or_else(
                || "–".to_owned(),
                |count| format_value(Unit::Count, count as f64),
            )
        };
        [
            OverviewNumber {
                label: "Hashrate (10 min)",
                value: hashrate(i.hashrate),
                details: format!("1 h {} · 24 h {}", hashrate(i.hashrate_1h), hashrate(day)),
            },
            OverviewNumber {
                label: "Accepted shares (24 h)",
                value: count(i.shares_accepted_24h),
                details: self.rejected_text(),
            },
            OverviewNumber {
                label: "Miners",
                value: count(i.miner_count),
                details: match (i.miner_count, parts.in_trouble) {
                    (None, _) if !i.running => "not running".into(),
                    (None, _) => "no data yet".into(),
                    (Some(_), 0) => "connected".into(),
                    (Some(_), 1) => "connected · 1 with a problem".into(),
                    (Some(_), more) => format!("connected · {more} with problems"),
                },
            },
            OverviewNumber {
                label: "Uptime",
                value: i.start_time.map_or_else(
                    || "–".into(),
                    |at| human_duration(parts.now.since(Timestamp(at))),
                ),
                details: parts
                    .uptime
                    .map(|share| share.brief_text(parts.now))
                    .unwrap_or_default(),
            },
        ]
    }

    /// Rejected shares, and their part of all.
    fn rejected_text(&self) -> String {
        let i = &self.instance;
        let (Some(accepted), Some(rejected)) = (i.shares_accepted_24h, i.shares_rejected_24h)
        else {
            return "no data yet".into();
        };
        let all = accepted.saturating_add(rejected);
        let share = match all {
            0 => 0.0,
            all => 100.0 * rejected as f64 / all as f64,
        };
        let count = format_value(Unit::Count, rejected as f64);
        format!("{count} rejected ({share:.2}%)")
    }

    /// The number of miners that are not listed.
    fn more_miners(&self) -> u64 {
        let shown = u64::try_from(self.parts.miners.len()).unwrap_or_default();
        self.parts.miner_total.saturating_sub(shown)
    }

    /// The page of an instance on another host, from the JSON there.
    pub fn remote(instance: Instance, addresses: Vec<MinerAddress>, parts: OverviewParts) -> Self {
        Self {
            instance,
            summary: ConfigSummaryView {
                addresses,
                ..ConfigSummaryView::default()
            },
            parts,
        }
    }

    /// The path of the QR codes of its addresses; empty: there are none of instances on other hosts.
    fn image_path(&self) -> String {
        match &self.instance.host {
            Some(_) => String::new(),
            None => self.instance.path(),
        }
    }

    /// The address of the data of a chart.
    fn data_path(&self, chart: &ChartGroup) -> String {
        match &self.instance.host {
            Some(_) => self.instance.metrics_path(),
            None => chart.data_path(),
        }
    }

    /// The chart of a miner; none of a miner on another host.
    fn chart_path(&self, miner: &Miner) -> Option<String> {
        let instance = &self.instance;
        miner
            .chart_path(&instance.id)
            .filter(|_| instance.host.is_none())
    }

    fn newest_event(&self) -> i64 {
        self.parts.events.first().map_or(0, |event| event.id)
    }

    fn warnings_text(&self) -> Option<String> {
        match self.summary.doubts.list().len() {
            0 => None,
            1 => Some("There is 1 warning about the configuration.".into()),
            more => Some(format!(
                "There are {more} warnings about the configuration."
            )),
        }
    }
}

/// `/instances/{id}/configuration`: the configuration of an instance, and its files.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "overview/configuration.html", blocks = ["main", "status"])]
#[schemars(rename = "InstanceConfiguration")]
pub struct ConfigurationPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    /// The id of the saved configuration.
    pub config_id: ConfigId,
    /// Its name.
    pub name: String,
    /// Its latest revision.
    pub revision: i32,
    /// The revision that the current client was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_revision: Option<i32>,
    #[serde(flatten)]
    pub(super) summary: ConfigSummaryView,
    /// The client version that the file is for.
    #[serde(rename = "client_version")]
    pub version: ClientVersion,
    /// The client's configuration file of the latest revision, without secrets; absent if this
    /// version cannot run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The same for the translator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translator_file: Option<String>,
}
view!(ConfigurationPage { "main" => as_main, "status" => as_status });
