//! Updates: which clients there are, which are installed, which is in use, and how one gets from one to another without being left without.
//!
//! Invariants: what is installed is never changed, only added and removed; a client comes into `clients/` by one rename, complete and tried, or not
//! at all; one comes into use only after it has shown on an instance that it works, and what does not work there goes back by itself. One
//! piece of work at a time. Whatever is killed when, the next start finds a client that runs and says what became of the work.
//!
//! * [`model`]: releases, manifests, jobs. `tags`: release tags and client versions, which count differently. `github`: what the release API says. All pure.
//! * `store`: the directory of installed clients. `obtain`: where clients come from. `install`: the way of one into the store.
//! * `switch`: instances from one version to another, one after the other; `gate`: whether one has come up well; `going_back`: what is done if not.
//! * `board`: the piece of work under way. `service`: the use cases, those of `installing`, of `planning` a switch and of `taking_over` among them; `receiving`: files that come with a request; `orders`: what is asked for. `checking`: what is new. `calendar`: what happens by itself.

mod github;
mod health_gate;
mod job_tracker;
mod jobs;
pub mod openapi;
mod release_check;
mod responses;
mod revert;

mod install;
pub mod model;
mod plan;
mod queries;
mod recovery;
mod requests;
pub mod routes;
mod service;
mod settings;
mod source;
mod store;
mod switch;
mod tags;
mod upload;
pub mod views;

pub use jobs::begin;
pub use service::{Place, Updates};
pub use tags::client_of_tag;
