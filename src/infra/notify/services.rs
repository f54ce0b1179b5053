//! Discord, Slack, Matrix, Gotify and Pushover: one request with JSON each.
//!
//! Each function builds the request of one service. The limits are those of the services; a longer
//! text would be rejected.

use super::http::MessageRequest;
use super::text::{clipped, escape_markdown, one_line};
use super::{NotifyMessage, SendAttempt, SendError, Tone, addresses};
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde_json::json;

/// Sends to the webhook of a Discord channel, as an embed: its color shows good or bad news.
/// Source: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.
pub(super) async fn discord(
    attempt: &SendAttempt<'_>,
    url: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let url = addresses::read(url).map_err(SendError::for_good)?;
    let color = match message.mood {
        Tone::Bad => 0x00D0_2F2F,
        Tone::Good => 0x002E_9E4F,
        Tone::Plain => 0x0060_6C7A,
    };
    let mut embed = json!({
        "title": clipped(&escape_markdown(&one_line(&message.title)), 256),
        "description": clipped(&escape_markdown(&message.text), 4_000),
        "color": color,
        "timestamp": message.moment().to_string(),
    });
    if let Some(link) = &message.link {
        embed["url"] = json!(link);
    }
    // No name in a text may notify everyone in the channel.
    let body = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    let advice = "Check the webhook URL: in Discord, open the channel's settings, Integrations, Webhooks, and copy it again.";
    // A success has no body.
    attempt
        .send(MessageRequest::post(url, &body, advice))
        .await
        .map(drop)
}

/// Sends to an incoming webhook of Slack, or of a program that accepts the same JSON, such as
/// Mattermost. Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
pub(super) async fn slack(
    attempt: &SendAttempt<'_>,
    url: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let url = addresses::read(url).map_err(SendError::for_good)?;
    let symbol = symbol(message.mood);
    let title = format!("{symbol}{}", one_line(&message.title));
    let mut text = format!("*{}*", escape_mrkdwn(&clipped(&title, 250)));
    if !message.text.is_empty() {
        text.push('\n');
        text.push_str(&escape_mrkdwn(&clipped(&message.text, 2_500)));
    }
    if let Some(link) = &message.link {
        text.push_str(&format!("\n<{}|Open jd-manager>", escape_mrkdwn(link)));
    }
    let advice =
        "Check the webhook URL: copy it again from the Slack app's page, Incoming Webhooks.";
    let body = json!({ "text": text });
    attempt
        .send(MessageRequest::post(url, &body, advice))
        .await
        .map(drop)
}

/// Sends to a room of a Matrix server. The id of the message makes a second attempt harmless.
/// Source: <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>.
pub(super) async fn matrix(
    attempt: &SendAttempt<'_>,
    server: &str,
    room: &str,
    token: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let handle = message.handle();
    let path = [
        "_matrix",
        "client",
        "v3",
        "rooms",
        room,
        "send",
        "m.room.message",
        &handle,
    ];
    let url = extended(server, &path)?;
    let body = json!({ "msgtype": "m.text", "body": plain_text(message, 10_000) });
    let advice = "Check the server address, the room ID and the access token, and that the account has joined the room.";
    let request = MessageRequest {
        method: Method::PUT,
        bearer: Some(token.to_owned()),
        ..MessageRequest::post(url, &body, advice)
    };
    attempt.send_to("Matrix", "event_id", request).await
}

/// Sends to an application of a Gotify server. Source: <https://gotify.net/docs/pushmsg>.
pub(super) async fn gotify(
    attempt: &SendAttempt<'_>,
    server: &str,
    token: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    // From 8 on, phones make a sound; from 4 on, they show a notification.
    let priority = if message.mood == Tone::Bad { 8 } else { 5 };
    let mut body = json!({
        "title": clipped(&one_line(&message.title), 250),
        "message": text_or_title(message, 4_000),
        "priority": priority,
    });
    if let Some(link) = &message.link {
        body["extras"] = json!({ "client::notification": { "click": { "url": link } } });
    }
    let url = extended(server, &["message"])?;
    let advice = "Check the server address and the token: it must be that of an application, not of a client.";
    let mut request = MessageRequest::post(url, &body, advice);
    let mut key = HeaderValue::try_from(token).map_err(|_| {
        SendError::for_good(
            "The token contains characters that are not allowed in HTTP. Enter it again.",
        )
    })?;
    key.set_sensitive(true);
    request.headers.insert("x-gotify-key", key);
    attempt.send_to("Gotify", "id", request).await
}

/// Sends to a user or group of Pushover. Source: <https://pushover.net/api>.
pub(super) async fn pushover(
    attempt: &SendAttempt<'_>,
    server: &str,
    [token, user]: [&str; 2],
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let mut body = json!({
        "token": token,
        "user": user,
        "title": clipped(&one_line(&message.title), 250),
        "message": text_or_title(message, 1_024),
        // 1 is shown as important, also at quiet hours.
        "priority": i32::from(message.mood == Tone::Bad),
        "timestamp": message.moment().as_second(),
    });
    // A cut link does not work.
    if let Some(link) = message.link.as_ref().filter(|link| link.len() <= 512) {
        body["url"] = json!(link);
        body["url_title"] = json!("Open jd-manager");
    }
    let url = extended(server, &["1", "messages.json"])?;
    let advice = "Check the application's API token and the user key on your Pushover page.";
    let request = MessageRequest::post(url, &body, advice);
    attempt.send_to("Pushover", "request", request).await
}

/// The server's address with these path segments at its end.
fn extended(server: &str, path: &[&str]) -> Result<Url, SendError> {
    let mut url = addresses::read_server(server).map_err(SendError::for_good)?;
    // Addresses with a host have a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    Ok(url)
}

/// A symbol before the title where there is no color.
pub(super) fn symbol(mood: Tone) -> &'static str {
    match mood {
        Tone::Bad => "🔴 ",
        Tone::Good => "🟢 ",
        Tone::Plain => "",
    }
}

/// The text, or the title if there is none: some services reject an empty text.
fn text_or_title(message: &NotifyMessage, most: usize) -> String {
    if message.text.trim().is_empty() {
        clipped(&one_line(&message.title), most)
    } else {
        clipped(&message.text, most)
    }
}

/// Title, text and link as paragraphs. The text is cut at this number of characters, because a cut
/// link does not work.
pub(super) fn plain_text(message: &NotifyMessage, most: usize) -> String {
    let title = clipped(&one_line(&message.title), 250);
    let parts = [
        Some(format!("{}{title}", symbol(message.mood))),
        Some(clipped(&message.text, most)),
        message.link.clone(),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n\n")
}

/// The text without the signs that start a link or a mention in Slack.
fn escape_mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
