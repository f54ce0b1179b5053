//! The router of all tables of routes, and the order of the layers around it.
//!
//! `/api/…` is the same router once more: what is different there (JSON first) is decided by
//! `web::negotiation` from the path.

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

/// Bodies larger than this are refused with 413, bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// A request that has no answer by then never will; longer than the longest stop.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest client and what a form puts around it.
const UPLOAD_LIMIT: usize = 513 * 1024 * 1024;
/// A file of 512 MiB at 150 kB/s.
const UPLOAD: Duration = Duration::from_secs(3600);

fn within(time: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, time)
}

/// The whole application, which answers to the names `hosts`, and to one address at this `pace` at
/// most.
pub fn router(state: AppState, frame: PageFrame, hosts: AllowedHosts, pace: RateLimiter) -> Router {
    let hosts = Arc::new(hosts);
    let access = state.access.clone();
    // Made once: what is made and thrown away at the start stays with the process as memory.
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
        // The root below the prefix, for programs that put the two together.
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

/// Everything but what is compressed or encrypted already.
fn compressible() -> impl Predicate {
    let not = NotForContentType::const_new;
    DefaultPredicate::new()
        .and(not("application/gzip"))
        .and(not("application/octet-stream"))
}

async fn not_found() -> ProblemResponse {
    ProblemResponse::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

/// The `Allow` header is the framework's; only the words are ours.
async fn method_not_allowed() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}
