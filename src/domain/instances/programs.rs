//! The programs of an instance: its client, and the translator for Stratum V1 miners.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::Instance;
use crate::base::clock::Timestamp;
use crate::keeper::protocol::TranslatorStatus;
use crate::keeper::translator_machine::TranslatorState;

/// A program of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramName {
    /// `jd_client_sv2`.
    Client,
    /// `translator_sv2`.
    Translator,
}

/// A program of an instance and its state.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct InstanceProgram {
    /// Which one.
    pub name: ProgramName,
    /// Its state: that of the instance for the client, and for the translator one of `stopped`,
    /// `waiting` (for the client to serve miners), `starting`, `running`, `backing-off`, `stopping`.
    pub status: &'static str,
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
    /// The last ERROR line of the last process that exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl InstanceProgram {
    /// The programs of an instance, the client first. `translator`: what its keeper reports; none: it
    /// has none.
    pub fn of(instance: &Instance, translator: Option<&TranslatorStatus>) -> Vec<Self> {
        let client = Self {
            name: ProgramName::Client,
            status: instance.status.as_str(),
            pid: instance.pid,
            version: instance.running_version.clone(),
            started_at: instance.start_time.map(Timestamp),
            restarts: u32::try_from(instance.restarts).unwrap_or_default(),
            failures: instance.failures,
            retry_at: instance.retry_at,
            last_error: instance.last_error.clone(),
        };
        let translator = translator.map(|translator| Self {
            name: ProgramName::Translator,
            status: translator.state.as_str(),
            pid: translator.pid,
            version: instance.running_version.clone(),
            started_at: translator
                .started_at
                .map(Timestamp)
                .filter(|_| translator.pid.is_some()),
            restarts: translator.restarts,
            failures: translator.failures,
            retry_at: translator
                .retry_at
                .filter(|_| translator.state == TranslatorState::BackingOff)
                .map(Timestamp),
            last_error: translator.last_error.clone(),
        });
        std::iter::once(client).chain(translator).collect()
    }

    /// The state of a translator in a few words; empty for the client.
    pub fn translator_text(&self) -> &'static str {
        match (self.name, self.status) {
            (ProgramName::Client, _) => "",
            (_, "running") => "ready for Stratum V1 miners",
            (_, "waiting") => "waiting for the client",
            (_, "starting") => "starting",
            (_, "backing-off") => "exited unexpectedly, retrying",
            (_, "stopping") => "stopping",
            _ => "stopped",
        }
    }
}
