//! The result of a probe and the fix, in plain English. Pure.

use super::peer::PeerRole;
use crate::base::clock::Timestamp;
use crate::programs::jd_client::diagnosis::{
    CertificateOwner, RejectedCertificate, certificate_text,
};

/// How far a connection got before the server stopped answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeStep {
    /// The TCP connection is established, but not the encryption.
    Handshake,
    /// The connection is encrypted, but its setup (`SetupConnection`) is not answered.
    Setup,
}

/// The result of a probe. Texts from the server are short and printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The server would accept the client.
    Answers,
    /// The key in the configuration is not a valid key, so the server was not probed.
    InvalidKey,
    /// The host name cannot be resolved.
    UnknownHost,
    /// No program listens on the port.
    ConnectionRefused,
    /// No TCP connection for another reason.
    Unreachable {
        /// The error of the operating system, or a timeout.
        reason: String,
    },
    /// The server accepts the connection but does not answer.
    NoAnswer {
        /// The step where it stopped.
        step: ProbeStep,
    },
    /// The server closes the connection.
    Closed {
        /// The step where it closed.
        step: ProbeStep,
    },
    /// The answer is not Stratum V2.
    NotSv2 {
        /// The answer looks like Stratum V1 (a line of JSON).
        is_v1: bool,
    },
    /// The certificate is signed with a different key from the key in the configuration.
    WrongKey,
    /// The certificate is not valid according to this machine's clock.
    CertificateTime {
        /// When the certificate was checked.
        at: Timestamp,
        /// Start of validity, in seconds since 1970.
        valid_from: u32,
        /// End of validity, in seconds since 1970.
        not_valid_after: u32,
    },
    /// The server supports none of the versions that the client offers.
    UnsupportedVersion,
    /// The server rejects the connection setup.
    SetupRefused {
        /// The server's reason: at most 64 printable ASCII characters.
        code: String,
    },
}

impl ProbeOutcome {
    /// The server would accept the client.
    pub fn is_answer(&self) -> bool {
        *self == Self::Answers
    }

    /// The certificate was rejected because of the time, not the key.
    pub(super) fn is_clock(&self) -> bool {
        self.certificate(CertificateOwner::Pool)
            .is_some_and(|certificate| certificate_text(&certificate).code.ends_with("-clock"))
    }

    fn certificate(&self, peer: CertificateOwner) -> Option<RejectedCertificate> {
        match self {
            Self::CertificateTime {
                at,
                valid_from,
                not_valid_after,
            } => Some(RejectedCertificate {
                at: *at,
                peer,
                valid_from: i64::from(*valid_from),
                not_valid_after: i64::from(*not_valid_after),
            }),
            _ => None,
        }
    }

