//! The URLs of the documentation.

use axum::Json;
use axum::response::IntoResponse;

use super::views::ApiPage;
use crate::web::{Reply, RequestContext};

/// `GET /openapi`: for people a page, for programs the document.
pub async fn show(want: RequestContext) -> Reply {
    want.respond(&ApiPage::new(super::document()))
}

/// `GET /openapi.json`: the document, for whatever is accepted.
pub async fn document() -> Reply {
    Ok(Json(super::document().build()).into_response())
}
