//! Tests with receivers on loopback sockets that record all input.
//!
//! Nothing leaves the machine, and its certificate authorities are not used.

mod channels;
mod mail;
mod posts;
mod receivers;
mod refusals;
mod services;

use super::{MailSecurity, NotifyChannel, NotifyMessage, NotifySender, SendError, Tone};
use receivers::Authority;
use std::time::Duration;
use tokio_rustls::rustls::RootCertStore;

/// A sender that trusts no certificates.
fn sender() -> NotifySender {
    NotifySender::trusting(RootCertStore::empty(), Duration::from_secs(5)).unwrap()
}

/// A sender with a short time limit.
fn hasty() -> NotifySender {
    NotifySender::trusting(RootCertStore::empty(), Duration::from_millis(300)).unwrap()
}

/// A sender that trusts only this authority.
fn trusting(authority: &Authority) -> NotifySender {
    let mut store = RootCertStore::empty();
    store.add(authority.certificate()).unwrap();
    NotifySender::trusting(store, Duration::from_secs(5)).unwrap()
}

fn message() -> NotifyMessage {
    NotifyMessage {
        id: "6f1c2b1e-1d7c-4d53-9a55-0c5cf2d5a001".into(),
        at: 1_795_356_131_204,
        title: "Zürich: no longer mining".into(),
        text: "The template provider is gone.\nIt was last seen at 14:02.".into(),
        mood: Tone::Bad,
        link: Some("https://manager.example/instances/1".into()),
        data: serde_json::json!({ "instance": "zurich", "id": "not this one" }),
    }
}

fn webhook(url: impl Into<String>) -> NotifyChannel {
    NotifyChannel::Webhook {
        url: url.into(),
        secret: None,
    }
}

fn ntfy(port: u16, token: Option<&str>) -> NotifyChannel {
    NotifyChannel::Ntfy {
        server: format!("http://127.0.0.1:{port}"),
        topic: "mining".into(),
        token: token.map(Into::into),
    }
}

fn telegram(port: u16) -> NotifyChannel {
    NotifyChannel::Telegram {
        server: format!("http://127.0.0.1:{port}"),
        token: format!("12345:{SECRET}"),
        chat_id: "-100777".into(),
    }
}

fn email(port: u16, security: MailSecurity) -> NotifyChannel {
    NotifyChannel::Email {
        host: "localhost".into(),
        port,
        security,
        username: Some("miner".into()),
        password: Some(SECRET.into()),
        from: "Miner <miner@example.org>".into(),
        to: "me@example.org, Zoë <you@example.net>".into(),
    }
}

/// A secret that must only appear in its place.
const SECRET: &str = "Xq7-hidden_Treasure42";

async fn failure(sender: &NotifySender, channel: &NotifyChannel) -> SendError {
    let failed = sender.send(channel, &message()).await.unwrap_err();
    assert!(
        !failed.words.contains(SECRET) && !format!("{failed:?}").contains(SECRET),
        "{failed}"
    );
    assert!(
        failed.words.len() < 1_500 && !failed.words.contains(['\r', '\n']),
        "{failed}"
    );
    assert!(failed.words.ends_with('.'), "{failed}");
    failed
}