    /// The problem and the fix, one to three sentences. `name`: the result of
    /// [`super::PeerTarget::name`].
    pub fn text(&self, role: PeerRole, name: &str) -> String {
        let who = capitalize(name);
        let key = key_text(role);
        match self {
            Self::Answers => format!("{who} is responding."),
            Self::InvalidKey => format!(
                "In the configuration, {key} is not a valid public key, so {name} cannot be verified. Copy the key that its operator publishes."
            ),
            Self::UnknownHost => format!(
                "{who} cannot be found because its host name cannot be resolved. Check the name and this machine's network and DNS."
            ),
            Self::ConnectionRefused => format!(
                "{who} refused the connection: no program is listening on that port. Check that it is running and that the host and port are correct."
            ),
            Self::Unreachable { reason } => format!(
                "{who} cannot be reached: {reason}. Check the host and port, this machine's network, and firewalls."
            ),
            Self::NoAnswer {
                step: ProbeStep::Handshake,
            } => format!(
                "{who} accepts the connection but does not respond to the handshake. It may be hung, or the port may belong to another service such as Stratum V1. If the port is correct, contact its operator."
            ),
            Self::NoAnswer {
                step: ProbeStep::Setup,
            } => format!(
                "{who} completes the handshake but does not respond to the connection setup. It may be starting or overloaded. Contact its operator."
            ),
            Self::Closed {
                step: ProbeStep::Handshake,
            } => format!(
                "{who} accepts the connection and closes it immediately. It may be starting, overloaded or blocking this address, or the port may belong to another service. If the port is correct, contact its operator."
            ),
            Self::Closed {
                step: ProbeStep::Setup,
            } => format!(
                "{who} closes the connection after the handshake and gives no reason. It may be starting or overloaded. Contact its operator."
            ),
            Self::NotSv2 { is_v1: true } => format!(
                "{who} speaks Stratum V1, not Stratum V2. Enter the Stratum V2 port that its operator publishes."
            ),
            Self::NotSv2 { is_v1: false } => format!(
                "{who} does not speak Stratum V2: another service is listening on that port. Check the host and port."
            ),
            Self::WrongKey => format!(
                "{who} presents a different key from the one in the configuration. Compare {key} with the key that its operator publishes."
            ),
            Self::CertificateTime { .. } => {
                let cause = self
                    .certificate(owner(role))
                    .map(|certificate| certificate_text(&certificate));
                let (what, advice) = cause
                    .map(|cause| (cause.what, cause.advice))
                    .unwrap_or_default();
                format!("The certificate of {name} is not currently valid: {what}. {advice}")
            }
            Self::UnsupportedVersion => format!(
                "{who} supports none of the protocol versions that the client offers. Set the minimum and maximum protocol version to 2, or use another client version."
            ),
            Self::SetupRefused { code } => {
                let advice = match code.as_str() {
                    "unsupported-protocol" => {
                        "The host and port belong to another type of server. Correct them"
                    }
                    "unsupported-feature-flags" | "missing-declare-tx-data-flag" => {
                        "It does not support the client's mode. Choose another mode, or ask its operator"
                    }
                    _ => "Ask its operator",
                };
                format!("{who} rejected the client: {code}. {advice}.")
            }
        }
    }
}

/// The label of the field with a server's key on pages, as part of a sentence.
fn key_text(role: PeerRole) -> &'static str {
    match role {
        PeerRole::Pool | PeerRole::JobDeclarationServer => "“Pool public key”",
        PeerRole::TemplateProvider => "the template provider's public key",
    }
}

/// The owner of the certificate, for the diagnosis of log lines.
fn owner(role: PeerRole) -> CertificateOwner {
    match role {
        PeerRole::Pool => CertificateOwner::Pool,
        PeerRole::JobDeclarationServer => CertificateOwner::JobServer,
        PeerRole::TemplateProvider => CertificateOwner::Provider,
    }
}

fn capitalize(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_names_the_server_and_ends_as_a_sentence() {
        let name = "the job declaration server of pool 1 (127.0.0.1:34264)";
        let outcomes = [
            ProbeOutcome::Answers,
            ProbeOutcome::InvalidKey,
            ProbeOutcome::UnknownHost,
            ProbeOutcome::ConnectionRefused,
            ProbeOutcome::Unreachable {
                reason: "no route to host".into(),
            },
            ProbeOutcome::NoAnswer {
                step: ProbeStep::Handshake,
            },
            ProbeOutcome::NoAnswer {
                step: ProbeStep::Setup,
            },
            ProbeOutcome::Closed {
                step: ProbeStep::Handshake,
            },
            ProbeOutcome::Closed {
                step: ProbeStep::Setup,
            },
            ProbeOutcome::NotSv2 { is_v1: true },
            ProbeOutcome::NotSv2 { is_v1: false },
            ProbeOutcome::WrongKey,
            ProbeOutcome::CertificateTime {
                at: Timestamp(1_795_383_253_000),
                valid_from: 1,
                not_valid_after: 2,
            },
            ProbeOutcome::UnsupportedVersion,
            ProbeOutcome::SetupRefused {
                code: "unsupported-protocol".into(),
            },
        ];
        let mut texts = std::collections::BTreeSet::new();
        for outcome in outcomes {
            let text = outcome.text(PeerRole::JobDeclarationServer, name);
            assert!(
                text.to_lowercase().contains(name) && text.ends_with('.') && !text.contains(".."),
                "{text}"
            );
            assert!(texts.insert(text), "two outcomes have the same text");
        }
    }

    #[test]
    fn the_key_is_called_as_in_the_form() {
        use crate::programs::jd_client::config_fields::ConfigField;
        let (_, field) = ConfigField::named("upstreams.0.authority_pubkey").unwrap();
        assert_eq!(
            key_text(PeerRole::JobDeclarationServer),
            format!("“{}”", field.label)
        );
    }
}
