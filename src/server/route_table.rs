//! Every route of the manager: the tables of all domains, in the order of the documentation.
//!
//! Router, permissions and OpenAPI document are made from here, so a route is written down once, in
//! the table of its domain.

use serde_json::{Map, Value};

use crate::domain::{
    access, alerts, backups, configs, health, instances, keys, legacy_api, logs, metrics, node,
    setup, updates,
};
use crate::server::api_docs;
use crate::server::glossary::{self, GlossaryPage};
use crate::server::state::{AppState, ManagerHealth, manager_health};
use crate::web::openapi::{ApiOperation, OperationGroup, PAGE, PROGRAMS, Route, RouteTable, get};

/// Routes that belong together in the documentation.
struct RouteGroup {
    tag: &'static str,
    about: &'static str,
    tables: Vec<RouteTable<AppState>>,
}

fn group<const N: usize>(
    tag: &'static str,
    about: &'static str,
    tables: [RouteTable<AppState>; N],
) -> RouteGroup {
    RouteGroup {
        tag,
        about,
        tables: tables.into(),
    }
}

fn groups() -> Vec<RouteGroup> {
    vec![
        group(
            "Instances",
            "JD Clients that are run.",
            [
                logs::route_table::instance_routes(),
                instances::route_table::routes(),
            ],
        ),
        group("Logs", "What clients say.", [logs::route_table::routes()]),
        group(
            "Configurations",
            "What a client is told, kept in revisions.",
            [
                configs::route_table::routes(),
                instances::route_table::trial_routes(),
            ],
        ),
        group(
            "Setup",
            "From nothing to an instance that runs.",
            [setup::route_table::routes()],
        ),
        group(
            "Node",
            "Bitcoin Core on this machine.",
            [node::route_table::routes()],
        ),
        group(
            "Metrics",
            "Figures of clients over time.",
            [metrics::route_table::routes()],
        ),
        group(
            "Health",
            "How instances are, and what is done about it.",
            [health::route_table::routes()],
        ),
        group(
            "Updates",
            "Which clients there are and which is in use.",
            [updates::route_table::routes()],
        ),
        group(
            "Alerts",
            "Who is told of what.",
            [alerts::route_table::routes()],
        ),
        group(
            "Access",
            "Who asks, and what for.",
            [access::route_table::own_routes()],
        ),
        group(
            "Users",
            "Who may do what, and who did what.",
            [access::route_table::user_routes()],
        ),
        group(
            "Backups",
            "All there is in one file.",
            [backups::route_table::routes()],
        ),
        group(
            "Keys",
            "By which a client is recognised.",
            [keys::route_table::routes()],
        ),
        group(
            "First generation",
            "For programs that know one client and no ids.",
            [legacy_api::route_table::routes()],
        ),
        group("jd-manager", "The manager itself.", [manager_routes()]),
    ]
}

fn manager_routes() -> RouteTable<AppState> {
    RouteTable::new()
        .add(
            get(
                "/health",
                "getManagerHealth",
                "Whether jd-manager itself is well, for containers and balancers.",
            )
            .gives::<ManagerHealth>(PROGRAMS)
            .for_anybody(),
            manager_health,
        )
        .add(
            get(
                "/openapi",
                "showDocumentation",
                "This documentation; as a page for people.",
            )
            .gives::<Map<String, Value>>(PAGE),
            api_docs::routes::show,
        )
        .add(
            get(
                "/openapi.json",
                "getDocumentation",
                "This documentation, for whatever is accepted.",
            )
            .gives::<Map<String, Value>>(PROGRAMS),
            api_docs::routes::document,
        )
        .add(
            get(
                "/glossary",
                "listTerms",
                "The glossary: terms of mining with Stratum V2, one sentence each.",
            )
            .gives::<GlossaryPage>(PAGE),
            glossary::routes::show,
        )
}

/// Every route.
pub fn routes() -> impl Iterator<Item = Route<AppState>> {
    groups()
        .into_iter()
        .flat_map(|group| group.tables)
        .flatten()
}

/// What is documented of every route.
pub fn operations() -> impl Iterator<Item = ApiOperation> {
    routes().map(|route| route.operation)
}

/// The same, by what they are about.
pub fn operation_groups() -> Vec<OperationGroup> {
    let operations = |tables: Vec<RouteTable<AppState>>| {
        let routes = tables.into_iter().flatten();
        routes.map(|route| route.operation).collect()
    };
    groups()
        .into_iter()
        .map(|group| OperationGroup {
            tag: group.tag,
            about: group.about,
            operations: operations(group.tables),
        })
        .collect()
}
