//! The meaning of one line of the translator's log: a [`TranslatorFact`], found with a table of
//! rules.
//!
//! Every line is looked up, so nothing is allocated before a rule matches. This module must not
//! depend on earlier lines.

mod table;

use crate::programs::jd_client::diagnosis::facts::FactRule;
use table::FACTS;

/// Number of bytes of a message that are searched. The relevant part is within the first few
/// hundred.
const PREFIX: usize = 4096;

/// The crates whose lines count. Libraries below them may use the same words.
const CRATES: &[&[u8]] = &[b"translator_sv2", b"stratum_apps"];

/// The meaning of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::IntoStaticStr, strum::VariantNames))]
#[cfg_attr(test, strum(serialize_all = "kebab-case"))]
pub(super) enum TranslatorFact {
    /// The translator starts.
    Starts,
    /// The translator tries the next upstream.
    UpstreamTry {
        /// Its place in the list, from 1.
        number: u64,
        /// How long the list is.
        of: u64,
        /// `host:port`.
        address: String,
    },
    /// One of three attempts with this upstream starts.
    UpstreamAttempt {
        /// From 1.
        number: u64,
    },
    /// The upstream accepted the protocol.
    UpstreamUp,
    /// An attempt failed, or the upstream rejects the translator.
    UpstreamRefusal {
        /// Why.
        words: String,
    },
    /// The connection to the upstream was lost, or the translator closes it.
    UpstreamLoss {
        /// The reason, if the line contains it.
        words: Option<String>,
    },
    /// Stratum V1 miners can connect.
    Listening {
        /// `ip:port`.
        address: String,
    },
    /// The translator will exit. Earlier lines have the reason.
    Failure,
    /// A miner connected.
    MinerConnected {
        /// The translator's number for it.
        miner: u64,
    },
    /// The translator requests the miner's channel.
    ChannelRequest {
        /// The translator's number for the miner.
        miner: u64,
    },
    /// The upstream opened a channel.
    ChannelGrant,
    /// The miner has a channel, and the translator responds to its requests from now on.
    ChannelOpen {
        /// The translator's number for the miner.
        miner: u64,
    },
    /// A miner did not get a channel.
    ChannelRefusal {
        /// The rejection code.
        code: String,
    },
    /// The miner disconnected, or the translator disconnected it.
    MinerGone {
        /// The translator's number for it.
        miner: u64,
    },
    /// The translator disconnects a miner that does not support a change of its extranonce.
    MinerCutOff,
    /// A miner submitted a share.
    ShareSubmission,
    /// The translator rejected a miner's share.
    MinerShareRejection,
    /// The translator forwarded a share to the upstream.
    ShareForward,
    /// The upstream accepted shares.
    SharesAccepted {
        /// How many.
        count: u64,
    },
    /// The upstream rejected a share.
    ShareRejection {
        /// The upstream's code.
        reason: String,
    },
    /// The translator dropped a share that it had accepted from a miner.
    ShareDrop,
    /// A task panicked. The message is on the next line.
    Panic {
        /// File and line.
        place: String,
    },
    /// The translator was asked to stop (SIGINT).
    StopRequest,
    /// The translator has stopped.
    Stopped,
}

/// The fact in a message of a module; `None` for most messages.
pub(super) fn recognise(target: &[u8], message: &[u8]) -> Option<TranslatorFact> {
    let first = *message.first()?;
    let mut rules = FACTS
        .iter()
        .filter(|rule| rule.begins.as_bytes()[0] == first)
        .peekable();
    rules.peek()?;
    if !CRATES.iter().any(|name| target.starts_with(name)) {
        return None;
    }
    let message = &message[..message.len().min(PREFIX)];
    rules.find_map(|rule: &FactRule<TranslatorFact>| rule.apply(target, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use strum::VariantNames;

    fn fact(line: &str) -> Option<TranslatorFact> {
        let (target, message) = line.split_once(": ").expect("an example names a target");
        recognise(target.as_bytes(), message.as_bytes())
    }

    #[test]
    fn each_rule_is_found_by_its_example() {
        let mut seen = BTreeSet::new();
        for rule in FACTS {
            let (target, message) = rule.example.split_once(": ").unwrap();
            let own = rule.apply(target.as_bytes(), message.as_bytes());
            assert!(own.is_some(), "{}", rule.example);
            assert_eq!(fact(rule.example), own, "another rule comes first");
            seen.extend(own.as_ref().map(<&'static str>::from));
        }
        let all: BTreeSet<&str> = TranslatorFact::VARIANTS.iter().copied().collect();
        assert_eq!(seen, all, "each fact has a rule");
    }

    #[test]
    fn values_are_taken_out_of_a_line() {
        for (line, expected) in [
            (
                "translator_sv2::translator_runtime: Trying upstream 2 of 3: [::1]:39743",
                TranslatorFact::UpstreamTry {
                    number: 2,
                    of: 3,
                    address: "[::1]:39743".into(),
                },
            ),
            (
                "translator_sv2::sv1::sv1_server::sv1_server: 🔌 Downstream: 17 disconnected and removed from sv1 server downstreams",
                TranslatorFact::MinerGone { miner: 17 },
            ),
            (
                "translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesSuccess(channel_id=2, \
                 last_sequence_number=9, new_submits_accepted_count=5, new_shares_sum=0) ✅",
                TranslatorFact::SharesAccepted { count: 5 },
            ),
            (
                "translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesError(channel_id=7, \
                 sequence_number=5, error_code=stale-share) ❌",
                TranslatorFact::ShareRejection {
                    reason: "stale-share".into(),
                },
            ),
            (
                "translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback \
                 error_kind=ChannelErrorReceiver(RecvError)",
                TranslatorFact::UpstreamLoss {
                    words: Some("the connection was closed".into()),
                },
            ),
        ] {
            assert_eq!(fact(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn another_programs_line_is_no_fact() {
        for line in [
            "jd_client_sv2::jdc_runtime: Trying upstream 1 of 1: a:1",
            "sv1_api: Starting Translator Proxy...",
            "translator_sv2::sv2::upstream: Downstream x registered successfully",
        ] {
            assert_eq!(fact(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_rest_of_a_message_is_taken(rule in 0..FACTS.len(), rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let rule = &FACTS[rule];
            let (target, _) = rule.example.split_once(": ").unwrap();
            let _ = recognise(target.as_bytes(), &[rule.begins.as_bytes(), &rest].concat());
        }
    }
}
