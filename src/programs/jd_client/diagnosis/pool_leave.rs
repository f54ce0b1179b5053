//! Why the client left a pool or could not use it: a code, a sentence, a fix, and the setting to
//! change. The client never returns to a pool on its own, so the reason is kept afterwards.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reasons, for programs. A code never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumIter, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PoolLeaveCode {
    /// The pool does not know the account.
    UnknownAccount,
    /// The pool did not open a channel, for another reason.
    ChannelRefused,
    /// The pool closed the channel.
    ChannelClosed,
    /// The pool grants fewer bytes of extranonce than the client needs.
    ExtranonceTooSmall,
    /// The pool sent a channel, an extranonce or a target that the client cannot use.
    ChannelUnusable,
    /// The pool requires a protocol extension that the client does not support.
    ExtensionRequired,
    /// The pool does not support a protocol extension that the client requires.
    ExtensionUnsupported,
    /// The pool or its job declaration server rejected a job.
    JobRejected,
    /// The public key in the configuration is not the pool's key.
    WrongKey,
    /// The pool's certificate is not valid according to this machine's clock.
    WrongClock,
    /// The pool or its job declaration server rejected the client's protocol or features.
    SetupRefused,
    /// The name of the pool or its job declaration server cannot be resolved.
    UnknownName,
    /// The pool or its job declaration server accepts no connections.
    Unreachable,
    /// The pool or its job declaration server did not respond in time.
    NoAnswer,
    /// The connection was lost.
    ConnectionLost,
    /// The pool redirected the client to another address, which the client does not support.
    EndpointChanged,
    /// The client did not understand the pool.
    ProtocolError,
    /// The client itself failed while working for the pool.
    ClientError,
    /// A code of another version of jd-manager.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Why the client left a pool, or could not use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolLeaveReason {
    /// When the client logged it.
    pub at: Timestamp,
    /// The pool's position in the configuration, from 1; 0 if the log does not show which pool it
    /// is.
    pub number: u64,
    /// The number of pools in the configuration.
    pub of: u64,
    /// The pool's `host:port`.
    pub pool: String,
    /// The reason.
    pub code: PoolLeaveCode,
    /// The problem, in the client's or the pool's words, as part of a sentence.
    pub text: String,
    /// How to fix it, in sentences.
    pub advice: String,
    /// The setting to change, as in the client's configuration: `upstreams[].user_identity`; none
    /// if no setting is the reason.
    pub setting: Option<String>,
}

impl PoolLeaveCode {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The code only shows that the pool is gone. A reason that is already known is better.
    pub(super) const fn is_vague(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::NoAnswer
                | Self::ConnectionLost
                | Self::ClientError
                | Self::Unknown
        )
    }

    /// A retry with the same configuration also fails.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::UnknownAccount
                | Self::ExtranonceTooSmall
                | Self::ExtensionRequired
                | Self::ExtensionUnsupported
                | Self::WrongKey
                | Self::SetupRefused
        )
    }

    /// The setting to change.
    pub(super) const fn setting(self) -> Option<&'static str> {
        match self {
            Self::UnknownAccount => Some("upstreams[].user_identity"),
            Self::ExtranonceTooSmall => Some("reserved_downstream_rollable_extranonce_size"),
            Self::ExtensionRequired => Some("supported_extensions"),
            Self::ExtensionUnsupported => Some("required_extensions"),
            Self::WrongKey => Some("upstreams[].authority_pubkey"),
            Self::UnknownName | Self::Unreachable => Some("upstreams[].pool_address"),
            _ => None,
        }
    }

    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::UnknownAccount => {
                "Correct your account at this pool in the configuration, then restart the instance."
            }
            Self::ChannelRefused => {
                "Ask the pool's operator what the code means, and compare the configuration with the pool's instructions."
            }
            Self::ChannelClosed => "Ask the pool's operator for the reason.",
            Self::ExtranonceTooSmall => {
                "Reduce the miner extranonce bytes in the configuration, then restart the instance. If that does not help, this pool is not \
                 compatible with this client."
            }
            Self::ChannelUnusable => "Report this to the pool's operator. Another pool may work.",
            Self::ExtensionRequired => {
                "Add the extension to the supported extensions in the configuration, then restart the instance."
            }
            Self::ExtensionUnsupported => {
                "Remove the extension from the required extensions in the configuration, then restart the instance."
            }
            Self::JobRejected => {
                "Ask the pool's operator what the code means. If every job is rejected, use coinbase-only mode, which also works with pools that do not support job declaration."
            }
            Self::WrongKey => {
                "Compare the pool's public key in the configuration with the key that the pool publishes, then restart the instance."
            }
            Self::WrongClock => {
                "Synchronize this machine's clock. It may differ by at most 10 seconds."
            }
            Self::SetupRefused => {
                "Make sure that the ports of the pool and its job declaration server are not swapped, and that this pool supports job declaration."
            }
            Self::UnknownName => {
                "Correct the address of the pool or of its job declaration server in the configuration, or check that this machine can resolve names (DNS)."
            }
            Self::Unreachable | Self::NoAnswer => {
                "Make sure that the pool is online, that the address and ports in the configuration are correct, and that no firewall blocks the connection."
            }
            Self::ConnectionLost => "The pool went offline or the network connection was lost.",
            Self::EndpointChanged => {
                "Ask the pool's operator for the new address, and enter it in the configuration."
            }
            Self::ProtocolError => {
                "Make sure that the address and ports in the configuration are for Stratum V2. A newer client may support this pool."
            }
            Self::ClientError => {
                "This is a bug in the client. Its log has the details for the developers."
            }
            Self::Unknown => "See the log for details.",
        }
    }
}

impl PoolLeaveReason {
    /// The reason with its pool, as a sentence without period: `pool 1 of 2 (a:1): the pool does
    /// not know the account (unknown-user)`.
    pub fn sentence(&self) -> String {
        if self.number == 0 {
            return self.text.clone();
        }
        format!(
            "pool {} of {} ({}): {}",
            self.number, self.of, self.pool, self.text
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::jd_client::config_fields::ConfigField;
    use strum::{IntoEnumIterator, VariantNames};

    #[test]
    fn each_code_has_advice_and_a_setting_that_exists() {
        for code in PoolLeaveCode::iter() {
            assert!(code.advice().ends_with('.'), "{code:?}");
            if let Some(setting) = code.setting() {
                assert!(ConfigField::of_key(setting).is_some(), "{setting}");
            }
            assert!(!(code.is_final() && code.is_vague()), "{code:?}");
            let written = serde_json::to_string(&code).unwrap();
            assert_eq!(written, format!("\"{}\"", code.as_str()));
        }
        assert_eq!(PoolLeaveCode::VARIANTS.len(), PoolLeaveCode::iter().count());
    }

    #[test]
    fn a_code_of_another_version_can_be_read() {
        let reason: PoolLeaveReason =
            serde_json::from_str(r#"{"code":"solar-storm","text":"t","new":1}"#).unwrap();
        assert_eq!(reason.code, PoolLeaveCode::Unknown);
        assert_eq!(reason.sentence(), "t");
    }
}
