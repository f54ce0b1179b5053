//! ntfy: publishes to a topic on a server; the app shows it on phones.
//!
//! Messages are published as JSON to the root of the server, because headers cannot contain titles
//! beyond ASCII.
//! Source: <https://docs.ntfy.sh/publish/#publish-as-json>.

use super::error::SendError;
use super::http::MessageRequest;
use super::text::{clipped, one_line, within};
use super::{NotifyMessage, SendAttempt, Tone, addresses};
use serde_json::json;

/// The maximum length of a title, in characters; phones show far fewer.
const MAX_TITLE: usize = 250;
/// The maximum size of a text, in bytes. From 4,096 bytes on, a server turns it into an attachment,
/// which few servers allow.
const MAX_TEXT: usize = 4_000;

/// Publishes the message in `topic`.
pub(super) async fn send(
    attempt: &SendAttempt<'_>,
    server: &str,
    topic: &str,
    token: Option<&str>,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    // 3 is the normal priority, with 4 phones vibrate longer. The tags are shown as
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
    let advice = "Check the server address, the topic, and whether the topic requires an access token with write permission.";
    let post = MessageRequest {
        bearer: token.map(str::to_owned),
        ..MessageRequest::post(url, &body, advice)
    };
    attempt.send_to("ntfy", "id", post).await
}
