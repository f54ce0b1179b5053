//! Why a message did not arrive, in words for people, and what of a stranger's words may be among
//! them.
//!
//! Knows no kind of channel. Whatever comes from outside is a quotation: cleared of secrets, on one
//! line and short.

use super::addresses::MASK;
use super::text::{clipped, one_line};
use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;
use tokio_rustls::rustls::{self, CertificateError};

/// Characters of a stranger's words that are quoted at most.
const MAX_QUOTE: usize = 200;

/// A message that did not arrive, or of which nobody said that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// What happened and what to do about it, in sentences for people. Holds no secret; what others
    /// said is cut to 200 characters.
    pub words: String,
    /// Trying again is of no use before somebody changes something.
    pub is_final: bool,
    /// How long the receiver wants to be left alone, at most a day.
    pub retry_after: Option<Duration>,
}

impl SendError {
    /// Trying again may help.
    pub(super) fn for_now(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: false,
            retry_after: None,
        }
    }

    /// Trying again is of no use.
    pub(super) fn for_good(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: true,
            retry_after: None,
        }
    }
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for SendError {}

/// Why there is no connection to `place`, or why it broke off. `has_authorities`: this machine
/// knows certificate authorities.
pub(super) fn unconnected(
    place: &str,
    error: &(dyn Error + 'static),
    has_authorities: bool,
    secrets: &[String],
) -> SendError {
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return SendError::for_now(tls_error_text(place, error, has_authorities));
    }
    let innermost = causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    // The standard library has no kind for this, on any platform.
    if innermost.starts_with("failed to lookup address information") {
        return SendError::for_now(format!(
            "The name in {place} could not be resolved. Check it for typing errors, and the name service of this machine."
        ));
    }
    let kind = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last()
        .map(io::Error::kind);
    SendError::for_now(match kind {
        Some(io::ErrorKind::ConnectionRefused) => format!(
            "Nothing listens at {place}: the connection was refused. Check the address and the port, and that the service runs."
        ),
        Some(
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable,
        ) => {
            format!("{place} cannot be reached. Check the address and the network of this machine.")
        }
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => {
            format!(
                "{place} broke the connection off. Check the port, and whether it wants TLS there."
            )
        }
        Some(io::ErrorKind::UnexpectedEof) => ended(place),
        // What is told about HTTP has no type that could be asked. The second: it spoke first.
        _ if innermost.starts_with("invalid HTTP")
            || innermost.starts_with("received unexpected message") =>
        {
            format!(
                "What answers at {place} does not speak HTTP. Check the port, and whether the address has to start with https://."
            )
        }
        _ if innermost.starts_with("connection closed before") => ended(place),
        _ => format!(
            "The connection to {place} failed{}. Check the address and the port.",
            quote(&innermost, secrets)
        ),
    })
}

fn ended(place: &str) -> String {
    format!("{place} closed the connection without an answer. Check the port.")
}

/// An answer that did not come in time. Whether the message arrived is not known then.
pub(super) fn too_late(place: &str, patience: Duration) -> SendError {
    let seconds = patience.as_secs_f64();
    SendError::for_now(format!(
        "{place} did not answer within {seconds} s. Check the address and that the service is not overloaded."
    ))
}

/// What is wrong with TLS at `place`.
fn tls_error_text(place: &str, error: &rustls::Error, has_authorities: bool) -> String {
    let rustls::Error::InvalidCertificate(error) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) if place.starts_with("https:") => {
                format!(
                    "{place} does not speak TLS. Check the port, and whether the address has to start with http://."
                )
            }
            rustls::Error::InvalidMessage(_) => {
                format!(
                    "{place} does not speak TLS at this port. Check the port, or choose a connection without TLS or with STARTTLS."
                )
            }
            _ => format!(
                "TLS with {place} failed{}. Check that the server is up to date.",
                quote(&error.to_string(), &[])
            ),
        };
    };
    match error {
        CertificateError::UnknownIssuer if !has_authorities => {
            "This machine has no list of certificate authorities, so no certificate can be checked. Install the package \
             ca-certificates and restart jd-manager."
                .into()
        }
        // A bad signature: by another key of an authority that has the same name, as after one's
        // own was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "The certificate of {place} comes from nobody whom this machine trusts. If it is your own, add its authority to the \
             certificates of this machine and restart jd-manager."
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("The certificate of {place} has expired. Have it renewed, and check the clock of this machine.")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("The certificate of {place} is not valid yet. Check the clock of this machine.")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("The certificate of {place} is for another name. Enter the name that the certificate was made for.")
        }
        other => format!("The certificate of {place} is not accepted{}.", quote(&other.to_string(), &[])),
    }
}

/// An error and what is behind it, outermost first. `io::Error` leaves the error it wraps out of
/// its own chain.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let behind = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    };
    successors(Some(error), behind)
}

/// A stranger's words as the end of a sentence: `: “no such topic”`, or nothing if there are none.
pub(super) fn quote(text: &str, secrets: &[String]) -> String {
    let text = without(&one_line(&without(text, secrets)), secrets);
    let text = text.trim_end_matches('.');
    if text.is_empty() {
        String::new()
    } else {
        format!(": “{}”", clipped(text, MAX_QUOTE))
    }
}

/// The text with each secret in it replaced by the mask.
fn without(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    // A secret may be part of another: the longer ones first, or their rest would be left.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), MASK)
    })
}
