//! The route of the check: operation, role and handler.

use axum::extract::FromRef;
use serde_json::json;
use strum::VariantNames;

use super::routes;
use super::service::NodeService;
use super::views::NodeCheckPage;
use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::web::openapi::{PAGE, RouteTable, RouterState, get, member, one_of, text};

/// The operation. Not for viewers: it tells which files there are.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    NodeService: FromRef<S>,
{
    RouteTable::new().add(
        get(
            "/node/check",
            "checkNode",
            "Whether a client can use Bitcoin Core on this machine, and what to do if not.",
        )
        .about(
            "Connects to the socket. If a node answers and a client is installed, the client is started for some seconds to find out version, \
             network and whether there are templates.",
        )
        .asks([
            text(
                "path",
                "The socket or the data directory of the node, absolute; the usual places if left out.",
            )
            .like("/var/lib/bitcoind"),
            one_of(
                "network",
                "The expected chain; the one that the path tells if left out.",
                BitcoinNetwork::VARIANTS,
            ),
            member(
                "version",
                "The version of Bitcoin Core in the configuration; each is tried if left out.",
                json!({ "type": "integer", "enum": [30, 31] }),
            ),
        ])
        .gives::<NodeCheckPage>(PAGE)
        .fails(&[422])
        .for_operators(),
        routes::check,
    )
}
