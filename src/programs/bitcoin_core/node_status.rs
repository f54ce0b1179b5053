//! What a check of a node answers, for programs and for people.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

use super::BitcoinNetwork;

/// What was found at the socket. The words are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeStatus {
    /// A client can use this node, as far as it could be checked.
    Connected,
    /// There is no such file.
    NoSocket,
    /// There is a file or a directory, and it is no socket that a node listens on.
    NotASocket,
    /// There is a socket, and no process listens on it.
    Stale,
    /// This user may not connect.
    Forbidden,
    /// The node speaks another version of the interface.
    WrongVersion,
    /// It is the node of another chain.
    WrongNetwork,
    /// The node accepts a client and sends no template yet.
    Syncing,
    /// A process listens, and does not answer as a node does.
    Silent,
}

impl NodeStatus {
    /// The status in a few words, for a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::NoSocket => "No socket",
            Self::NotASocket => "Not a socket",
            Self::Stale => "No node is listening",
            Self::Forbidden => "Permission denied",
            Self::WrongVersion => "Wrong version",
            Self::WrongNetwork => "Wrong network",
            Self::Syncing => "The node is not ready yet",
            Self::Silent => "No answer",
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct NodeCheckResult {
    /// What was found.
    pub status: NodeStatus,
    /// The socket that was checked.
    pub path: String,
    /// The chain it was checked for.
    pub network: BitcoinNetwork,
    /// What was found, in sentences.
    pub detail: String,
    /// What to do, in sentences; paragraphs are separated by an empty line. Empty: nothing.
    pub advice: String,
    /// The value for `data_dir` in a configuration that uses this socket; none: the client cannot
    /// open it under this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<String>,
    /// The value for `version` in a configuration, if a client found it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
}

impl NodeCheckResult {
    /// A result about the socket of a chain.
    pub fn new(
        socket: &Path,
        network: BitcoinNetwork,
        status: NodeStatus,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let data_dir = network.data_dir_of(socket);
        Self {
            status,
            path: socket.display().to_string(),
            network,
            detail: detail.into(),
            advice: advice.into(),
            data_dir: data_dir.map(|dir| dir.display().to_string()),
            version: None,
        }
    }

    /// The same with another status.
    pub fn with(
        self,
        status: NodeStatus,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            status,
            detail: detail.into(),
            advice: advice.into(),
            ..self
        }
    }

    /// The paragraphs of the advice.
    pub fn paragraphs(&self) -> Vec<&str> {
        self.advice
            .split("\n\n")
            .filter(|text| !text.is_empty())
            .collect()
    }
}
