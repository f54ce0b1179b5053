//! Messages out of the house: by webhook, ntfy, e-mail and Telegram.
//!
//! Knows what a message is and how each kind of receiver wants it, and no domain: not why something
//! is said, to whom it matters, or when it is tried again. Receivers are not trusted: time and
//! bytes are bounded, no redirect is followed, and what they say gets out only as a short
//! quotation. No secret gets into a log, a page or an error.
//!
//! A message arrives at least once, if it arrives: a receiver whose answer got lost is sent it
//! again, with the same id.

mod addresses;
mod channel;
mod email;
mod error;
mod http;
mod ntfy;
mod smtp_stream;
mod telegram;
#[cfg(test)]
mod tests;
mod text;
mod webhook;

pub use channel::{MailSecurity, NotifyChannel};
pub use error::SendError;

use crate::base::visible;
use crate::infra::http_client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Time for a message from the look-up of the name to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it stands, so that receivers can tell good news from bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Tone {
    /// Something is wrong.
    Bad,
    /// Something is right again.
    Good,
    /// Neither.
    Plain,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyMessage {
    /// Stays the same however often the message is sent, so that receivers can drop doubles. Best
    /// printable ASCII, such as a UUID.
    pub id: String,
    /// When it came to pass: milliseconds since 1970 UTC.
    pub at: i64,
    /// What happened, in a line.
    pub title: String,
    /// More about it; may have several lines or be empty.
    pub text: String,
    /// How it stands.
    pub mood: Tone,
    /// A page about it.
    pub link: Option<String>,
    /// For programs: the members of an object go into a webhook's body beside the others, which are
    /// not replaced. Anything else but null becomes the member `data`.
    pub data: Value,
}

impl NotifyMessage {
    /// The moment, or the nearest one that can be written: the years 1970 to 9999.
    fn moment(&self) -> jiff::Timestamp {
        const LAST: i64 = 253_402_214_400_000;
        jiff::Timestamp::from_millisecond(self.at.clamp(0, LAST)).unwrap_or_default()
    }

    /// The id as it fits into a header: printable ASCII without brackets and quotes, at most 100
    /// characters.
    fn handle(&self) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        self.id
            .chars()
            .take(100)
            .map(|c| if fits(c) { c } else { '-' })
            .collect()
    }

    /// The same with hidden characters shown by their codes, also in its data: receivers show what
    /// they get.
    fn visible(&self) -> Self {
        let shown = |text: &String| visible::on_page(text).into_owned();
        let mut data = self.data.clone();
        show_hidden(&mut data);
        Self {
            title: shown(&self.title),
            text: shown(&self.text),
            link: self.link.as_ref().map(shown),
            data,
            id: self.id.clone(),
            ..*self
        }
    }
}

/// Shows hidden characters in all texts of a value by their codes.
fn show_hidden(value: &mut Value) {
    match value {
        Value::String(text) => *text = visible::on_page(text).into_owned(),
        Value::Array(list) => list.iter_mut().for_each(show_hidden),
        Value::Object(members) => members.values_mut().for_each(show_hidden),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Sends messages. Clones share what is known about certificate authorities, which is read when the
/// first message is sent: who has no channel pays nothing for it. No connection is kept.
#[derive(Clone)]
pub struct NotifySender {
    ready: Arc<OnceLock<Result<SenderParts, SendError>>>,
    patience: Duration,
}

/// What is needed to send anything.
struct SenderParts {
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
    has_authorities: bool,
    patience: Duration,
}

/// What one message has at its disposal.
struct SendAttempt<'a> {
    sender: &'a SenderParts,
    deadline: Instant,
    secrets: Vec<String>,
}

impl NotifySender {
    /// A sender that trusts the certificate authorities of this machine. Without any it works, too,
    /// but not with TLS.
    pub fn new() -> Self {
        Self {
            ready: Arc::default(),
            patience: PATIENCE,
        }
    }

    #[cfg(test)]
    fn trusting(authorities: RootCertStore, patience: Duration) -> Result<Self, SendError> {
        let ready = Arc::new(OnceLock::from(SenderParts::trusting(authorities, patience)));
        Ok(Self { ready, patience })
    }

    /// Reads the certificate authorities from the disk, the first time.
    async fn ready(&self) -> Result<&SenderParts, SendError> {
        if self.ready.get().is_none() {
            let (ready, patience) = (Arc::clone(&self.ready), self.patience);
            let read = move || {
                ready.get_or_init(|| SenderParts::read(patience));
            };
            // If the thread is gone, the whole program is ending.
            let _ = tokio::task::spawn_blocking(read).await;
        }
        self.ready
            .get_or_init(|| SenderParts::read(self.patience))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Sends the message once, within 10 s. The only way out for messages: hidden characters in
    /// them are shown.
    ///
    /// # Errors
    /// It did not arrive, or nobody said that it did.
    pub async fn send(
        &self,
        channel: &NotifyChannel,
        message: &NotifyMessage,
    ) -> Result<(), SendError> {
        if let Some((_, words)) = channel.problems().into_iter().next() {
            return Err(SendError::for_good(words));
        }
        self.ready().await?.send(channel, &message.visible()).await
    }
}

impl Default for NotifySender {
    fn default() -> Self {
        Self::new()
    }
}

impl SenderParts {
    fn read(patience: Duration) -> Result<Self, SendError> {
        Self::trusting(http_client::authorities(), patience)
    }

    fn trusting(authorities: RootCertStore, patience: Duration) -> Result<Self, SendError> {
        let has_authorities = !authorities.is_empty();
        let unusable = |error: &dyn std::error::Error| {
            SendError::for_good(format!("TLS cannot be set up: {error}."))
        };
        let tls = http_client::tls(authorities).map_err(|error| unusable(&error))?;
        let http = reqwest::Client::builder()
            .user_agent(http_client::USER_AGENT)
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Messages are rare; by the next one the receiver would have closed the connection.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| unusable(&error.without_url()))?;
        Ok(Self {
            http,
            tls: Arc::new(tls),
            has_authorities,
            patience,
        })
    }

    async fn send(
        &self,
        channel: &NotifyChannel,
        message: &NotifyMessage,
    ) -> Result<(), SendError> {
        let attempt = SendAttempt {
            sender: self,
            deadline: Instant::now() + self.patience,
            secrets: channel.secrets(),
        };
        match channel {
            NotifyChannel::Webhook { url, secret } => {
                webhook::send(
                    &attempt,
                    url,
                    channel::filled(secret.as_deref()),
                    message,
                    jiff::Timestamp::now(),
                )
                .await
            }
            NotifyChannel::Ntfy {
                server,
                topic,
                token,
            } => {
                ntfy::send(
                    &attempt,
                    server,
                    topic,
                    channel::filled(token.as_deref()),
                    message,
                )
                .await
            }
            NotifyChannel::Email {
                host,
                port,
                security,
                username,
                password,
                from,
                to,
            } => {
                let login =
                    channel::filled(username.as_deref()).zip(channel::filled(password.as_deref()));
                let server = smtp_stream::MailServer {
                    host,
                    port: *port,
                    security: *security,
                };
                email::send(&attempt, &server, login, from, to, message).await
            }
            NotifyChannel::Telegram {
                server,
                token,
                chat_id,
            } => telegram::send(&attempt, server, token, chat_id, message).await,
        }
    }
}

impl std::fmt::Debug for NotifySender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifySender")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
