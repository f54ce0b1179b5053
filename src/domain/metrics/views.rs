//! The metrics pages and their JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

use super::chart_options::{ChartOptions, INTERVALS, RANGES};
use super::model::{FiguresResponse, MetricMeasure, metric, title};
use super::service::{SampleRow, SeriesPoint, SeriesPoints, SeriesSummary};
use super::uptime::RunningShare;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::infra::chart::{Chart, ChartKind, ChartLine, ChartMark, Unit, format_value};
use crate::view;
use crate::web::{PageFrame, html_with};

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

/// A series in a chart.
#[derive(Clone, Debug)]
pub struct SeriesChart {
    /// The name of the series.
    pub metric_type: String,
    /// The label in the chart.
    pub label: String,
    /// The points.
    pub points: SeriesPoints,
    /// The summary of all points.
    pub summary: Option<SeriesSummary>,
}

impl SeriesChart {
    fn unit(&self) -> Unit {
        metric(&self.metric_type).map_or(Unit::Count, |(metric, _)| metric.unit)
    }

    fn is_counter(&self) -> bool {
        metric(&self.metric_type)
            .is_some_and(|(metric, _)| metric.measure == MetricMeasure::Counter)
    }

    fn say(&self, value: f64) -> String {
        format_value(self.unit(), value)
    }

    /// The statistics of the series: label and value.
    pub fn cards(&self) -> Vec<(&'static str, String)> {
        let Some(all) = self.summary else {
            return Vec::new();
        };
        if self.is_counter() {
            return vec![("total", self.say(all.sum))];
        }
        let current = match self.points.current {
            None => "–".to_owned(),
            Some(value) if self.metric_type == "hashrate_measured" => {
                format!("{} (10-min average)", self.say(value))
            }
            Some(value) => self.say(value),
        };
        vec![
            ("current", current),
            ("average", self.say(all.avg)),
            ("min", self.say(all.min)),
            ("max", self.say(all.max)),
        ]
    }
}

/// A chart as markup for a page. All texts in it are escaped.
struct ChartSvg(String);

impl std::fmt::Display for ChartSvg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for ChartSvg {}

/// Several series in one chart.
#[derive(Clone, Debug)]
pub struct ChartGroup {
    /// The title.
    pub title: String,
    /// The URL without the leading slash and without the part after the metric name.
    pub path: String,
    /// The other series as a query parameter with a leading `&`; empty for one series.
    pub with: String,
    /// The series.
    pub drawn: Vec<SeriesChart>,
    /// Marks, such as restarts.
    pub marks: Vec<ChartMark>,
    /// The selected time range and interval.
    pub choice: ChartOptions,
    /// The id of the element.
    pub id: String,
}

impl ChartGroup {
    /// The chart.
    pub fn chart(&self, width: u32, height: u32) -> Chart {
        let first = self.drawn.first();
        let found = first.and_then(|drawn| metric(&drawn.metric_type));
        let step = first.map_or(60, |drawn| drawn.points.step);
        let lines = self.drawn.iter().map(|drawn| ChartLine {
            label: drawn.label.clone(),
            points: drawn
                .points
                .points
                .iter()
                .map(|point| (point.timestamp.0, point.value))
                .collect(),
        });
        Chart {
            title: self.title.clone(),
            description: format!(
                "{}. Time range: {}. The table below the chart contains the data.",
                self.help(),
                self.choice.words()
            ),
            unit: first.map_or(Unit::Count, SeriesChart::unit),
            // Overlapping areas are hard to read.
            kind: if self.drawn.len() > 1 {
                ChartKind::Line
            } else {
                found.map_or(ChartKind::Line, |(metric, _)| metric.kind)
            },
            // The first bucket may start before the requested time.
            from: self.choice.from.0 - self.choice.from.0.rem_euclid(step.max(1) * 1000),
            to: self.choice.to.0,
            step: step * 1000,
            lines: lines.collect(),
            marks: self.marks.clone(),
            zone: jiff::tz::TimeZone::system(),
            width,
            height,
        }
    }

    fn inline(&self) -> ChartSvg {
        ChartSvg(self.chart(560, 200).inline(&self.id))
    }

    /// The help text without the full stop.
    fn help(&self) -> String {
        let found = self
            .drawn
            .first()
            .and_then(|drawn| metric(&drawn.metric_type));
        found.map_or_else(
            || self.title.clone(),
            |(metric, _)| metric.help.trim_end_matches('.').to_owned(),
        )
    }

    /// The interval of the points of a counter.
    fn per(&self) -> Option<String> {
        let first = self.drawn.first().filter(|drawn| drawn.is_counter())?;
        Some(format!(
            "Each point is the total for {}.",
            human_duration(Duration::from_secs(first.points.step.unsigned_abs()))
        ))
    }

    fn helps(&self) -> Vec<&'static str> {
        self.drawn
            .iter()
            .filter_map(|drawn| metric(&drawn.metric_type).map(|(metric, _)| metric.help))
            .collect()
    }

    /// The column headers of the statistics if there are several series.
    fn columns(&self) -> Vec<&'static str> {
        let widest = self
            .drawn
            .iter()
            .map(SeriesChart::cards)
            .max_by_key(Vec::len)
            .unwrap_or_default();
        widest.into_iter().map(|(words, _)| words).collect()
    }

    fn is_empty(&self) -> bool {
        self.drawn
            .iter()
            .all(|drawn| drawn.points.points.is_empty())
    }

    /// The data table, newest first: time, then label and value of each series, `–` if there is no
    /// value.
    fn rows(&self) -> Vec<(Timestamp, Vec<(&str, String)>)> {
        let mut rows: BTreeMap<Timestamp, Vec<Option<SeriesPoint>>> = BTreeMap::new();
        for (at, drawn) in self.drawn.iter().enumerate() {
            for point in &drawn.points.points {
                let row = rows
                    .entry(point.timestamp)
                    .or_insert_with(|| vec![None; self.drawn.len()]);
                row[at] = Some(*point);
            }
        }
        let say = |drawn: &SeriesChart, point: Option<SeriesPoint>| {
            point.map_or_else(|| "–".to_owned(), |point| drawn.say(point.value))
        };
        let said = |points: Vec<Option<SeriesPoint>>| {
            self.drawn
                .iter()
                .zip(points)
                .map(|(drawn, point)| (drawn.label.as_str(), say(drawn, point)))
                .collect()
        };
        rows.into_iter()
            .rev()
            .map(|(at, points)| (at, said(points)))
            .collect()
    }
}

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
    #[serde(skip)]
    pub(super) group: Option<ChartGroup>,
    #[serde(skip)]
    pub(super) all: Vec<Instance>,
    /// Every instance with its latest values.
    pub instances: Vec<LatestFiguresView>,
}
view!(MetricsComparePage { "main" => as_main });

impl MetricsComparePage {
    /// The latest values, for JSON.
    pub(super) fn latest(choice: ChartOptions, instances: Vec<LatestFiguresView>) -> Self {
        Self {
            choice,
            metric_type: String::new(),
            chosen: Vec::new(),
            group: None,
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
        RANGES
            .iter()
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
        self.chosen.contains(id)
    }

    fn headline(&self) -> String {
        title(&self.metric_type)
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

#[cfg(test)]
mod tests;
