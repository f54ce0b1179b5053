//! Alerts: rules over what instances do, and messages to people when one comes to hold or is over.
//!
//! ```text
//! observations ─▶ judging ─▶ decide ─▶ words ─▶ bundle ─▶ delivery ─▶ courier ─▶ channels
//!  (of others)    holds?    is it told?        of a rule    one row for each   one at a time,
//!                                              and a moment message and channel until it is taken
//! ```
//!
//! Invariants: what a rule remembers of an instance and the deliveries that follow from it are written in one transaction, so that a
//! restart neither repeats nor forgets a notice; a raised notice is not followed by another without a cleared one between; secrets of
//! channels leave only towards their receivers.
//!
//! * [`model`]: rules, channels, observations. `kinds`: the kinds of channels. `channel_draft`, `rule_draft`: what was sent, checked.
//! * `judging`: does a condition hold. `decide`: when it is told, without a clock and I/O. `words`: in which words. `bundle`: what is told in one message.
//! * `feed`: how instances are. `watching`: observations in, notices out. [`delivery`]: notices on their way. `jobs`: what is forgotten. `service`: the use cases; `setting_aside`: those about what cannot be read.

mod channel_draft;
mod channel_kinds;
pub mod delivery;
mod display;
mod engine;
mod evaluate;
mod feed;
mod grouping;
mod jobs;
pub mod model;
pub mod openapi;
mod quarantine;
mod queries;
pub mod routes;
mod rule_draft;
#[cfg(test)]
mod samples;
mod service;
mod state_machine;
pub mod views;

pub use channel_draft::ChannelDraft;
pub use feed::Feed;
pub use model::{
    Condition, Observation, Place, Quiet, Rule, SavedChannel, Seen, Severity, Side, Silence, Standing, Trouble, Unreadable,
};
pub use queries::seal;
pub use rule_draft::RuleDraft;
pub use service::{Alerts, Everything, SILENCES};
