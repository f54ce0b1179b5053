//! The URLs of the documentation.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::OperationSource;
use super::views::ApiPage;
use crate::web::{Reply, RequestContext};

/// `GET /openapi`: a page for people, the document for programs.
pub async fn show(State(operations): State<OperationSource>, want: RequestContext) -> Reply {
    want.respond(&ApiPage::new(super::document(operations.0())))
}

/// `GET /openapi.json`: the document, independent of `Accept`.
pub async fn document(State(operations): State<OperationSource>) -> Reply {
    Ok(Json(super::document(operations.0()).build()).into_response())
}
