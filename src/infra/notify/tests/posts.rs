//! Tests of the requests to a webhook, an ntfy server and the Bot API of Telegram.

use super::receivers::{Authority, Receiver, Then, answer};
use super::*;
use crate::infra::notify::webhook::signature;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const NTFY_OK: &str = r#"{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"mining"}"#;

/// HMAC-SHA-256 according to RFC 2104, from the hash function only.
fn hmac_by_hand(key: &[u8], text: &[u8]) -> String {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key))
    } else {
        block[..key.len()].copy_from_slice(key)
    }
    let inner = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x5c))
        .chain_update(inner)
        .finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_webhook_gets_the_message_and_its_data() {
    let receiver = Receiver::with("204 No Content", "", "").await;
    sender()
        .send(
            &webhook(format!(
                "http://127.0.0.1:{}/hook?token={SECRET}",
                receiver.port
            )),
            &message(),
        )
        .await
        .unwrap();
    let heard = receiver.only();
    assert_eq!(heard.line(), format!("POST /hook?token={SECRET} HTTP/1.1"));
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(
        heard.header("user-agent"),
        Some(concat!("jd-manager/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(
        heard.header("x-jd-manager-delivery"),
        Some("6f1c2b1e-1d7c-4d53-9a55-0c5cf2d5a001")
    );
    assert_eq!(
        (
            heard.header("x-jd-manager-signature"),
            heard.header("x-jd-manager-timestamp")
        ),
        (None, None)
    );
    let expected = json!({
        "id": "6f1c2b1e-1d7c-4d53-9a55-0c5cf2d5a001",
        "at": "2026-11-22T14:02:11.204Z",
        "title": "Zürich: no longer mining",
        "text": "The template provider is gone.\nIt was last seen at 14:02.",
        "mood": "bad",
        "link": "https://manager.example/instances/1",
        "instance": "zurich",
    });
    assert_eq!(heard.json(), expected);
}

#[tokio::test]
async fn data_that_is_no_object_is_a_member_of_its_own_and_a_missing_link_is_null() {
    let receiver = Receiver::with("200 OK", "", "").await;
    let message = NotifyMessage {
        data: json!([1, 2]),
        link: None,
        at: 1_000,
        ..message()
    };
    sender()
        .send(
            &webhook(format!("http://127.0.0.1:{}", receiver.port)),
            &message,
        )
        .await
        .unwrap();
    let body = receiver.only().json();
    assert_eq!(
        (&body["data"], &body["link"], &body["at"]),
        (
            &json!([1, 2]),
            &json!(null),
            &json!("1970-01-01T00:00:01.000Z")
        )
    );
}

#[tokio::test]
async fn a_signature_is_over_the_time_and_the_body_as_sent() {
    let receiver = Receiver::with("200 OK", "", "").await;
    let channel = NotifyChannel::Webhook {
        url: format!("http://127.0.0.1:{}", receiver.port),
        secret: Some(SECRET.into()),
    };
    let before = jiff::Timestamp::now().as_second();
    sender().send(&channel, &message()).await.unwrap();
    let heard = receiver.only();
    let timestamp = heard.header("x-jd-manager-timestamp").unwrap();
    assert!((before..before + 10).contains(&timestamp.parse().unwrap()));
    let signed = [timestamp.as_bytes(), b".", &heard.body].concat();
    let expected = format!("sha256={}", hmac_by_hand(SECRET.as_bytes(), &signed));
    assert_eq!(
        heard.header("x-jd-manager-signature"),
        Some(expected.as_str())
    );
    assert!(!heard.head.contains(SECRET));
}

/// Computed by Python's `hmac.new(b"correct horse", b'1795356131.{"id":"x"}', "sha256")`.
#[test]
fn a_signature_is_the_same_as_other_programs_compute() {
    let expected = "sha256=e0d62f1752576c8a5c0d91a441e796bea684004e73d987ae337cbbf99ea0fa36";
    assert_eq!(
        signature("correct horse", 1_795_356_131, br#"{"id":"x"}"#),
        expected
    );
    let long = "k".repeat(100);
    assert_eq!(
        signature(&long, 5, b"body"),
        format!("sha256={}", hmac_by_hand(long.as_bytes(), b"5.body"))
    );
}

#[tokio::test]
async fn a_login_in_the_address_is_sent_as_a_header() {
    let receiver = Receiver::with("200 OK", "", "").await;
    sender()
        .send(
            &webhook(format!("http://me:p%40ss@127.0.0.1:{}/", receiver.port)),
            &message(),
        )
        .await
        .unwrap();
    assert_eq!(
        receiver.only().header("authorization"),
        Some("Basic bWU6cEBzcw==")
    );
}

#[tokio::test]
async fn success_is_told_by_the_status_and_does_not_wait_for_the_body() {
    for then in [Then::Drip, Then::Flood] {
        let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n", then).await;
        hasty()
            .send(
                &webhook(format!("http://127.0.0.1:{}", receiver.port)),
                &message(),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn ntfy_gets_json_with_priority_tags_and_token() {
    let receiver = Receiver::with("200 OK", "Content-Type: application/json\r\n", NTFY_OK).await;
    sender()
        .send(&ntfy(receiver.port, Some("tk_abc")), &message())
        .await
        .unwrap();
    let heard = receiver.only();
    assert_eq!(heard.line(), "POST / HTTP/1.1");
    assert_eq!(heard.header("authorization"), Some("Bearer tk_abc"));
    let expected = json!({
        "topic": "mining", "title": "Zürich: no longer mining", "priority": 4, "tags": ["warning"],
        "message": "The template provider is gone.\nIt was last seen at 14:02.", "click": "https://manager.example/instances/1",
    });
    assert_eq!(heard.json(), expected);
}

#[tokio::test]
async fn ntfy_gets_no_more_than_it_shows_and_no_empty_members() {
    let receiver = Receiver::with("200 OK", "", NTFY_OK).await;
    let long = NotifyMessage {
        title: "ü".repeat(999),
        text: "ü".repeat(9_999),
        mood: Tone::Good,
        link: None,
        ..message()
    };
    sender()
        .send(&ntfy(receiver.port, None), &long)
        .await
        .unwrap();
    let (heard, body) = (receiver.only(), receiver.only().json());
    assert_eq!(heard.header("authorization"), None);
    assert!(body.get("click").is_none());
    assert_eq!(body["tags"], json!(["white_check_mark"]));
    let (title, text) = (
        body["title"].as_str().unwrap(),
        body["message"].as_str().unwrap(),
    );
    assert!(
        title.chars().count() == 250 && title.ends_with("ü…"),
        "{title}"
    );
    assert!(
        (3_990..=4_000).contains(&text.len()) && text.ends_with("ü…"),
        "{}",
        text.len()
    );
}

#[tokio::test]
async fn a_page_that_answers_200_is_no_ntfy_server_and_no_telegram() {
    let receiver = Receiver::with("200 OK", "", "<html>Welcome</html>").await;
    for (channel, name) in [
        (ntfy(receiver.port, None), "not from ntfy"),
        (telegram(receiver.port), "Bot API"),
    ] {
        let failed = failure(&sender(), &channel).await;
        assert!(failed.is_final && failed.words.contains(name), "{failed}");
    }
}

#[tokio::test]
async fn telegram_gets_one_text_with_title_text_and_link() {
    let receiver = Receiver::with("200 OK", "", r#"{"ok":true,"result":{"message_id":7}}"#).await;
    sender()
        .send(&telegram(receiver.port), &message())
        .await
        .unwrap();
    let heard = receiver.only();
    assert_eq!(
        heard.line(),
        format!("POST /bot12345:{SECRET}/sendMessage HTTP/1.1")
    );
    let text = "🔴 Zürich: no longer mining\n\nThe template provider is gone.\nIt was last seen at 14:02.\n\n\
                https://manager.example/instances/1";
    assert_eq!(
        heard.json(),
        json!({ "chat_id": "-100777", "text": text, "disable_web_page_preview": true })
    );
}

#[tokio::test]
async fn telegram_text_is_cut_and_the_link_is_not() {
    let receiver = Receiver::with("200 OK", "", r#"{"ok":true}"#).await;
    let long = NotifyMessage {
        title: "😀".repeat(999),
        text: "😀".repeat(9_999),
        mood: Tone::Plain,
        ..message()
    };
    sender()
        .send(&telegram(receiver.port), &long)
        .await
        .unwrap();
    let body = receiver.only().json();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.ends_with("😀…\n\nhttps://manager.example/instances/1"),
        "{text}"
    );
    assert!(text.encode_utf16().count() <= 4_096);
}

#[tokio::test]
async fn hostile_titles_and_ids_stay_in_their_place() {
    let hostile = "Hi\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1";
    let message = NotifyMessage {
        title: hostile.into(),
        text: hostile.into(),
        id: hostile.into(),
        ..message()
    };
    let receiver = Receiver::with("200 OK", "", "").await;
    let channel = NotifyChannel::Webhook {
        url: format!("http://127.0.0.1:{}", receiver.port),
        secret: Some("s".into()),
    };
    sender().send(&channel, &message).await.unwrap();
    let heard = receiver.only();
    assert_eq!(heard.header("x-evil"), None);
    assert_eq!(
        heard.header("x-jd-manager-delivery"),
        Some("Hi--X-Evil--1----GET---HTTP-1.1")
    );
    assert_eq!(heard.json()["title"], json!(hostile));
    let receiver = Receiver::with("200 OK", "", NTFY_OK).await;
    sender()
        .send(&ntfy(receiver.port, None), &message)
        .await
        .unwrap();
    assert_eq!(receiver.only().header("x-evil"), None);
    assert_eq!(
        receiver.only().json()["title"],
        json!("Hi X-Evil: 1 GET / HTTP/1.1")
    );
}

#[tokio::test]
async fn hidden_characters_are_shown_to_every_receiver() {
    let hidden =
        "pool\u{202e}moc.live\u{202c} \u{2066}x\u{2069}\u{200b}\u{1b}[2J\nZürich 👩\u{200d}🌾\tok";
    let shown = "pool[U+202E]moc.live[U+202C] [U+2066]x[U+2069][U+200B][U+001B][2J\nZürich 👩\u{200d}🌾\tok";
    let message = NotifyMessage {
        title: hidden.into(),
        text: hidden.into(),
        link: Some("https://manager.example/\u{202e}1".into()),
        data: json!({ "instances": [{ "words": hidden, "figure": 1.5 }], "rule": { "name": hidden } }),
        ..message()
    };
    let receiver = Receiver::with("200 OK", "", "").await;
    sender()
        .send(
            &webhook(format!("http://127.0.0.1:{}", receiver.port)),
            &message,
        )
        .await
        .unwrap();
    let body = receiver.only().json();
    assert_eq!(
        (&body["title"], &body["text"]),
        (&json!(shown), &json!(shown))
    );
    assert_eq!(body["link"], "https://manager.example/[U+202E]1");
    assert_eq!(
        body["instances"],
        json!([{ "words": shown, "figure": 1.5 }])
    );
    assert_eq!(body["rule"]["name"], shown);

    let in_a_line = shown.replace(['\n', '\t'], " ");
    let receiver = Receiver::with("200 OK", "", NTFY_OK).await;
    sender()
        .send(&ntfy(receiver.port, None), &message)
        .await
        .unwrap();
    let body = receiver.only().json();
    assert_eq!(
        (&body["title"], &body["message"]),
        (&json!(in_a_line), &json!(shown))
    );
    let receiver = Receiver::with("200 OK", "", r#"{"ok":true}"#).await;
    sender()
        .send(&telegram(receiver.port), &message)
        .await
        .unwrap();
    let text = receiver.only().json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains(&in_a_line)
            && text.contains(shown)
            && !crate::base::visible::has_hidden(&text),
        "{text}"
    );
}

#[tokio::test]
async fn https_works_with_a_certificate_of_a_trusted_authority_only() {
    let own = Authority::of("localhost");
    let receiver =
        Receiver::start(&answer("200 OK", "", ""), Then::Close, Some(own.acceptor())).await;
    let channel = webhook(format!("https://localhost:{}/", receiver.port));
    trusting(&own).send(&channel, &message()).await.unwrap();
    assert_eq!(receiver.only().json()["mood"], json!("bad"));

    let failed = failure(&trusting(&Authority::of("localhost")), &channel).await;
    assert!(
        failed
            .words
            .contains("does not trust the issuer of the certificate")
            && !failed.is_final,
        "{failed}"
    );
    let failed = failure(&sender(), &channel).await;
    assert!(
        failed.words.contains("Install the ca-certificates package"),
        "{failed}"
    );
    let by_address = webhook(format!("https://127.0.0.1:{}/", receiver.port));
    let failed = failure(&trusting(&own), &by_address).await;
    assert!(failed.words.contains("is for a different name"), "{failed}");

    let old = Authority::expired("localhost");
    let receiver =
        Receiver::start(&answer("200 OK", "", ""), Then::Close, Some(old.acceptor())).await;
    let failed = failure(
        &trusting(&old),
        &webhook(format!("https://localhost:{}/", receiver.port)),
    )
    .await;
    assert!(failed.words.contains("has expired"), "{failed}");
}

#[test]
fn a_sender_with_the_authorities_of_this_machine_can_be_made() {
    assert_eq!(
        format!("{:?}", NotifySender::new()),
        "NotifySender { patience: 10s, .. }"
    );
}
