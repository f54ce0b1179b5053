//! The keeper: one small process per running instance that owns the client, so that mining never depends on the web server.
//!
//! It starts and stops the client, restarts it by policy, writes its output to rotated files and every change of state to a
//! journal, and answers the manager over a Unix socket. It survives the manager and holds a lock for its whole life, so
//! "is this instance alive?" is a question to the lock, never a guess about a process id.
//!
//! Layer 1: no database, no HTTP, no async runtime; small enough to run fifty of.
//!
//! * [`machine`]: the lifecycle as a pure state machine; [`backoff`]: how long to wait between tries.
//! * [`keep`]: the process; [`spawn`]: how a client is started; [`leftovers`]: how the processes it leaves behind are ended;
//!   [`logfile`]: its output on disk;
//!   [`watcher`]: what is learnt from it and how much there was; [`connection`]: one conversation.
//! * [`protocol`]: what manager and keeper say to each other; [`journal`]: what the keeper writes down; [`client`]: the manager's side.

pub mod backoff;
pub mod client;
pub mod connection;
pub mod journal;
pub mod keep;
pub mod leftovers;
pub mod level;
pub mod logfile;
pub mod machine;
pub mod protocol;
pub mod segment;
pub mod spawn;
pub mod watcher;

/// File and directory names inside an instance's directory.
pub mod names {
    /// The client's configuration, mode 0600.
    pub const CONFIG: &str = "config.toml";
    /// What the keeper is to run, see [`super::protocol::Spec`].
    pub const SPEC: &str = "keeper.json";
    /// Held by the keeper for its whole life.
    pub const LOCK: &str = "keeper.lock";
    /// Where the keeper listens.
    pub const SOCKET: &str = "control.sock";
    /// Every change of state, a JSON object a line.
    pub const JOURNAL: &str = "events.jsonl";
    /// What the keeper itself has to complain about.
    pub const COMPLAINTS: &str = "keeper.log";
    /// The client's output.
    pub const LOGS: &str = "logs";
    /// The client's working directory.
    pub const WORK: &str = "work";
    /// The environment variable that marks a client's processes as an instance's.
    pub const MARK: &str = "JD_MANAGER_INSTANCE";
}
