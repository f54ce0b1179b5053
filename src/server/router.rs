//! The router of all route tables, and the order of the middleware around it.
//!
//! Each route is registered twice, also under `/api`: `web::negotiation` decides the difference (JSON by
//! default) from the path.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, VARY};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::compression::Compression;
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
/// Most responses have fewer headers from here.
const MOST_HEADERS: usize = 10;

/// The whole application, for the host names `hosts`, with the rate limit `pace` per
/// address.
pub fn router(state: AppState, frame: PageFrame, hosts: AllowedHosts, pace: RateLimiter) -> Router {
    let access = state.access.clone();
    // Created once: memory that is allocated and freed at the start stays with the process.
    let routes: Vec<Route<AppState>> = route_table::routes().collect();
    let operations = || routes.iter().map(|route| &route.operation);
    let middleware = Middleware {
        frame,
        hosts,
        pace,
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
        .merge(pages)
        // The root under the prefix, for programs that concatenate the two.
        .route("/api/", get(instances::routes::list))
        .route("/static/{name}", get(assets::serve))
        .with_state(state)
        // One function: axum boxes the result of each layer, and copies what is inside it per request.
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(
                    Arc::new(middleware),
                    compress,
                ))
                .layer(DefaultBodyLimit::max(BODY_LIMIT)),
        )
}

/// What the middleware needs.
struct Middleware {
    frame: PageFrame,
    hosts: AllowedHosts,
    pace: RateLimiter,
    check: AccessCheck,
    operations: OperationTable,
}

/// Middleware: compresses the response if the request accepts that. Otherwise it costs nothing.
async fn compress(
    State(middleware): State<Arc<Middleware>>,
    request: Request,
    next: Next,
) -> Response {
    let when = compressible();
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        let mut response = middleware.outer(request, next).await;
        let headers = response.headers();
        let is_final =
            headers.contains_key(CONTENT_ENCODING) || headers.contains_key(CONTENT_RANGE);
        if !is_final && when.should_compress(&response) {
            // As for a request that accepts compression: caches distinguish the two by this.
            response.headers_mut().append(VARY, ACCEPT_ENCODING.into());
        }
        return response;
    }
    let inside = tower::service_fn(|request: Request| {
        let outer = middleware.outer(request, next.clone());
        outer.map(Ok::<_, Infallible>)
    });
    let compressed = Compression::new(inside)
        .compress_when(when)
        .oneshot(request);
    let Ok(response) = compressed.await;
    response.map(Body::new)
}

impl Middleware {
    /// Everything that does not depend on the route or the caller, from the outside in: headers of
    /// every response, errors in the requested representation, rate limit, host and site.
    async fn outer(&self, request: Request, next: Next) -> Response {
        let is_asset = request.uri().path().starts_with("/static/");
        let inside = |request: Request| async move {
            let checked = self
                .pace
                .count(PeerAddress::of(request.extensions()))
                .and_then(|()| origin::check(&self.hosts, &request));
            match checked {
                Ok(()) => self.inner(request, next).await,
                Err(problem) => problem.into_response(),
            }
        };
        let mut response = error_pages::render(&self.frame, request, inside).await;
        // Once, instead of growing for each of the headers below.
        response.headers_mut().reserve(MOST_HEADERS);
        respond::add_vary(&mut response, is_asset);
        csp::add_headers(&mut response, is_asset);
        response
    }

    /// Everything that depends on the route, from the outside in: caller and role, query parameters,
    /// time limit, panics.
    async fn inner(&self, request: Request, next: Next) -> Response {
        let operations = &self.operations;
        let inside = |mut request: Request| async move {
            let time = match operations.check(&mut request) {
                Ok(true) => UPLOAD,
                Ok(false) => TIMEOUT,
                Err(problem) => return problem.into_response(),
            };
            let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
            // Looks at the response before the time: most need no timer.
            match tokio::time::timeout(time, handler).await {
                Ok(Ok(response)) => response,
                Ok(Err(panic)) => {
                    let text = panic.downcast_ref::<&str>().copied();
                    let text = text.or_else(|| Some(panic.downcast_ref::<String>()?.as_str()));
                    tracing::error!(panic = text, "a request handler panicked");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
                Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
            }
        };
        require_role(&self.check, request, inside).await
    }
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
