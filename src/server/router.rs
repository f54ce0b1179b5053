//! The router of all route tables, and the order of the middleware around it.
//!
//! `/api/…` is the same router again: `web::negotiation` decides the difference (JSON by default) from
//! the path.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::timeout::TimeoutLayer;

use crate::domain::access::PermissionTable;
use crate::domain::access::middleware::require_role;
use crate::domain::instances;
use crate::server::api_docs::OperationTable;
use crate::server::state::AppState;
use crate::server::{api_docs, route_table};
use crate::web::openapi::Route;
use crate::web::origin::AllowedHosts;
use crate::web::rate_limit::{self, RateLimiter};
use crate::web::{PageFrame, ProblemResponse, assets, csp, error_pages, origin, respond};

/// Maximum body size in bytes; larger bodies are rejected with 413.
const BODY_LIMIT: usize = 1024 * 1024;
/// Timeout of a request; longer than the longest stop of a client.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest client file plus the overhead of a form.
const UPLOAD_LIMIT: usize = 513 * 1024 * 1024;
/// Enough for 512 MiB at 150 kB/s.
const UPLOAD: Duration = Duration::from_secs(3600);

fn within(time: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, time)
}

/// The whole application, for the host names `hosts`, with the rate limit `pace` per
/// address.
pub fn router(state: AppState, frame: PageFrame, hosts: AllowedHosts, pace: RateLimiter) -> Router {
    let hosts = Arc::new(hosts);
    let access = state.access.clone();
    // Created once: memory that is allocated and freed at the start stays with the process.
    let routes: Vec<Route<AppState>> = route_table::routes().collect();
    let operations = || routes.iter().map(|route| &route.operation);
    let permissions = Arc::new(PermissionTable::new(operations()));
    let fields = OperationTable::new(operations());
    let (uploads, others): (Vec<_>, Vec<_>) = routes
        .into_iter()
        .partition(|route| route.operation.is_upload);
    let of = |routes: Vec<Route<AppState>>| {
        let register = |router, route: Route<AppState>| route.register(router);
        routes.into_iter().fold(Router::new(), register)
    };
    let uploads = of(uploads).layer(DefaultBodyLimit::max(UPLOAD_LIMIT));
    let pages = Router::new()
        .merge(of(others).layer(within(TIMEOUT)))
        .merge(uploads.layer(within(UPLOAD)))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found);
    Router::new()
        .nest("/api", pages.clone())
        // The root under the prefix, for programs that concatenate the two.
        .route("/api/", get(instances::routes::overview))
        .merge(pages)
        .route("/static/{name}", get(assets::serve))
        .with_state(state)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(
            fields,
            api_docs::refuse_unknown,
        ))
        .layer(middleware::from_fn_with_state(
            (access, permissions),
            require_role,
        ))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            origin::same_site_only(hosts.clone(), request, next)
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            rate_limit::limit(pace.clone(), request, next)
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            error_pages::render(frame.clone(), request, next)
        }))
        .layer(middleware::from_fn(respond::vary))
        .layer(middleware::from_fn(csp::headers))
        .layer(CompressionLayer::new().compress_when(compressible()))
}

/// Everything except compressed or encrypted content.
fn compressible() -> impl Predicate {
    let not = NotForContentType::const_new;
    DefaultPredicate::new()
        .and(not("application/gzip"))
        .and(not("application/octet-stream"))
}

async fn not_found() -> ProblemResponse {
    ProblemResponse::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

/// The framework sets the `Allow` header; only the text is from here.
async fn method_not_allowed() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}
