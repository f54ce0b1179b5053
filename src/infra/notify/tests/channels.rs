//! Tests of channels as values: validation and masking of secrets.

use super::*;
use crate::infra::notify::addresses::{masked, unmasked};
use proptest::prelude::*;
use serde_json::json;

fn fields(channel: &NotifyChannel) -> Vec<&'static str> {
    channel
        .problems()
        .into_iter()
        .map(|(field, _)| field)
        .collect()
}

fn from(json: serde_json::Value) -> NotifyChannel {
    serde_json::from_value(json).unwrap()
}

/// One channel of each kind, with the secret in all possible places.
fn secretive(secret: &str) -> Vec<NotifyChannel> {
    let server = "https://ntfy.example.org".to_owned();
    let mail = |username: &str| NotifyChannel::Email {
        host: "mail.example.org".into(),
        port: 465,
        security: MailSecurity::Tls,
        username: Some(username.into()),
        password: Some(secret.into()),
        from: "a@b.org".into(),
        to: "c@d.org".into(),
    };
    vec![
        NotifyChannel::Webhook {
            url: format!(
                "https://{secret}:{secret}@example.org/a/{secret}?{secret}&k={secret}#{secret}"
            ),
            secret: Some(secret.into()),
        },
        NotifyChannel::Ntfy {
            server,
            topic: "t".into(),
            token: Some(secret.into()),
        },
        mail("me"),
        NotifyChannel::Telegram {
            server: "https://api.telegram.org".into(),
            token: format!("1:{secret}"),
            chat_id: "5".into(),
        },
        NotifyChannel::Discord {
            url: format!("https://discord.com/api/webhooks/1/{secret}"),
        },
        NotifyChannel::Slack {
            url: format!("https://hooks.slack.com/services/T0/B0/{secret}"),
        },
        NotifyChannel::Matrix {
            server: "https://matrix.example.org".into(),
            room_id: "!a:example.org".into(),
            token: secret.into(),
        },
        NotifyChannel::Gotify {
            server: "https://gotify.example.org".into(),
            token: secret.into(),
        },
        NotifyChannel::Pushover {
            server: "https://api.pushover.net".into(),
            token: secret.into(),
            user: "u1".into(),
        },
    ]
}

#[test]
fn the_json_of_a_channel_is_that_of_the_database() {
    let channel = from(json!({ "kind": "ntfy", "topic": "mining" }));
    assert_eq!(
        channel,
        NotifyChannel::Ntfy {
            server: "https://ntfy.sh".into(),
            topic: "mining".into(),
            token: None
        }
    );
    let channel = from(json!({ "kind": "telegram", "token": "1:a", "chat_id": "5" }));
    assert_eq!(
        channel,
        NotifyChannel::Telegram {
            server: "https://api.telegram.org".into(),
            token: "1:a".into(),
            chat_id: "5".into()
        }
    );
    for channel in secretive(SECRET) {
        let json = serde_json::to_value(&channel).unwrap();
        assert_eq!(json["kind"], channel.kind());
        assert!(json.to_string().contains(SECRET));
        assert_eq!(from(json), channel);
    }
    assert_eq!(
        serde_json::to_value(email(587, MailSecurity::Starttls)).unwrap()["security"],
        "starttls"
    );
}

#[test]
fn secrets_are_masked_wherever_a_channel_is_shown() {
    let shown: Vec<serde_json::Value> = secretive(SECRET)
        .iter()
        .map(NotifyChannel::masked)
        .collect();
    let url = "https://********:********@example.org/a/********?********&k=********#********";
    assert_eq!(
        shown[0],
        json!({ "kind": "webhook", "url": url, "secret": "********" })
    );
    assert_eq!(
        shown[1],
        json!({ "kind": "ntfy", "server": "https://ntfy.example.org", "topic": "t", "token": "********" })
    );
    assert_eq!(shown[2]["password"], "********");
    assert_eq!(shown[2]["username"], "me");
    assert_eq!(shown[3]["token"], "********");
    assert_eq!(
        webhook("https://example.org/a").masked()["secret"],
        json!(null)
    );
    let words: Vec<String> = secretive(SECRET).iter().map(NotifyChannel::words).collect();
    let expected = [
        "webhook to https://example.org/…",
        "ntfy topic t at https://ntfy.example.org",
        "e-mail to c@d.org",
        "Telegram chat 5",
        "Discord webhook at https://discord.com/…",
        "Slack webhook at https://hooks.slack.com/…",
        "Matrix room !a:example.org at https://matrix.example.org",
        "Gotify at https://gotify.example.org",
        "Pushover user u1",
    ];
    assert_eq!(words, expected);
    assert_eq!(
        webhook("http://localhost:8080").words(),
        "webhook to http://localhost:8080"
    );
}

