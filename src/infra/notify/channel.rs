//! The channel types, their settings and their secrets.
//!
//! Values only: no I/O, no forms, no tables. The JSON of a channel contains its secrets and is only for
//! the database; use [`NotifyChannel::masked`] everywhere else.

use super::addresses::{self, MASK};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::{Mailbox, Mailboxes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The maximum length of a field in characters, except web addresses.
const LONGEST: usize = 1_000;
/// The maximum number of recipients of an e-mail.
const MAX_RECEIVERS: usize = 50;

/// The destination of messages. In JSON, an object whose `kind` is `webhook`, `ntfy`, `email`,
/// `telegram`, `discord`, `slack`, `matrix`, `gotify` or `pushover`, including secrets.
#[derive(Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
#[schemars(rename = "ChannelTarget")]
pub enum NotifyChannel {
    /// Any program that accepts JSON over HTTP.
    Webhook {
        /// The URL, `http` or `https`.
        url: String,
        /// The key for signing bodies, if any.
        #[serde(default)]
        secret: Option<String>,
    },
    /// An ntfy server, which shows messages on phones.
    Ntfy {
        /// The server's address.
        #[serde(default = "ntfy_server")]
        server: String,
        /// The topic: 1 to 64 letters, digits, `-` and `_`.
        topic: String,
        /// The access token, if the topic is protected.
        #[serde(default)]
        token: Option<String>,
    },
    /// Plain text through a mail server.
    Email {
        /// The mail server's name or IP address.
        host: String,
        /// The port: usually 465 with TLS, 587 with STARTTLS.
        port: u16,
        /// The encryption of the connection.
        security: MailSecurity,
        /// The username, if the server requires one.
        #[serde(default)]
        username: Option<String>,
        /// The password.
        #[serde(default)]
        password: Option<String>,
        /// The sender, with or without a name.
        from: String,
        /// The recipients, separated by commas.
        to: String,
    },
    /// A chat with a Telegram bot.
    Telegram {
        /// The address of the bot API.
        #[serde(default = "telegram_server")]
        server: String,
        /// The token of the bot, from @BotFather.
        token: String,
        /// The numeric ID of the chat, or the `@name` of a channel.
        chat_id: String,
    },
    /// A channel of Discord.
    Discord {
        /// The URL of the channel's webhook. Its end is secret.
        url: String,
    },
    /// A channel of Slack, or of a program that accepts the same JSON.
    Slack {
        /// The URL of the incoming webhook. Its end is secret.
        url: String,
    },
    /// A room of a Matrix server.
    Matrix {
        /// The address of the home server.
        server: String,
        /// The ID of the room: `!…:example.org`.
        room_id: String,
        /// The access token of an account in the room.
        token: String,
    },
    /// A Gotify server.
    Gotify {
        /// The server's address.
        server: String,
        /// The token of an application.
        token: String,
    },
    /// Pushover, which shows messages on phones.
    Pushover {
        /// The address of the API.
        #[serde(default = "pushover_server")]
        server: String,
        /// The API token of an application.
        token: String,
        /// The key of the user or group.
        user: String,
    },
}

/// The encryption of the connection to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after STARTTLS; if it fails, nothing is sent.
    Starttls,
    /// None: message and password can be read in transit.
    None,
}

/// The public ntfy server.
fn ntfy_server() -> String {
    "https://ntfy.sh".into()
}

/// The public Bot API of Telegram.
fn telegram_server() -> String {
    "https://api.telegram.org".into()
}

/// The public API of Pushover.
fn pushover_server() -> String {
    "https://api.pushover.net".into()
}

