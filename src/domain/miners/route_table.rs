//! The routes of miners: operation, role and handler of each.

use axum::extract::FromRef;

use super::routes;
use super::service::MinerService;
use super::views::MinersPage;
use crate::web::openapi::{ApiOperation, PAGE, RouteTable, RouterState, get, one_of, whole};

fn list(path: &'static str, name: &'static str, summary: &'static str) -> ApiOperation {
    get(path, name, summary)
        .about(
            "A miner is identified by protocol, address and name, so its counts continue after it reconnects. A miner that disconnects \
             stays on the list as `offline` for 7 days. jd-manager lists up to 1,000 miners per instance; `unlisted` is the number of others. The \
             list is sorted by name, without regard to case, and then by address, protocol and instance.",
        )
        .asks([
            whole("limit", "Maximum number of miners. Pages show 100 by default.", 1, 1000).or(1000),
            whole("offset", "Number of miners to skip.", 0, u32::MAX.into()).or(0),
            one_of("protocol", "Only miners that speak this protocol.", &["v1", "v2"]),
            one_of(
                "state",
                "Only miners in this state.",
                &["mining", "no-channel", "many-rejected", "offline"],
            ),
        ])
        .gives::<MinersPage>(PAGE)
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    MinerService: FromRef<S>,
{
    RouteTable::new()
        .add(
            list(
                "/instances/{id}/miners",
                "listMiners",
                "Lists the miners of an instance by name.",
            ),
            routes::of_instance,
        )
        .add(
            list(
                "/miners",
                "listAllMiners",
                "Lists the miners of all instances by name.",
            ),
            routes::all,
        )
}
