//! Query parameters and body fields that an operation does not have are refused by name. What it
//! has is what is documented.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::OnceLock;

use crate::base::error::{Error, FieldError};
use crate::server::route_table;
use crate::web::ProblemResponse;
use crate::web::extract::{BodyFields, KnownField, MOST_UNKNOWN, unknown_field};
use crate::web::openapi::{RequestBody, RequestField};

/// The names that an operation knows.
struct OperationParameters {
    query: Vec<KnownField>,
    /// None: the fields of its body are not listed.
    body: Option<Vec<KnownField>>,
}

fn known(fields: &[RequestField]) -> Vec<KnownField> {
    fields
        .iter()
        .map(|field| KnownField {
            name: field.name,
            alias: field.alias,
        })
        .collect()
}

/// By method and path.
fn all() -> &'static HashMap<String, OperationParameters> {
    static ALL: OnceLock<HashMap<String, OperationParameters>> = OnceLock::new();
    ALL.get_or_init(|| {
        let operations = route_table::operations();
        let entry = |operation: crate::web::openapi::ApiOperation| {
            // What somebody got and sends back changed has these as well.
            let given = matches!(operation.method, "put" | "patch").then_some([
                "id",
                "words",
                "created_at",
                "updated_at",
            ]);
            let given = given
                .into_iter()
                .flatten()
                .map(|name| KnownField { name, alias: None });
            let body = match &operation.body {
                Some(RequestBody::Fields(fields)) if !operation.has_open_body => {
                    Some(known(fields).into_iter().chain(given).collect())
                }
                _ => None,
            };
            (
                key(operation.method, operation.path),
                OperationParameters {
                    query: known(&operation.query),
                    body,
                },
            )
        };
        operations.map(entry).collect()
    })
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

/// Middleware: refuses unknown query parameters, and tells the readers of bodies which fields there
/// are.
pub async fn refuse_unknown(mut request: Request, next: Next) -> Response {
    let pattern = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned())
        .unwrap_or_default();
    let pattern = pattern
        .strip_prefix("/api")
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(&pattern);
    let found = all().get(&key(method_name(request.method()), pattern));
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
    if let Some(fields) = &parameters.body {
        request.extensions_mut().insert(BodyFields(fields));
    }
    next.run(request).await
}
