//! Health: whether an instance does its work, what keeps it from that, and the cures that are safe to try.
//!
//! Data goes one way: the log (read again and again by `reader`) becomes a [`crate::programs::jd_client::diagnosis::Standing`]; this, the instance, its samples and
//! its file are a `snapshot::Look`; the checks make findings of it, which are kept, shown and acted upon. Must not know who is told of it.
//!
//! * [`model`]: checks, grades and the score. `checks`: what is to be said of a look. `cures`: when a cure may be tried. All pure.
//! * `look`: what an instance is judged by. `running`: what the running client was told. `reader`: one log. `caretaker`: the task; `healing`: what it does; `spreading`: that not all of it is done at once. `service`: the use cases;
//!   `past`: those about what was. `gathering`: what a look needs. `telling`: what others are told.
//! * `jobs`: what is forgotten and when.

mod checks;
mod collect;
mod history;
mod jobs;
mod log_reader;
pub mod model;
mod monitor;
pub mod openapi;
mod queries;
mod remediation;
pub mod remediation_policy;
mod reporting;
mod responses;
pub mod routes;
mod running_config;
mod service;
mod snapshot;
mod stagger;
pub mod views;

pub use jobs::forget_daily;
pub use monitor::Caretaker;
pub use service::{Health, Report};
pub use snapshot::Latest;
