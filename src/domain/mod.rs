//! The domains, one folder each, in import order: a domain imports only those listed before it.
//!
//! Files have the same names and jobs everywhere; a file that would be empty does not exist:
//!
//! * `model`: rows, values and pure rules; no I/O.
//! * `queries`: every SQL statement of the domain; no decisions.
//! * `service`: the use cases; no HTTP.
//! * `views`: page structs, each with a template; serialized, they are the JSON. No I/O.
//! * `routes`: the handlers, a few lines each: which use case, which page.
//! * `responses`: JSON without a page.
//! * `openapi`: describes each operation for the API documentation.
//! * `jobs`: scheduled work, such as pruning old rows.

pub mod vault;

pub mod keys;

pub mod access;

pub mod backups;

pub mod configs;

pub mod mutes;

pub mod instances;

pub mod logs;

pub mod node;

pub mod setup;

pub mod metrics;

pub mod miners;

pub mod overview;

pub mod health;

pub mod hosts;

pub mod updates;

pub mod rollouts;

pub mod alerts;

pub mod bulk;

pub mod legacy_api;
