//! The kinds of channels and their fields, as forms show them and bodies are read. Data only.

/// A kind of channel.
#[derive(Debug)]
pub struct ChannelKind {
    /// As in JSON.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// For whom it is, and what it needs.
    pub about: &'static str,
    /// In the order of the form.
    pub fields: &'static [ChannelField],
}

/// A field of a channel.
#[derive(Debug)]
pub struct ChannelField {
    /// As in JSON.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// What belongs there.
    pub help: &'static str,
    /// What it is filled in as.
    pub how: ChannelFieldInput,
    /// What an empty one stands for; empty: nothing.
    pub default: &'static str,
    /// It may be left out: null in JSON.
    pub is_optional: bool,
}

/// How a field is filled in.
#[derive(Debug, PartialEq, Eq)]
pub enum ChannelFieldInput {
    /// A line of text.
    Text,
    /// A line that is never shown again.
    Secret,
    /// The number of a port.
    Port,
    /// One of these: value and words.
    Choice(&'static [(&'static str, &'static str)]),
}

const fn text(name: &'static str, label: &'static str, help: &'static str) -> ChannelField {
    ChannelField {
        name,
        label,
        help,
        how: ChannelFieldInput::Text,
        default: "",
        is_optional: false,
    }
}

const fn secret(name: &'static str, label: &'static str, help: &'static str) -> ChannelField {
    ChannelField {
        name,
        label,
        help,
        how: ChannelFieldInput::Secret,
        default: "",
        is_optional: true,
    }
}

/// All kinds.
pub const KINDS: [ChannelKind; 4] = [
    ChannelKind {
        name: "ntfy",
        title: "ntfy, to a phone",
        about: "A push message to the ntfy app. Nothing to register: subscribe to a topic in the app and type the same topic here.",
        fields: &[
            text(
                "topic",
                "Topic",
                "As subscribed to in the app. Whoever knows it can read along, so make it long and hard to guess.",
            ),
            ChannelField {
                default: "https://ntfy.sh",
                ..text("server", "Server", "The public one, or your own.")
            },
            secret(
                "token",
                "Access token (optional)",
                "Needed only if the server protects the topic. It begins with tk_.",
            ),
        ],
    },
    ChannelKind {
        name: "telegram",
        title: "Telegram",
        about: "A message from a bot of your own. Ask @BotFather for a bot, then write to it once so that it may answer.",
        fields: &[
            ChannelField {
                is_optional: false,
                ..secret(
                    "token",
                    "Token of the bot",
                    "As @BotFather gave it: digits, a colon, letters.",
                )
            },
            text(
                "chat_id",
                "Chat",
                "The number of the chat, negative for a group, or @name of a channel. The bot @userinfobot tells yours.",
            ),
            ChannelField {
                default: "https://api.telegram.org",
                ..text(
                    "server",
                    "Server",
                    "Another only if you run a Bot API server of your own.",
                )
            },
        ],
    },
    ChannelKind {
        name: "email",
        title: "E-mail",
        about: "Through the mail server of your provider. Many want a password made for this use alone (an app password).",
        fields: &[
            text(
                "to",
                "To",
                "Where it is read. Several addresses with commas.",
            ),
            text(
                "from",
                "From",
                "An address that the server lets you send from, mostly your own.",
            ),
            text(
                "host",
                "Mail server",
                "For sending (SMTP), such as smtp.example.org.",
            ),
            ChannelField {
                default: "tls",
                how: ChannelFieldInput::Choice(&[
                    ("tls", "TLS, mostly on port 465"),
                    ("starttls", "STARTTLS, mostly on port 587"),
                    ("none", "None, for a server on this machine or network"),
                ]),
                ..text("security", "Encryption", "As your provider says.")
            },
            ChannelField {
                how: ChannelFieldInput::Port,
                ..text(
                    "port",
                    "Port",
                    "Empty: 465 with TLS, 587 with STARTTLS, 25 without encryption.",
                )
            },
            ChannelField {
                is_optional: true,
                ..text(
                    "username",
                    "User name (optional)",
                    "Often the whole address.",
                )
            },
            secret(
                "password",
                "Password (optional)",
                "Sent only encrypted, unless you choose no encryption above.",
            ),
        ],
    },
    ChannelKind {
        name: "webhook",
        title: "Webhook, to a program",
        about: "JSON by POST to an address of yours: a home automation, a script, another service.",
        fields: &[
            text(
                "url",
                "Address",
                "Where to, with https:// or http://. It must answer with a 2xx status within ten seconds.",
            ),
            secret(
                "secret",
                "Secret (optional)",
                "Each message is signed with it (HMAC-SHA256), so that the receiver knows who sent it.",
            ),
        ],
    },
];

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static ChannelKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The port of a mail server with this encryption.
pub fn usual_port(security: &str) -> u16 {
    match security {
        "starttls" => 587,
        "none" => 25,
        _ => 465,
    }
}