impl NotifyChannel {
    /// The name of the kind in JSON.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// The invalid fields: the name in JSON, and a sentence on what to enter.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = ChannelProblems(Vec::new());
        match self {
            Self::Webhook { url, secret } => {
                found.unless("url", addresses::read(url));
                found.secret("secret", secret.as_deref());
            }
            Self::Ntfy {
                server,
                topic,
                token,
            } => {
                found.unless("server", addresses::read_server(server));
                let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                if topic.is_empty() || topic.len() > 64 || !topic.bytes().all(fits) {
                    found.add("topic", "Enter a topic of 1 to 64 letters, digits, - or _.");
                }
                found.secret("token", token.as_deref());
                found.printable("token", token.as_deref());
            }
            Self::Email {
                host,
                port,
                username,
                password,
                from,
                to,
                ..
            } => {
                let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
                if host.is_empty() || host.len() > 255 || !host.chars().all(is_name) {
                    found.add("host", "Enter the name or IP address of the mail server, for example mail.example.org.");
                }
                if *port == 0 {
                    found.add("port", "Enter the port of the mail server: usually 465 with TLS, 587 with STARTTLS.");
                }
                found.secret("password", password.as_deref());
                match (filled(username.as_deref()), filled(password.as_deref())) {
                    (Some(_), None) => found.add(
                        "password",
                        "Enter the password for the username, or remove the username.",
                    ),
                    (None, Some(_)) => found.add(
                        "username",
                        "Enter the username that goes with the password, or remove the password.",
                    ),
                    _ => {}
                }
                if username
                    .as_ref()
                    .is_some_and(|name| name.len() > LONGEST || name.contains(char::is_control))
                {
                    found.add("username", "Enter a username without line breaks.");
                }
                if from.len() > LONGEST || from.parse::<Mailbox>().is_err() {
                    found.add(
                        "from",
                        "Enter the sender's address, for example miner@example.org.",
                    );
                }
                match receivers(to) {
                    Some(receivers) if receivers.iter().count() <= MAX_RECEIVERS => {}
                    Some(_) => found.add("to", format!("Enter at most {MAX_RECEIVERS} recipients.")),
                    None => {
                        found.add("to", "Enter the recipient's address, for example me@example.org. Separate multiple addresses with commas.")
                    }
                }
            }
            Self::Telegram {
                server,
                token,
                chat_id,
            } => {
                found.unless("server", addresses::read_server(server));
                let parts = token.split_once(':');
                let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                let is_token = |(bot, key): (&str, &str)| {
                    !bot.is_empty()
                        && bot.bytes().all(|b| b.is_ascii_digit())
                        && !key.is_empty()
                        && key.bytes().all(fits)
                };
                if token.len() > LONGEST || !parts.is_some_and(is_token) {
                    found.add("token", "Enter the bot token from @BotFather: a number, a colon, letters and digits.");
                }
                let number = chat_id.strip_prefix('-').unwrap_or(chat_id);
                let name = chat_id.strip_prefix('@').unwrap_or_default();
                let is_number = !number.is_empty()
                    && number.len() <= 20
                    && number.bytes().all(|b| b.is_ascii_digit());
                let is_name = !name.is_empty()
                    && name.len() <= 64
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_number && !is_name {
                    found.add(
                        "chat_id",
                        "Enter the chat ID, for example -1001234567890, or the @name of a channel.",
                    );
                }
            }
            Self::Discord { url } => match addresses::read(url) {
                Ok(read) if !read.path().contains("/webhooks/") => found.add(
                    "url",
                    "Enter the webhook URL that Discord shows, for example https://discord.com/api/webhooks/….",
                ),
                read => found.unless("url", read),
            },
            Self::Slack { url } => found.unless("url", addresses::read(url)),
            Self::Matrix {
                server,
                room_id,
                token,
            } => {
                found.unless("server", addresses::read_server(server));
                let is_id = room_id.starts_with('!') && room_id.len() <= 255;
                if !is_id || room_id.contains(|c: char| c.is_whitespace() || c.is_control()) {
                    found.add(
                        "room_id",
                        "Enter the room ID, which starts with !, not the room's name.",
                    );
                }
                found.required("token", token);
            }
            Self::Gotify { server, token } => {
                found.unless("server", addresses::read_server(server));
                found.required("token", token);
            }
            Self::Pushover {
                server,
                token,
                user,
            } => {
                found.unless("server", addresses::read_server(server));
                found.required("token", token);
                let is_key = (1..=64).contains(&user.len())
                    && user.bytes().all(|b| b.is_ascii_alphanumeric());
                if !is_key {
                    found.add("user", "Enter the user key: letters and digits.");
                }
            }
        }
        found.0
    }

    /// The JSON for pages and programs. A secret that is set reads `********`, one that is not set
    /// `null`. In addresses, user, password, values after `?` and segments that look random are
    /// masked.
    pub fn masked(&self) -> Value {
        let veil = |secret: &Option<String>| filled(secret.as_deref()).map(|_| MASK);
        let kind = self.kind();
        match self {
            Self::Webhook { url, secret } => {
                json!({ "kind": kind, "url": addresses::masked(url), "secret": veil(secret) })
            }
            Self::Ntfy {
                server,
                topic,
                token,
            } => {
                json!({ "kind": kind, "server": addresses::masked(server), "topic": topic, "token": veil(token) })
            }
            Self::Email {
                host,
                port,
                security,
                username,
                password,
                from,
                to,
            } => json!({
                "kind": kind, "host": host, "port": port, "security": security, "username": username,
                "password": veil(password), "from": from, "to": to,
            }),
            Self::Telegram {
                server,
                token,
                chat_id,
            } => {
                json!({ "kind": kind, "server": addresses::masked(server), "token": hidden(token), "chat_id": chat_id })
            }
            Self::Discord { url } | Self::Slack { url } => {
                json!({ "kind": kind, "url": addresses::masked(url) })
            }
            Self::Matrix {
                server,
                room_id,
                token,
            } => {
                json!({ "kind": kind, "server": addresses::masked(server), "room_id": room_id, "token": hidden(token) })
            }
            Self::Gotify { server, token } => {
                json!({ "kind": kind, "server": addresses::masked(server), "token": hidden(token) })
            }
            Self::Pushover {
                server,
                token,
                user,
            } => {
                json!({ "kind": kind, "server": addresses::masked(server), "token": hidden(token), "user": user })
            }
        }
    }

    /// Replaces masked and empty secrets with those of `old`, if the channel types are the same. A
    /// missing secret (`None`) stays missing: this removes a secret. A secret that would be
    /// sent to another server stays masked, which is an error. So is a password without a user
    /// name.
    pub fn keep_secrets_of(&mut self, old: &Self) {
        match (self, old) {
            (
                Self::Webhook { url, secret },
                Self::Webhook {
                    url: old_url,
                    secret: old_secret,
                },
            ) => {
                *url = addresses::unmasked(url, old_url);
                keep(secret, old_secret, true);
            }
            (
                Self::Ntfy { server, token, .. },
                Self::Ntfy {
                    server: old_server,
                    token: old_token,
                    ..
                },
            ) => {
                *server = addresses::unmasked(server, old_server);
                keep(token, old_token, server == old_server);
            }
            (
                Self::Email {
                    host,
                    username,
                    password,
                    ..
                },
                Self::Email {
                    host: old_host,
                    password: old_password,
                    ..
                },
            ) => {
                if filled(username.as_deref()).is_some() {
                    keep(password, old_password, host == old_host);
                } else if password.as_deref().is_some_and(is_veiled) {
                    *password = None;
                }
            }
            (Self::Discord { url }, Self::Discord { url: old_url })
            | (Self::Slack { url }, Self::Slack { url: old_url }) => {
                *url = addresses::unmasked(url, old_url);
            }
            (
                Self::Telegram { server, token, .. },
                Self::Telegram {
                    server: old_server,
                    token: old_token,
                    ..
                },
            )
            | (
                Self::Matrix { server, token, .. },
                Self::Matrix {
                    server: old_server,
                    token: old_token,
                    ..
                },
            )
            | (
                Self::Gotify { server, token },
                Self::Gotify {
                    server: old_server,
                    token: old_token,
                },
            )
            | (
                Self::Pushover { server, token, .. },
                Self::Pushover {
                    server: old_server,
                    token: old_token,
                    ..
                },
            ) => {
                *server = addresses::unmasked(server, old_server);
                if is_veiled(token) {
                    *token = if server == old_server {
                        old_token.clone()
                    } else {
                        MASK.into()
                    };
                }
            }
            _ => {}
        }
    }

    /// The destination in words, without secrets: `webhook to https://example.org/…`, `e-mail to
    /// me@example.org`.
    pub fn words(&self) -> String {
        match self {
            Self::Webhook { url, .. } => format!("webhook to {}", addresses::words(url)),
            Self::Ntfy { server, topic, .. } => {
                format!("ntfy topic {topic} at {}", addresses::words(server))
            }
            Self::Email { to, .. } => format!("e-mail to {to}"),
            Self::Telegram { chat_id, .. } => format!("Telegram chat {chat_id}"),
            Self::Discord { url } => format!("Discord webhook at {}", addresses::words(url)),
            Self::Slack { url } => format!("Slack webhook at {}", addresses::words(url)),
            Self::Matrix {
                server, room_id, ..
            } => format!("Matrix room {room_id} at {}", addresses::words(server)),
            Self::Gotify { server, .. } => format!("Gotify at {}", addresses::words(server)),
            Self::Pushover { user, .. } => format!("Pushover user {user}"),
        }
    }

    /// All secrets, in every form in which a server may repeat them.
    pub(super) fn secrets(&self) -> Vec<String> {
        let own = |secret: &Option<String>| secret.iter().cloned().collect::<Vec<_>>();
        match self {
            Self::Webhook { url, secret } => [addresses::secrets(url), own(secret)].concat(),
            Self::Ntfy { server, token, .. } => [addresses::secrets(server), own(token)].concat(),
            Self::Email {
                username, password, ..
            } => {
                let (Some(username), Some(password)) = (username, password) else {
                    return own(password);
                };
                // The two authentication methods: PLAIN in one part, LOGIN in two.
                vec![
                    password.clone(),
                    STANDARD.encode(password),
                    STANDARD.encode(format!("\0{username}\0{password}")),
                ]
            }
            Self::Telegram { server, token, .. } => {
                let key = token.split_once(':').map_or("", |(_, key)| key);
                let mut all = addresses::secrets(server);
                all.extend([token.clone(), token.replace(':', "%3A"), key.to_owned()]);
                all
            }
            Self::Discord { url } | Self::Slack { url } => addresses::secrets(url),
            Self::Matrix { server, token, .. }
            | Self::Gotify { server, token }
            | Self::Pushover { server, token, .. } => {
                [addresses::secrets(server), vec![token.clone()]].concat()
            }
        }
    }
}

