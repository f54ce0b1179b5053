//! The messages between manager and keeper: JSON objects, one per line, over the keeper's Unix
//! socket.
//!
//! Every message has a version, so a newer manager can work with keepers that an older manager
//! started. Fields are only added; unknown fields are ignored, missing fields have defaults.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dependency::Dependency;
use super::machine::{
    ChangeReason, InstanceState, MachineRules, ProcessExit, RestartLimit, RestartPolicy,
};
use super::names;
use super::spawn::{SpawnLimits, SpawnPlan};
use super::translator_machine::{TranslatorRules, TranslatorState};

/// The version of this protocol.
pub const VERSION: u32 = 1;

/// The maximum length of a line, in bytes. A longer line closes the connection.
pub const LONGEST_LINE: usize = 64 * 1024;

/// What a keeper runs: `keeper.json`, read again before every start of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperSpec {
    /// The client's program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// When to restart the client.
    #[serde(default)]
    pub policy: RestartPolicy,
    /// When to give up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<RestartLimit>,
    /// Limit of the client's private memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Limit of open files and sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// The nice value, 0 to 19.
    #[serde(default)]
    pub nice: i32,
    /// The wait from SIGINT to SIGTERM, in milliseconds.
    #[serde(default = "default_grace")]
    pub grace_ms: u64,
    /// The client is ready for miners when a line contains one of these texts; empty: as soon as it
    /// has started.
    #[serde(default)]
    pub ready_when: Vec<String>,
    /// The dependency of the client. If it is gone, the client is started as soon as it is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<Dependency>,
    /// A second process that translates for Stratum V1 miners, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorSpec>,
    /// The approximate size at which a new log file is started, in bytes.
    #[serde(default = "default_segment")]
    pub log_segment_bytes: u64,
    /// The number of log files to keep.
    #[serde(default = "default_segments")]
    pub log_segments: usize,
}

fn default_grace() -> u64 {
    15_000
}
fn default_segment() -> u64 {
    10 * 1024 * 1024
}
fn default_segments() -> usize {
    5
}

impl KeeperSpec {
    /// A specification with the default values.
    pub fn new(program: PathBuf, args: Vec<String>, env: Vec<(String, String)>) -> Self {
        Self {
            program,
            args,
            env,
            policy: RestartPolicy::default(),
            limit: None,
            memory_bytes: None,
            open_files: None,
            nice: 0,
            grace_ms: default_grace(),
            ready_when: Vec::new(),
            dependency: None,
            translator: None,
            log_segment_bytes: default_segment(),
            log_segments: default_segments(),
        }
    }

    /// Reads `keeper.json` in the instance's directory.
    ///
    /// # Errors
    /// It is missing or cannot be read.
    pub fn read(dir: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(
            dir.join(names::SPEC),
        )?)?)
    }

    /// The limits of the client and of the translator, each its own.
    pub fn limits(&self) -> SpawnLimits {
        SpawnLimits {
            memory_bytes: self.memory_bytes,
            open_files: self.open_files,
            nice: self.nice,
        }
    }

    /// How to start the client.
    pub fn plan(&self) -> SpawnPlan<'_> {
        SpawnPlan {
            program: &self.program,
            args: &self.args,
            env: &self.env,
            limits: self.limits(),
        }
    }

    /// The translator's part, with the mark by which a later keeper finds its processes.
    pub fn marked_translator(&self) -> Option<TranslatorSpec> {
        let mut translator = self.translator.clone()?;
        let is_mark = |(name, _): &&(String, String)| name == names::MARK;
        if !translator.env.iter().any(|entry| is_mark(&entry)) {
            translator
                .env
                .extend(self.env.iter().find(is_mark).cloned());
        }
        Some(translator)
    }

    /// The rules for the state machine.
    pub fn rules(&self) -> MachineRules {
        MachineRules {
            policy: self.policy,
            limit: self.limit,
            grace: Duration::from_millis(self.grace_ms),
            ..MachineRules::default()
        }
    }
}

