//! Rejects undocumented query parameters and body fields
//! by name.

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;

use crate::base::error::{Error, FieldError};
use crate::web::ProblemResponse;
use crate::web::extract::{MOST_UNKNOWN, OperationFields, unknown_field};
use crate::web::openapi::{ApiOperation, RequestBody, text};

/// The documented fields of every operation, by method and path.
#[derive(Clone, Debug)]
pub struct OperationTable(Arc<HashMap<String, Arc<OperationFields>>>);

impl OperationTable {
    /// The table of these operations.
    pub fn new<'a>(operations: impl IntoIterator<Item = &'a ApiOperation>) -> Self {
        let entry = |operation: &'a ApiOperation| {
            // An object that a client received and sends back changed contains these fields too.
            let given = matches!(operation.method, "put" | "patch").then_some([
                "id",
                "words",
                "created_at",
                "updated_at",
            ]);
            let given = given.into_iter().flatten().map(|name| text(name, ""));
            let body = match &operation.body {
                Some(RequestBody::Fields(fields)) if !operation.has_open_body => {
                    Some(fields.iter().cloned().chain(given).collect())
                }
                _ => None,
            };
            let query = operation.query.clone();
            let key = key(operation.method, operation.path);
            (key, Arc::new(OperationFields { query, body }))
        };
        Self(Arc::new(operations.into_iter().map(entry).collect()))
    }
}

fn key(method: &str, path: &str) -> String {
    format!("{method} {path}")
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// Middleware: rejects unknown query parameters, and passes the documented fields to the readers of
/// bodies.
pub async fn refuse_unknown(
    State(table): State<OperationTable>,
    mut request: Request,
    next: Next,
) -> Response {
    let pattern = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned())
        .unwrap_or_default();
    let pattern = match pattern.strip_prefix("/api") {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => &pattern,
    };
    let found = table.0.get(&key(method_name(request.method()), pattern));
    let Some(parameters) = found else {
        return next.run(request).await;
    };
    let query = request.uri().query().unwrap_or_default();
    let mut unknown: Vec<FieldError> = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if unknown.len() == MOST_UNKNOWN {
            break;
        }
        if !parameters.query.iter().any(|known| known.name == name)
            && !unknown
                .iter()
                .any(|one| one.pointer.strip_prefix('/') == Some(&*name))
        {
            unknown.push(unknown_field("query parameter", &name, &parameters.query));
        }
    }
    if !unknown.is_empty() {
        return ProblemResponse::from(Error::Invalid(unknown)).into_response();
    }
    request.extensions_mut().insert(parameters.clone());
    next.run(request).await
}