/// Without secrets, because a channel may be logged.
impl std::fmt::Debug for NotifyChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({})", self.masked())
    }
}

/// The recipients in a field; `None` if an address is invalid or there is none.
pub(super) fn receivers(text: &str) -> Option<Mailboxes> {
    let receivers = text.parse::<Mailboxes>().ok()?;
    (text.len() <= LONGEST * 5 && receivers.iter().next().is_some()).then_some(receivers)
}

/// The value of a field, if it is not empty.
pub(super) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The mask of a secret that is set.
fn hidden(secret: &str) -> Option<&'static str> {
    (!secret.is_empty()).then_some(MASK)
}

fn is_veiled(secret: &str) -> bool {
    secret.is_empty() || secret == MASK
}

/// Replaces a masked secret with the old one if the destination is the same. Otherwise it stays
/// masked and causes an error: a user who may change the destination must not be able to send an
/// unknown secret to it.
fn keep(secret: &mut Option<String>, old: &Option<String>, is_same_place: bool) {
    if !secret.as_deref().is_some_and(is_veiled) {
        return;
    }
    if is_same_place {
        secret.clone_from(old);
    } else {
        *secret = old.as_ref().map(|_| MASK.to_owned());
    }
}

/// The errors found so far.
struct ChannelProblems(Vec<(&'static str, String)>);

impl ChannelProblems {
    fn add(&mut self, field: &'static str, words: impl Into<String>) {
        self.0.push((field, words.into()));
    }

    fn unless<T>(&mut self, field: &'static str, read: Result<T, String>) {
        if let Err(words) = read {
            self.add(field, words);
        }
    }

    fn secret(&mut self, field: &'static str, secret: Option<&str>) {
        let Some(secret) = secret else { return };
        if secret == MASK {
            self.add(
                field,
                format!("Enter the {field} again. {MASK} only hides it."),
            );
        } else if secret.len() > LONGEST || secret.contains(['\r', '\n', '\0']) {
            self.add(
                field,
                format!("Enter the {field} without line breaks, in at most {LONGEST} characters."),
            );
        }
    }

    /// A secret that the channel cannot work without.
    fn required(&mut self, field: &'static str, secret: &str) {
        if secret.is_empty() {
            self.add(field, format!("Enter the {field}."));
        } else if secret == MASK || secret.len() > LONGEST {
            self.secret(field, Some(secret));
        } else {
            self.printable(field, Some(secret));
        }
    }

    fn printable(&mut self, field: &'static str, text: Option<&str>) {
        if text.is_some_and(|text| !text.bytes().all(|b| b.is_ascii_graphic())) {
            self.add(
                field,
                format!("Enter the {field} without spaces or special characters."),
            );
        }
    }
}
