//! One POST of JSON and what became of it.
//!
//! Knows HTTP and no kind of channel: what a body means is up to who posted.

use super::error::{self, SendError};
use super::{SendAttempt, addresses};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout_at;

/// Bytes of an answer that are read at most.
const MAX_ANSWER: usize = 64 << 10;
/// The longest time for which a receiver may ask to be left alone.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is posted.
pub(super) struct HttpPost {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Sent as `Authorization: Bearer`.
    pub(super) bearer: Option<String>,
    pub(super) body: Vec<u8>,
    /// What to look at when the receiver refuses, as a sentence.
    pub(super) advice: &'static str,
}

impl SendAttempt<'_> {
    /// Posts and gives the answer if its status says success. Its body is still to be read.
    pub(super) async fn post(&self, post: HttpPost) -> Result<Response, SendError> {
        let place = addresses::place(&post.url);
        let mut request = self
            .sender
            .http
            .post(post.url.clone())
            .headers(post.headers)
            .body(post.body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = post.bearer {
            let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                SendError::for_good(
                    "The token holds characters that HTTP cannot carry. Enter it anew.",
                )
            })?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let response = match timeout_at(self.deadline, request.send()).await {
            Err(_) => return Err(error::too_late(&place, self.sender.patience)),
            // Its words would have the whole address in them, and that of Telegram has the token.
            Ok(Err(error)) => {
                let error = error.without_url();
                return Err(error::unconnected(
                    &place,
                    &error,
                    self.sender.has_authorities,
                    &self.secrets,
                ));
            }
            Ok(Ok(response)) => response,
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(&place, &post.url, response, post.advice).await)
        }
    }

    /// The JSON in a successful answer; null when there is none or it is longer than 64 KiB.
    pub(super) async fn json(&self, response: Response) -> Result<Value, SendError> {
        let place = addresses::place(response.url());
        let (body, is_whole) = self.body(response).await;
        if !is_whole && body.len() < MAX_ANSWER {
            return Err(error::too_late(&place, self.sender.patience));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// As much of the body as comes in time and is read at all, and whether that is all of it.
    async fn body(&self, mut response: Response) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        while let Ok(Ok(chunk)) = timeout_at(self.deadline, response.chunk()).await {
            let Some(chunk) = chunk else {
                return (body, true);
            };
            let room = MAX_ANSWER - body.len();
            body.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if chunk.len() >= room {
                break;
            }
        }
        (body, false)
    }

    /// What a status other than success means.
    async fn refusal(&self, place: &str, url: &Url, response: Response, advice: &str) -> SendError {
        let status = response.status();
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| pause(value.to_str().ok()?, jiff::Timestamp::now()))
            .filter(|_| {
                matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                )
            });
        if status.is_redirection() {
            let target = location
                .and_then(|text| url.join(&text).ok())
                .map(|target| addresses::masked(target.as_str()));
            let target = target.map_or_else(String::new, |target| {
                format!(" It leads on{}.", error::quote(&target, &self.secrets))
            });
            return SendError::for_good(format!(
                "{place} answered with a redirect (HTTP status {}), which is not followed.{target} Enter the address where messages \
                 are taken.",
                status.as_u16()
            ));
        }
        let (body, _) = self.body(response).await;
        let said = ErrorResponseText::read(&body);
        if status == StatusCode::TOO_MANY_REQUESTS {
            retry_after = retry_after.or(said.retry_after);
        }
        let quote = error::quote(&said.words, &self.secrets);
        let what = match status.as_u16() {
            429 => "It takes no more messages for now; send fewer or wait.",
            500.. => "The fault is on the side of the receiver: look there, if it stays.",
            _ => advice,
        };
        let reason = status
            .canonical_reason()
            .map(|reason| format!(" {reason}"))
            .unwrap_or_default();
        let words = format!(
            "{place} answered with HTTP status {}{reason}{quote}. {what}",
            status.as_u16()
        );
        // Too early, locked, in conflict, too slow or too many: those pass. So does what a server
        // finds wrong with itself.
        let passes =
            matches!(status.as_u16(), 408 | 409 | 423 | 425 | 429) || status.is_server_error();
        SendError {
            words,
            is_final: !passes,
            retry_after,
        }
    }
}

/// What an answer that is no success says about itself.
struct ErrorResponseText {
    words: String,
    retry_after: Option<Duration>,
}

impl ErrorResponseText {
    /// Reads the members that such answers mostly have, or else plain text. Pages for people are
    /// not quoted.
    fn read(body: &[u8]) -> Self {
        if let Ok(json) = serde_json::from_slice::<Value>(body) {
            let words = ["error", "description", "message", "detail", "title"]
                .iter()
                .find_map(|name| json.get(name)?.as_str());
            let wait = json
                .pointer("/parameters/retry_after")
                .and_then(Value::as_u64);
            return Self {
                words: words.unwrap_or_default().into(),
                retry_after: wait.map(|s| Duration::from_secs(s).min(MAX_PAUSE)),
            };
        }
        let text = String::from_utf8_lossy(body);
        let is_page = text.trim_start().starts_with(['<', '{', '[']);
        Self {
            words: if is_page {
                String::new()
            } else {
                text.into_owned()
            },
            retry_after: None,
        }
    }
}

/// The value of `Retry-After`: seconds, or a moment.
pub(super) fn pause(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds).min(MAX_PAUSE));
    }
    let then = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(
        Duration::try_from(then.duration_since(now))
            .unwrap_or_default()
            .min(MAX_PAUSE),
    )
}
