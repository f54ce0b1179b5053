//! The translator's log lines about shares, with the channel that each is about.
//!
//! Its monitoring API has no count of the shares that the translator rejects itself, and up to
//! 0.6.0 it updates the other counts only every 15 s, so the counts of the last seconds of a process
//! are never in the API. All lines here have level INFO or higher, except [`ShareLine::Miss`].

use crate::programs::jd_client::diagnosis::facts::details::{after, number_after, until, words};
use crate::programs::log_line::LineParts;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 64;
/// The module that receives the client's messages.
const FROM_CLIENT: &[u8] = b"mining_message_handler";

/// What a line says about shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareLine {
    /// A translator starts: channel numbers and counts begin again.
    Start,
    /// A miner submitted a share for a known job.
    Submission(u32),
    /// The share was sent to the client.
    Forward(u32),
    /// The client accepted this number of shares.
    Acceptance(u32, u64),
    /// The client rejected a share, with its reason.
    Rejection(u32, String),
    /// The translator rejected a share, with its reason.
    OwnRejection(u32, String),
    /// The translator accepted a share from its miner that is too easy for the client, so it was not
    /// sent (level DEBUG). This is normal and no rejection.
    Miss(u32),
}

impl ShareLine {
    /// What a line says; none for other lines and for those of other programs. Only the first 256
    /// bytes of a line are needed.
    pub fn read(line: &[u8]) -> Option<Self> {
        let parts = LineParts::read(line)?;
        if !parts.target.starts_with(b"translator_sv2") {
            return None;
        }
        let message = parts.message;
        let begins = |text: &str| message.starts_with(text.as_bytes());
        if begins("Received mining.submit from SV1 downstream") {
            return Some(Self::Submission(channel(message, "channel id: ")?));
        }
        if begins("SubmitSharesExtended: valid share, forwarding it to upstream") {
            return Some(Self::Forward(channel(message, "channel_id: ")?));
        }
        if parts.target.ends_with(FROM_CLIENT) && begins("Received: SubmitSharesSuccess(") {
            let count = number_after(message, "new_submits_accepted_count=")?;
            return Some(Self::Acceptance(channel(message, "channel_id=")?, count));
        }
        if parts.target.ends_with(FROM_CLIENT) && begins("Received: SubmitSharesError(") {
            let reason = reason(message, "error_code=", b",)").unwrap_or_else(|| "unknown".into());
            return Some(Self::Rejection(channel(message, "channel_id=")?, reason));
        }
        // 0.6.0.
        if begins("SubmitSharesExtended rejected by upstream channel validation") {
            let reason = reason(message, "validation_error=", b" (\"");
            let reason = reason.unwrap_or_else(|| "invalid".into());
            return Some(Self::OwnRejection(channel(message, "channel_id=")?, reason));
        }
        if begins("SubmitSharesExtended references an unknown upstream channel") {
            let channel = channel(message, "channel_id=")?;
            return Some(Self::OwnRejection(channel, "unknown-channel".into()));
        }
        // Up to 0.5.0. Version 0.6.0 does not log why it rejects the share of a miner.
        if begins("Invalid share for channel id: ") {
            let channel = channel(message, "channel id: ")?;
            return Some(Self::OwnRejection(channel, "invalid".into()));
        }
        if begins("SubmitSharesExtended does not meet the upstream channel target") {
            return Some(Self::Miss(channel(message, "channel_id=")?));
        }
        begins("Starting Translator Proxy").then_some(Self::Start)
    }
}

fn channel(message: &[u8], mark: &str) -> Option<u32> {
    u32::try_from(number_after(message, mark)?).ok()
}

/// The word after `mark`, up to one of `ends`.
fn reason(message: &[u8], mark: &str, ends: &[u8]) -> Option<String> {
    let word = words(until(after(message, mark)?, ends));
    let word: String = word
        .trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST_REASON)
        .collect();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_lines_of_a_real_log_say_which_channel_they_are_about() {
        let log = include_str!("../../../tests/data/translator/two_miners_then_jdc_ended.log");
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for line in log.lines() {
            // A reader passes only the beginning of a line.
            let head = &line.as_bytes()[..line.len().min(256)];
            let found = ShareLine::read(head);
            assert_eq!(found, ShareLine::read(line.as_bytes()), "{line}");
            if let Some(found) = found {
                *counts.entry(format!("{found:?}")).or_default() += 1;
            }
        }
        let expected = [
            ("Acceptance(2, 1)", 19),
            ("Acceptance(3, 1)", 11),
            ("Forward(2)", 20),
            ("Forward(3)", 11),
            ("Rejection(2, \"stale-share\")", 1),
            ("Start", 1),
            ("Submission(2)", 20),
            ("Submission(3)", 16),
        ];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counts, BTreeMap::from(expected));
    }

    #[test]
    fn every_version_s_own_rejections_have_a_reason() {
        let time = "2026-11-29T09:01:36.577512Z";
        for (line, expected) in [
            (
                "ERROR translator_sv2::sv1::sv1_server::downstream_message_handler: Invalid share for channel id: 7",
                Some(ShareLine::OwnRejection(7, "invalid".into())),
            ),
            (
                " WARN translator_sv2::sv2::channel_manager: SubmitSharesExtended rejected by upstream channel validation channel_id=2 validation_error=Stale(\"stale-share\")",
                Some(ShareLine::OwnRejection(2, "Stale".into())),
            ),
            (
                " WARN translator_sv2::sv2::channel_manager: SubmitSharesExtended references an unknown upstream channel channel_id=9",
                Some(ShareLine::OwnRejection(9, "unknown-channel".into())),
            ),
            (
                "DEBUG translator_sv2::sv2::channel_manager: SubmitSharesExtended does not meet the upstream channel target channel_id=3 error_code=\"difficulty-too-low\"",
                Some(ShareLine::Miss(3)),
            ),
            // A username with the words of the translator, in another program's line.
            (
                " INFO jd_client_sv2: Received mining.submit from SV1 downstream for channel id: 2",
                None,
            ),
            (
                " INFO translator_sv2::sv1: Received mining.submit from SV1 downstream for channel id: 99999999999",
                None,
            ),
        ] {
            assert_eq!(
                ShareLine::read(format!("{time} {line}").as_bytes()),
                expected,
                "{line}"
            );
        }
    }
}
