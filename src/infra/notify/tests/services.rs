//! Tests of the requests to Discord, Slack, Matrix, Gotify and Pushover.

use super::receivers::Receiver;
use super::*;
use serde_json::{Value, json};

const TEXT: &str = "The template provider is gone.\nIt was last seen at 14:02.";
const LINK: &str = "https://manager.example/instances/1";

/// A channel of each service, and what the service responds to a valid message.
fn services(port: u16) -> [(NotifyChannel, &'static str); 5] {
    let server = format!("http://127.0.0.1:{port}");
    [
        (
            NotifyChannel::Discord {
                url: format!("{server}/api/webhooks/1/{SECRET}"),
            },
            "",
        ),
        (
            NotifyChannel::Slack {
                url: format!("{server}/services/T0/B0/{SECRET}"),
            },
            "ok",
        ),
        (
            NotifyChannel::Matrix {
                server: format!("{server}/"),
                room_id: "!a/b:example.org".into(),
                token: SECRET.into(),
            },
            r#"{"event_id":"$1"}"#,
        ),
        (
            NotifyChannel::Gotify {
                server: format!("{server}/gotify"),
                token: SECRET.into(),
            },
            r#"{"id":25,"appid":5}"#,
        ),
        (
            NotifyChannel::Pushover {
                server,
                token: SECRET.into(),
                user: "uQiRzpo4DXghDmr9QzzfQu27cmVRsG".into(),
            },
            r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#,
        ),
    ]
}

/// Sends to the service at this place in the list. Returns the request line, the headers for
/// authentication, and the body.
async fn sent(at: usize, message: &NotifyMessage) -> (String, [Option<String>; 2], Value) {
    let response = services(1)[at].1;
    let receiver = Receiver::with("200 OK", "", response).await;
    let channel = &services(receiver.port)[at].0;
    sender().send(channel, message).await.unwrap();
    let heard = receiver.only();
    let header = |name| heard.header(name).map(ToOwned::to_owned);
    (
        heard.line().to_owned(),
        [header("authorization"), header("x-gotify-key")],
        heard.json(),
    )
}

#[tokio::test]
async fn discord_gets_an_embed_that_notifies_nobody_and_shows_names_as_they_are() {
    let message = NotifyMessage {
        title: "hall_1_*: @everyone".into(),
        ..message()
    };
    let (line, keys, body) = sent(0, &message).await;
    assert_eq!(line, format!("POST /api/webhooks/1/{SECRET} HTTP/1.1"));
    assert_eq!(keys, [None, None]);
    let expected = json!({
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": "hall\\_1\\_\\*: @everyone", "description": TEXT, "color": 0x00D0_2F2F, "url": LINK,
            "timestamp": "2026-11-22T14:02:11.204Z",
        }],
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn slack_gets_one_text_without_links_of_others() {
    let message = NotifyMessage {
        text: "<!channel> & <https://evil.example|click>".into(),
        ..message()
    };
    let (line, _, body) = sent(1, &message).await;
    assert_eq!(line, format!("POST /services/T0/B0/{SECRET} HTTP/1.1"));
    let expected = format!(
        "*🔴 Zürich: no longer mining*\n&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;\n<{LINK}|Open jd-manager>"
    );
    assert_eq!(body, json!({ "text": expected }));
}

#[tokio::test]
async fn matrix_gets_the_message_under_its_own_id() {
    let (line, keys, body) = sent(2, &message()).await;
    let id = message().id;
    assert_eq!(
        line,
        format!(
            "PUT /_matrix/client/v3/rooms/!a%2Fb:example.org/send/m.room.message/{id} HTTP/1.1"
        )
    );
    assert_eq!(keys, [Some(format!("Bearer {SECRET}")), None]);
    let text = format!("🔴 Zürich: no longer mining\n\n{TEXT}\n\n{LINK}");
    assert_eq!(body, json!({ "msgtype": "m.text", "body": text }));
}

#[tokio::test]
async fn gotify_gets_a_priority_and_a_page_to_open() {
    let (line, keys, body) = sent(3, &message()).await;
    assert_eq!(line, "POST /gotify/message HTTP/1.1");
    assert_eq!(keys, [None, Some(SECRET.into())]);
    let expected = json!({
        "title": "Zürich: no longer mining", "message": TEXT, "priority": 8,
        "extras": { "client::notification": { "click": { "url": LINK } } },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn pushover_gets_no_more_than_it_accepts_and_never_an_empty_text() {
    let (line, _, body) = sent(4, &message()).await;
    assert_eq!(line, "POST /1/messages.json HTTP/1.1");
    let expected = json!({
        "token": SECRET, "user": "uQiRzpo4DXghDmr9QzzfQu27cmVRsG", "title": "Zürich: no longer mining",
        "message": TEXT, "priority": 1, "timestamp": 1_795_356_131, "url": LINK, "url_title": "Open jd-manager",
    });
    assert_eq!(body, expected);
    let long = NotifyMessage {
        title: "ü".repeat(999),
        text: String::new(),
        mood: Tone::Good,
        link: Some(format!("https://manager.example/{}", "a".repeat(600))),
        ..message()
    };
    let (_, _, body) = sent(4, &long).await;
    let length = |name: &str| body[name].as_str().unwrap().chars().count();
    assert_eq!((length("title"), length("message")), (250, 999));
    assert_eq!((&body["priority"], body.get("url")), (&json!(0), None));
}

#[tokio::test]
async fn another_server_is_recognized_and_no_secret_is_quoted() {
    let receiver = Receiver::with("200 OK", "", "<html>Welcome</html>").await;
    for ((channel, _), name) in services(receiver.port)
        .iter()
        .skip(2)
        .zip(["Matrix", "Gotify", "Pushover"])
    {
        let failed = failure(&sender(), channel).await;
        let expected = format!("the response is not from {name}");
        assert!(
            failed.is_final && failed.words.contains(&expected),
            "{failed}"
        );
    }
    let refusal = format!(r#"{{"errors":["token {SECRET} is invalid"],"status":0}}"#);
    let receiver = Receiver::with("400 Bad Request", "", &refusal).await;
    for (channel, _) in services(receiver.port) {
        let failed = failure(&sender(), &channel).await;
        assert!(
            failed.is_final && failed.words.contains("is invalid"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn the_wait_that_a_service_asks_for_is_kept() {
    for (body, expected) in [
        (r#"{"message":"slow","retry_after":0.65}"#, 650),
        (r#"{"error":"slow","retry_after_ms":2000}"#, 2_000),
        (r#"{"retry_after":-5}"#, 0),
        (r#"{"retry_after":1e300}"#, 86_400_000),
    ] {
        let receiver = Receiver::with("429 Too Many Requests", "", body).await;
        let failed = failure(&sender(), &services(receiver.port)[0].0).await;
        let wait = failed.retry_after.unwrap().as_millis();
        assert_eq!((failed.is_final, wait), (false, expected), "{body}");
    }
}

#[test]
fn invalid_fields_are_named() {
    let wrong = |channel: Value| -> Vec<&'static str> {
        let channel: NotifyChannel = serde_json::from_value(channel).unwrap();
        channel
            .problems()
            .into_iter()
            .map(|(field, _)| field)
            .collect()
    };
    let page = "https://discord.com/channels/1/2";
    assert_eq!(wrong(json!({ "kind": "discord", "url": page })), ["url"]);
    assert_eq!(wrong(json!({ "kind": "slack", "url": "hook" })), ["url"]);
    assert_eq!(
        wrong(
            json!({ "kind": "matrix", "server": "example.org", "room_id": "#mining:example.org", "token": "" })
        ),
        ["server", "room_id", "token"]
    );
    assert_eq!(
        wrong(json!({ "kind": "gotify", "server": "https://g.example.org", "token": "a b" })),
        ["token"]
    );
    assert_eq!(
        wrong(json!({ "kind": "pushover", "token": "a\nb", "user": "me@example.org" })),
        ["token", "user"]
    );
    for (channel, _) in services(80) {
        assert_eq!(channel.problems(), []);
    }
}
