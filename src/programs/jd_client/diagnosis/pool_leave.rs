//! Why the client left a pool, or could not use it: a code, a sentence, advice, and the setting to
//! change. The client does not go back to a pool by itself, so the reason stays known after it.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reasons, for programs; a code never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::EnumIter, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PoolLeaveCode {
    /// The pool does not know the account.
    UnknownAccount,
    /// The pool opened no channel, for another reason.
    ChannelRefused,
    /// The pool closed the channel.
    ChannelClosed,
    /// The pool grants fewer bytes of extranonce than the client needs.
    ExtranonceTooSmall,
    /// The pool sent a channel, an extranonce or a target that does not fit the client's channels.
    ChannelUnusable,
    /// The pool requires a protocol extension that the client does not support.
    ExtensionRequired,
    /// The pool does not support a protocol extension that the client requires.
    ExtensionUnsupported,
    /// The pool or its job declaration server rejected a job.
    JobRejected,
    /// The public key in the configuration is not that of the pool.
    WrongKey,
    /// The pool's certificate is not valid at this machine's time.
    WrongClock,
    /// The pool or its job declaration server refused the client's protocol or features.
    SetupRefused,
    /// The name of the pool or its job declaration server cannot be resolved.
    UnknownName,
    /// The pool or its job declaration server accepts no connections.
    Unreachable,
    /// The pool or its job declaration server did not answer in time.
    NoAnswer,
    /// The connection ended.
    ConnectionLost,
    /// The pool sent the client to another address, which the client does not do.
    EndpointChanged,
    /// The client did not understand the pool.
    ProtocolError,
    /// The client failed in its own work for the pool.
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
    /// When the client said so.
    pub at: Timestamp,
    /// The pool's place in the configuration, from 1; 0 if the log does not say which pool it is.
    pub number: u64,
    /// How many pools the configuration has.
    pub of: u64,
    /// The pool's `host:port`.
    pub pool: String,
    /// The reason.
    pub code: PoolLeaveCode,
    /// What happened, with the client's or the pool's own words, as part of a sentence.
    pub text: String,
    /// What to do, in sentences.
    pub advice: String,
    /// The setting to change, as in the client's configuration: `upstreams[].user_identity`; none if
    /// the reason lies elsewhere.
    pub setting: Option<String>,
}

impl PoolLeaveCode {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// It says only that the pool is away. A reason that is already known says more.
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

    /// Another try with the same configuration fails, too.
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
                "Ask the pool's operator what the code means, and compare the configuration with what the pool publishes."
            }
            Self::ChannelClosed => "The pool's operator can say why.",
            Self::ExtranonceTooSmall => {
                "Reduce the extranonce bytes kept for miners in the configuration, then restart the instance. If that does not help, this pool is not \
                 compatible with this client."
            }
            Self::ChannelUnusable => "Tell the pool's operator. Another pool may work.",
            Self::ExtensionRequired => {
                "Add the extension to the supported extensions in the configuration, then restart the instance."
            }
            Self::ExtensionUnsupported => {
                "Remove the extension from the required extensions in the configuration, then restart the instance."
            }
            Self::JobRejected => {
                "The code is the pool's; its operator can explain it. If every job is rejected, a pool without job declaration works in coinbase-only mode."
            }
            Self::WrongKey => {
                "Compare the pool's public key in the configuration with the one that the pool publishes, then restart the instance."
            }
            Self::WrongClock => {
                "Synchronize the clock of this machine; at most 10 seconds of difference are allowed."
            }
            Self::SetupRefused => {
                "Make sure that the ports of the pool and of its job declaration server are not swapped, and that this pool supports job declaration."
            }
            Self::UnknownName => {
                "Correct the address of the pool or of its job declaration server in the configuration, or make sure that this machine can resolve names."
            }
            Self::Unreachable | Self::NoAnswer => {
                "Make sure that the pool is up, that address and ports in the configuration are right, and that no firewall blocks them."
            }
            Self::ConnectionLost => "The pool or the network was interrupted.",
            Self::EndpointChanged => {
                "Ask the pool's operator for its new address, and enter it in the configuration."
            }
            Self::ProtocolError => {
                "Make sure that address and ports in the configuration are those for Stratum V2. A newer client may understand this pool."
            }
            Self::ClientError => {
                "This is a fault of the client. Its log has the details for its authors."
            }
            Self::Unknown => "The log says more.",
        }
    }
}

impl PoolLeaveReason {
    /// The reason with its pool, as a sentence without period: `pool 1 of 2 (a:1): the pool does not
    /// know the account (unknown-user)`.
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
