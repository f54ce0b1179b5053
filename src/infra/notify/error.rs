//! Error messages for failed notifications, and how they quote receivers.
//!
//! Independent of the kind of channel. Texts from outside are quoted without secrets, on one line and
//! cut.

use super::addresses::MASK;
use super::text::{clipped, one_line};
use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;
use tokio_rustls::rustls::{self, CertificateError};

/// The maximum number of characters quoted from outside.
const MAX_QUOTE: usize = 200;

/// A message that did not arrive, or whose arrival was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// The problem and the fix, in sentences. Contains no secrets; quotations are cut to 200
    /// characters.
    pub words: String,
    /// Retrying does not help until something is changed.
    pub is_final: bool,
    /// The wait requested by the receiver, at most one day.
    pub retry_after: Option<Duration>,
}

impl SendError {
    /// A failure for which a retry may help.
    pub(super) fn for_now(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: false,
            retry_after: None,
        }
    }

    /// A failure for which a retry does not help.
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

/// Explains why the connection to `place` failed or was interrupted. `has_authorities`: this machine
/// has certificate authorities.
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
    // The standard library has no error kind for this on any platform.
    if innermost.starts_with("failed to lookup address information") {
        return SendError::for_now(format!(
            "Cannot resolve the host name of {place}. Check the name and this machine's DNS settings."
        ));
    }
    let kind = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .last()
        .map(io::Error::kind);
    SendError::for_now(match kind {
        Some(io::ErrorKind::ConnectionRefused) => format!(
            "Connection refused by {place}. Check the address and the port, and make sure that the service is running."
        ),
        Some(
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable,
        ) => {
            format!("Cannot reach {place}. Check the address and this machine's network.")
        }
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe,
        ) => {
            format!(
                "The connection to {place} was interrupted. Check the port, and whether the service requires TLS."
            )
        }
        Some(io::ErrorKind::UnexpectedEof) => ended(place),
        // These HTTP errors have no public type. Second case: the server spoke first.
        _ if innermost.starts_with("invalid HTTP")
            || innermost.starts_with("received unexpected message") =>
        {
            format!(
                "There is no HTTP server at {place}. Check the port, and whether the address must start with https://."
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
    format!("No response from {place}: the connection was closed. Check the port.")
}

/// The response did not arrive in time. It is unknown whether the message arrived.
pub(super) fn too_late(place: &str, patience: Duration) -> SendError {
    let seconds = patience.as_secs_f64();
    SendError::for_now(format!(
        "{place} did not respond within {seconds} s. Check the address, and make sure that the service is not overloaded."
    ))
}

/// Explains a TLS error at `place`.
fn tls_error_text(place: &str, error: &rustls::Error, has_authorities: bool) -> String {
    let rustls::Error::InvalidCertificate(error) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) if place.starts_with("https:") => {
                format!(
                    "{place} does not use TLS. Check the port, and whether the address must start with http://."
                )
            }
            rustls::Error::InvalidMessage(_) => {
                format!(
                    "{place} does not use TLS on this port. Check the port, or choose STARTTLS or no encryption."
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
            "This machine has no list of certificate authorities, so jd-manager cannot verify certificates. Install the \
             ca-certificates package and restart jd-manager."
                .into()
        }
        // A bad signature: another key of an authority with the same name, for example after a
        // private authority was recreated.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "This machine does not trust the issuer of the certificate of {place}. If you issued the certificate yourself, add your certificate authority to this machine's trusted certificates and restart jd-manager."
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("The certificate of {place} has expired. Renew it, and check this machine's clock.")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("The certificate of {place} is not valid yet. Check this machine's clock.")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("The certificate of {place} is for a different name. Enter the name in the certificate.")
        }
        other => format!("The certificate of {place} is not valid{}.", quote(&other.to_string(), &[])),
    }
}

/// An error and its causes, outermost first. `io::Error` omits the error it wraps from its own chain.
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

/// A quotation for the end of a sentence: `: “no such topic”`, or nothing if the text is empty.
pub(super) fn quote(text: &str, secrets: &[String]) -> String {
    let text = without(&one_line(&without(text, secrets)), secrets);
    let text = text.trim_end_matches('.');
    if text.is_empty() {
        String::new()
    } else {
        format!(": “{}”", clipped(text, MAX_QUOTE))
    }
}

/// The text with all secrets masked.
fn without(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    // A secret may be part of another one: mask the longer ones first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), MASK)
    })
}