/// The translator of an instance. It gets the limits, the niceness and the size of logs that its
/// client has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranslatorSpec {
    /// Its program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment; the keeper adds the instance's mark.
    pub env: Vec<(String, String)>,
    /// The program is ready for miners when a log line contains one of these texts; if empty, as
    /// soon as it has been started.
    #[serde(default)]
    pub ready_when: Vec<String>,
    /// An exit is no failure if one of its last warnings and errors contains one of these: the
    /// client dropped it.
    #[serde(default = "default_lost_when")]
    pub lost_when: Vec<String>,
    /// Where the client listens on this machine, `host:port`: it starts when that port is open.
    pub client_address: String,
    /// From SIGINT to SIGKILL, milliseconds; at most 2,000, because the client's own stop waits so
    /// long.
    #[serde(default = "default_translator_grace")]
    pub grace_ms: u64,
}

/// What `translator_sv2` 0.2.0 to 0.6.0 writes when its client is gone (read in its source; 0.6.0
/// also seen).
fn default_lost_when() -> Vec<String> {
    [
        "requested fallback",
        "Failed to reconnect Translator Proxy",
        "Couldn't perform fallback",
        "Connection refused",
    ]
    .map(str::to_owned)
    .into()
}
fn default_translator_grace() -> u64 {
    LONGEST_TRANSLATOR_GRACE_MS
}

/// Maximum time that stopping a client waits for its translator, in milliseconds.
const LONGEST_TRANSLATOR_GRACE_MS: u64 = 2000;

impl TranslatorSpec {
    /// A specification with the default values. `client_address`: `host:port`.
    pub fn new(
        program: PathBuf,
        args: Vec<String>,
        env: Vec<(String, String)>,
        client_address: String,
    ) -> Self {
        Self {
            program,
            args,
            env,
            ready_when: Vec::new(),
            lost_when: default_lost_when(),
            client_address,
            grace_ms: default_translator_grace(),
        }
    }

    /// The rules for the state machine.
    pub fn rules(&self) -> TranslatorRules {
        TranslatorRules {
            grace: Duration::from_millis(self.grace_ms.min(LONGEST_TRANSLATOR_GRACE_MS)),
            ..TranslatorRules::default()
        }
    }

    /// How to start it.
    pub fn plan(&self, limits: SpawnLimits) -> SpawnPlan<'_> {
        SpawnPlan {
            program: &self.program,
            args: &self.args,
            env: &self.env,
            limits,
        }
    }

    /// Whether the last lines of a run show that the client disconnected the translator.
    pub fn is_client_lost(&self, lines: &[String]) -> bool {
        let says_so = |line: &String| self.lost_when.iter().any(|text| line.contains(text));
        lines.iter().any(says_so)
    }
}

/// A command for a keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeeperCommand {
    /// Start the client; while retrying: start it now.
    Start,
    /// Stop the client, then exit.
    Stop,
    /// Stop and start the client.
    Restart,
    /// Stop and start the translator; the client keeps running. Only for keepers whose status has
    /// [`TranslatorStatus::can_restart`]: an older one closes the connection.
    RestartTranslator,
    /// Read the specification again. It applies from the next start of the client; the restart policy
    /// applies at once. A translator that appears, disappears or changes is started, stopped or replaced; the
    /// client goes on.
    Reload,
    /// Send the status now and at every change.
    Watch,
}

/// A request line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperRequest {
    /// [`VERSION`] of the sender.
    pub v: u32,
    /// The command.
    pub command: KeeperCommand,
    /// Repeated in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The actor, for the history: `page`, `api`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The manager has the journal in its database up to this offset, so the keeper may drop
    /// earlier entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingested: Option<u64>,
}

/// A line from the keeper: the current status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperStatus {
    /// [`VERSION`] of the keeper.
    pub v: u32,
    /// The keeper's process id.
    pub keeper_pid: u32,
    /// The state.
    pub state: InstanceState,
    /// Since when the state lasts, in milliseconds since 1970.
    pub since: i64,
    /// The client's process id while there is one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// When the current client was started, in milliseconds since 1970.
    #[serde(default)]
    pub started_at: Option<i64>,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// When the next retry is due, in milliseconds since 1970.
    #[serde(default)]
    pub retry_at: Option<i64>,
    /// The reason for the state.
    #[serde(default)]
    pub reason: Option<ChangeReason>,
    /// How the last client exited.
    #[serde(default)]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the last client that exited.
    #[serde(default)]
    pub last_error: Option<String>,
    /// The journal's offset after its last entry. Everything before it has been written.
    #[serde(default)]
    pub journal: u64,
    /// The line counts of the client's output so far; absent if the keeper does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LevelCounts>,
    /// The translator, if the specification has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translator: Option<TranslatorStatus>,
    /// The request that this line answers; absent if the status changed without a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<u64>,
}

