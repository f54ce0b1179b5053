//! The keeper: one small process per running instance. It owns the client, and a translator for
//! Stratum V1 miners if there is one, so mining never depends on the web server.
//!
//! It starts and stops the client, restarts it by policy, writes its output to log files and every
//! state change to a journal, and answers the manager over a Unix socket. It outlives the manager.
//! It holds a lock for its whole life, so whether an instance has a keeper is asked of the lock and
//! never guessed from a process id.
//!
//! No database, no HTTP, no async runtime: fifty keepers have to be cheap.
//!
//! * [`machine`]: the lifecycle as a pure state machine. [`backoff`]: how long to wait for a retry.
//! * [`translator_machine`]: the same for a translator beside the client. [`translator`]: runs it.
//! * [`dependency`]: what a process waits for, and when it is back.
//! * [`keep`]: the keeper's own process. [`process`]: a process that it runs. [`spawn`]: starts one.
//!   [`leftovers`]: ends what it left behind.
//! * [`logfile`]: writes the output to disk. [`watcher`]: counts lines, finds ready line and
//!   errors.
//! * [`lock`], [`signals`]: whether an instance has a keeper; what wakes it.
//! * [`journal`]: writes and reads state changes. [`connection`]: a connection on the socket.
//! * [`protocol`]: messages between manager and keeper. [`client`]: the manager's side.
//! * [`segment`], [`level`]: formats shared with readers of logs: file names, line headers.

pub mod backoff;
pub mod client;
pub mod connection;
pub mod dependency;
pub mod journal;
pub mod keep;
pub mod leftovers;
pub mod level;
pub mod lock;
pub mod logfile;
pub mod machine;
pub mod process;
pub mod protocol;
pub mod segment;
pub mod signals;
pub mod spawn;
pub mod translator;
pub mod translator_machine;
pub mod watcher;

/// File and directory names inside an instance's directory.
pub mod names {
    /// The client's configuration, mode 0600.
    pub const CONFIG: &str = "config.toml";
    /// What the keeper is to run, see [`super::protocol::KeeperSpec`].
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
    /// The translator's output.
    pub const TRANSLATOR_LOGS: &str = "logs-translator";
    /// The client's working directory.
    pub const WORK: &str = "work";
    /// The environment variable that marks a client's processes as an instance's.
    pub const MARK: &str = "JD_MANAGER_INSTANCE";
}
