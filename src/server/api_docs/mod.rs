//! The documentation of the API: what every domain writes down of its operations, put together, for
//! machines (OpenAPI 3.1) and for people (a page).
//!
//! Made when it is asked for; only the names of parameters and fields are kept (`parameters`). A
//! test compares it with the router.

mod parameters;
pub mod routes;
mod views;

pub use parameters::refuse_unknown;

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::domain::access::RequiredRole;
use crate::domain::{
    access, alerts, backups, configs, health, instances, keys, legacy_api, logs, metrics, setup,
    updates,
};
use crate::server::permissions;
use crate::server::state::ManagerHealth;
use crate::web::openapi::{ApiDocument, ApiOperation, OperationGroup, PAGE, PROGRAMS, get, shape};
use crate::web::{Role, error_pages};

/// What holds for all of it.
const ABOUT: &str = "Run, watch and update Stratum V2 Job Declarator Clients.\n\n\
    Below `/api` JSON is the first choice; `Accept` chooses another representation where there is one. Everything is served without the prefix, \
    too, with HTML as the first choice. Errors are problem details (RFC 9457). Besides what each operation says there may be 405 for \
    another method, 500 for a fault of jd-manager and 504 where there was no answer within 60 s.\n\n\
    The version is that of jd-manager. Within one major version operations, parameters and members of answers are added, never removed and never given \
    another meaning; ignore members you do not know. What is on its way out is marked `deprecated` for at least one minor version. Operations that are for people may \
    change at any time.";

fn part(
    tag: &'static str,
    about: &'static str,
    operations: impl IntoIterator<Item = Vec<ApiOperation>>,
) -> OperationGroup {
    OperationGroup {
        tag,
        about,
        operations: operations.into_iter().flatten().collect(),
    }
}

fn parts() -> Vec<OperationGroup> {
    vec![
        part(
            "Instances",
            "JD Clients that are run.",
            [
                vec![logs::openapi::instance()],
                instances::openapi::operations(),
            ],
        ),
        part("Logs", "What clients say.", [logs::openapi::operations()]),
        part(
            "Configurations",
            "What a client is told, kept in revisions.",
            [
                configs::openapi::operations(),
                vec![instances::openapi::trial()],
            ],
        ),
        part(
            "Setup",
            "From nothing to an instance that runs.",
            [setup::openapi::operations()],
        ),
        part(
            "Metrics",
            "Figures of clients over time.",
            [metrics::openapi::operations()],
        ),
        part(
            "Health",
            "How instances are, and what is done about it.",
            [health::openapi::operations()],
        ),
        part(
            "Updates",
            "Which clients there are and which is in use.",
            [updates::openapi::operations()],
        ),
        part(
            "Alerts",
            "Who is told of what.",
            [alerts::openapi::operations()],
        ),
        part(
            "Access",
            "Who asks, and what for.",
            [access::openapi::own()],
        ),
        part(
            "Users",
            "Who may do what, and who did what.",
            [access::openapi::others()],
        ),
        part(
            "Backups",
            "All there is in one file.",
            [backups::openapi::operations()],
        ),
        part(
            "Keys",
            "By which a client is recognised.",
            [keys::openapi::operations()],
        ),
        part(
            "First generation",
            "For programs that know one client and no ids.",
            [legacy_api::openapi::operations()],
        ),
        part("jd-manager", "The manager itself.", [house()]),
    ]
}

/// The operations of the house.
fn house() -> Vec<ApiOperation> {
    vec![
        get(
            "/health",
            "getManagerHealth",
            "Whether jd-manager itself is well, for containers and balancers.",
        )
        .gives::<ManagerHealth>(PROGRAMS),
        get(
            "/openapi",
            "showDocumentation",
            "This documentation; as a page for people.",
        )
        .gives::<Map<String, Value>>(PAGE),
        get(
            "/openapi.json",
            "getDocumentation",
            "This documentation, for whatever is accepted.",
        )
        .gives::<Map<String, Value>>(PROGRAMS),
    ]
}

/// Which role an operation needs; none: nobody has to say who asks.
fn needed(method: &str, path: &str) -> Option<Role> {
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap_or_default();
    match permissions::permission(&method, Some(path)).who {
        RequiredRole::Anybody => None,
        RequiredRole::From(role) => Some(role),
    }
}

/// All that is documented.
fn document() -> ApiDocument {
    ApiDocument {
        title: "jd-manager",
        version: env!("CARGO_PKG_VERSION"),
        about: ABOUT,
        prefix: "/api",
        security: json!({
            "token": { "type": "http", "scheme": "bearer", "description": "A token of a user: `Authorization: Bearer …`." },
            "session": { "type": "apiKey", "in": "cookie", "name": "jd-manager", "description": "A person who has logged in; over HTTPS `__Host-jd-manager`." },
        }),
        problem: shape::<error_pages::ProblemDetails<'static>>(),
        role: |method, path| needed(method, path).map(Role::name),
        parts: parts(),
    }
}

/// The document as text, for a file.
pub fn text() -> String {
    format!("{:#}", document().build())
}
