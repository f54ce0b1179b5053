//! Sends messages by webhook, ntfy, e-mail, Telegram, Discord, Slack, Matrix, Gotify and Pushover.
//!
//! This module formats a message for each kind of receiver. It does not know the domains, and it does
//! not retry. Receivers are not trusted: time and bytes are limited, redirects are not followed, and
//! responses are only quoted briefly. No secret appears in a log, a page or an error.
//!
//! A message may arrive twice: if the response of a receiver is lost, the message is sent again with
//! the same id.

mod addresses;
mod channel;
mod email;
mod error;
mod http;
mod ntfy;
mod services;
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

/// The time limit for a message, from the name lookup to the end of the response.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tone of a message: good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Tone {
    /// A problem.
    Bad,
    /// A problem is resolved.
    Good,
    /// Neutral.
    Plain,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyMessage {
    /// The id. It stays the same when the message is sent again, so that receivers can drop
    /// duplicates. Preferably printable ASCII, such as a UUID.
    pub id: String,
    /// The time of the event, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The title, one line.
    pub title: String,
    /// The text; may have several lines or be empty.
    pub text: String,
    /// The tone.
    pub mood: Tone,
    /// The URL of a page about it.
    pub link: Option<String>,
    /// Details for programs. The members of an object are added to the body of a webhook without
    /// replacing others. Any other value except null becomes the member `data`.
    pub data: Value,
}

impl NotifyMessage {
    /// The time, limited to the years 1970 to 9999.
    fn moment(&self) -> jiff::Timestamp {
        const LAST: i64 = 253_402_214_400_000;
        jiff::Timestamp::from_millisecond(self.at.clamp(0, LAST)).unwrap_or_default()
    }

    /// The id in a form for headers: printable ASCII without brackets and quotes, at most 100
    /// characters.
    fn handle(&self) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        self.id
            .chars()
            .take(100)
            .map(|c| if fits(c) { c } else { '-' })
            .collect()
    }

    /// The message with hidden characters replaced by their codes, also in its data.
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

/// Replaces hidden characters in all texts of a value by their codes.
fn show_hidden(value: &mut Value) {
    match value {
        Value::String(text) => *text = visible::on_page(text).into_owned(),
        Value::Array(list) => list.iter_mut().for_each(show_hidden),
        Value::Object(members) => members.values_mut().for_each(show_hidden),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Sends messages. Clones share the certificate authorities, which are read when the first message is
/// sent. Connections are not kept open.
#[derive(Clone)]
pub struct NotifySender {
    ready: Arc<OnceLock<Result<SenderParts, SendError>>>,
    patience: Duration,
}

/// The resources for sending.
struct SenderParts {
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
    has_authorities: bool,
    patience: Duration,
}

/// The context of one attempt.
struct SendAttempt<'a> {
    sender: &'a SenderParts,
    deadline: Instant,
    secrets: Vec<String>,
}

impl NotifySender {
    /// A sender that trusts the certificate authorities of this machine. Without any, only plain
    /// connections work.
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

    /// Reads the certificate authorities from disk at the first use.
    async fn ready(&self) -> Result<&SenderParts, SendError> {
        if self.ready.get().is_none() {
            let (ready, patience) = (Arc::clone(&self.ready), self.patience);
            let read = move || {
                ready.get_or_init(|| SenderParts::read(patience));
            };
            // The thread is gone only if the program is stopping.
            let _ = tokio::task::spawn_blocking(read).await;
        }
        self.ready
            .get_or_init(|| SenderParts::read(self.patience))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Sends the message once, within 10 s. Hidden characters are replaced by their codes.
    ///
    /// # Errors
    /// The message did not arrive, or its arrival was not confirmed.
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
            SendError::for_good(format!("Cannot set up TLS: {error}."))
        };
        let tls = http_client::tls(authorities).map_err(|error| unusable(&error))?;
        let http = reqwest::Client::builder()
            .user_agent(http_client::USER_AGENT)
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Messages are rare; the receiver would close an idle connection anyway.
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
            NotifyChannel::Discord { url } => services::discord(&attempt, url, message).await,
            NotifyChannel::Slack { url } => services::slack(&attempt, url, message).await,
            NotifyChannel::Matrix {
                server,
                room_id,
                token,
            } => services::matrix(&attempt, server, room_id, token, message).await,
            NotifyChannel::Gotify { server, token } => {
                services::gotify(&attempt, server, token, message).await
            }
            NotifyChannel::Pushover {
                server,
                token,
                user,
            } => services::pushover(&attempt, server, [token, user], message).await,
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
