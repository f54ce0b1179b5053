//! The router of all route tables, and the order of the middleware around it.
//!
//! `/api/…` is the same router again: `web::negotiation` decides the difference (JSON by default) from
//! the path.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use crate::domain::access::PermissionTable;
use crate::domain::access::middleware::{AccessCheck, require_role};
use crate::domain::instances;
use crate::server::api_docs::OperationTable;
use crate::server::route_table;
use crate::server::state::AppState;
use crate::web::openapi::Route;
use crate::web::origin::AllowedHosts;
use crate::web::rate_limit::RateLimiter;
use crate::web::{
    PageFrame, PeerAddress, ProblemResponse, assets, csp, error_pages, origin, respond,
};

/// Maximum body size in bytes; larger bodies are rejected with 413.
const BODY_LIMIT: usize = 1024 * 1024;
/// Timeout of a request; longer than the longest stop of a client.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest client file plus the overhead of a form.
const UPLOAD_LIMIT: usize = 513 * 1024 * 1024;
/// Enough for 512 MiB at 150 kB/s.
const UPLOAD: Duration = Duration::from_secs(3600);

/// The whole application, for the host names `hosts`, with the rate limit `pace` per
/// address.
pub fn router(state: AppState, frame: PageFrame, hosts: AllowedHosts, pace: RateLimiter) -> Router {
    let access = state.access.clone();
    // Created once: memory that is allocated and freed at the start stays with the process.
    let routes: Vec<Route<AppState>> = route_table::routes().collect();
    let operations = || routes.iter().map(|route| &route.operation);
    let inner_state = InnerMiddleware {
        check: AccessCheck {
            access,
            permissions: PermissionTable::new(operations()),
        },
        operations: OperationTable::new(operations()),
    };
    let (uploads, others): (Vec<_>, Vec<_>) = routes
        .into_iter()
        .partition(|route| route.operation.is_upload);
    let of = |routes: Vec<Route<AppState>>| {
        let register = |router, route: Route<AppState>| route.register(router);
        routes.into_iter().fold(Router::new(), register)
    };
    let uploads = of(uploads).layer(DefaultBodyLimit::max(UPLOAD_LIMIT));
    let pages = Router::new()
        .merge(of(others))
        .merge(uploads)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found);
    Router::new()
        .nest("/api", pages.clone())
        // The root under the prefix, for programs that concatenate the two.
        .route("/api/", get(instances::routes::overview))
        .merge(pages)
        .route("/static/{name}", get(assets::serve))
        .with_state(state)
        // One stack: with separate calls of `layer`, each one boxes and copies those inside it.
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new().compress_when(compressible()))
                .layer(middleware::from_fn_with_state(
                    Arc::new(OuterMiddleware { frame, hosts, pace }),
                    outer,
                ))
                .layer(middleware::from_fn_with_state(Arc::new(inner_state), inner))
                .layer(CatchPanicLayer::new())
                .layer(DefaultBodyLimit::max(BODY_LIMIT)),
        )
}

/// What [`inner`] needs.
struct InnerMiddleware {
    check: AccessCheck,
    operations: OperationTable,
}

/// Middleware: everything that depends on the route, from the outside in: caller and role, query
/// parameters, time limit.
async fn inner(
    State(state): State<Arc<InnerMiddleware>>,
    request: Request,
    next: Next,
) -> Response {
    let operations = &state.operations;
    let inside = |mut request: Request| async move {
        let time = match operations.check(&mut request) {
            Ok(true) => UPLOAD,
            Ok(false) => TIMEOUT,
            Err(problem) => return problem.into_response(),
        };
        // Looks at the response before the time: most need no timer.
        tokio::time::timeout(time, next.run(request))
            .await
            .unwrap_or_else(|_| StatusCode::GATEWAY_TIMEOUT.into_response())
    };
    require_role(&state.check, request, inside).await
}

/// What [`outer`] needs.
struct OuterMiddleware {
    frame: PageFrame,
    hosts: AllowedHosts,
    pace: RateLimiter,
}

/// Middleware: everything that does not depend on the route or the caller, from the outside in:
/// headers of every response, errors in the requested representation, rate limit, host and site.
async fn outer(
    State(state): State<Arc<OuterMiddleware>>,
    request: Request,
    next: Next,
) -> Response {
    let is_asset = request.uri().path().starts_with("/static/");
    let checks = &state;
    let inside = |request: Request| async move {
        let checked = checks
            .pace
            .count(PeerAddress::of(request.extensions()))
            .and_then(|()| origin::check(&checks.hosts, &request));
        match checked {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = error_pages::render(&state.frame, request, inside).await;
    respond::add_vary(&mut response, is_asset);
    csp::add_headers(&mut response, is_asset);
    response
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
