//! Event streams: kept alive, and closed when the manager stops, so that open pages do not delay
//! it.
//!
//! Independent of the streamed content.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The `Last-Event-ID` that a browser or program sends when it reconnects, as a position; none if it
/// is of another kind.
pub fn last_event_id<T: std::str::FromStr>(headers: &axum::http::HeaderMap) -> Option<T> {
    headers
        .get("last-event-id")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Interval of heartbeats to pages. Pages show a lost connection within 5 s;
/// `static/connection.js` has the other times.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Interval of comments to other readers, so that proxies do not close the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream of events as a response; ends at `stop`. A page (`as_html`) also gets events
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
    // A buffering proxy would delay a live log.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
