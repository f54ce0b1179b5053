//! Webhooks: JSON for any program, signed if there is a secret.
//!
//! The signature covers the time of sending and the body, so that a receiver can reject replayed
//! messages: `X-JD-Manager-Signature: sha256=<hex of HMAC-SHA-256 over
//! "timestamp.body">`.

use super::http::MessageRequest;
use super::{NotifyMessage, SendAttempt, SendError, addresses};
use hmac::{Hmac, Mac as _};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::fmt::Write as _;

/// Posts the message to `url`. `now` is the time that is signed.
pub(super) async fn send(
    attempt: &SendAttempt<'_>,
    url: &str,
    secret: Option<&str>,
    message: &NotifyMessage,
    now: jiff::Timestamp,
) -> Result<(), SendError> {
    let body = body(message);
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: String| {
        // All of these are printable ASCII by construction.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    add("x-jd-manager-delivery", message.handle());
    if let Some(secret) = secret {
        let timestamp = now.as_second();
        add("x-jd-manager-timestamp", timestamp.to_string());
        add(
            "x-jd-manager-signature",
            signature(secret, timestamp, &body),
        );
    }
    let advice = "Check the address, and whether it must contain a password or a token.";
    let url = addresses::read(url).map_err(SendError::for_good)?;
    // The status decides about success. Waiting for the rest of the response could only cause a
    // duplicate message.
    attempt
        .send(MessageRequest {
            method: Method::POST,
            url,
            headers,
            bearer: None,
            body,
            advice,
        })
        .await
        .map(drop)
}

/// The body: the members of the message, and members of its data with other names.
fn body(message: &NotifyMessage) -> Vec<u8> {
    let mut body = match &message.data {
        Value::Object(members) => members.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("data".to_owned(), other.clone())]),
    };
    let own = [
        ("id", json!(message.id)),
        ("at", json!(format!("{:.3}", message.moment()))),
        ("title", json!(message.title)),
        ("text", json!(message.text)),
        ("mood", json!(message.mood)),
        ("link", json!(message.link)),
    ];
    body.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(body).to_string().into_bytes()
}

/// `sha256=` and the hex digits of the HMAC of `timestamp.body`.
pub(super) fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold("sha256=".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
