//! The channel types and their fields, for forms and request bodies. Data only.

/// A channel type.
#[derive(Debug)]
pub struct ChannelKind {
    /// The name in JSON.
    pub name: &'static str,
    /// The title on pages.
    pub title: &'static str,
    /// The purpose, and what the user needs.
    pub about: &'static str,
    /// In the order of the form.
    pub fields: &'static [ChannelField],
}

/// A field of a channel.
#[derive(Debug)]
pub struct ChannelField {
    /// The name in JSON.
    pub name: &'static str,
    /// The label on pages.
    pub label: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The input type.
    pub how: ChannelFieldInput,
    /// The value of an empty field; may be empty.
    pub default: &'static str,
    /// The field may be omitted or null in JSON.
    pub is_optional: bool,
}

/// The input type of a field.
#[derive(Debug, PartialEq, Eq)]
pub enum ChannelFieldInput {
    /// A line of text.
    Text,
    /// A line of text that is never shown again.
    Secret,
    /// A port number.
    Port,
    /// One of these options: value and text.
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

const fn required_secret(
    name: &'static str,
    label: &'static str,
    help: &'static str,
) -> ChannelField {
    ChannelField {
        is_optional: false,
        ..secret(name, label, help)
    }
}

/// Anyone who has the URL can write to the channel, so it is masked when it is shown.
const WEBHOOK_URL: ChannelField = text(
    "url",
    "Webhook URL",
    "Copy the whole URL. Anyone who has it can write to the channel.",
);

/// All types.
pub const KINDS: [ChannelKind; 9] = [
    ChannelKind {
        name: "ntfy",
        title: "ntfy (phone)",
        about: "Push notifications to the ntfy app. No account is needed: subscribe to a topic in the app and enter the same topic here.",
        fields: &[
            text(
                "topic",
                "Topic",
                "The topic you subscribed to in the app. Anyone who knows the topic can read the notifications, so choose one that is hard to guess.",
            ),
            ChannelField {
                default: "https://ntfy.sh",
                ..text("server", "Server", "The public server or your own.")
            },
            secret(
                "token",
                "Access token (optional)",
                "Only for protected topics. Starts with tk_.",
            ),
        ],
    },
    ChannelKind {
        name: "telegram",
        title: "Telegram",
        about: "Messages from your own bot. Create a bot with @BotFather, then send it a message so that it can message you.",
        fields: &[
            required_secret(
                "token",
                "Bot token",
                "From @BotFather: digits, a colon, letters and digits.",
            ),
            text(
                "chat_id",
                "Chat ID",
                "The numeric ID, negative for a group, or the @name of a channel. @userinfobot shows your ID.",
            ),
            ChannelField {
                default: "https://api.telegram.org",
                ..text(
                    "server",
                    "Server",
                    "Change this only if you run your own Bot API server.",
                )
            },
        ],
    },
    ChannelKind {
        name: "email",
        title: "E-mail",
        about: "Messages sent through your mail provider. Many providers require an app password.",
        fields: &[
            text("to", "To", "Separate addresses with commas."),
            text(
                "from",
                "From",
                "An address you can send from, usually your own.",
            ),
            text(
                "host",
                "Mail server",
                "Outgoing mail server (SMTP), such as smtp.example.org.",
            ),
            ChannelField {
                default: "tls",
                how: ChannelFieldInput::Choice(&[
                    ("tls", "TLS, usually on port 465"),
                    ("starttls", "STARTTLS, usually on port 587"),
                    (
                        "none",
                        "None (only for a server on this machine or your network)",
                    ),
                ]),
                ..text(
                    "security",
                    "Encryption",
                    "See your mail provider's settings.",
                )
            },
            ChannelField {
                how: ChannelFieldInput::Port,
                ..text(
                    "port",
                    "Port",
                    "If empty: 465 with TLS, 587 with STARTTLS, 25 without encryption.",
                )
            },
            ChannelField {
                is_optional: true,
                ..text(
                    "username",
                    "Username (optional)",
                    "Often the full e-mail address.",
                )
            },
            secret(
                "password",
                "Password (optional)",
                "Sent encrypted unless Encryption is set to None.",
            ),
        ],
    },
    ChannelKind {
        name: "discord",
        title: "Discord",
        about: "Messages in a Discord channel. Create a webhook in the channel's settings: Integrations, Webhooks.",
        fields: &[WEBHOOK_URL],
    },
    ChannelKind {
        name: "slack",
        title: "Slack, Mattermost",
        about: "Messages in a Slack channel. Create a Slack app with an incoming webhook. Mattermost and other programs accept the same messages.",
        fields: &[WEBHOOK_URL],
    },
    ChannelKind {
        name: "matrix",
        title: "Matrix",
        about: "Messages in a Matrix room, from an account that has joined the room. In an encrypted room, these messages are not encrypted.",
        fields: &[
            text(
                "server",
                "Home server",
                "For example https://matrix.example.org.",
            ),
            text(
                "room_id",
                "Room ID",
                "Starts with !. Most apps show it in the room's advanced settings.",
            ),
            required_secret(
                "token",
                "Access token",
                "Of the account. Element shows it in Help & About.",
            ),
        ],
    },
    ChannelKind {
        name: "gotify",
        title: "Gotify",
        about: "Push notifications from your own Gotify server. Create an application there.",
        fields: &[
            text(
                "server",
                "Server",
                "For example https://gotify.example.org.",
            ),
            required_secret("token", "Application token", "Starts with A."),
        ],
    },
    ChannelKind {
        name: "pushover",
        title: "Pushover",
        about: "Push notifications to the Pushover app. Create an application on pushover.net.",
        fields: &[
            text(
                "user",
                "User key",
                "The key of a user or group, from your Pushover page.",
            ),
            required_secret("token", "API token", "The token of the application."),
            ChannelField {
                default: "https://api.pushover.net",
                ..text("server", "Server", "Change this only if you use a proxy.")
            },
        ],
    },
    ChannelKind {
        name: "webhook",
        title: "Webhook",
        about: "JSON sent to your URL by HTTP POST, for home automation, scripts or other services.",
        fields: &[
            text(
                "url",
                "URL",
                "Starts with https:// or http://. The server must respond with a 2xx status within ten seconds.",
            ),
            secret(
                "secret",
                "Secret (optional)",
                "Signs each message (HMAC-SHA256), so that the receiver can verify the sender.",
            ),
        ],
    },
];

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static ChannelKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The default port of a mail server with this encryption.
pub fn usual_port(security: &str) -> u16 {
    match security {
        "starttls" => 587,
        "none" => 25,
        _ => 465,
    }
}
