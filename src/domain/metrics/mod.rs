//! Metrics: what every client did, as series of samples, for a week in full and for good in hours and days.
//!
//! ```text
//! keeper (lines) ─┐
//! /proc ──────────┼─▶ sampler ─▶ counting ─▶ queries ─▶ range ─▶ service ─▶ views, routes
//! monitoring API ─┘   one task    increments   samples, roll-ups
//! ```
//!
//! Invariants: a counter's values are increments, so that sums over any stretch are right whatever was restarted; what they are counted from
//! is saved in the same transaction as they are; a reading costs the points it returns, not the history there is.
//!
//! * [`model`]: names and meanings. `counting`: from readings to samples. `sampler`: the task; `taking`: what it
//!   makes of an instance. `jobs`: what is forgotten and when.
//!   `measured`: the newest figures, in memory. `average`: the hashrate of the last ten minutes.
//!   `uptime`: for how much of the time a client was running.
//! * `asked`: what a request wants. `board`: pages put together. `glancing`: what lists show.
//! * `queries`: the tables, and from one to the other. `range`: stretches over several tables. `service`: the use cases.
//! * `scraping`: the figures of all instances at once. `exposition`: these as Prometheus reads them.

mod average;
mod chart_options;
mod counters;
mod exposition;
mod jobs;
mod latest;
mod list_extras;
pub mod model;
pub mod openapi;
mod page_builder;
mod queries;
mod query_params;
mod range;
mod responses;
pub mod routes;
mod sampler;
mod samples;
mod scrape;
mod service;
mod uptime;
pub mod views;

pub use jobs::{forget, forget_nightly};
pub use latest::{Answered, Board, Measured};
pub use range::Keep;
pub use sampler::Sampler;
pub use service::Metrics;
