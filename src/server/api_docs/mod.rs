//! The documentation of the API, from the route tables of all domains: for
//! programs (OpenAPI 3.1) and for people (a page).
//!
//! Built on request; only the names of parameters and fields are cached (`parameters`). A
//! test compares it with the router.

mod parameters;
pub mod routes;
mod views;

pub use parameters::OperationTable;

use serde_json::json;

use crate::web::error_pages;
use crate::web::openapi::{ApiDocument, OperationGroup, shape};

/// The general description of the API.
const ABOUT: &str = "Run, monitor and update Stratum V2 JD (Job Declarator) clients.\n\n\
    Paths under `/api` return JSON by default; `Accept` selects another media type where available. The same paths without the prefix \
    return HTML by default. Errors are problem details (RFC 9457). In addition to the listed responses, all operations can return 405 for \
    an unsupported method, 500 for an internal error and 504 if there is no response within 60 s.\n\n\
    The version is jd-manager's version. New versions with the same major version may add operations, parameters and fields, but will not \
    remove them or change their meaning; ignore unknown fields. Parts that will be removed are marked `deprecated` for at least one minor version. Operations for web pages may \
    change at any time.";

/// Lists the documented operations: the route tables.
#[derive(Clone, Copy, Debug)]
pub struct OperationSource(pub fn() -> Vec<OperationGroup>);

/// The OpenAPI document.
fn document(parts: Vec<OperationGroup>) -> ApiDocument {
    ApiDocument {
        title: "jd-manager",
        version: env!("CARGO_PKG_VERSION"),
        about: ABOUT,
        prefix: "/api",
        security: json!({
            "token": { "type": "http", "scheme": "bearer", "description": "A user's token: `Authorization: Bearer …`." },
            "session": { "type": "apiKey", "in": "cookie", "name": "jd-manager", "description": "The session cookie set by sign-in; over HTTPS `__Host-jd-manager`." },
        }),
        problem: shape::<error_pages::ProblemDetails<'static>>(),
        parts,
    }
}

/// The document as text, for a file.
pub fn text(parts: Vec<OperationGroup>) -> String {
    format!("{:#}", document(parts).build())
}
