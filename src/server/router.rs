//! Every URL in one place, and the order of the layers around them.
//!
//! `/api/…` is the same router once more: what is different there (JSON first) is decided by
//! `web::negotiation` from the path.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::timeout::TimeoutLayer;

use crate::domain::access::middleware::{Doors, gate};
use crate::domain::{
    access, alerts, backups, configs, health as wards, instances, keys, legacy_api, logs, metrics,
    setup, updates,
};
use crate::server::state::{AppState, ManagerHealth};
use crate::server::{api_docs, permissions};
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

fn urls() -> Router<AppState> {
    Router::new()
        .route("/", get(instances::routes::overview))
        .route(
            "/instances",
            get(instances::routes::list).post(instances::routes::create),
        )
        .route("/instances/new", get(instances::routes::new))
        .route("/instances/actions", post(instances::routes::bulk))
        .route(
            "/instances/{id}",
            get(logs::routes::show)
                .patch(instances::routes::change)
                .post(instances::routes::change)
                .delete(instances::routes::delete),
        )
        .route("/instances/{id}/settings", get(instances::routes::settings))
        .route("/instances/{id}/start", post(instances::routes::start))
        .route("/instances/{id}/stop", post(instances::routes::stop))
        .route("/instances/{id}/restart", post(instances::routes::restart))
        .route(
            "/instances/{id}/delete",
            get(instances::routes::ask_delete).post(instances::routes::delete),
        )
        .route("/instances/{id}/events", get(instances::routes::events))
        .route("/instances/{id}/logs", get(logs::routes::log))
        .route("/instances/{id}/log.txt", get(logs::routes::file))
        .route(
            "/saved-configs",
            get(configs::routes::list).post(configs::routes::create),
        )
        .route("/saved-configs/new", get(configs::routes::new))
        .route("/saved-configs/active", get(configs::routes::active))
        .route("/saved-configs/check", post(configs::routes::check))
        .route(
            "/saved-configs/import",
            get(configs::routes::ask_import).post(configs::routes::import),
        )
        .route(
            "/saved-configs/{id}",
            get(configs::routes::show)
                .put(configs::routes::update)
                .post(configs::routes::update)
                .delete(configs::routes::delete),
        )
        .route(
            "/saved-configs/{id}/check",
            post(configs::routes::check_saved),
        )
        .route(
            "/saved-configs/{id}/trial",
            post(instances::routes::try_config),
        )
        .route("/saved-configs/{id}/edit", get(configs::routes::edit))
        .route(
            "/saved-configs/{id}/delete",
            get(configs::routes::ask_delete).post(configs::routes::delete),
        )
        .route(
            "/saved-configs/{id}/duplicate",
            post(configs::routes::duplicate),
        )
        .route(
            "/saved-configs/{id}/set-active",
            post(configs::routes::set_active),
        )
        .route("/saved-configs/{id}/toml", get(configs::routes::toml))
        .route(
            "/saved-configs/{id}/export",
            get(configs::routes::export).post(configs::routes::export_whole),
        )
        .route(
            "/saved-configs/{id}/secret",
            get(configs::routes::ask_secret).post(configs::routes::secret),
        )
        .route("/saved-configs/{id}/compare", get(configs::routes::compare))
        .route(
            "/saved-configs/{id}/revisions",
            get(configs::routes::revisions),
        )
        .route(
            "/saved-configs/{id}/revisions/{n}/restore",
            post(configs::routes::restore),
        )
        .route(
            "/setup",
            get(setup::routes::start).post(setup::routes::begin),
        )
        .route("/setup/watch/{id}", get(setup::routes::watch))
        .route("/setup/{id}/delete", post(setup::routes::discard))
        .route("/setup/{id}/{step}/check", post(setup::routes::check))
        .route(
            "/setup/{id}/{step}",
            get(setup::routes::show).post(setup::routes::answer),
        )
        .route("/metrics", get(metrics::routes::compare))
        .route("/metrics/{id}", get(metrics::routes::show))
        .route("/metrics/{id}/latest", get(metrics::routes::latest))
        .route("/metrics/{id}/types", get(metrics::routes::types))
        .route("/metrics/{id}/uptime", get(metrics::routes::uptime))
        .route(
            "/metrics/{id}/{type}/summary",
            get(metrics::routes::summary),
        )
        .route(
            "/metrics/{id}/{type}/timeseries",
            get(metrics::routes::timeseries),
        )
        .route(
            "/metrics/{id}/{type}/timeseries.csv",
            get(metrics::routes::csv),
        )
        .route("/metrics/{id}/{type}/chart", get(metrics::routes::chart))
        .route("/keys/generate", post(keys::routes::generate))
        .route("/jdc/start", post(legacy_api::routes::start))
        .route("/jdc/stop", post(legacy_api::routes::stop))
        .route("/jdc/restart", post(legacy_api::routes::restart))
        .route("/jdc/status", get(legacy_api::routes::status))
        .route("/jdc/logs", get(legacy_api::routes::log))
        .route(
            "/config",
            get(legacy_api::routes::config).post(legacy_api::routes::save),
        )
        .route("/config/validate", post(legacy_api::routes::validate))
        .route("/events", get(instances::routes::all_events))
        .route("/alerts", get(alerts::routes::show))
        .route("/alerts/channels", post(alerts::routes::create_channel))
        .route("/alerts/channels/new", get(alerts::routes::new_channel))
        .route(
            "/alerts/channels/{id}",
            get(alerts::routes::channel)
                .put(alerts::routes::update_channel)
                .post(alerts::routes::update_channel)
                .delete(alerts::routes::delete_channel),
        )
        .route(
            "/alerts/channels/{id}/delete",
            get(alerts::routes::ask_delete_channel).post(alerts::routes::delete_channel),
        )
        .route(
            "/alerts/channels/{id}/test",
            post(alerts::routes::test_channel),
        )
        .route("/alerts/rules", post(alerts::routes::create_rule))
        .route("/alerts/rules/new", get(alerts::routes::new_rule))
        .route(
            "/alerts/rules/{id}",
            get(alerts::routes::rule)
                .put(alerts::routes::update_rule)
                .post(alerts::routes::update_rule)
                .delete(alerts::routes::delete_rule),
        )
        .route(
            "/alerts/rules/{id}/delete",
            get(alerts::routes::ask_delete_rule).post(alerts::routes::delete_rule),
        )
        .route(
            "/alerts/unreadable/{id}",
            delete(alerts::routes::delete_unreadable),
        )
        .route(
            "/alerts/unreadable/{id}/delete",
            get(alerts::routes::ask_delete_unreadable).post(alerts::routes::delete_unreadable),
        )
        .route("/alerts/silences", post(alerts::routes::silence))
        .route("/alerts/silences/{id}", delete(alerts::routes::end_silence))
        .route(
            "/alerts/silences/{id}/delete",
            post(alerts::routes::end_silence),
        )
        .route("/alerts/deliveries", get(alerts::routes::deliveries))
        .route("/alerts/deliveries/{id}/again", post(alerts::routes::again))
        .route(
            "/backups",
            get(backups::routes::show).post(backups::routes::create),
        )
        .route(
            "/backups/settings",
            post(backups::routes::settings).patch(backups::routes::settings),
        )
        .route(
            "/backups/{id}",
            get(backups::routes::download).delete(backups::routes::delete),
        )
        .route(
            "/backups/{id}/delete",
            get(backups::routes::ask_delete).post(backups::routes::delete),
        )
        .route("/updates", get(updates::routes::show))
        .route(
            "/updates/check",
            get(updates::routes::check).post(updates::routes::look),
        )
        .route("/updates/all", get(updates::routes::all))
        .route("/updates/version", get(updates::routes::version))
        .route("/updates/history", get(updates::routes::history))
        .route(
            "/updates/install",
            get(updates::routes::ask_install).post(updates::routes::install),
        )
        .route(
            "/updates/switch",
            get(updates::routes::ask_switch).post(updates::routes::switch),
        )
        .route("/updates/rollback", post(updates::routes::rollback))
        .route("/updates/jobs/{id}", get(updates::routes::job))
        .route("/updates/jobs/{id}/cancel", post(updates::routes::cancel))
        .route("/updates/installed/{name}", delete(updates::routes::remove))
        .route(
            "/updates/installed/{name}/delete",
            get(updates::routes::ask_remove).post(updates::routes::remove),
        )
        .route(
            "/updates/settings",
            post(updates::routes::settings).patch(updates::routes::settings),
        )
        .route("/openapi", get(api_docs::routes::show))
        .route("/openapi.json", get(api_docs::routes::document))
        .route(
            "/login",
            get(access::routes::login_page).post(access::routes::log_in),
        )
        .route(
            "/login/first",
            get(access::routes::first_page).post(access::routes::first_visit),
        )
        .route("/logout", post(access::routes::log_out))
        .route("/account", get(access::routes::account))
        .route("/account/password", post(access::routes::change_password))
        .route(
            "/account/second-factor",
            get(access::routes::second_factor).post(access::routes::set_second_factor),
        )
        .route(
            "/account/second-factor/remove",
            post(access::routes::remove_second_factor),
        )
        .route("/account/sessions/end", post(access::routes::end_sessions))
        .route(
            "/account/sessions/{id}",
            delete(access::routes::end_session),
        )
        .route(
            "/account/sessions/{id}/delete",
            post(access::routes::end_session),
        )
        .route(
            "/users",
            get(access::routes::users::list).post(access::routes::users::create),
        )
        .route(
            "/users/{id}",
            get(access::routes::users::show)
                .patch(access::routes::users::change)
                .post(access::routes::users::change)
                .delete(access::routes::users::delete),
        )
        .route(
            "/users/{id}/delete",
            get(access::routes::users::ask_delete).post(access::routes::users::delete),
        )
        .route(
            "/tokens",
            get(access::routes::tokens::list).post(access::routes::tokens::create),
        )
        .route("/tokens/{id}", delete(access::routes::tokens::revoke))
        .route(
            "/tokens/{id}/delete",
            get(access::routes::tokens::ask_revoke).post(access::routes::tokens::revoke),
        )
        .route("/audit", get(access::routes::audit))
        .route("/health", get(health))
        .route("/health/{id}", get(wards::routes::show))
        .route("/health/{id}/check", post(wards::routes::check))
        .route("/health/{id}/history", get(wards::routes::history))
        .route("/health/{id}/status", get(wards::routes::status))
        .route("/health/{id}/score", get(wards::routes::score))
        .route(
            "/health/{id}/cures",
            post(wards::routes::cures).patch(wards::routes::cures),
        )
}

/// What takes long because much comes in: of other limits than everything else.
fn uploads() -> Router<AppState> {
    Router::new()
        .route("/updates/upload", post(updates::routes::upload))
        .layer(DefaultBodyLimit::max(UPLOAD_LIMIT))
}

fn within(time: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, time)
}

/// The whole application, which answers to the names `hosts`, and to one address at this `pace` at
/// most.
pub fn router(state: AppState, frame: PageFrame, hosts: AllowedHosts, pace: RateLimiter) -> Router {
    let hosts = Arc::new(hosts);
    let access = state.access.clone();
    let pages = Router::new()
        .merge(urls().layer(within(TIMEOUT)))
        .merge(uploads().layer(within(UPLOAD)))
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
        .layer(middleware::from_fn(api_docs::refuse_unknown))
        .layer(middleware::from_fn_with_state(
            (access, permissions::permission as Doors),
            gate,
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

/// `GET /health`: the manager itself is well, for containers and balancers.
async fn health(State(state): State<AppState>) -> Json<ManagerHealth> {
    Json(state.manager_health())
}
