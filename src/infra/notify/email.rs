//! E-mail: sends one message as plain text through a mail server.
//!
//! This module builds the message and drives the SMTP dialog; `lettre` provides the commands. A
//! message is sent to all recipients or to none.

use super::channel::{MailSecurity, receivers};
use super::error::{self, SendError};
use super::smtp_stream::{MailServer, client_id};
use super::text::{clipped, one_line, within};
use super::{NotifyMessage, SendAttempt};
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use std::error::Error as _;
use std::time::Duration;
use tokio::time::{timeout, timeout_at};

/// The maximum length of a subject, in characters.
const MAX_SUBJECT: usize = 250;
/// The maximum size of a text, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// The time limit for closing the session after the message was accepted.
const FAREWELL: Duration = Duration::from_secs(1);

/// Sends the message through `server`, with authentication if there are username and password.
pub(super) async fn send(
    attempt: &SendAttempt<'_>,
    server: &MailServer<'_>,
    login: Option<(&str, &str)>,
    from: &str,
    to: &str,
    message: &NotifyMessage,
) -> Result<(), SendError> {
    let mail = written(from, to, message)?;
    let handing_in = handed_in(attempt, server, login, &mail);
    let Ok(handed_in) = timeout_at(attempt.deadline, handing_in).await else {
        return Err(error::too_late(
            &format!("The mail server {}", server.place()),
            attempt.sender.patience,
        ));
    };
    let mut connection = handed_in?;
    // The server has accepted the message; later errors do not matter.
    let _ = timeout(FAREWELL, connection.quit()).await;
    Ok(())
}

/// The SMTP dialog until the server has accepted the message.
async fn handed_in(
    attempt: &SendAttempt<'_>,
    server: &MailServer<'_>,
    login: Option<(&str, &str)>,
    mail: &lettre::Message,
) -> Result<AsyncSmtpConnection, SendError> {
    let wire = server
        .connect(&attempt.sender.tls, attempt.sender.has_authorities)
        .await?;
    let name = client_id(wire.local);
    let place = server.place();
    let refused = |stage, error| refusal(&place, stage, &error, &attempt.secrets);
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &name)
        .await
        .map_err(|error| refused(SmtpStage::Hello, error))?;
    if let Some((user, password)) = login {
        let credentials = Credentials::new(user.to_owned(), password.to_owned());
        if !DEFAULT_MECHANISMS
            .iter()
            .any(|&mechanism| connection.server_info().supports_auth_mechanism(mechanism))
        {
            let hint = match server.security {
                MailSecurity::None => {
                    "Choose STARTTLS or TLS, because many servers accept passwords only over an encrypted connection. Or remove the username."
                }
                _ => "If the server needs no password, remove the username.",
            };
            return Err(SendError::for_good(format!(
                "The mail server {place} does not accept passwords. {hint}"
            )));
        }
        connection
            .auth(DEFAULT_MECHANISMS, &credentials)
            .await
            .map_err(|error| refused(SmtpStage::Login, error))?;
    }
    connection
        .send(mail.envelope(), &mail.formatted())
        .await
        .map_err(|error| refused(SmtpStage::Message, error))?;
    Ok(connection)
}

/// The message as an e-mail.
pub(super) fn written(
    from: &str,
    to: &str,
    message: &NotifyMessage,
) -> Result<lettre::Message, SendError> {
    let wrong = |what: &str| {
        SendError::for_good(format!(
            "Cannot create the e-mail: {what}. Check the addresses."
        ))
    };
    let from: Mailbox = from
        .parse()
        .map_err(|_| wrong("the sender's address is not valid"))?;
    let to = receivers(to).ok_or_else(|| wrong("a recipient's address is not valid"))?;
    // Mail filters distrust ids with a different domain.
    let domain = Some(from.email.domain())
        .filter(|domain| domain.is_ascii())
        .unwrap_or("jd-manager.invalid");
    let id = format!("<{}@{domain}>", message.handle());
    let mut text = within(
        &message.text.replace("\r\n", "\n").replace('\r', "\n"),
        MAX_TEXT,
    );
    text.retain(|c| c == '\n' || c == '\t' || !c.is_control());
    if let Some(link) = &message.link {
        text = format!("{text}\n\n{}", one_line(link));
    }
    let text = text.trim_start_matches('\n').to_owned() + "\n";
    to.into_iter()
        .fold(MessageBuilder::new(), MessageBuilder::to)
        .from(from)
        .subject(clipped(&one_line(&message.title), MAX_SUBJECT))
        .date(message.moment().into())
        .message_id(Some(id))
        // Prevents out-of-office replies (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(text)
        .map_err(|error| wrong(&error.to_string()))
}

/// The stage of the SMTP dialog.
#[derive(Clone, Copy, PartialEq)]
enum SmtpStage {
    Hello,
    Login,
    Message,
}

/// Explains why the SMTP dialog failed.
fn refusal(
    place: &str,
    stage: SmtpStage,
    error: &lettre::transport::smtp::Error,
    secrets: &[String],
) -> SendError {
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    let quote = error::quote(&said, secrets);
    let Some(status) = error.status() else {
        if error.is_response() && said == "incomplete response" {
            return SendError::for_now(format!(
                "The mail server {place} closed the connection unexpectedly. Check the port."
            ));
        }
        if error.is_response() {
            return SendError::for_now(format!(
                "There is no mail server at {place}. Check the address and the port."
            ));
        }
        if error.is_client() {
            return SendError::for_good(format!(
                "The mail server {place} does not support a feature that this message needs{quote}. Check the addresses."
            ));
        }
        // Certificate authorities matter only when connecting, which already succeeded.
        return error::unconnected(&format!("the mail server {place}"), error, true, secrets);
    };
    let words = match (stage, error.is_permanent()) {
        (SmtpStage::Hello, _) => {
            format!(
                "The mail server {place} rejected the connection ({status}{quote}). Contact its operator."
            )
        }
        (SmtpStage::Login, true) => {
            format!(
                "The mail server {place} rejected the sign-in ({status}{quote}). Check the username and the password."
            )
        }
        (SmtpStage::Message, true) => format!(
            "The mail server {place} rejected the message ({status}{quote}). Check the sender and recipient addresses."
        ),
        (_, false) => format!(
            "The mail server {place} cannot accept the message right now ({status}{quote}). Try again later."
        ),
    };
    if error.is_permanent() {
        SendError::for_good(words)
    } else {
        SendError::for_now(words)
    }
}
