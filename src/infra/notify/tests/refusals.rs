//! Tests of HTTP receivers that do not accept a message, and of the errors.

use super::receivers::{MailHost, Receiver, Rules, Then};
use super::*;
use crate::infra::notify::http::pause;
use std::time::Instant;
use tokio::net::TcpListener;

async fn status(status: &str, headers: &str, body: &str) -> SendError {
    let receiver = Receiver::with(status, headers, body).await;
    failure(
        &sender(),
        &webhook(format!(
            "http://127.0.0.1:{}/hook?token={SECRET}",
            receiver.port
        )),
    )
    .await
}

#[tokio::test]
async fn a_fault_of_the_receiver_is_worth_another_try() {
    let failed = status(
        "500 Internal Server Error",
        "Retry-After: 7\r\n",
        "the disk is full",
    )
    .await;
    assert_eq!((failed.is_final, failed.retry_after), (false, None));
    assert!(
        failed
            .words
            .contains("HTTP status 500 Internal Server Error: “the disk is full”"),
        "{failed}"
    );
    for line in [
        "408 Request Timeout",
        "409 Conflict",
        "425 Too Early",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ] {
        assert!(!status(line, "", "").await.is_final, "{line}");
    }
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_final() {
    for line in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 No",
        "410 Gone",
        "422 No",
    ] {
        let failed = status(line, "", "").await;
        assert!(
            failed.is_final
                && failed.words.contains(&line[..3])
                && failed.words.contains("Check the address"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn a_receiver_can_ask_to_be_left_alone() {
    assert_eq!(
        status("429 Too Many Requests", "Retry-After: 120\r\n", "")
            .await
            .retry_after,
        Some(Duration::from_secs(120))
    );
    assert_eq!(
        status("503 Service Unavailable", "Retry-After: 5\r\n", "")
            .await
            .retry_after,
        Some(Duration::from_secs(5))
    );
    assert_eq!(
        status("404 Not Found", "Retry-After: 5\r\n", "")
            .await
            .retry_after,
        None
    );
    let failed = status("429 Too Many Requests", "Retry-After: 99999999999\r\n", "").await;
    assert_eq!(
        (failed.is_final, failed.retry_after),
        (false, Some(Duration::from_secs(86_400)))
    );
    assert_eq!(
        status("429 Too Many Requests", "Retry-After: soon\r\n", "")
            .await
            .retry_after,
        None
    );
}

#[test]
fn a_pause_is_read_as_seconds_or_as_a_moment() {
    let now: jiff::Timestamp = "2026-11-22T14:00:00Z".parse().unwrap();
    assert_eq!(pause("30", now), Some(Duration::from_secs(30)));
    assert_eq!(
        pause("Sun, 22 Nov 2026 14:01:30 GMT", now),
        Some(Duration::from_secs(90))
    );
    assert_eq!(
        pause("Sun, 22 Nov 2026 13:00:00 GMT", now),
        Some(Duration::ZERO)
    );
    assert_eq!(
        pause("Fri, 01 Jan 2100 00:00:00 GMT", now),
        Some(Duration::from_secs(86_400))
    );
    assert_eq!(
        (
            pause("-1", now),
            pause("", now),
            pause("99999999999999999999999", now)
        ),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_aim_is_told() {
    let aim = Receiver::with("200 OK", "", "").await;
    let location = format!(
        "Location: http://me:pw@127.0.0.1:{}/login?next=%2Fsecret\r\n",
        aim.port
    );
    for line in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let failed = status(line, &location, "").await;
        assert!(failed.is_final, "{failed}");
        let told = format!(
            "Target: “http://********:********@127.0.0.1:{}/login?next=********”",
            aim.port
        );
        assert!(failed.words.contains(&told), "{failed}");
    }
    let failed = status("302 Found", "Location: /there\r\n", "").await;
    assert!(failed.words.contains("/there”"), "{failed}");
    assert!(
        status("302 Found", "", "")
            .await
            .words
            .contains("does not follow redirects. Enter the final")
    );
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| aim.only())).is_err(),
        "somebody followed"
    );
}

#[tokio::test]
async fn an_endless_answer_is_read_no_further_than_64_kib() {
    let receiver = Receiver::answering("HTTP/1.1 404 Not Found\r\n\r\n", Then::Flood).await;
    let before = Instant::now();
    let failed = failure(
        &sender(),
        &webhook(format!("http://127.0.0.1:{}", receiver.port)),
    )
    .await;
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "{:?}",
        before.elapsed()
    );
    assert!(
        failed.is_final && failed.words.contains("xxx…”"),
        "{failed}"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let poured = *receiver.poured.lock().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        *receiver.poured.lock().unwrap(),
        poured,
        "the connection is still open"
    );

    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n", Then::Flood).await;
    let failed = failure(&sender(), &ntfy(receiver.port, None)).await;
    assert!(
        failed.words.contains("the response is not from ntfy"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_slow_answer_ends_when_the_time_is_over() {
    // In the header, in a required body, and in a body that is only quoted.
    let head = Receiver::answering("HTTP/1.1 200 OK\r\nX-Slow: ", Then::Drip).await;
    let body = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n", Then::Drip).await;
    let told = Receiver::answering("HTTP/1.1 500 Oh\r\n\r\nit is because ", Then::Drip).await;
    let channels = [
        (
            webhook(format!("http://127.0.0.1:{}", head.port)),
            "did not respond within 0.3 s",
        ),
        (ntfy(body.port, None), "did not respond within 0.3 s"),
        (telegram(body.port), "did not respond within 0.3 s"),
        (
            webhook(format!("http://127.0.0.1:{}", told.port)),
            "500 Internal Server Error: “it is because x",
        ),
    ];
    for (channel, words) in channels {
        let before = Instant::now();
        let failed = failure(&hasty(), &channel).await;
        assert!(failed.words.contains(words) && !failed.is_final, "{failed}");
        assert!(
            (280..1_500).contains(&before.elapsed().as_millis()),
            "{:?}",
            before.elapsed()
        );
    }
}

#[tokio::test]
async fn what_keeps_a_connection_from_being_made_is_told_in_plain_words() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for channel in [
        webhook(format!("http://a:{SECRET}@127.0.0.1:{free}/x?{SECRET}")),
        ntfy(free, Some(SECRET)),
        telegram(free),
    ] {
        let failed = failure(&sender(), &channel).await;
        assert!(
            failed
                .words
                .starts_with(&format!("Connection refused by http://127.0.0.1:{free}. ")),
            "{failed}"
        );
        assert!(!failed.is_final);
    }
    let failed = failure(&sender(), &webhook("http://no-such-name.invalid/")).await;
    assert!(
        failed
            .words
            .starts_with("Cannot resolve the host name of http://no-such-name.invalid."),
        "{failed}"
    );
    let elsewhere = MailHost::start(Rules::default()).await.port;
    let silent = Receiver::answering("", Then::Close).await.port;
    let cases = [
        (
            format!("http://127.0.0.1:{elsewhere}/"),
            ". Check the port, and whether the address must start with https://.",
        ),
        (
            format!("https://127.0.0.1:{elsewhere}/"),
            "does not use TLS. Check the port, and whether the address must start with http://.",
        ),
        (
            format!("http://127.0.0.1:{silent}/"),
            ": the connection was closed. Check the port.",
        ),
    ];
    for (url, words) in cases {
        let failed = failure(&sender(), &webhook(url)).await;
        assert!(failed.words.contains(words) && !failed.is_final, "{failed}");
    }
}

#[tokio::test]
async fn errors_of_ntfy_and_telegram_are_quoted() {
    let receiver = Receiver::with(
        "403 Forbidden",
        "",
        r#"{"code":40301,"http":403,"error":"forbidden"}"#,
    )
    .await;
    let failed = failure(&sender(), &ntfy(receiver.port, Some(SECRET))).await;
    assert!(
        failed.is_final
            && failed
                .words
                .contains("403 Forbidden: “forbidden”. Check the server address, the topic"),
        "{failed}"
    );

    let receiver = Receiver::with(
        "400 Bad Request",
        "",
        r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
    )
    .await;
    let failed = failure(&sender(), &telegram(receiver.port)).await;
    assert!(
        failed.is_final && failed.words.contains("“Bad Request: chat not found”"),
        "{failed}"
    );

    let body = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 33","parameters":{"retry_after":33}}"#;
    let receiver = Receiver::with("429 Too Many Requests", "", body).await;
    let failed = failure(&sender(), &telegram(receiver.port)).await;
    assert_eq!(
        (failed.is_final, failed.retry_after),
        (false, Some(Duration::from_secs(33)))
    );

    let receiver = Receiver::with("200 OK", "", r#"{"ok":false,"description":"no"}"#).await;
    let failed = failure(&sender(), &telegram(receiver.port)).await;
    assert!(
        failed.is_final && failed.words.contains("rejected the message: “no”"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_receiver_that_repeats_the_request_gets_no_secret_into_an_error() {
    let receiver = Receiver::answering("HTTP/1.1 400 Bad\r\n\r\n{request}", Then::Close).await;
    let port = receiver.port;
    let login = webhook(format!(
        "http://{SECRET}:p%40ssword@127.0.0.1:{port}/a?k={SECRET}#{SECRET}"
    ));
    let channels = [
        webhook(format!("http://127.0.0.1:{port}/services/T0/{SECRET}")),
        webhook(format!("http://127.0.0.1:{port}/?{SECRET}")),
        login.clone(),
        ntfy(port, Some(SECRET)),
        telegram(port),
    ];
    for channel in channels {
        let failed = failure(&sender(), &channel).await;
        assert!(
            failed.words.contains("POST /"),
            "nothing was quoted: {failed}"
        );
        assert!(
            !failed.words.contains("p@ssword")
                && !failed.words.contains("WHE3LWhpZGRlbl9UcmVhc3VyZTQyOn"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn messages_can_be_sent_by_tasks() {
    let receiver = Receiver::with("200 OK", "", "").await;
    let (sender, channel) = (
        sender(),
        webhook(format!("http://127.0.0.1:{}", receiver.port)),
    );
    tokio::spawn(async move { sender.send(&channel, &message()).await })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receiver.only().line(), "POST / HTTP/1.1");
}

#[tokio::test]
async fn a_channel_with_a_problem_is_not_used() {
    let failed = failure(&sender(), &webhook("ftp://example.org")).await;
    assert!(
        failed.is_final
            && failed
                .words
                .starts_with("Enter an address that starts with https://"),
        "{failed}"
    );
}
