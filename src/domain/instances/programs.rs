//! The programs of an instance: its client, and the translator for Stratum V1 miners.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::history::{StoredCause, client_end};
use crate::base::clock::Timestamp;
use crate::infra::log_store::SecretMask;
use crate::keeper::machine::{ChangeReason, InstanceState, ProcessExit};
use crate::keeper::protocol::TranslatorStatus;
use crate::keeper::translator_machine::TranslatorState;
use crate::programs::jd_client::diagnosis::EndCause;
use crate::programs::translator::diagnosis;

/// A program of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Program")]
#[derive(strum::EnumIter, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ProgramName {
    /// `jd_client_sv2`.
    Client,
    /// `translator_sv2`.
    Translator,
}

impl ProgramName {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The name of a state. serde would read a field of type `&str` from text that lives as long.
pub type ProgramStatus = &'static str;

/// A program of an instance and its state.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct InstanceProgram {
    /// Which one.
    pub name: ProgramName,
    /// Its state: that of the instance for the client, and for the translator one of `stopped`,
    /// `waiting` (for the client to serve miners), `starting`, `running`, `backing-off`, `stopping`.
    #[serde(deserialize_with = "known_status")]
    pub status: ProgramStatus,
    /// Its process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its version. A translator has that of its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When the current process was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Automatic restarts: of a client since the instance was created, of a translator since its keeper
    /// was started.
    pub restarts: u32,
    /// Failures in a row.
    pub failures: u32,
    /// When the next retry is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// How the last process exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<ProcessExit>,
    /// The last ERROR line of the last process that exited, or why it cannot be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why the last process exited unexpectedly, if its last lines show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
    /// The keeper can restart it alone.
    #[serde(skip)]
    pub can_restart: bool,
}

impl InstanceProgram {
    /// A translator, as its keeper reports it. `version`: that of the client.
    pub fn translator(reported: &TranslatorStatus, version: Option<String>) -> Self {
        let is_waiting = reported.state == TranslatorState::BackingOff;
        Self {
            name: ProgramName::Translator,
            status: reported.state.as_str(),
            pid: reported.pid,
            version,
            started_at: reported
                .started_at
                .map(Timestamp)
                .filter(|_| reported.pid.is_some()),
            restarts: reported.restarts,
            failures: reported.failures,
            retry_at: reported.retry_at.filter(|_| is_waiting).map(Timestamp),
            exit: reported.exit,
            last_error: match &reported.reason {
                Some(ChangeReason::CannotRun(why)) => Some(why.clone()),
                _ => reported.last_error.clone(),
            },
            cause: translator_cause(reported).map(StoredCause),
            can_restart: reported.can_restart && reported.state != TranslatorState::Stopped,
        }
    }

    /// A copy without secret keys in its output.
    pub fn covered(self, secrets: &SecretMask) -> Self {
        Self {
            last_error: self.last_error.map(|text| secrets.covered(text)),
            cause: self.cause.map(|cause| cause.covered(secrets)),
            ..self
        }
    }

    /// The state of a translator in a few words; empty for the client.
    pub fn translator_text(&self) -> &'static str {
        match (self.name, self.status) {
            (ProgramName::Client, _) => "",
            (_, "running") => "running",
            (_, "waiting") => "waiting for the client",
            (_, "starting") => "starting",
            (_, "backing-off") => "retrying",
            (_, "stopping") => "stopping",
            _ => "stopped",
        }
    }
}

/// The state of a program on another host; one of a newer version counts as stopped.
fn known_status<'de, D: Deserializer<'de>>(d: D) -> Result<ProgramStatus, D::Error> {
    let text = String::deserialize(d)?;
    let of_client = text.parse::<InstanceState>().map(InstanceState::as_str);
    let of_translator = text.parse::<TranslatorState>().map(TranslatorState::as_str);
    Ok(of_client.or(of_translator).unwrap_or("stopped"))
}

/// Why a translator exited unexpectedly; none: the last one was stopped, or its lines do not show
/// it.
fn translator_cause(reported: &TranslatorStatus) -> Option<EndCause> {
    let (at, exit) = reported.exited_at.zip(reported.exit)?;
    (!reported.trouble.is_empty() || reported.failures > 0)
        .then(|| diagnosis::cause(&reported.trouble, Timestamp(at), Some(client_end(exit))))
        .flatten()
}
