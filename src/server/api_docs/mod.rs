//! The documentation of the API: what every domain writes down of its operations, put together, for
//! machines (OpenAPI 3.1) and for people (a page).
//!
//! Made when it is asked for; only the names of parameters and fields are kept (`parameters`). A
//! test compares it with the router.

mod parameters;
pub mod routes;
mod views;

pub use parameters::{OperationTable, refuse_unknown};

use serde_json::json;

use crate::web::error_pages;
use crate::web::openapi::{ApiDocument, OperationGroup, shape};

/// What holds for all of it.
const ABOUT: &str = "Run, watch and update Stratum V2 Job Declarator Clients.\n\n\
    Below `/api` JSON is the first choice; `Accept` chooses another representation where there is one. Everything is served without the prefix, \
    too, with HTML as the first choice. Errors are problem details (RFC 9457). Besides what each operation says there may be 405 for \
    another method, 500 for a fault of jd-manager and 504 where there was no answer within 60 s.\n\n\
    The version is that of jd-manager. Within one major version operations, parameters and members of answers are added, never removed and never given \
    another meaning; ignore members you do not know. What is on its way out is marked `deprecated` for at least one minor version. Operations that are for people may \
    change at any time.";

/// Lists the documented operations: the route tables.
#[derive(Clone, Copy, Debug)]
pub struct OperationSource(pub fn() -> Vec<OperationGroup>);

/// All that is documented.
fn document(parts: Vec<OperationGroup>) -> ApiDocument {
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
        parts,
    }
}

/// The document as text, for a file.
pub fn text(parts: Vec<OperationGroup>) -> String {
    format!("{:#}", document(parts).build())
}
