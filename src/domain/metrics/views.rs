//! The metrics pages and their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::chart_options::{ChartOptions, INTERVALS};
use super::model::{FiguresResponse, is_worse_if_high};
use super::service::{SampleRow, SeriesPoint};
use super::uptime::RunningShare;
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::view;
use crate::web::{PageFrame, html_with};
pub use chart_group::{ChartGroup, SeriesChart};

mod chart_group;

/// The charts of a page: title, and the name and label of each series.
pub const GROUPS: &[(&str, &[(&str, &str)])] = &[
    (
        "Hashrate",
        &[
            ("hashrate_measured", "10-min average"),
            ("hashrate_1h", "1-h average"),
            ("hashrate_miners", "expected (from difficulty)"),
            ("hashrate_upstream", "reported to the pool"),
        ],
    ),
    (
        "Miner shares",
        &[
            ("shares_accepted", "accepted"),
            ("shares_rejected", "rejected"),
        ],
    ),
    (
        "Pool shares",
        &[
            ("shares_acknowledged", "acknowledged"),
            ("shares_submitted", "sent"),
            ("shares_refused", "rejected"),
        ],
    ),
    (
        "Miners and channels",
        &[
            ("miners", "miners"),
            ("translator_miners", "Stratum V1 miners"),
            ("channels_miners", "miner channels"),
            ("channels_upstream", "pool channels"),
        ],
    ),
    ("Best difficulty", &[("best_difficulty", "")]),
    ("Health", &[("health_score", "")]),
    ("CPU", &[("cpu_percent", "")]),
    (
        "Memory",
        &[
            ("memory_bytes", "used"),
            ("memory_private_bytes", "private (limited)"),
        ],
    ),
    (
        "Threads and files",
        &[("threads", "threads"), ("open_files", "open files")],
    ),
    ("Translator CPU", &[("translator_cpu_percent", "")]),
    ("Translator memory", &[("translator_memory_bytes", "")]),
    ("Translator restarts", &[("translator_restarts", "")]),
    (
        "Errors and warnings",
        &[("log_errors", "errors"), ("log_warnings", "warnings")],
    ),
];

/// A miner of an instance.
#[derive(Clone, Debug)]
pub struct MinerRow {
    /// Its name.
    pub name: String,
    /// Average hashrate in H/s; `None` if the miner is not connected.
    pub hashrate: Option<String>,
    /// Shares accepted in the time range.
    pub accepted: String,
    /// Shares rejected in the time range.
    pub rejected: String,
    /// The URL of the chart.
    pub path: String,
}

/// `/metrics/{id}`: the metrics of an instance. The JSON contains the newest samples.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "metrics/show.html", blocks = ["main", "charts"])]
pub struct MetricsPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    #[serde(skip)]
    pub(super) choice: ChartOptions,
    #[serde(skip)]
    pub(super) groups: Vec<ChartGroup>,
    #[serde(skip)]
    pub(super) miners: Vec<MinerRow>,
    /// The number of miners not listed.
    #[serde(skip)]
    pub(super) more_miners: usize,
    #[serde(skip)]
    pub(super) uptime: Option<RunningShare>,
    /// The newest samples, newest first.
    pub metrics: Vec<SampleRow>,
}
view!(MetricsPage { "main" => as_main, "charts" => as_charts });

impl MetricsPage {
    fn is_empty(&self) -> bool {
        self.groups.iter().all(ChartGroup::is_empty)
    }

    fn uptime_text(&self) -> Option<String> {
        self.uptime.and_then(|share| share.text(&self.choice))
    }
}

/// `/metrics/{id}/{type}/timeseries`: one or more series in one chart, with their data.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "metrics/series.html", blocks = ["main", "figures"])]
pub struct SeriesPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    #[serde(skip)]
    pub(super) group: ChartGroup,
    /// The interval between points, in seconds.
    pub step: i64,
    /// The first series, oldest point first.
    #[serde(rename = "timeSeries")]
    pub time_series: Vec<SeriesPoint>,
}

impl crate::web::PageView for SeriesPage {
    /// The block `figures` is loaded by the charts of a page.
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>> {
        match name {
            "main" => Some(html_with(&self.as_main(), frame)),
            name if name.starts_with("figures") => Some(html_with(&self.as_figures(), frame)),
            _ => None,
        }
    }
}

