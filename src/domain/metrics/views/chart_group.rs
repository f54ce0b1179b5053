//! Several series in one chart, with their statistics and their data table. No I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::{Timestamp, human_duration};
use crate::domain::metrics::chart_options::ChartOptions;
use crate::domain::metrics::model::{MetricMeasure, metric};
use crate::domain::metrics::service::{SeriesPoints, SeriesSummary};
use crate::infra::chart::{Chart, ChartKind, ChartLine, ChartMark, Unit, format_value};

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
        let current = self.points.current;
        let current = current.map_or_else(|| "–".to_owned(), |value| self.say(value));
        vec![
            ("current", current),
            ("average", self.say(all.avg)),
            ("min", self.say(all.min)),
            ("max", self.say(all.max)),
        ]
    }
}

/// A chart as markup for a page. All texts in it are escaped.
pub(crate) struct ChartSvg(String);

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
    /// The names of the other series, separated by commas; empty for one series.
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
            from: self.begin(),
            to: self.choice.to.0,
            step: self.step_ms(),
            lines: lines.collect(),
            marks: self.marks.clone(),
            zone: jiff::tz::TimeZone::system(),
            width,
            height,
        }
    }

    /// The start of the chart: the first bucket may start before the requested time.
    fn begin(&self) -> i64 {
        let step = self.step_ms();
        let from = self.choice.shown_from().0;
        from.saturating_sub(from.rem_euclid(step))
    }

    fn step_ms(&self) -> i64 {
        let step = self.drawn.first().map_or(60, |drawn| drawn.points.step);
        step.max(1).saturating_mul(1000)
    }

    /// As wide as half a page.
    pub(crate) fn inline(&self) -> ChartSvg {
        ChartSvg(self.chart(560, 200).inline(&self.id))
    }

    /// As wide as a page.
    pub(crate) fn wide(&self) -> ChartSvg {
        ChartSvg(self.chart(1080, 220).inline(&self.id))
    }

    /// The address of the data table.
    pub(crate) fn data_path(&self) -> String {
        let (path, query) = (&self.path, self.choice.query());
        format!("/{path}/timeseries?{query}{}", self.with_query())
    }

    /// The other series as a query parameter with a leading `&`; empty for one series.
    pub(crate) fn with_query(&self) -> String {
        if self.with.is_empty() {
            return String::new();
        }
        let further: String = form_urlencoded::byte_serialize(self.with.as_bytes()).collect();
        format!("&with={further}")
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
    pub(crate) fn per(&self) -> Option<String> {
        let first = self.drawn.first().filter(|drawn| drawn.is_counter())?;
        Some(format!(
            "Each point is the total for {}.",
            human_duration(Duration::from_secs(first.points.step.unsigned_abs()))
        ))
    }

    pub(crate) fn helps(&self) -> Vec<&'static str> {
        self.drawn
            .iter()
            .filter_map(|drawn| metric(&drawn.metric_type).map(|(metric, _)| metric.help))
            .collect()
    }

    /// The column headers of the statistics if there are several series.
    pub(crate) fn columns(&self) -> Vec<&'static str> {
        let widest = self
            .drawn
            .iter()
            .map(SeriesChart::cards)
            .max_by_key(Vec::len)
            .unwrap_or_default();
        widest.into_iter().map(|(words, _)| words).collect()
    }

    /// The average of the first series.
    pub(crate) fn average(&self) -> Option<f64> {
        Some(self.drawn.first()?.summary?.avg)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.drawn
            .iter()
            .all(|drawn| drawn.points.points.is_empty())
    }

    /// The data table, newest first: the same points as in the chart, its marks, and its gaps.
    pub(crate) fn rows(&self) -> Vec<FigureRow<'_>> {
        let mut points: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
        for (at, drawn) in self.drawn.iter().enumerate() {
            for point in &drawn.points.points {
                let row = points
                    .entry(point.timestamp.0)
                    .or_insert_with(|| vec![None; self.drawn.len()]);
                row[at] = Some(point.value);
            }
        }
        let gaps = self.gaps(points.keys().copied());
        let marks = self.marks.iter().map(|mark| FigureRow {
            at: Timestamp(mark.at),
            until: None,
            note: &mark.label,
            values: Vec::new(),
        });
        let values = points.into_iter().map(|(at, values)| FigureRow {
            at: Timestamp(at),
            until: None,
            note: "",
            values: self.texts(values),
        });
        let mut rows: Vec<FigureRow<'_>> = values.chain(gaps).chain(marks).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows
    }

    /// The label and the value of each series, `–` if there is no value.
    fn texts(&self, values: Vec<Option<f64>>) -> Vec<(&str, String)> {
        let text = |(drawn, value): (&'_ SeriesChart, Option<f64>)| {
            value.map_or_else(|| "–".to_owned(), |value| drawn.say(value))
        };
        let texts = self.drawn.iter().zip(values);
        texts
            .map(|(drawn, value)| (drawn.label.as_str(), text((drawn, value))))
            .collect()
    }

    /// The times without data, in a group that has some; by the same rule as in the chart.
    fn gaps(&self, times: impl Iterator<Item = i64>) -> Vec<FigureRow<'static>> {
        let step = self.step_ms();
        let mut gaps = Vec::new();
        let mut gap = |from: i64, to: i64| {
            gaps.push(FigureRow {
                at: Timestamp(from),
                until: Some(Timestamp(to)),
                note: "no data",
                values: Vec::new(),
            });
        };
        let mut before = None;
        for at in times {
            match before {
                None if at - self.begin() > step => gap(self.begin(), at),
                Some(before) if (at - before) * 2 > step * 3 => gap(before + step, at),
                _ => {}
            }
            before = Some(at);
        }
        // The newest point may be missing for a while.
        let end = self.choice.to.0;
        if let Some(last) = before.filter(|last| end - last > 3 * step) {
            gap(last + step, end);
        }
        gaps
    }

    /// A time as exact as the interval of the points.
    pub(crate) fn time_text(&self, at: &Timestamp) -> String {
        if self.step_ms() % 60_000 == 0 && at.0 % 60_000 == 0 {
            at.local_date_minute()
        } else {
            at.local()
        }
    }
}

/// A row of the data table: values, or a note about a mark or a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FigureRow<'a> {
    /// The time, or the start of a gap.
    pub at: Timestamp,
    /// The end of a gap.
    pub until: Option<Timestamp>,
    /// The label of a mark, or that there is no data; empty for values.
    pub note: &'a str,
    /// The label and the value of each series.
    pub values: Vec<(&'a str, String)>,
}

#[cfg(test)]
mod tests;
