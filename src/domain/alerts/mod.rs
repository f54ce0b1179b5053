//! Alerts: rules about instances and hosts, and messages to people when a condition starts or ends.
//!
//! ```text
//! feed ─────▶ evaluate ─▶ state_machine ─▶ display ─▶ grouping ─▶ delivery ─────▶ channels
//!  obser-      holds?      notify now?      text       one         one row per    one at a time,
//!  vations                                             message     message and    until accepted
//!                                                      per rule    channel
//! ```
//!
//! Invariants: what a rule remembers of an instance or host and the deliveries that follow from it
//! are written in one transaction, so a restart neither repeats nor loses a notification. Between two
//! raised notifications there is a cleared one. A channel's secrets go to its receiver only.
//!
//! * [`model`]: rules, channels, active alerts. `observation`: instances and hosts as observed.
//!   `channel_kinds`: the kinds of channels.
//! * `channel_draft`, `rule_draft`: what was sent, checked.
//! * `evaluate`: does a condition hold. `state_machine`: when to notify; no clock, no I/O.
//! * `display`: texts. `incident`: which rules report the same. `grouping`: one message for many
//!   instances or hosts. `posting`: how long it is held.
//! * `feed`: collects observations. `engine`: observations in, notifications out.
//! * [`delivery`]: sends messages and retries. `jobs`: prunes old deliveries.
//! * `service`: the use cases. `quarantine`: rows that cannot be read.

mod channel_draft;
mod channel_kinds;
pub mod delivery;
mod display;
mod engine;
mod evaluate;
mod feed;
mod grouping;
mod incident;
mod jobs;
pub mod model;
mod observation;
mod posting;
mod quarantine;
mod queries;
pub mod route_table;
pub mod routes;
mod rule_draft;
#[cfg(test)]
mod samples;
mod service;
mod state_machine;
pub mod views;

pub use channel_draft::ChannelDraft;
pub use feed::AlertFeed;
pub use model::{
    ActiveAlert, AlertRowId, AlertRule, AlertSeverity, InstanceProblem, QuietHours, RuleCondition,
    SavedChannel, ThresholdSide, UnreadableAlertRow,
};
pub use observation::{InstanceObservation, ObservedCheck};
pub use queries::seal;
pub use rule_draft::RuleDraft;
pub use service::{AlertOverview, Alerts};
