//! ntfy: a topic on a server, shown on phones.
//!
//! Published as JSON to the server's root, since headers could not carry titles beyond ASCII.
//! Source: <https://docs.ntfy.sh/publish/#publish-as-json>.

use super::error::SendError;
use super::http::HttpPost;
use super::text::{clipped, one_line, within};
use super::{NotifyMessage, SendAttempt, Tone, addresses};
use reqwest::header::HeaderMap;
use serde_json::json;

/// Characters of a title at most; phones show far fewer.
const MAX_TITLE: usize = 250;
/// Bytes of a text at most. From 4,096 bytes on a server makes an attachment of it, which few
/// servers allow.
const MAX_TEXT: usize = 4_000;

/// Publishes the message in `topic`.
pub(super) async fn send(
    attempt: &SendAttempt<'_>,
    server: &str,
    topic: &str,
    token: Option<&str>,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    // 3 is what ntfy takes for normal, 4 makes phones vibrate longer. The tags are shown as
    // pictures.
    let (priority, tag) = match message.mood {
        Tone::Bad => (4, "warning"),
        Tone::Good => (3, "white_check_mark"),
        Tone::Plain => (3, "information_source"),
    };
    let mut body = json!({
        "topic": topic,
        "title": clipped(&one_line(&message.title), MAX_TITLE),
        "message": within(&message.text, MAX_TEXT),
        "priority": priority,
        "tags": [tag],
    });
    if let Some(link) = &message.link {
        body["click"] = json!(link);
    }
    let url = addresses::read_server(server).map_err(SendError::for_good)?;
    let place = addresses::place(&url);
    let advice = "Check the server's address and the topic, and whether the topic wants an access token that may write to it.";
    let post = HttpPost {
        url,
        headers: HeaderMap::new(),
        bearer: token.map(str::to_owned),
        body: body.to_string().into_bytes(),
        advice,
    };
    let response = attempt.post(post).await?;
    let answer = attempt.json(response).await?;
    // Anything may answer a POST with 200. A message that was published has an id.
    if answer.get("id").is_some() {
        return Ok(());
    }
    Err(SendError::for_good(format!(
        "{place} took the message but did not answer as ntfy does. Check that the address is that of an ntfy server."
    )))
}
