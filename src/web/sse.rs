//! Event streams: their format, kept alive, and closed when the manager stops, so that open pages do
//! not delay it.
//!
//! Events are bytes in the format that is sent, so that many streams can share them. Independent of the
//! streamed content.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use std::convert::Infallible;
use std::fmt::{Display, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// The `Last-Event-ID` that a browser or program sends when it reconnects, as a position; none if it
/// is of another kind.
pub fn last_event_id<T: std::str::FromStr>(headers: &HeaderMap) -> Option<T> {
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

/// An event in the making: fields first, then its data.
#[derive(Debug, Default)]
pub struct SseEvent(BytesMut);

impl SseEvent {
    /// The name of the event.
    #[must_use]
    pub fn event(self, name: &'static str) -> Self {
        self.field("event", name)
    }

    /// The position after the event, for `Last-Event-ID`. Must be a single line.
    #[must_use]
    pub fn id(self, id: impl Display) -> Self {
        self.field("id", id)
    }

    fn field(mut self, name: &str, value: impl Display) -> Self {
        // Writing to memory does not fail.
        let _ = writeln!(self.0, "{name}: {value}");
        self
    }

    /// The event with this text. Any kind of line break arrives as a line feed.
    pub fn data(mut self, text: impl AsRef<str>) -> Bytes {
        let text = text.as_ref();
        self.0.reserve(text.len() + 16);
        for line in text.split('\n') {
            for line in line.strip_suffix('\r').unwrap_or(line).split('\r') {
                self.0.put_slice(b"data: ");
                self.0.put_slice(line.as_bytes());
                self.0.put_u8(b'\n');
            }
        }
        self.0.put_u8(b'\n');
        self.0.freeze()
    }

    /// The event with this value as JSON.
    ///
    /// # Errors
    /// The value cannot be serialized, which is a bug.
    pub fn json_data(mut self, value: impl Serialize) -> serde_json::Result<Bytes> {
        // JSON has no line breaks outside of strings, where they are escaped.
        self.0.put_slice(b"data: ");
        let mut writer = self.0.writer();
        serde_json::to_writer(&mut writer, &value)?;
        let mut event = writer.into_inner();
        event.put_slice(b"\n\n");
        Ok(event.freeze())
    }
}

/// Several events as one piece.
pub fn join(events: impl IntoIterator<Item = Bytes>) -> Bytes {
    let mut events = events.into_iter();
    let Some(first) = events.next() else {
        return Bytes::new();
    };
    let Some(second) = events.next() else {
        return first;
    };
    let mut joined = BytesMut::from(first);
    for event in [second].into_iter().chain(events) {
        joined.extend_from_slice(&event);
    }
    joined.freeze()
}

/// A stream of events as a response; ends at `stop`. A page (`as_html`) also gets events
/// `heartbeat`, since its scripts do not see comments.
pub fn respond(
    events: impl Stream<Item = Bytes> + Send + 'static,
    stop: CancellationToken,
    as_html: bool,
) -> Response {
    let (interval, keep_alive) = match as_html {
        true => (HEARTBEAT, "event: heartbeat\n\n"),
        false => (KEEP_ALIVE, ":\n\n"),
    };
    let body = LiveStream {
        events: Box::pin(events.take_until(stop.cancelled_owned())),
        interval,
        keep_alive: Bytes::from_static(keep_alive.as_bytes()),
        idle: Box::pin(sleep(interval)),
    };
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // A buffering proxy would delay a live log.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    let body = Body::from_stream(body.fuse().map(Ok::<_, Infallible>));
    (headers, body).into_response()
}

/// Events, and a sign of life after each interval without one.
struct LiveStream<S> {
    events: Pin<Box<S>>,
    interval: Duration,
    keep_alive: Bytes,
    idle: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Bytes>> Stream for LiveStream<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let event = match self.events.as_mut().poll_next(cx) {
            Poll::Ready(event) => event,
            Poll::Pending => {
                std::task::ready!(self.idle.as_mut().poll(cx));
                Some(self.keep_alive.clone())
            }
        };
        let next = Instant::now() + self.interval;
        self.idle.as_mut().reset(next);
        Poll::Ready(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[test]
    fn every_line_of_a_text_is_a_line_of_data() {
        let event = SseEvent::default().event("a").id(7);
        assert_eq!(
            event.data("x\r\ny\rz\n"),
            "event: a\nid: 7\ndata: x\ndata: y\ndata: z\ndata: \n\n"
        );
        assert_eq!(SseEvent::default().data(""), "data: \n\n");
        let json = SseEvent::default().json_data(["a\nb\r"]).unwrap();
        assert_eq!(json, "data: [\"a\\nb\\r\"]\n\n");
    }

    #[test]
    fn joined_events_are_one_piece() {
        let events = ["a", "b", "c"].map(Bytes::from);
        assert_eq!(join(events), "abc");
        assert_eq!(join([Bytes::from("a")]), "a");
        assert_eq!(join([]), "");
    }

    #[tokio::test]
    async fn a_quiet_stream_shows_that_it_lives_and_ends_with_the_manager() {
        let stop = CancellationToken::new();
        let events = stream::once(std::future::ready(Bytes::from("a"))).chain(stream::pending());
        let response = respond(events, stop.clone(), true);
        let mut body = response.into_body().into_data_stream();
        let begun = Instant::now();
        for wanted in ["a", "event: heartbeat\n\n", "event: heartbeat\n\n"] {
            assert_eq!(body.next().await.unwrap().unwrap(), wanted);
        }
        assert!(begun.elapsed() >= HEARTBEAT * 2);
        stop.cancel();
        assert!(body.next().await.is_none());
    }
}
