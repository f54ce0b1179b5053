//! The result of a node check, for programs and for people.

use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

use super::BitcoinNetwork;

/// The status of the socket. The names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeStatus {
    /// A client can use this node, as far as the check shows.
    Connected,
    /// The file does not exist.
    NoSocket,
    /// The path is a file or directory, or not a node's socket.
    NotASocket,
    /// The socket exists, but no process is listening on it.
    Stale,
    /// The user that runs jd-manager is not allowed to connect.
    Forbidden,
    /// The node has a different version of the interface.
    WrongVersion,
    /// The node is on a different network.
    WrongNetwork,
    /// The node accepts a client, but is not sending templates yet.
    Syncing,
    /// A process is listening, but does not respond like a node.
    Silent,
    /// The node answered the first message, but the client in use cannot work with it.
    Unusable,
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
            Self::Silent => "No response",
            Self::Unusable => "The client cannot use the node",
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct NodeCheckResult {
    /// The status.
    pub status: NodeStatus,
    /// The socket that was checked.
    pub path: String,
    /// The network that the check expected.
    pub network: BitcoinNetwork,
    /// The finding, in sentences.
    pub detail: String,
    /// How to fix it, in sentences. Paragraphs are separated by an empty line. Empty if there is
    /// nothing to do.
    pub advice: String,
    /// The value for `data_dir` in a configuration that uses this socket. Absent if the client
    /// cannot open a socket with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<String>,
    /// The value for `version` in a configuration, if a client detected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
}

impl NodeCheckResult {
    /// A result for a network's socket.
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

    /// The same result with another status.
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
