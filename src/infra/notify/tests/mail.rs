//! Tests of e-mail: the messages at the mail server, and the errors.

use super::receivers::{Authority, MailHost, Rules};
use super::*;
use crate::infra::notify::email::written;
use std::time::Instant;
use tokio::net::TcpListener;

fn without_login(port: u16, security: MailSecurity) -> NotifyChannel {
    let NotifyChannel::Email { host, from, to, .. } = email(port, security) else {
        unreachable!()
    };
    NotifyChannel::Email {
        host,
        port,
        security,
        username: None,
        password: None,
        from,
        to,
    }
}

#[tokio::test]
async fn an_email_is_handed_in_after_a_login() {
    let host = MailHost::start(Rules::default()).await;
    sender()
        .send(&email(host.port, MailSecurity::None), &message())
        .await
        .unwrap();
    let lines = host.lines();
    // \0miner\0 and the secret, by `base64`.
    let dialogue = [
        "EHLO [127.0.0.1]",
        "AUTH PLAIN AG1pbmVyAFhxNy1oaWRkZW5fVHJlYXN1cmU0Mg==",
        "MAIL FROM:<miner@example.org>",
        "RCPT TO:<me@example.org>",
        "RCPT TO:<you@example.net>",
        "DATA",
    ];
    assert_eq!(lines[..6], dialogue);
    assert_eq!(lines.last().unwrap(), "QUIT");
    let mail = host.mail();
    let (head, body) = mail.split_once("\n\n").unwrap();
    for line in [
        "From: Miner <miner@example.org>",
        "To: me@example.org, =?utf-8?b?Wm/Dqw==?= <you@example.net>",
        "Subject: =?utf-8?b?WsO8cmljaDo=?= no longer mining",
        "Date: Sun, 22 Nov 2026 14:02:11 +0000",
        "Message-ID: <6f1c2b1e-1d7c-4d53-9a55-0c5cf2d5a001@example.org>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(
            head.lines().any(|other| other == line),
            "{line} is not in\n{head}"
        );
    }
    assert_eq!(
        body.trim_end(),
        "The template provider is gone.\nIt was last seen at 14:02.\n\nhttps://manager.example/instances/1"
    );
}

#[tokio::test]
async fn without_a_user_name_there_is_no_login() {
    let host = MailHost::start(Rules::default()).await;
    sender()
        .send(&without_login(host.port, MailSecurity::None), &message())
        .await
        .unwrap();
    assert!(host.lines().iter().all(|line| !line.starts_with("AUTH")));
}

#[tokio::test]
async fn hostile_titles_and_texts_stay_in_their_place() {
    let hostile =
        "Hi\r\nBcc: evil@example.org\r\n.\r\nMAIL FROM:<evil@example.org>\r\u{2028}\0RSET\nü";
    let message = NotifyMessage {
        title: hostile.into(),
        text: hostile.into(),
        id: "a>\r\nBcc: b".into(),
        link: Some("x\r\n.\r\nQUIT".into()),
        ..message()
    };
    let host = MailHost::start(Rules::default()).await;
    sender()
        .send(&email(host.port, MailSecurity::None), &message)
        .await
        .unwrap();
    let lines = host.lines();
    let place = |word: &str| lines.iter().position(|line| line == word).unwrap();
    // Only lines before DATA and after the single dot are commands.
    assert_eq!(
        (place("DATA"), place("."), place("QUIT")),
        (5, lines.len() - 2, lines.len() - 1),
        "{lines:?}"
    );
    assert_eq!(lines[2], "MAIL FROM:<miner@example.org>");
    let mail = host.mail();
    let (head, _) = mail.split_once("\n\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(
        head.contains("Message-ID: <a---Bcc--b@example.org>"),
        "{head}"
    );
    for line in head.lines() {
        assert!(
            line.starts_with(' ')
                || line
                    .split_once(": ")
                    .is_some_and(|(name, _)| !name.contains(' ')),
            "{line}"
        );
    }
}

