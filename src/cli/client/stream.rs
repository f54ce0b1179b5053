//! Reads an event stream, event by event.

use std::time::Duration;

use super::connection::because;

/// A manager sends at least a keep-alive every 15 s.
const SILENCE: Duration = Duration::from_secs(50);
/// Longer data is not an event stream.
const LONGEST: usize = 32 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StreamEvent {
    /// The event's name; empty for the default event of the stream.
    pub(super) name: String,
    /// The id from which a new stream continues, if there is one.
    pub(super) id: Option<String>,
    /// Its JSON.
    pub(super) data: String,
}

/// An event stream that is open.
#[derive(Debug)]
pub(super) struct ApiStream {
    response: reqwest::Response,
    unread: UnreadBytes,
}

impl ApiStream {
    /// The stream in a response.
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            unread: UnreadBytes::default(),
        }
    }

    /// An event that has already arrived.
    pub(super) fn ready(&mut self) -> Option<StreamEvent> {
        self.unread.take()
    }

    /// The next event; none: the stream has ended.
    ///
    /// # Errors
    /// The reason why the stream broke off.
    pub(super) async fn next(&mut self) -> Result<Option<StreamEvent>, String> {
        loop {
            if let Some(event) = self.unread.take() {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            match chunk
                .map_err(|_| "jd-manager stopped sending".to_owned())?
                .map_err(|e| because(&e))?
            {
                Some(bytes) => self.unread.bytes.extend_from_slice(&bytes),
                None => return Ok(None),
            }
            if self.unread.bytes.len() - self.unread.read > LONGEST {
                return Err("the response is not an event stream".into());
            }
        }
    }
}

/// Data that has arrived and is not read yet.
#[derive(Debug, Default)]
struct UnreadBytes {
    bytes: Vec<u8>,
    /// The length of the part that is read.
    read: usize,
}

impl UnreadBytes {
    /// The next complete event.
    fn take(&mut self) -> Option<StreamEvent> {
        loop {
            let rest = &self.bytes[self.read..];
            let Some(end) = memchr::memmem::find(rest, b"\n\n") else {
                self.bytes.drain(..self.read);
                self.read = 0;
                return None;
            };
            let event = StreamEvent::of(&String::from_utf8_lossy(&rest[..end]));
            self.read += end + 2;
            // A comment keeps the connection alive.
            if event.is_some() {
                return event;
            }
        }
    }
}

impl StreamEvent {
    fn of(block: &str) -> Option<Self> {
        let mut event = Self::default();
        let mut has_data = false;
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" => event.id = Some(value.to_owned()),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                    has_data = true;
                }
                _ => {}
            }
        }
        has_data.then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_they_come() {
        let text = ": hello\n\nevent: instance\ndata: {\"a\":1}\n\nid: 7\ndata: x\ndata: y\n\n:\n\ndata: rest";
        for size in 1..text.len() {
            let mut unread = UnreadBytes::default();
            let mut heard = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                unread.bytes.extend_from_slice(piece);
                heard.extend(std::iter::from_fn(|| unread.take()));
            }
            let expected = [
                StreamEvent {
                    name: "instance".into(),
                    id: None,
                    data: "{\"a\":1}".into(),
                },
                StreamEvent {
                    name: String::new(),
                    id: Some("7".into()),
                    data: "x\ny".into(),
                },
            ];
            assert_eq!(heard, expected, "in pieces of {size}");
            assert_eq!(&unread.bytes[unread.read..], b"data: rest");
        }
    }
}
