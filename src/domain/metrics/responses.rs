//! JSON responses without a page. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{self, SampleRow, SeriesPoint};
use crate::base::clock::Timestamp;

/// Samples. Serialized directly, because a JSON tree of a thousand samples would be large.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Samples")]
pub struct SampleRows {
    /// Newest first.
    pub metrics: Vec<SampleRow>,
}

/// A series.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
pub struct TimeSeries {
    /// Oldest point first.
    #[serde(rename = "timeSeries")]
    pub time_series: Vec<SeriesPoint>,
    /// The interval between points, in seconds.
    pub step: i64,
}

/// The metrics of an instance.
#[derive(JsonSchema, Serialize)]
pub struct MetricTypes {
    /// The names of the metrics, those without a detail first.
    #[serde(rename = "metricTypes")]
    pub metric_types: Vec<String>,
    /// The number of names not listed, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
}

/// The uptime of an instance.
#[derive(JsonSchema, Serialize)]
pub struct UptimeResponse {
    /// Uptime as a percentage.
    pub uptime: f64,
    /// The requested time range in hours.
    pub hours: u64,
    /// The start of the time range: `hours` ago, or when the instance was created if that is later.
    pub since: Timestamp,
}

/// The summary of a series.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SeriesSummary")]
pub struct SeriesSummaryResponse {
    /// The name of the metric.
    pub metric_type: String,
    /// Number of samples.
    pub count: i64,
    /// Sum of the samples.
    pub sum: f64,
    /// Average; null without samples.
    pub avg: Option<f64>,
    /// Minimum.
    pub min: Option<f64>,
    /// Maximum.
    pub max: Option<f64>,
}

impl SeriesSummaryResponse {
    /// The summary of a series, or of no samples.
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
