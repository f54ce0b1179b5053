//! The domains, one folder each, in import order: a domain imports only those listed before it.
//!
//! In a domain, `model` has rows and value types, `queries` the SQL, `service` the use cases, `views` the page structs, `routes` the
//! handlers, `openapi` their description, and `jobs` scheduled work. A file that would be empty is not there.

pub mod vault;

pub mod keys;

pub mod access;

pub mod configs;

pub mod instances;

pub mod logs;

pub mod setup;

pub mod metrics;

pub mod health;

pub mod updates;

pub mod alerts;

pub mod legacy_api;

pub mod backups;
