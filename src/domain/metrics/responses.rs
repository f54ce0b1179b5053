//! What programs alone are answered of metrics: small objects without a page. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use super::service::{self, SampleRow, SeriesPoint};
use crate::base::clock::Timestamp;

/// Samples. Not as a tree of JSON first, which a thousand of them would make large.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Samples")]
pub struct SampleRows {
    /// The newest first.
    pub metrics: Vec<SampleRow>,
}

/// A series.
#[derive(JsonSchema, Serialize)]
pub struct TimeSeries {
    /// Oldest point first.
    #[serde(rename = "timeSeries")]
    pub time_series: Vec<SeriesPoint>,
    /// The distance of points, seconds.
    pub step: i64,
}

/// What is measured of an instance.
#[derive(JsonSchema, Serialize)]
pub struct MetricTypes {
    /// Names of metrics, those without a detail first.
    #[serde(rename = "metricTypes")]
    pub metric_types: Vec<String>,
    /// How many more there are that are left out, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
}

/// For how much of the last hours an instance served miners.
#[derive(JsonSchema, Serialize)]
pub struct UptimeResponse {
    /// Percent.
    pub uptime: f64,
    /// Of so many hours.
    pub hours: u64,
    /// Where the time range begins: `hours` ago, or when the instance was created if that is later.
    pub since: Timestamp,
}

/// A stretch of a series in one row.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SeriesSummary")]
pub struct SeriesSummaryResponse {
    /// Which metric.
    pub metric_type: String,
    /// How many samples.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// Their mean; none without samples.
    pub avg: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
}

impl SeriesSummaryResponse {
    /// Of a series, or of none.
    pub fn of(metric_type: String, all: Option<service::SeriesSummary>) -> Self {
        match all {
            Some(all) => Self {
                metric_type,
                count: all.count,
                sum: all.sum,
                avg: Some(all.avg),
                min: Some(all.min),
                max: Some(all.max),
            },
            None => Self {
                metric_type,
                count: 0,
                sum: 0.0,
                avg: None,
                min: None,
                max: None,
            },
        }
    }
}
