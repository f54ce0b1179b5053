//! Backups: one file with everything needed to restore configurations, instances and data.
//!
//! ```text
//! jd-manager.sqlite3            a snapshot of the database, secrets encrypted
//! secrets.key                   decrypts them; not in a backup without the key
//! pools.toml                    the user's own list of pools, if there is one
//! instances/<id>/events.jsonl   the keeper's journal, possibly newer than the snapshot
//! instances/<id>/logs/…         the log if requested; otherwise an empty file for the offset
//! instances/<id>/logs-translator/…  the same for the translator's log
//! manifest.json                 last: description of the backup, SHA-256 of each file
//! ```
//!
//! as `.tar.gz`, or encrypted with a passphrase as `.tar.gz.age`, which `age -d` decrypts.
//!
//! Invariants:
//!
//! * A backup gets its name only when it is complete and synced.
//! * The files are read after the snapshot. This is correct, because files are only appended to and
//!   the manager continues reading where the snapshot ends.
//! * The `config.toml` of an instance is never included: it holds a secret in plain text and is
//!   written again at every start. Installed clients are not included: they can be installed again.
//! * A restore unpacks next to the data directory, checks everything, and swaps by a rename. An
//!   existing data directory is moved aside and never deleted.
//!
//! Files:
//!
//! * `create`: creates a backup. `restore`: unpacks and checks one. `swap`: replaces the data
//!   directory.
//! * `manifest`, `naming`, `encryption`: the format. `error`: what can fail.
//! * `service`: the use cases of a running manager. `command`: `jd-manager backup` and `restore`.
//! * `settings`: nightly backups. `outcome`: results of the last ones. `jobs`: creates the nightly
//!   backup.

mod command;
mod create;
mod encryption;
mod error;
mod jobs;
mod manifest;
mod naming;
mod outcome;
mod queries;
mod responses;
mod restore;
pub mod route_table;
pub mod routes;
mod service;
mod settings;
mod swap;
pub mod views;

pub use command::{BackupArgs, RestoreArgs, backup, restore};
pub use create::{BackupProgress, BackupRequest, SecretSource, make};
pub use encryption::BackupPassphrase;
pub use error::BackupError;
pub use jobs::nightly;
pub use manifest::{BackupManifest, BackupMember};
pub use naming::{BackupKind, BackupName};
pub use restore::{
    RestoreOptions, RestoreProgress, RestoreStage, RestoreSummary, restore as restore_into,
};
pub use service::Backups;
pub use settings::BackupSettings;
pub use swap::{check_for_half_restored, remove_stale_staging};
