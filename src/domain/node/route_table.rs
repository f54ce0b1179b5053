//! The route of the check: operation, role and handler.

use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

use super::routes;
use super::service::NodeService;
use super::views::NodeCheckPage;
use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::web::openapi::{PAGE, RouteTable, RouterState, get, member, one_of, text};

/// The operation. Not for viewers, because it shows which files exist.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    NodeService: FromRef<S>,
{
    RouteTable::new().add(
        get(
            "/node/check",
            "checkNode",
            "Checks whether a client can use Bitcoin Core on this machine, and shows how to fix problems.",
        )
        .about(
            "Connects to the socket. If a node responds and a client is installed, jd-manager starts the client for a few seconds to find out the version, the network and whether the node sends templates.",
        )
        .asks([
            text(
                "path",
                "Absolute path of the node's socket or data directory. By default, jd-manager searches the default locations.",
            )
            .like("/var/lib/bitcoind"),
            one_of(
                "network",
                "The expected network. Defaults to the network in the path.",
                BitcoinNetwork::VARIANTS,
            ),
            member(
                "version",
                "The Bitcoin Core version in the configuration. By default, jd-manager tries each version.",
                json!({ "type": "integer", "enum": [30, 31] }),
            ),
        ])
        .gives::<NodeCheckPage>(PAGE)
        .fails(&[422])
        .for_operators(),
        routes::check,
    )
}