#[test]
fn any_message_can_be_written() {
    for at in [i64::MIN, -1, 0, i64::MAX] {
        written("a@b.org", "c@d.org", &NotifyMessage { at, ..message() }).unwrap();
    }
    let empty = NotifyMessage {
        title: String::new(),
        text: String::new(),
        link: None,
        id: String::new(),
        ..message()
    };
    written("a@b.org", "c@d.org", &empty).unwrap();
    let long = NotifyMessage {
        title: "ü".repeat(10_000),
        text: "x".repeat(200_000),
        ..message()
    };
    let mail =
        String::from_utf8(written("a@b.org", "c@d.org", &long).unwrap().formatted()).unwrap();
    assert!(
        mail.lines().all(|line| line.len() <= 998),
        "a line is longer than mail allows"
    );
    assert!(mail.len() < 100_000, "{}", mail.len());
    assert!(written("a@b.org", "c@d.org, nonsense", &message()).is_err());
}

#[tokio::test]
async fn tls_and_starttls_protect_login_and_message() {
    let own = Authority::of("localhost");
    let host = MailHost::start(Rules {
        tls: Some(own.acceptor()),
        ..Rules::default()
    })
    .await;
    trusting(&own)
        .send(&email(host.port, MailSecurity::Tls), &message())
        .await
        .unwrap();
    assert!(
        host.lines().iter().all(|line| line.starts_with('*')),
        "{:?}",
        host.lines()
    );
    assert!(host.mail().contains("14:02"));

    let host = MailHost::start(Rules {
        starttls: Some(own.acceptor()),
        ..Rules::default()
    })
    .await;
    trusting(&own)
        .send(&email(host.port, MailSecurity::Starttls), &message())
        .await
        .unwrap();
    let clear: Vec<String> = host
        .lines()
        .into_iter()
        .filter(|line| !line.starts_with('*'))
        .collect();
    assert_eq!(clear, ["EHLO [127.0.0.1]", "STARTTLS"]);
    assert!(
        host.lines().contains(&"*EHLO [127.0.0.1]".to_owned()) && host.mail().contains("14:02")
    );
}