#[test]
fn an_address_without_secrets_is_shown_as_it_was_written() {
    for text in [
        "https://Example.org",
        "http://[::1]:8080/hook/for/mining",
        "https://example.org/notifications-of-the-miners",
        "",
    ] {
        assert_eq!(masked(text), text);
    }
    let discord = "https://discord.com/api/webhooks/1094587438743879801/Kq2_dhJ8-sGhT5wZ";
    assert_eq!(
        masked(discord),
        "https://discord.com/api/webhooks/********/********"
    );
    assert_eq!(masked("not an address"), "********");
    assert_eq!(masked("mailto:me@example.org"), "********");
}

#[test]
fn a_form_that_comes_back_with_masks_keeps_the_secrets() {
    for old in secretive(SECRET) {
        let mut new = from(old.masked());
        new.keep_secrets_of(&old);
        assert_eq!(new, old);
    }
    for old in secretive(SECRET) {
        let mut json = old.masked();
        for (_, value) in json.as_object_mut().unwrap() {
            if *value == "********" {
                *value = json!("");
            }
        }
        let mut new = from(json);
        new.keep_secrets_of(&old);
        assert_eq!(new, old);
    }
}

#[test]
fn a_new_secret_replaces_the_old_and_none_removes_it() {
    let old = NotifyChannel::Webhook {
        url: "https://example.org".into(),
        secret: Some("old".into()),
    };
    for (secret, expected) in [
        (Some("new"), Some("new")),
        (None, None),
        (Some(""), Some("old")),
        (Some("********"), Some("old")),
    ] {
        let mut new = NotifyChannel::Webhook {
            url: "https://example.org".into(),
            secret: secret.map(Into::into),
        };
        new.keep_secrets_of(&old);
        assert_eq!(
            new,
            NotifyChannel::Webhook {
                url: "https://example.org".into(),
                secret: expected.map(Into::into)
            }
        );
    }
    let mut other = NotifyChannel::Ntfy {
        server: "https://example.org".into(),
        topic: "t".into(),
        token: Some("********".into()),
    };
    other.keep_secrets_of(&old);
    assert_eq!(fields(&other), ["token"]);
    let mut mail = email(465, MailSecurity::Tls);
    let NotifyChannel::Email {
        username, password, ..
    } = &mut mail
    else {
        unreachable!()
    };
    (*username, *password) = (None, Some("********".into()));
    mail.keep_secrets_of(&email(465, MailSecurity::Tls));
    assert_eq!(fields(&mail), Vec::<&str>::new());
}

/// A user who may change the destination of a channel must not get its secret sent there.
#[test]
fn a_secret_that_is_not_shown_does_not_go_to_another_server() {
    for old in secretive(SECRET) {
        let mut json = old.masked();
        for place in ["server", "host"] {
            if json.get(place).is_some() {
                json[place] = json!(if place == "host" {
                    "mail.attacker.example"
                } else {
                    "https://attacker.example"
                });
            }
        }
        // Addresses with secrets have their own test.
        if json.get("url").is_some() {
            continue;
        }
        let mut new = from(json);
        new.keep_secrets_of(&old);
        assert!(
            !format!("{:?}", serde_json::to_string(&new).unwrap()).contains(SECRET),
            "{new:?}"
        );
        assert!(!new.problems().is_empty(), "{new:?}");
    }
}

