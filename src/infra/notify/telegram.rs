//! Telegram: a bot writes to a chat.
//!
//! The token of the bot is part of the URL, so errors must never show the URL. Source:
//! <https://core.telegram.org/bots/api#sendmessage>.

use super::error::{self, SendError};
use super::http::MessageRequest;
use super::services::plain_text;
use super::{NotifyMessage, SendAttempt, addresses};
use serde_json::{Value, json};

/// The maximum length of a text in characters. Telegram accepts 4,096 and counts some as two.
const MAX_TEXT: usize = 1_700;

/// Writes the message to the chat.
pub(super) async fn send(
    attempt: &SendAttempt<'_>,
    server: &str,
    token: &str,
    chat_id: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let text = plain_text(message, MAX_TEXT);
    let body = json!({ "chat_id": chat_id, "text": text, "disable_web_page_preview": true });
    let mut url = addresses::read_server(server).map_err(SendError::for_good)?;
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/bot{token}/sendMessage"));
    let place = addresses::place(&url);
    let advice = "Check the bot token and the chat ID, and make sure that someone in the chat has sent the bot a message first.";
    let response = attempt
        .send(MessageRequest::post(url, &body, advice))
        .await?;
    let answer = attempt.json(response).await?;
    match answer.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) => {
            let said = answer
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let words = format!(
                "{place} rejected the message{}. {advice}",
                error::quote(said, &attempt.secrets)
            );
            Err(SendError::for_good(words))
        }
        None => Err(SendError::for_good(format!(
            "{place} accepted the message, but the response is not from Telegram. Check that the address is a Bot API server."
        ))),
    }
}
