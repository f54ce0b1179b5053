//! The routes of metrics: operation, role, audit text and handler of each.

use super::chart_options::RANGES;
use super::model::FiguresResponse;
use super::responses::{
    MetricTypes, SampleRows, SeriesSummaryResponse, TimeSeries, UptimeResponse,
};
use super::routes::{self, MetricsRoutesState};
use super::views::MetricsComparePage;
use crate::web::openapi::{
    ApiOperation, CSV, HTML, JSON, PROGRAMS, RequestField, RouteTable, RouterState, STREAM, TEXT,
    flag, get, list, moment, one_of, shape, text, whole,
};
use axum::extract::FromRef;

fn time() -> Vec<RequestField> {
    let names: Vec<&str> = RANGES.iter().map(|(name, ..)| *name).collect();
    vec![
        one_of("range", "The time range up to now.", &names),
        moment(
            "from",
            "The start of the time range. Also without a time zone, for that of jd-manager: `2026-11-22 14:00` or `2026-11-22`.",
        ),
        moment(
            "to",
            "The end of the time range, in the same formats. A date includes the whole day.",
        ),
        one_of(
            "interval",
            "The interval between points. Default: the shortest that gives at most 1,000 points, in charts 400.",
            &["minute", "hour", "day"],
        ),
        whole("limit", "Maximum number of points, newest first.", 1, 1000),
    ]
}

fn with() -> RequestField {
    text(
        "with",
        "More of the instance's metrics, separated by commas.",
    )
    .like("shares_rejected")
}

/// An operation on a series.
fn series(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    get(path, name, summary).named(text("type", "The name of a metric.").like("hashrate_miners"))
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    MetricsRoutesState: FromRef<S>,
{
    let scraped: &[&str] = &[JSON, HTML, "application/openmetrics-text", TEXT];
    RouteTable::new()
.add(get("/metrics", "getMetrics", "Returns the latest metrics of all instances. Prometheus formats also include jd-manager's own metrics.")
            .asks([text("metric", "HTML only: the metric in the chart.").or("hashrate_measured"), list("ids", "HTML only: the instances in the chart. Default: the 8 with the worst values."), flag("table", "HTML only: show the data as tables.")])
            .asks(time())
            .answer(200, "The latest metrics.", scraped, Some(shape::<MetricsComparePage>())), routes::compare)
.add(get("/metrics/{id}", "listSamples", "Returns the newest samples of an instance, newest first.")
            .about("As an event stream: an event `metrics` with the latest values after each round of samples. As HTML: charts.")
            .asks([text("metric_type", "Only this metric.").like("hashrate_miners")])
            .asks(time().into_iter().map(|field| if field.name == "limit" { field.or(100) } else { field }))
            .answer(200, "The samples.", &[JSON, HTML, STREAM, CSV], Some(shape::<SampleRows>())), routes::show)
.add(get("/metrics/{id}/latest", "getLatestFigures", "Returns the latest values of an instance.").gives::<FiguresResponse>(PROGRAMS), routes::latest)
.add(get("/metrics/{id}/types", "listMetricTypes", "Returns the names of all metrics for an instance.").gives::<MetricTypes>(PROGRAMS), routes::types)
.add(get("/metrics/{id}/uptime", "getUptime", "Returns the uptime of an instance, as a percentage.")
            .asks([whole("hours", "The time range in hours, up to now.", 1, 87_600).or(24)])
            .gives::<UptimeResponse>(PROGRAMS), routes::uptime)
.add(series("/metrics/{id}/{type}/summary", "getSummary", "Returns count, sum, average, min and max of a series.")
            .asks([moment("since", "The start of the time range. Default: all data.")])
            .gives::<SeriesSummaryResponse>(PROGRAMS), routes::summary)
.add(series("/metrics/{id}/{type}/timeseries", "getTimeSeries", "Returns the points of a series, oldest first.")
            .asks(time())
            .asks([with()])
            .answer(200, "The points.", &[JSON, HTML, CSV], Some(shape::<TimeSeries>())), routes::timeseries)
.add(series("/metrics/{id}/{type}/timeseries.csv", "downloadTimeSeries", "Downloads the points of one or more series as CSV.")
            .asks(time())
            .asks([with()])
            .gives_file(&[CSV]), routes::csv)
.add(series("/metrics/{id}/{type}/chart", "getChart", "Returns a chart of one or more series as SVG.")
            .asks(time())
            .asks([with(), whole("width", "Width in pixels.", 160, 4000).or(900), whole("height", "Height in pixels.", 80, 2000).or(280)])
            .gives_file(&["image/svg+xml"])
            .answer(304, "The chart has not changed.", &[], None), routes::chart)
}
