//! Rejects undocumented query parameters and body fields
//! by name.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use std::collections::HashMap;
use std::sync::Arc;

use crate::base::error::{Error, FieldError};
use crate::web::ProblemResponse;
use crate::web::extract::{MOST_UNKNOWN, OperationFields, unknown_field};
use crate::web::openapi::{ApiOperation, RequestBody, text};

/// The documented fields of every operation, by method and path, and whether it is an upload.
#[derive(Debug)]
pub struct OperationTable(HashMap<(&'static str, &'static str), (Arc<OperationFields>, bool)>);

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
            let key = (operation.method, operation.path);
            let fields = Arc::new(OperationFields { query, body });
            (key, (fields, operation.is_upload))
        };
        Self(operations.into_iter().map(entry).collect())
    }
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

impl OperationTable {
    /// Rejects unknown query parameters, and passes the documented fields to the readers of bodies.
    /// Returns whether the request is an upload.
    ///
    /// # Errors
    /// There are unknown parameters.
    pub fn check(&self, request: &mut Request) -> Result<bool, ProblemResponse> {
        let pattern = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", |path| path.as_str());
        let pattern = match pattern.strip_prefix("/api") {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => pattern,
        };
        let key = (method_name(request.method()), pattern);
        let Some((fields, is_upload)) = self.0.get(&key).cloned() else {
            return Ok(false);
        };
        let query = request.uri().query().unwrap_or_default();
        let mut unknown: Vec<FieldError> = Vec::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if unknown.len() == MOST_UNKNOWN {
                break;
            }
            if !fields.query.iter().any(|known| known.name == name)
                && !unknown
                    .iter()
                    .any(|one| one.pointer.strip_prefix('/') == Some(&*name))
            {
                unknown.push(unknown_field("query parameter", &name, &fields.query));
            }
        }
        if !unknown.is_empty() {
            return Err(Error::Invalid(unknown).into());
        }
        request.extensions_mut().insert(fields);
        Ok(is_upload)
    }
}
