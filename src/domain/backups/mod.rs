//! Backups: everything that is needed to have every configuration, instance and figure again, in one file; and the way back.
//!
//! ```text
//! jd-manager.sqlite3            a snapshot of the database, secrets sealed
//! secrets.key                   what opens them; left out if the backup is to be of no use to whoever finds it
//! pools.toml                    the user's own list of pools, if there is one
//! instances/<id>/events.jsonl   the keeper's journal, which may know more than the snapshot
//! instances/<id>/logs/…         the client's output, if it is wanted; else an empty file that says where its stream goes on
//! manifest.json                 last: what all this is, and the SHA-256 of each file
//! ```
//!
//! as `.tar.gz`, or encrypted with a passphrase as `.tar.gz.age`, which `age -d` opens.
//!
//! Invariants: a backup has its name only once it is whole and on the disk; the snapshot is of one moment and the files are of later ones,
//! which is right since they are only appended to and the manager reads on from where the snapshot stands; the `config.toml` of an instance is
//! never in it, since it holds a secret in the clear and is written anew at every start; installed clients are not, since they can be
//! installed again. What is restored is unpacked beside, checked in full and put in its place by a rename; a data directory that was there is
//! moved aside and never deleted.

mod command;
mod create;
mod encryption;
mod error;
mod jobs;
mod manifest;
mod naming;
pub mod openapi;
mod outcome;
mod queries;
mod responses;
mod restore;
pub mod routes;
mod service;
mod settings;
mod swap;
pub mod views;

pub use command::{BackupArgs, RestoreArgs, backup, restore};
pub use create::{Order, Progress, SecretSource, make};
pub use encryption::Passphrase;
pub use error::Fault;
pub use jobs::nightly;
pub use manifest::{Manifest, Member};
pub use naming::{Kind, Named};
pub use restore::{RestoreProgress, RestoreStage, Restored, Way, restore as restore_into};
pub use service::Backups;
pub use settings::Wanted;
pub use swap::{check_for_half_restored, remove_stale_staging};
