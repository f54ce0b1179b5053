//! The page of the node check, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use super::query_params::NodeQuery;
use crate::programs::bitcoin_core::{BitcoinNetwork, NodeCheckResult, NodeStatus};

/// `GET /node/check`: the form and the result.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "node/check.html", blocks = ["main"])]
#[schemars(rename = "NodeCheck")]
pub struct NodeCheckPage {
    #[serde(flatten)]
    result: NodeCheckResult,
    #[serde(skip)]
    path: String,
    #[serde(skip)]
    network: Option<BitcoinNetwork>,
}

crate::view!(NodeCheckPage { "main" => as_main });

impl NodeCheckPage {
    /// The result, with the form as it was sent.
    pub fn new(query: NodeQuery, result: NodeCheckResult) -> Self {
        let path = query.path.unwrap_or_default();
        Self {
            result,
            path: path.display().to_string(),
            network: query.network,
        }
    }

    fn is_connected(&self) -> bool {
        self.result.status == NodeStatus::Connected
    }

    fn networks(&self) -> Vec<(&'static str, bool)> {
        let of = |network: BitcoinNetwork| (network.as_str(), self.network == Some(network));
        BitcoinNetwork::iter().map(of).collect()
    }
}