impl KeeperStatus {
    /// Nothing has happened yet. `keeper_pid` is 0 if there is no keeper; `since`: milliseconds
    /// since 1970.
    pub fn blank(keeper_pid: u32, since: i64) -> Self {
        Self {
            v: VERSION,
            keeper_pid,
            state: InstanceState::Stopped,
            since,
            pid: None,
            started_at: None,
            failures: 0,
            retry_at: None,
            reason: None,
            exit: None,
            last_error: None,
            journal: 0,
            lines: None,
            translator: None,
            re: None,
        }
    }
}

/// How the translator is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranslatorStatus {
    /// The state.
    pub state: TranslatorState,
    /// Since when the state lasts, in milliseconds since 1970.
    pub since: i64,
    /// Its process id while there is one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// When the present one was started, milliseconds since 1970.
    #[serde(default)]
    pub started_at: Option<i64>,
    /// So often this keeper started it again.
    #[serde(default)]
    pub restarts: u32,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// When the next retry is due, in milliseconds since 1970.
    #[serde(default)]
    pub retry_at: Option<i64>,
    /// The reason for the state.
    #[serde(default)]
    pub reason: Option<ChangeReason>,
    /// How the last one ended.
    #[serde(default)]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the last one that ended.
    #[serde(default)]
    pub last_error: Option<String>,
    /// When the last one ended, in milliseconds since 1970.
    #[serde(default)]
    pub exited_at: Option<i64>,
    /// The last warnings and errors of the last one, if it exited unexpectedly, for the cause; at
    /// most 5 KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// The keeper knows [`KeeperCommand::RestartTranslator`].
    #[serde(default)]
    pub can_restart: bool,
    /// Its output so far, as in [`KeeperStatus::lines`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LevelCounts>,
}

/// Lines of a process's output by level, counted where they come in, over the life of one keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCounts {
    /// The log's offset at which this keeper started to count, in bytes.
    pub from: u64,
    /// The log's offset up to which it has counted, in bytes.
    pub to: u64,
    /// Lines of level ERROR, panics included.
    pub error: u64,
    /// Of level WARN.
    pub warn: u64,
    /// Of level INFO.
    pub info: u64,
    /// Of the levels DEBUG and TRACE.
    pub debug: u64,
    /// Not in the client's format: continuation lines.
    pub other: u64,
}

/// Writes a message as one line.
///
/// # Panics
/// Never: these types can always be serialized.
pub fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("protocol types serialize to JSON");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_another_version_are_understood_as_far_as_possible() {
        // A newer keeper sends more fields, an older keeper fewer.
        let newer = r#"{"v":2,"keeper_pid":1,"state":"running","since":5,"pid":9,"mood":"fine"}"#;
        let status: KeeperStatus = serde_json::from_str(newer).unwrap();
        assert_eq!(
            (status.v, status.state, status.pid, status.failures),
            (2, InstanceState::Running, Some(9), 0)
        );
        let spec: KeeperSpec =
            serde_json::from_str(r#"{"program":"/bin/x","args":[],"env":[]}"#).unwrap();
        assert_eq!(
            (spec.grace_ms, spec.log_segments, spec.policy),
            (15_000, 5, RestartPolicy::OnFailure)
        );
        assert_eq!((spec.translator, status.translator), (None, None));
        let translator: TranslatorSpec = serde_json::from_str(
            r#"{"program":"/bin/y","args":[],"env":[],"client_address":"127.0.0.1:34265","mood":"fine"}"#,
        )
        .unwrap();
        assert_eq!(
            translator,
            TranslatorSpec::new("/bin/y".into(), vec![], vec![], "127.0.0.1:34265".into())
        );
        let request = KeeperRequest {
            v: VERSION,
            command: KeeperCommand::Restart,
            id: None,
            actor: None,
            ingested: None,
        };
        assert_eq!(
            String::from_utf8(line(&request)).unwrap(),
            "{\"v\":1,\"command\":\"restart\"}\n"
        );
    }
}
