//! Mutes: an instance, a tag, a rule or everything sends no notifications for a while.
//!
//! A mute stops messages only: alerts still start and end, and pages show them. A problem that lasts
//! beyond the mute is reported at its end; one that started and ended meanwhile is not. The alerts
//! decide that (`alerts/state_machine.rs`). Here is what is muted, from when until when, and why.
//!
//! * [`model`]: mutes, and which of them apply; no I/O. `draft`: what was sent, checked.
//! * `service`: the use cases. `queries`: the table.

mod draft;
pub mod model;
mod queries;
mod service;

pub use draft::{MuteDraft, mute_durations, mute_fields};
pub use model::{ActiveMute, Mute, MuteScope, MuteSet, MuteState};
pub use queries::lasting as lasting_mutes;
pub use service::MuteService;
