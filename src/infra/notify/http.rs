//! Sends one request with JSON and reads the response. Independent of the kind of channel.

use super::error::{self, SendError};
use super::{SendAttempt, addresses};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout_at;

/// The maximum number of bytes read from a response.
const MAX_ANSWER: usize = 64 << 10;
/// The longest wait a receiver can request.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// A request.
pub(super) struct MessageRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Sent as `Authorization: Bearer`.
    pub(super) bearer: Option<String>,
    pub(super) body: Vec<u8>,
    /// The advice if the receiver rejects the request, as a sentence.
    pub(super) advice: &'static str,
}

impl MessageRequest {
    /// A POST request with this JSON.
    pub(super) fn post(url: Url, body: &Value, advice: &'static str) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            bearer: None,
            body: body.to_string().into_bytes(),
            advice,
        }
    }
}

impl SendAttempt<'_> {
    /// Sends the request to a service whose successful responses have this member. Any server may
    /// respond with status 200.
    pub(super) async fn send_to(
        &self,
        service: &str,
        member: &str,
        post: MessageRequest,
    ) -> Result<(), SendError> {
        let place = addresses::place(&post.url);
        let response = self.send(post).await?;
        let answer = self.json(response).await?;
        if answer.get(member).is_some() {
            return Ok(());
        }
        Err(SendError::for_good(format!(
            "{place} accepted the message, but the response is not from {service}. Check the server address."
        )))
    }

    /// Sends the request and returns the response if the status is a success. The body is not read yet.
    pub(super) async fn send(&self, post: MessageRequest) -> Result<Response, SendError> {
        let place = addresses::place(&post.url);
        let mut request = self
            .sender
            .http
            .request(post.method, post.url.clone())
            .headers(post.headers)
            .body(post.body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = post.bearer {
            let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                SendError::for_good(
                    "The token contains characters that are not allowed in HTTP. Enter it again.",
                )
            })?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let response = match timeout_at(self.deadline, request.send()).await {
            Err(_) => return Err(error::too_late(&place, self.sender.patience)),
            // The error text would contain the whole URL, and the URL of Telegram contains the token.
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

    /// The JSON of a successful response; null if there is none or it is longer than 64 KiB.
    pub(super) async fn json(&self, response: Response) -> Result<Value, SendError> {
        let place = addresses::place(response.url());
        let (body, is_whole) = self.body(response).await;
        if !is_whole && body.len() < MAX_ANSWER {
            return Err(error::too_late(&place, self.sender.patience));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The part of the body that arrives in time and within the limit, and whether it is complete.
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

    /// Explains a status other than success.
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
                format!(" Target{}.", error::quote(&target, &self.secrets))
            });
            return SendError::for_good(format!(
                "{place} responded with a redirect (HTTP status {}). jd-manager does not follow redirects.{target} Enter the final \
                 address.",
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
            429 => "The receiver limits the number of messages. Wait, or send fewer.",
            500.. => {
                "This is a problem on the receiver's side. If it persists, check the receiver."
            }
            _ => advice,
        };
        let reason = status
            .canonical_reason()
            .map(|reason| format!(" {reason}"))
            .unwrap_or_default();
        let words = format!(
            "{place} responded with HTTP status {}{reason}{quote}. {what}",
            status.as_u16()
        );
        // Too early, locked, conflict, timeout and too many requests are temporary. So are server
        // errors.
        let passes =
            matches!(status.as_u16(), 408 | 409 | 423 | 425 | 429) || status.is_server_error();
        SendError {
            words,
            is_final: !passes,
            retry_after,
        }
    }
}

/// The text of an error response.
struct ErrorResponseText {
    words: String,
    retry_after: Option<Duration>,
}

impl ErrorResponseText {
    /// Reads the usual members of error responses, or plain text. HTML pages are not quoted.
    fn read(body: &[u8]) -> Self {
        if let Ok(json) = serde_json::from_slice::<Value>(body) {
            // `errors`: Pushover. The wait: Telegram, Discord, Matrix.
            let words = [
                "/error",
                "/description",
                "/message",
                "/detail",
                "/title",
                "/errors/0",
            ]
            .iter()
            .find_map(|path| json.pointer(path)?.as_str());
            let number = |path| json.pointer(path).and_then(Value::as_f64);
            let wait = number("/parameters/retry_after")
                .or_else(|| number("/retry_after"))
                .or_else(|| number("/retry_after_ms").map(|ms| ms / 1_000.0));
            let longest = MAX_PAUSE.as_secs_f64();
            return Self {
                words: words.unwrap_or_default().into(),
                retry_after: wait.map(|s| Duration::from_secs_f64(s.clamp(0.0, longest))),
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

/// The value of `Retry-After`: seconds or a date.
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
