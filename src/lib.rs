//! jd-manager runs, monitors and updates Stratum V2 job declaration clients.
//!
//! One binary, two kinds of long-lived process:
//!
//! ```text
//! browser, curl ──HTTP──▶ jd-manager serve ──Unix socket──▶ jd-manager keep DIR ──▶ jd_client_sv2
//!                         manager                           keeper                  client
//!                         pages, API, SQLite                one per running instance
//!                                 ▲                                │
//!                                 └───── reads ── DIR/events.jsonl, DIR/logs/ ◀── writes
//! ```
//!
//! Mining never depends on the web server. The keeper owns the client, its log files and its
//! restart policy. The manager sends commands, reads what the keeper writes, stores it and shows
//! it.
//!
//! # Folders
//!
//! In import order: a folder imports only the folders above it. [`keeper`] and [`web`] do not
//! import each other. `tests/quick/architecture` enforces this.
//!
//! * [`base`]: shared vocabulary such as time, errors and ids; imports no other folder.
//! * [`keeper`]: the keeper process, and the protocol and file formats it shares with the manager.
//! * [`web`]: what all HTTP routes share: content negotiation, responses, errors, extractors.
//! * [`infra`]: database, log files, charts, downloads, notifications; independent of domains.
//! * [`programs`]: everything known about a managed program; one folder per program.
//! * [`domain`]: the product: one folder per domain, each with rules, SQL, use cases and pages.
//! * [`server`]: the running manager: settings, listener, routes, start and stop.
//! * [`cli`]: the command line, including the client commands for a running manager.
//!
//! # Reading order
//!
//! 1. [`keeper::machine`]: the life of an instance as a pure state machine.
//! 2. [`keeper::keep`] and [`keeper::protocol`]: the process around it, and how it is controlled.
//! 3. [`server::app`]: how the manager starts and stops.
//! 4. [`server::router`] and [`server::route_table`]: every route and its required role.
//! 5. [`domain::instances`]: the largest domain, and the pattern of all others. Read `routes`,
//!    `service`, `supervisor`, `task`, `preparation` in this order.
//! 6. [`web::negotiation`], [`web::respond`] and [`web::problem`]: how a result becomes a response.
//! 7. [`infra::db`]: how data is stored durably.
//! 8. Any other domain. Its `mod.rs` lists its files.
//!
//! `docs/ARCHITECTURE.md` has the reasons, three walkthroughs, and a table of where to find what.
//!
//! # Glossary
//!
//! * client: a `jd_client_sv2` process.
//! * instance: a named client that the user wants to run.
//! * keeper: the process that owns the client of one running instance.
//! * saved configuration: the settings of a client; each saved state is a revision.
//! * upstream: a pool and its job declaration server (JDS), where a client sends its work.
//! * template provider: the program from which a client gets block templates.
//! * miner: a device that connects to a client. share: a piece of work that it sends.
//! * desired state: what the user wants, `running` or `stopped`, in contrast to the current state.
//! * journal: the state changes that a keeper has written, `events.jsonl`.
//! * segment: one file of the client's log; an offset counts bytes from the start of the log.
//! * representation: HTML, JSON, event stream, text or CSV of the same resource.
//! * fragment: a part of a page that htmx requests.
//! * domain: one area of the product, such as metrics or backups; one folder in `src/domain`.

pub mod base;

pub mod keeper;
pub mod web;

pub mod infra;

pub mod programs;

pub mod domain;

pub mod server;

pub mod cli;
