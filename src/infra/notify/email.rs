//! E-mail: one message as plain text, handed in at a mail server.
//!
//! Knows the message's form and the order of the conversation, whose words are `lettre`'s. A
//! message is handed in for all receivers or for none.

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

/// Characters of a subject at most.
const MAX_SUBJECT: usize = 250;
/// Bytes of a text at most.
const MAX_TEXT: usize = 64 << 10;
/// Time for taking leave of a server that has the message.
const FAREWELL: Duration = Duration::from_secs(1);

/// Hands the message in at `server`, after a login with user name and password if there are any.
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
    // The server has the message, whatever it says now.
    let _ = timeout(FAREWELL, connection.quit()).await;
    Ok(())
}

/// The conversation up to the server's word that it has the message.
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
                    "Choose STARTTLS or TLS, without which many servers take no password; or remove the user name."
                }
                _ => "If it needs none, remove the user name.",
            };
            return Err(SendError::for_good(format!(
                "The mail server {place} offers no login with a password. {hint}"
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
            "The e-mail cannot be written: {what}. Check the addresses."
        ))
    };
    let from: Mailbox = from
        .parse()
        .map_err(|_| wrong("the sender's address is not valid"))?;
    let to = receivers(to).ok_or_else(|| wrong("a receiver's address is not valid"))?;
    // A mail filter distrusts ids that end in another domain.
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
        // So that nobody's absence is answered (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(text)
        .map_err(|error| wrong(&error.to_string()))
}

/// How far a conversation had come.
#[derive(Clone, Copy, PartialEq)]
enum SmtpStage {
    Hello,
    Login,
    Message,
}

/// What it means that a conversation ended early.
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
                "The mail server {place} closed the connection in the middle. Check the port."
            ));
        }
        if error.is_response() {
            return SendError::for_now(format!(
                "What answers at {place} does not speak as a mail server does. Check the address and the port."
            ));
        }
        if error.is_client() {
            return SendError::for_good(format!(
                "The mail server {place} cannot take this message{quote}. Check the addresses."
            ));
        }
        // Authorities are a matter of the connection, which stood already.
        return error::unconnected(&format!("the mail server {place}"), error, true, secrets);
    };
    let words = match (stage, error.is_permanent()) {
        (SmtpStage::Hello, _) => {
            format!(
                "The mail server {place} does not want to talk to this machine ({status}{quote}). Ask who runs it."
            )
        }
        (SmtpStage::Login, true) => {
            format!(
                "The mail server {place} did not accept the login ({status}{quote}). Check user name and password."
            )
        }
        (SmtpStage::Message, true) => format!(
            "The mail server {place} refused the message ({status}{quote}). Check the addresses of the sender and the receivers."
        ),
        (_, false) => format!(
            "The mail server {place} does not take the message now ({status}{quote}). It may later."
        ),
    };
    if error.is_permanent() {
        SendError::for_good(words)
    } else {
        SendError::for_now(words)
    }
}
