//! Metrics: time series of every client, a week in full, then as minutes, hours and days.
//!
//! ```text
//! keeper (line counts) ─┐
//! /proc ────────────────┼─▶ sampler ─▶ samples ─▶ counters ─▶ queries ─▶ range ─▶ service ─▶ pages
//! monitoring API ───────┘   one task              increments  tables
//! ```
//!
//! Invariants: a counter is stored as increments, so sums over any time range are right, whatever
//! was restarted. The baseline is saved in the same transaction. Reading costs the
//! points returned, not the history.
//!
//! * [`model`]: names and meanings. `sampler`: the task. `samples`: from observations to samples.
//! * `translator`: the translator beside a client. `counters`: increments. `latest`: the newest values, in memory. `average`: the current
//!   hashrate.
//! * `queries`: the tables; `queries/rollup`: from one to the next. `range`: time ranges over
//!   several.
//! * `uptime`: how much of the time a client was running. `jobs`: prunes old samples.
//! * `query_params`: what a request asks for, with `chart_time` and `chart_options`. `page_builder`:
//!   pages of an instance. `comparison`: the page of several. `list_extras`: what lists show.
//! * `scrape`, `exposition`: all instances for Prometheus. `service`: the use cases.

mod average;
mod chart_options;
mod chart_time;
mod comparison;
mod counters;
mod exposition;
mod jobs;
mod latest;
mod list_extras;
pub mod model;
mod monitoring_source;
mod page_builder;
mod queries;
mod query_params;
mod range;
mod responses;
pub mod route_table;
pub mod routes;
mod sampler;
mod samples;
mod scrape;
mod service;
mod translator;
mod uptime;
pub mod views;

pub use average::{RecentHashrate, WINDOW as HASHRATE_WINDOW};
pub use chart_options::ChartOptions;
pub use jobs::{forget, schedule_pruning};
pub use latest::{LatestFigures, LatestMetrics, MonitoringState};
pub use page_builder::{REMOTE_SERIES, hashrate_chart, path as series_path, remote_chart};
pub use queries::{MetricWrite, write_samples};
pub use query_params::MetricQuery;
pub use range::{MINER_STEP, Retention};
pub use responses::TimeSeries;
pub use sampler::{ClientObservation, Sampler, SamplingRound};
pub use service::MetricService;
pub use translator::{TranslatorBoard, TranslatorObservation, TranslatorTotals};
pub use uptime::RunningShare;
