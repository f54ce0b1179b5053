//! The logs of instances, of one or of several merged by time: pages, downloads and live streams.
//!
//! Logs are stored only in files. The sequence number of a record is its offset in the log, so paging
//! and resuming survive restarts.
//!
//! * [`offset`]: which program's log is meant, and places in logs. [`scope`]: the logs of a view. `query`:
//!   the parameters of a request.
//! * `merge`: parts of several logs by time. `followers`: several live. `download`: several as one text.
//! * `service`: the use cases. `views`, `routes`, `route_table`: pages and API.

mod download;
mod followers;
mod merge;
pub mod offset;
mod query;
pub mod route_table;
pub mod routes;
pub mod scope;
mod service;
pub mod views;

pub use offset::LogSelection;
pub use scope::LogScope;
pub use service::{LogPosition, LogService};
