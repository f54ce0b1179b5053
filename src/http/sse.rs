//! Event streams: kept alive, and ended when the manager shuts down so that no open page holds it up.
//!
//! Knows nothing of what is streamed.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The `Last-Event-ID` a browser or program sends when it comes back, as a position.
#[must_use]
pub fn last_event_id(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

/// A stream of events as a response; ends with `stop`.
pub fn respond(events: impl Stream<Item = Event> + Send + 'static, stop: CancellationToken) -> Response {
    let events = events.fuse().take_until(stop.cancelled_owned()).map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    // Proxies that buffer would hold a live log back.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