/// With more instances, the choice on the page of several instances is collapsed.
const LONG_CHOICE: usize = 24;

/// `/metrics`: several instances in one chart. The JSON contains the latest values of every instance.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "metrics/compare.html", blocks = ["main"])]
#[schemars(rename = "LatestOfAll")]
pub struct MetricsComparePage {
    #[serde(skip)]
    pub(super) choice: ChartOptions,
    #[serde(skip)]
    pub(super) metric_type: String,
    #[serde(skip)]
    pub(super) chosen: Vec<InstanceId>,
    /// The selected instances, or the worst.
    #[serde(skip)]
    pub(super) group: Option<ChartGroup>,
    /// The sum of all instances, for a metric that can be added.
    #[serde(skip)]
    pub(super) total: Option<ChartGroup>,
    /// No instance was selected, so the worst are compared.
    #[serde(skip)]
    pub(super) is_worst: bool,
    /// With data tables.
    #[serde(skip)]
    pub(super) has_table: bool,
    #[serde(skip)]
    pub(super) all: Vec<Instance>,
    /// Every instance with its latest values.
    pub instances: Vec<LatestFiguresView>,
}

impl crate::web::PageView for MetricsComparePage {
    /// The data table of a chart is loaded when it is opened.
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>> {
        if name == "main" {
            return Some(html_with(&self.as_main(), frame));
        }
        let id = name.strip_prefix("figures-")?;
        let group = self.groups().find(|group| group.id == id)?;
        Some(html_with(&FiguresFragment { group }, frame))
    }
}

/// The data table of one chart.
#[derive(Debug, Template)]
#[template(path = "metrics/figures.html")]
struct FiguresFragment<'a> {
    group: &'a ChartGroup,
}

impl MetricsComparePage {
    /// The latest values, for JSON.
    pub(super) fn latest(choice: ChartOptions, instances: Vec<LatestFiguresView>) -> Self {
        Self {
            choice,
            metric_type: String::new(),
            chosen: Vec::new(),
            group: None,
            total: None,
            is_worst: true,
            has_table: false,
            all: Vec::new(),
            instances,
        }
    }

    /// The choice of instances is collapsed if it would hide the chart.
    fn is_long(&self) -> bool {
        self.all.len() > LONG_CHOICE
    }

    /// A choice: value, text, whether it is selected.
    fn metrics(&self) -> Vec<(&'static str, &'static str, bool)> {
        let plain = super::model::CATALOGUE
            .iter()
            .filter(|metric| !metric.name.starts_with("miner_"));
        plain
            .map(|metric| (metric.name, metric.title, metric.name == self.metric_type))
            .collect()
    }

    fn ranges(&self) -> Vec<(&'static str, &'static str, bool)> {
        self.choice
            .offered()
            .map(|(name, words, _)| (*name, *words, *name == self.choice.range))
            .collect()
    }

    fn intervals(&self) -> Vec<(&'static str, &'static str, bool)> {
        INTERVALS
            .iter()
            .map(|(name, words)| (*name, *words, *name == self.choice.interval))
            .collect()
    }

    fn is_chosen(&self, id: &InstanceId) -> bool {
        !self.is_worst && self.chosen.contains(id)
    }

    /// Everything but the time range, as query parameters. Instances that were not selected are not
    /// named: others may be the worst at another time.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let chosen = self.chosen.iter().filter(|_| !self.is_worst);
        std::iter::once(("metric", self.metric_type.clone()))
            .chain(chosen.map(|id| ("ids", id.to_string())))
            .collect()
    }

    fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.pairs())
            .finish()
    }

    /// The address of the same page with data tables.
    fn data_path(&self) -> String {
        format!(
            "/metrics?{}&{}&table=true",
            self.query(),
            self.choice.query()
        )
    }

    fn groups(&self) -> impl Iterator<Item = &ChartGroup> {
        self.total.iter().chain(&self.group)
    }

    fn is_worse_if_high(&self) -> bool {
        is_worse_if_high(&self.metric_type)
    }

    fn is_named(&self) -> bool {
        !self.choice.range.is_empty()
    }
}

/// The latest values of an instance.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LatestFiguresView {
    /// The id.
    pub instance_id: InstanceId,
    /// Its name.
    pub name: String,
    /// The latest values, without metrics of individual miners.
    #[serde(flatten)]
    pub figures: FiguresResponse,
}
