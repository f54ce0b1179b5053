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
    get, list, moment, one_of, shape, text, whole,
};
use axum::extract::FromRef;

fn time() -> Vec<RequestField> {
    let names: Vec<&str> = RANGES.iter().map(|(name, ..)| *name).collect();
    vec![
        one_of("range", "So long up to now.", &names),
        moment("from", "From this moment on."),
        moment("to", "Up to this moment."),
        one_of(
            "interval",
            "The distance of points; without it as fine as 1,000 points allow.",
            &["minute", "hour", "day"],
        ),
        whole("limit", "The newest so many points.", 1, 1000),
    ]
}

fn with() -> RequestField {
    text("with", "Further metrics of the instance, with commas.").like("shares_rejected")
}

/// An operation on one series.
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
.add(get("/metrics", "getMetrics", "The latest figures of every instance; for Prometheus, in its formats, those of jd-manager besides.")
            .asks([text("metric", "For people: which metric is drawn.").or("hashrate_miners"), list("ids", "For people: of these instances.")])
            .asks(time())
            .answer(200, "The figures.", scraped, Some(shape::<MetricsComparePage>())), routes::compare)
.add(get("/metrics/{id}", "listSamples", "The newest samples of an instance, newest first.")
            .about("As an event stream: an event `metrics` with the latest figures after each round of samples. As a page: its charts.")
            .asks([text("metric_type", "Only of this metric.").like("hashrate_miners")])
            .asks(time().into_iter().map(|field| if field.name == "limit" { field.or(100) } else { field }))
            .answer(200, "The samples.", &[JSON, HTML, STREAM, CSV], Some(shape::<SampleRows>())), routes::show)
.add(get("/metrics/{id}/latest", "getLatestFigures", "The latest figures of an instance.").gives::<FiguresResponse>(PROGRAMS), routes::latest)
.add(get("/metrics/{id}/types", "listMetricTypes", "What is measured of an instance.").gives::<MetricTypes>(PROGRAMS), routes::types)
.add(get("/metrics/{id}/uptime", "getUptime", "For how much of the last hours an instance served miners, per cent.")
            .asks([whole("hours", "Of so many hours.", 1, 87_600).or(24)])
            .gives::<UptimeResponse>(PROGRAMS), routes::uptime)
.add(series("/metrics/{id}/{type}/summary", "getSummary", "A series from a moment on in one row.")
            .asks([moment("since", "From then on; without it all there is.")])
            .gives::<SeriesSummaryResponse>(PROGRAMS), routes::summary)
.add(series("/metrics/{id}/{type}/timeseries", "getTimeSeries", "The points of a series, oldest first.")
            .asks(time())
            .asks([with()])
            .answer(200, "The points.", &[JSON, HTML, CSV], Some(shape::<TimeSeries>())), routes::timeseries)
.add(series("/metrics/{id}/{type}/timeseries.csv", "downloadTimeSeries", "The points of series as a table, for a link.")
            .asks(time())
            .asks([with()])
            .gives_file(&[CSV]), routes::csv)
.add(series("/metrics/{id}/{type}/chart", "getChart", "A chart of series as a picture.")
            .asks(time())
            .asks([with(), whole("width", "Its width, pixels.", 160, 4000).or(900), whole("height", "Its height, pixels.", 80, 2000).or(280)])
            .gives_file(&["image/svg+xml"])
            .answer(304, "The picture you have is still the same.", &[], None), routes::chart)
}
