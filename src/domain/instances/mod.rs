//! Instances: named clients that the user wants to run, each under its own keeper.
//!
//! Invariants:
//!
//! * An instance has at most one client (its keeper's lock).
//! * The desired state is stored before a start and after a stop.
//! * An event is written to the keeper's journal first, and copied into the history exactly once.
//! * A state shown as running was reported by a running keeper.
//!
//! Files:
//!
//! * `supervisor`: the tasks of all instances. `commands`: the commands of a task. `task`: the task
//!   of one instance, which starts keepers and talks to them. `conversation`: its connection.
//! * `preparation`: writes the files for a start. [`program`]: the client program and its version.
//!   `ports`: free ports, and other ports for a second instance of a configuration.
//! * `service`: the use cases. `deletion`: deleting. `draft`: request bodies. `tags`: the tags of an
//!   instance. `tag_change`: adds and removes them.
//! * [`model`], `history`, `display`: instances and events, and their text. `client_marks`: starts and
//!   updates, for charts. [`streams`]: live
//!   updates, shared by their readers (`stream_keys`).
//! * `config_trial`: does a client accept a configuration. `node_trial`: does a node accept a client.
//!   `miner_address`: addresses for miners. `network`: the addresses and the name of this machine.
//! * `availability`: free names and ports for new instances. `versions`: the client version of an
//!   instance.
//! * [`list_page`]: lists. `list_query`: their parameters, `list_filter`: which instances. `list_groups`:
//!   groups with sums. `list_view`:
//!   the page and its JSON. `list_stream`: live updates. [`list_cache`]: responses as bytes.
//!   `filter_choices`: what the page offers to filter by. `remote_instances`: those of other hosts.
//!   `list_extras`: values of other domains for lists. `state_strip`, `state_history`, `state_feed`:
//!   the states of the last day.

mod availability;
mod client_marks;
mod commands;
mod config_trial;
mod conversation;
mod deletion;
mod display;
mod displayed_list;
mod draft;
mod filter_choices;
mod history;
pub mod list_cache;
mod list_extras;
mod list_filter;
mod list_groups;
pub mod list_page;
mod list_query;
mod list_stream;
mod list_view;
mod miner_address;
pub mod model;
mod network;
mod node_trial;
mod ports;
mod preparation;
pub mod program;
mod programs;
mod queries;
mod remote_instances;
pub mod route_table;
pub mod routes;
mod service;
mod state_feed;
mod state_history;
mod state_strip;
mod stream_keys;
pub mod streams;
mod supervisor;
mod tag_change;
mod tags;
mod task;
mod versions;
pub mod views;

pub use client_marks::{ClientMark, rollback_note, switch_note};
pub use display::{TRANSLATOR_RETRIES, size_text};
pub use draft::{InstanceDraft, instance_fields, is_version_name, read_tags};
pub use history::{InstanceEvent, KEEPER_LOST};
pub use list_extras::{HealthSummary, JobMention, ListExtras, ListStats, rejected_text};
pub use list_filter::{InstanceFilter, filter_fields};
pub use list_query::natural_order;
pub use miner_address::{MinerAddress, MinerProtocol};
pub use model::{Instance, STOP_PATIENCE};
pub use network::LocalNetwork;
pub use node_trial::{NODE_TRIAL_PATIENCE, NodeTrial, NodeTrialOutcome};
pub use ports::{PortConflict, PortHolder, first_taken};
pub use program::{ClientProgram, ProgramSource};
pub use programs::{InstanceProgram, ProgramName};
pub use remote_instances::{HostInstances, RemoteInstances};
pub use service::{InstanceActionResult, InstanceService};
pub use supervisor::ShutdownMode;
pub use tags::{InstanceTags, LONGEST_TAG, MOST_TAGS};
