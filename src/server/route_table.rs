//! Every route of the manager: the tables of all domains, in the order of the documentation.
//!
//! Router, permissions and OpenAPI document are derived from it, so a route is defined once, in
//! the table of its domain.

use serde_json::{Map, Value};

use crate::domain::{
    access, alerts, backups, bulk, configs, health, hosts, instances, keys, legacy_api, logs,
    metrics, miners, node, overview, rollouts, setup, updates,
};
use crate::server::api_docs;
use crate::server::glossary::{self, GlossaryPage};
use crate::server::state::{AppState, ManagerHealth, manager_health};
use crate::web::openapi::{ApiOperation, OperationGroup, PAGE, PROGRAMS, Route, RouteTable, get};

/// A group of routes in the documentation.
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
            "The managed JD clients.",
            [
                overview::route_table::routes(),
                instances::route_table::routes(),
                bulk::route_table::routes(),
            ],
        ),
        group(
            "Logs",
            "Log lines of clients.",
            [logs::route_table::routes()],
        ),
        group(
            "Configurations",
            "Saved configurations and their revisions.",
            [
                configs::route_table::routes(),
                instances::route_table::trial_routes(),
            ],
        ),
        group(
            "Setup",
            "Guided setup of a new instance.",
            [setup::route_table::routes()],
        ),
        group(
            "Node",
            "The local Bitcoin Core node.",
            [node::route_table::routes()],
        ),
        group(
            "Metrics",
            "Time series of clients.",
            [metrics::route_table::routes()],
        ),
        group(
            "Miners",
            "Miners and their states.",
            [miners::route_table::routes()],
        ),
        group(
            "Health",
            "Health checks and automatic fixes.",
            [health::route_table::routes()],
        ),
        group(
            "Updates",
            "Releases, installed clients and the version in use.",
            [updates::route_table::routes()],
        ),
        group(
            "Alerts",
            "Alert rules, channels and notifications.",
            [alerts::route_table::routes()],
        ),
        group(
            "Access",
            "Sign-in and your own account.",
            [access::route_table::own_routes()],
        ),
        group(
            "Users",
            "Users, tokens and the audit log.",
            [access::route_table::user_routes()],
        ),
        group(
            "Backups",
            "Backups of all data.",
            [backups::route_table::routes()],
        ),
        group(
            "Hosts",
            "Other machines with jd-manager, over SSH.",
            [
                hosts::route_table::routes(),
                hosts::instance_route_table::routes(),
            ],
        ),
        group(
            "Rollouts",
            "A client version for several hosts.",
            [rollouts::route_table::routes()],
        ),
        group(
            "Keys",
            "Authority keys of clients.",
            [keys::route_table::routes()],
        ),
        group(
            "First generation",
            "The original API, for a single client and without ids. Still supported.",
            [legacy_api::route_table::routes()],
        ),
        group("jd-manager", "jd-manager itself.", [manager_routes()]),
    ]
}

fn manager_routes() -> RouteTable<AppState> {
    RouteTable::new()
        .add(
            get(
                "/health",
                "getManagerHealth",
                "Returns the health of jd-manager, for containers and load balancers.",
            )
            .gives::<ManagerHealth>(PROGRAMS)
            .for_anybody(),
            manager_health,
        )
        .add(
            get(
                "/openapi",
                "showDocumentation",
                "Returns this documentation, for browsers.",
            )
            .gives::<Map<String, Value>>(PAGE),
            api_docs::routes::show,
        )
        .add(
            get(
                "/openapi.json",
                "getDocumentation",
                "Returns this documentation as an OpenAPI document.",
            )
            .gives::<Map<String, Value>>(PROGRAMS),
            api_docs::routes::document,
        )
        .add(
            get(
                "/glossary",
                "listTerms",
                "The glossary: Stratum V2 mining terms, one sentence each.",
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

/// The documentation of every route.
pub fn operations() -> impl Iterator<Item = ApiOperation> {
    routes().map(|route| route.operation)
}

/// The same, by group.
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