#[test]
fn what_is_masked_in_an_address_comes_back_from_the_old_one_but_never_to_another_server() {
    let old = "https://u%40x:p%2Fw@example.org/api/0123456789abcdef?a=1&token=s%26t&flag";
    assert_eq!(
        masked(old),
        "https://********:********@example.org/api/********?a=********&token=********&********"
    );
    let edited = "https://********:********@example.org/v2/********?token=********&b=7";
    assert_eq!(
        unmasked(edited, old),
        "https://u%40x:p%2Fw@example.org/v2/0123456789abcdef?token=s%26t&b=7"
    );
    for elsewhere in [
        "https://evil.org/?token=********",
        "http://example.org/?token=********",
        "https://example.org:444/?token=********",
    ] {
        assert_eq!(unmasked(elsewhere, old), elsewhere);
        assert_eq!(fields(&webhook(elsewhere)), ["url"]);
    }
    assert_eq!(
        unmasked("https://new.example.org/", old),
        "https://new.example.org/"
    );
    assert_eq!(
        unmasked("https://example.org/?other=********", old),
        "https://example.org/?other=********"
    );
}

#[test]
fn a_channel_in_order_has_no_problem() {
    for channel in secretive(SECRET) {
        assert_eq!(channel.problems(), []);
    }
    assert_eq!(fields(&ntfy(80, None)), Vec::<&str>::new());
}

#[test]
fn problems_name_the_field_and_say_what_to_enter() {
    let bad = json!({ "kind": "email", "host": "a b", "port": 0, "security": "tls", "username": "me", "from": "me", "to": "a@b.org,,x" });
    assert_eq!(
        fields(&from(bad)),
        ["host", "port", "password", "from", "to"]
    );
    let bad = json!({ "kind": "email", "host": "", "port": 25, "security": "none", "password": "p\r\n", "from": "a@b.org\r\nX: y", "to": "" });
    assert_eq!(
        fields(&from(bad)),
        ["host", "password", "username", "from", "to"]
    );
    let bad = json!({ "kind": "ntfy", "server": "https://me:pw@x.org/?a", "topic": "a/b", "token": "tk x" });
    assert_eq!(fields(&from(bad)), ["server", "topic", "token"]);
    for token in ["", "abc", "12:", ":abc", "12:../x", "12:a/b", "********"] {
        let bad = json!({ "kind": "telegram", "server": "api.telegram.org", "token": token, "chat_id": "my chat" });
        assert_eq!(
            fields(&from(bad)),
            ["server", "token", "chat_id"],
            "{token}"
        );
    }
    for url in [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "https://a b.org",
        "https://example.org/\r\nX: y",
        "http://x:0/",
    ] {
        assert_eq!(fields(&webhook(url)), ["url"], "{url}");
    }
    let many = ["a@b.org"; 51].join(",");
    let bad = json!({ "kind": "email", "host": "h", "port": 25, "security": "none", "from": "a@b.org", "to": many });
    assert_eq!(
        from(bad).problems(),
        [("to", "Enter at most 50 recipients.".to_owned())]
    );
    for (_, words) in
        from(json!({ "kind": "telegram", "server": "", "token": "", "chat_id": "" })).problems()
    {
        assert!(
            words.starts_with("Enter") && words.ends_with('.'),
            "{words}"
        );
    }
}

proptest! {
    #[test]
    fn no_secret_is_ever_shown(secret in "[A-Za-z]{4}[0-9]{2}[A-Za-z0-9_-]{12,40}") {
        for channel in secretive(&secret) {
            let shown = format!("{channel:?} {} {}", channel.masked(), channel.words());
            prop_assert!(!shown.contains(&secret), "{shown}");
            let mut back = from(channel.masked());
            back.keep_secrets_of(&channel);
            prop_assert_eq!(back, channel);
        }
    }

    #[test]
    fn any_text_as_an_address_is_masked_without_a_panic_and_comes_back(text in "(https?://)?\\PC{0,60}") {
        prop_assert_eq!(unmasked(&masked(&text), &text), text);
    }

    #[test]
    fn a_login_in_any_address_is_masked(user in "[a-z0-9%]{6,9}", password in "[!-~&&[^/?#\\\\@:]]{6,12}") {
        let shown = masked(&format!("https://{user}:{password}@example.org/"));
        prop_assert!(!shown.contains(&user) && !shown.contains(&password), "{shown}");
    }
}