#[tokio::test]
async fn without_a_trusted_certificate_nothing_is_said() {
    let (own, other) = (Authority::of("localhost"), Authority::of("localhost"));
    let rules = [
        (
            Rules {
                tls: Some(own.acceptor()),
                ..Rules::default()
            },
            MailSecurity::Tls,
        ),
        (
            Rules {
                starttls: Some(own.acceptor()),
                ..Rules::default()
            },
            MailSecurity::Starttls,
        ),
    ];
    for (rules, security) in rules {
        let host = MailHost::start(rules).await;
        let failed = failure(&trusting(&other), &email(host.port, security)).await;
        assert!(
            failed
                .words
                .contains("does not trust the issuer of the certificate"),
            "{failed}"
        );
        let failed = failure(&sender(), &email(host.port, security)).await;
        assert!(
            failed.words.contains("Install the ca-certificates package"),
            "{failed}"
        );
        assert!(
            host.lines()
                .iter()
                .all(|line| line.starts_with("EHLO") || line == "STARTTLS"),
            "{:?}",
            host.lines()
        );
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_login_nor_message() {
    let host = MailHost::start(Rules::default()).await;
    let failed = failure(&sender(), &email(host.port, MailSecurity::Starttls)).await;
    assert!(
        failed.is_final
            && failed
                .words
                .contains("does not offer STARTTLS on this port: “502 not here”"),
        "{failed}"
    );
    assert_eq!(host.lines(), ["EHLO [127.0.0.1]", "STARTTLS"]);
    let host = MailHost::start(Rules {
        replies: vec![("STARTTLS", "454 later")],
        ..Rules::default()
    })
    .await;
    assert!(
        !failure(&sender(), &email(host.port, MailSecurity::Starttls))
            .await
            .is_final
    );
}

#[tokio::test]
async fn what_is_slipped_in_before_tls_is_not_believed() {
    let own = Authority::of("localhost");
    let injected = "250-evil\r\n250 AUTH PLAIN\r\n";
    let host = MailHost::start(Rules {
        starttls: Some(own.acceptor()),
        injected,
        ..Rules::default()
    })
    .await;
    let failed = failure(&trusting(&own), &email(host.port, MailSecurity::Starttls)).await;
    assert!(failed.words.contains("TLS"), "{failed}");
    assert_eq!(host.lines(), ["EHLO [127.0.0.1]", "STARTTLS"]);
}

#[tokio::test]
async fn tls_at_a_port_without_it_is_told() {
    let host = MailHost::start(Rules::default()).await;
    let failed = failure(&sender(), &email(host.port, MailSecurity::Tls)).await;
    assert!(
        failed.words.contains("does not use TLS on this port"),
        "{failed}"
    );
}

#[tokio::test]
async fn refusals_are_told_with_the_words_of_the_server() {
    let cases: [(&'static str, &'static str, bool, &str); 8] = [
        (
            "GREETING",
            "554 go away",
            true,
            "rejected the connection (554: “go away”)",
        ),
        ("GREETING", "421 busy", false, "rejected the connection"),
        (
            "AUTH",
            "535 5.7.8 wrong",
            true,
            "rejected the sign-in (535: “5.7.8 wrong”). Check the username and the password.",
        ),
        (
            "AUTH",
            "454 later",
            false,
            "cannot accept the message right now (454: “later”)",
        ),
        (
            "MAIL",
            "550 not you",
            true,
            "rejected the message (550: “not you”)",
        ),
        (
            "RCPT",
            "550-no such\r\n550 user",
            true,
            "rejected the message (550: “no such user”)",
        ),
        (
            "RCPT",
            "450 greylisted",
            false,
            "(450: “greylisted”). Try again later.",
        ),
        (
            ".",
            "552 too big",
            true,
            "rejected the message (552: “too big”)",
        ),
    ];
    for (word, reply, is_final, words) in cases {
        let host = MailHost::start(Rules {
            replies: vec![(word, reply)],
            ..Rules::default()
        })
        .await;
        let failed = failure(&sender(), &email(host.port, MailSecurity::None)).await;
        assert!(failed.words.contains(words), "{failed}");
        assert_eq!(failed.is_final, is_final, "{failed}");
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_login_gets_no_secret_into_an_error() {
    let host = MailHost::start(Rules {
        replies: vec![("AUTH", "500 what is {line}")],
        ..Rules::default()
    })
    .await;
    let failed = failure(&sender(), &email(host.port, MailSecurity::None)).await;
    assert!(
        failed.words.contains("what is AUTH PLAIN ********"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_server_that_knows_no_login_is_told() {
    let host = MailHost::start(Rules {
        replies: vec![("EHLO", "250 mail.example.org")],
        ..Rules::default()
    })
    .await;
    let failed = failure(&sender(), &email(host.port, MailSecurity::None)).await;
    assert!(
        failed.is_final
            && failed
                .words
                .contains("does not accept passwords. Choose STARTTLS or TLS"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_server_that_has_the_message_may_go_without_a_word() {
    let host = MailHost::start(Rules {
        replies: vec![("QUIT", "221-and another thing")],
        ..Rules::default()
    })
    .await;
    sender()
        .send(&email(host.port, MailSecurity::None), &message())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_never_ends_a_line_or_says_nothing_is_left() {
    for security in [MailSecurity::None, MailSecurity::Starttls] {
        let host = MailHost::start(Rules {
            babbles: true,
            ..Rules::default()
        })
        .await;
        let before = Instant::now();
        let failed = failure(&sender(), &email(host.port, security)).await;
        assert!(
            failed.words.contains("the server sent too much data"),
            "{failed}"
        );
        assert!(before.elapsed() < Duration::from_secs(3));
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for security in [
        MailSecurity::None,
        MailSecurity::Starttls,
        MailSecurity::Tls,
    ] {
        let failed = failure(
            &hasty(),
            &email(silent.local_addr().unwrap().port(), security),
        )
        .await;
        assert!(
            failed.words.contains("did not respond within 0.3 s") && !failed.is_final,
            "{failed}"
        );
    }
}

#[tokio::test]
async fn no_mail_server_is_told_in_plain_words() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let failed = failure(&sender(), &email(free, MailSecurity::Tls)).await;
    assert!(
        failed
            .words
            .starts_with(&format!("Connection refused by localhost:{free}.")),
        "{failed}"
    );
    let NotifyChannel::Email {
        port,
        security,
        username,
        password,
        from,
        to,
        ..
    } = email(25, MailSecurity::None)
    else {
        unreachable!()
    };
    let lost = NotifyChannel::Email {
        host: "no-such-name.invalid".into(),
        port,
        security,
        username,
        password,
        from,
        to,
    };
    assert!(
        failure(&sender(), &lost)
            .await
            .words
            .starts_with("Cannot resolve the host name of no-such-name.invalid:25.")
    );
}
