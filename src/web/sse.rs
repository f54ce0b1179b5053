//! Event streams: kept alive, and ended when the manager shuts down so that no open page holds it
//! up.
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

/// The `BackupOutcomes-Event-ID` a browser or program sends when it comes back, as a position.
pub fn last_event_id(headers: &axum::http::HeaderMap) -> Option<u64> {
    headers
        .get("last-event-id")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// How often a page hears that its stream is alive. Pages show a lost connection within 5 s;
/// `static/connection.js` has the other times.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often any other reader gets a comment, so that nothing in between closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream of events as a response; ends with `stop`. A page (`as_html`) also gets events
/// `heartbeat`, since its scripts do not see comments.
pub fn respond(
    events: impl Stream<Item = Event> + Send + 'static,
    stop: CancellationToken,
    as_html: bool,
) -> Response {
    let events = events
        .fuse()
        .take_until(stop.cancelled_owned())
        .map(Ok::<_, Infallible>);
    let keep_alive = match as_html {
        true => KeepAlive::new()
            .interval(HEARTBEAT)
            .event(Event::default().event("heartbeat")),
        false => KeepAlive::new().interval(KEEP_ALIVE),
    };
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // Proxies that buffer would hold a live log back.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
