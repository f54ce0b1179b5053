//! The status of a running translator, from its log line by line: its client, its miners and their
//! shares.
//!
//! Pure: a line in, a changed [`TranslatorLogStatus`] out. The status can be stored after any line and
//! continued later. This module must not depend on files, instances or the current time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cause_of_line;
use super::facts::{self, TranslatorFact};
use crate::base::clock::Timestamp;
use crate::keeper::level::{LogLevel, level_of_line};
use crate::programs::jd_client::diagnosis::causes::CauseWeight;
use crate::programs::jd_client::diagnosis::facts::details::{place_of_panic, words};
use crate::programs::jd_client::diagnosis::{ClientMessage, EndCause, OTHER};
use crate::programs::log_line::LineParts;

mod recent_shares;

pub use recent_shares::RecentShares;

/// Maximum number of miners that are tracked individually. Anyone who can reach the port can
/// connect, so there is a limit; further miners are only counted.
const MOST_MINERS: usize = 4_096;

/// Maximum number of rejection reasons that are counted separately; the rest is counted as
/// [`OTHER`].
const MOST_REASONS: usize = 16;

/// Number of bytes of a line that are searched for a cause. A line can be a megabyte long.
const LOOKED_AT: usize = 4_096;

/// The state of a translator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TranslatorPhase {
    /// The log does not show the state yet.
    #[default]
    Unknown,
    /// The translator is starting.
    Starting,
    /// The translator is connecting to its client. Miners cannot connect yet.
    WaitingForClient,
    /// Miners can connect.
    Serving,
    /// The translator lost the connection to its client. It disconnects its miners and exits unless
    /// it has another upstream.
    ClientLost,
    /// The translator failed and is exiting; [`TranslatorLogStatus::failure`] has the reason.
    Failed,
    /// The translator is stopping on request.
    Stopping,
    /// The translator stopped on request.
    Stopped,
}

/// The state of a Stratum V1 miner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sv1MinerStage {
    /// The miner is connected but has not sent anything.
    #[default]
    Connected,
    /// The translator has requested a channel from the client.
    Requesting,
    /// The miner has a channel and can mine.
    Open,
}

/// Shares of all miners in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct TranslatorShares {
    /// Shares that miners submitted for a known job. 0.6.0 does not log other shares.
    pub submitted: u64,
    /// Shares that the translator itself rejected. 0.6.0 does not log these.
    pub refused: u64,
    /// Shares sent to the client.
    pub forwarded: u64,
    /// Shares that the translator accepted from miners but then dropped.
    pub dropped: u64,
    /// Shares that the client accepted.
    pub accepted: u64,
    /// Shares that the client rejected.
    pub rejected: u64,
    /// The rejected shares by the client's reason; at most 16 reasons and `other`.
    pub by_reason: BTreeMap<String, u64>,
    /// When a miner last submitted a share.
    pub submitted_at: Option<Timestamp>,
    /// When the client last accepted a share.
    pub accepted_at: Option<Timestamp>,
    /// The client's responses of the last hour.
    pub recent: RecentShares,
}

/// The status of a translator's current run, from its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct TranslatorLogStatus {
    /// When the current run started.
    pub began: Option<Timestamp>,
    /// The time of the last line that has a time.
    pub heard: Option<Timestamp>,
    /// The state.
    pub state: TranslatorPhase,
    /// When this state started; `None` if the log line has no time.
    pub since: Option<Timestamp>,
    /// Whether the translator is connected to the client.
    pub is_connected: bool,
    /// `host:port` of the client that the translator uses or is trying.
    pub client: Option<String>,
    /// The client's position in the list of upstreams, from 1.
    pub client_number: u64,
    /// The number of upstreams.
    pub clients: u64,
    /// Why the last connection attempt failed; `None` after a successful attempt.
    pub client_refusal: Option<ClientMessage>,
    /// The address for Stratum V1 miners, `ip:port`.
    pub listening: Option<String>,
    /// Why the translator failed or lost its client. Kept until miners can connect again.
    pub failure: Option<EndCause>,
    /// Connected miners by the translator's numbers, which restart in each run; at most 4,096.
    pub miners: BTreeMap<u64, Sv1MinerStage>,
    /// Connected miners that are not in the list because it is full.
    pub more_miners: u64,
    /// Number of miners that did not get a channel.
    pub refused_channels: u64,
    /// The last rejection of a channel.
    pub channel_refusal: Option<ClientMessage>,
    /// Channels that the client opened in this run.
    pub opened_channels: u64,
    /// Miners that the translator disconnected because they cannot change their extranonce.
    pub cut_off_miners: u64,
    /// Shares of all miners.
    pub shares: TranslatorShares,
    /// The last panic of a task: its place and message.
    pub panicked: Option<ClientMessage>,
    /// When the translator stopped or started to exit.
    pub ended: Option<Timestamp>,
}

impl TranslatorLogStatus {
    /// Processes one line without its line break. Returns whether anything other than times and
    /// counters changed.
    pub fn apply_line(&mut self, line: &[u8]) -> bool {
        let Some(parts) = LineParts::read(line) else {
            return self.apply_bare_line(line);
        };
        self.heard = Some(parts.at);
        let is_new = self.end_panic();
        if !parts.is_loud {
            return is_new;
        }
        let fact = facts::recognise(parts.target, parts.message);
        // A start resets the previous state, so it comes first.
        let is_changed = match fact {
            Some(fact) => self.take(fact, parts.at),
            None => false,
        };
        let is_problem = level_of_line(line).is_some_and(|level| level >= LogLevel::Warn);
        let head = &line[..line.len().min(LOOKED_AT)];
        let is_explained = is_problem && self.explain(&String::from_utf8_lossy(head));
        is_new | is_changed | is_explained
    }

    /// The number of connected miners.
    pub fn connected_miners(&self) -> u64 {
        self.more_miners.saturating_add(self.miners.len() as u64)
    }

    /// The number of connected miners without a channel. They cannot mine.
    pub fn miners_without_channel(&self) -> u64 {
        let waiting = |stage: &&Sv1MinerStage| **stage != Sv1MinerStage::Open;
        self.miners.values().filter(waiting).count() as u64
    }

    fn take(&mut self, fact: TranslatorFact, at: Timestamp) -> bool {
        match fact {
            TranslatorFact::Starts => {
                *self = Self {
                    began: Some(at),
                    heard: Some(at),
                    ..Self::default()
                };
                self.enter(TranslatorPhase::Starting, at)
            }
            TranslatorFact::UpstreamTry {
                number,
                of,
                address,
            } => {
                (self.client_number, self.clients) = (number, of);
                self.client = Some(address);
                self.is_connected = false;
                self.enter(TranslatorPhase::WaitingForClient, at)
            }
            // Logged before each of three attempts; the line before the first one has already set
            // the state.
            TranslatorFact::UpstreamAttempt { number: _ } => {
                self.enter(TranslatorPhase::WaitingForClient, at)
            }
            TranslatorFact::UpstreamUp => {
                self.client_refusal = None;
                !std::mem::replace(&mut self.is_connected, true)
            }
            TranslatorFact::UpstreamRefusal { words } => {
                self.is_connected = false;
                say(&mut self.client_refusal, at, words)
            }
            TranslatorFact::UpstreamLoss { words } => self.lose_client(words, at),
            TranslatorFact::Listening { address } => {
                self.listening = Some(address);
                self.failure = None;
                self.ended = None;
                self.enter(TranslatorPhase::Serving, at)
            }
            TranslatorFact::Failure => self.fail(at),
            TranslatorFact::MinerConnected { miner } => {
                if self.miners.len() < MOST_MINERS {
                    self.miners.insert(miner, Sv1MinerStage::Connected);
                } else {
                    self.more_miners = self.more_miners.saturating_add(1);
                }
                true
            }
            TranslatorFact::ChannelRequest { miner } => {
                self.advance(miner, Sv1MinerStage::Requesting)
            }
            TranslatorFact::ChannelGrant => {
                self.opened_channels = self.opened_channels.saturating_add(1);
                false
            }
            TranslatorFact::ChannelOpen { miner } => self.advance(miner, Sv1MinerStage::Open),
            TranslatorFact::ChannelRefusal { code } => {
                self.refused_channels = self.refused_channels.saturating_add(1);
                say(&mut self.channel_refusal, at, code)
            }
            TranslatorFact::MinerGone { miner } => {
                let is_listed = self.miners.remove(&miner).is_some();
                if !is_listed {
                    self.more_miners = self.more_miners.saturating_sub(1);
                }
                true
            }
            TranslatorFact::MinerCutOff => {
                self.cut_off_miners = self.cut_off_miners.saturating_add(1);
                false
            }
            TranslatorFact::ShareSubmission => {
                self.shares.submitted = self.shares.submitted.saturating_add(1);
                self.shares.submitted_at = Some(at);
                false
            }
            TranslatorFact::MinerShareRejection => {
                self.shares.refused = self.shares.refused.saturating_add(1);
                false
            }
            TranslatorFact::ShareForward => {
                self.shares.forwarded = self.shares.forwarded.saturating_add(1);
                false
            }
            TranslatorFact::ShareDrop => {
                self.shares.dropped = self.shares.dropped.saturating_add(1);
                false
            }
            TranslatorFact::SharesAccepted { count } => {
                self.shares.accepted = self.shares.accepted.saturating_add(count);
                self.shares.recent.add(at, count, 0);
                self.shares.accepted_at = Some(at);
                false
            }
            TranslatorFact::ShareRejection { reason } => {
                self.shares.recent.add(at, 0, 1);
                self.shares.reject(reason);
                false
            }
            TranslatorFact::Panic { place } => {
                say(&mut self.panicked, at, format!("panicked at {place}"))
            }
            TranslatorFact::StopRequest => self.enter(TranslatorPhase::Stopping, at),
            TranslatorFact::Stopped => self.stop(at),
        }
    }

    /// Changes the state; returns whether it was different.
    fn enter(&mut self, state: TranslatorPhase, at: Timestamp) -> bool {
        let is_new = self.state != state;
        if is_new {
            (self.state, self.since) = (state, Some(at));
        }
        is_new
    }

    fn lose_client(&mut self, words: Option<String>, at: Timestamp) -> bool {
        // Two lines report this; the first one has the reason.
        let is_new_reason = match words {
            Some(words) => say(&mut self.client_refusal, at, words),
            None => false,
        };
        let was_connected = std::mem::take(&mut self.is_connected);
        self.listening = None;
        is_new_reason | was_connected | self.enter(TranslatorPhase::ClientLost, at)
    }

    /// The translator is exiting. A translator that lost its only client stays in that state.
    fn fail(&mut self, at: Timestamp) -> bool {
        self.ended.get_or_insert(at);
        self.listening = None;
        self.state != TranslatorPhase::ClientLost && self.enter(TranslatorPhase::Failed, at)
    }

    fn stop(&mut self, at: Timestamp) -> bool {
        let is_new = self.ended.is_none();
        self.ended.get_or_insert(at);
        self.is_connected = false;
        self.listening = None;
        self.miners.clear();
        self.more_miners = 0;
        match self.state {
            TranslatorPhase::ClientLost | TranslatorPhase::Failed | TranslatorPhase::Stopped => {
                is_new
            }
            TranslatorPhase::Stopping => self.enter(TranslatorPhase::Stopped, at),
            // The exit was not requested. 0.6.0 logs nothing else if its address for miners is not
            // an IP address.
            _ => self.enter(TranslatorPhase::Failed, at),
        }
    }

    fn advance(&mut self, miner: u64, stage: Sv1MinerStage) -> bool {
        match self.miners.get_mut(&miner) {
            // A channel that is already open stays open.
            Some(known) if *known != stage && *known != Sv1MinerStage::Open => {
                *known = stage;
                true
            }
            _ => false,
        }
    }

    /// Stores the cause found in a line. A cause without details does not replace a more exact one.
    fn explain(&mut self, line: &str) -> bool {
        let Some((cause, weight)) = cause_of_line(line, false) else {
            return false;
        };
        let explains = weight == CauseWeight::Reason;
        if self.failure.is_some() && !explains {
            return false;
        }
        let is_new = self.failure.as_ref() != Some(&cause);
        self.failure = Some(cause);
        is_new
    }

    /// A line without time and level: a configuration error or the message of a panic.
    fn apply_bare_line(&mut self, line: &[u8]) -> bool {
        if self.awaits_words() {
            if line.first().is_none_or(u8::is_ascii_whitespace) {
                return false;
            }
            if let Some(panic) = &mut self.panicked {
                let text = format!("{} {}", panic.words, words(line));
                panic.words = words(text.as_bytes());
            }
            self.end_panic();
            self.explain(&String::from_utf8_lossy(&line[..line.len().min(LOOKED_AT)]));
            return true;
        }
        if let Some(place) = place_of_panic(line).filter(|_| line.starts_with(b"thread '")) {
            let place = format!("panicked at {place}");
            let is_known = self
                .panicked
                .as_ref()
                .is_some_and(|panic| panic.words.starts_with(&place));
            let at = self.heard.unwrap_or(Timestamp(0));
            return !is_known && say(&mut self.panicked, at, place);
        }
        if !line.starts_with(b"Translator proxy config error") {
            return false;
        }
        *self = Self {
            state: TranslatorPhase::Failed,
            ..Self::default()
        };
        self.explain(&String::from_utf8_lossy(&line[..line.len().min(LOOKED_AT)]));
        true
    }

    /// Whether the last line gave the place of a panic; its words end with a colon then.
    fn awaits_words(&self) -> bool {
        self.panicked
            .as_ref()
            .is_some_and(|panic| panic.words.ends_with(':'))
    }

    fn end_panic(&mut self) -> bool {
        let is_awaited = self.awaits_words();
        if let Some(panic) = self.panicked.as_mut().filter(|_| is_awaited) {
            panic
                .words
                .truncate(panic.words.trim_end_matches(':').len());
        }
        is_awaited
    }
}

impl TranslatorShares {
    fn reject(&mut self, reason: String) {
        self.rejected = self.rejected.saturating_add(1);
        let named = self.by_reason.len() - usize::from(self.by_reason.contains_key(OTHER));
        let reason = if named < MOST_REASONS || self.by_reason.contains_key(&reason) {
            reason
        } else {
            OTHER.to_owned()
        };
        let count = self.by_reason.entry(reason).or_default();
        *count = count.saturating_add(1);
    }
}

/// Stores a message; returns whether its text is new.
fn say(kept: &mut Option<ClientMessage>, at: Timestamp, words: String) -> bool {
    let is_new = kept.as_ref().is_none_or(|said| said.words != words);
    *kept = Some(ClientMessage { at, words });
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(lines: &[&str]) -> TranslatorLogStatus {
        let mut status = TranslatorLogStatus::default();
        apply(&mut status, lines);
        status
    }

    fn apply(status: &mut TranslatorLogStatus, lines: &[&str]) {
        for line in lines {
            status.apply_line(format!("2026-11-29T09:01:30.000000Z {line}").as_bytes());
        }
    }

    const SERVES: [&str; 4] = [
        " INFO translator_sv2: Starting Translator Proxy...",
        " INFO translator_sv2::translator_runtime: Trying upstream 1 of 1: 127.0.0.1:34265",
        " INFO translator_sv2::sv2::upstream::common_message_handler: Received: SetupConnectionSuccess(used_version: 2, flags: 0x00000000)",
        " INFO translator_sv2::sv1::sv1_server: Translator Proxy: listening on 0.0.0.0:34255",
    ];

    #[test]
    fn a_miner_is_without_channel_until_it_is_answered() {
        let server = |text: &str| format!(" INFO translator_sv2::sv1::sv1_server: {text}");
        let mut status = status(&SERVES);
        let counts = |status: &TranslatorLogStatus| {
            (status.connected_miners(), status.miners_without_channel())
        };
        assert_eq!(counts(&status), (0, 0));
        let connected = server(
            "Downstream 1 registered successfully (channel will be opened after first message)",
        );
        let second = connected.replace("Downstream 1", "Downstream 2");
        apply(&mut status, &[&connected, &second]);
        assert_eq!(counts(&status), (2, 2));
        let request = server(
            "SV1 server: opening extended mining channel for downstream 1 after first message",
        );
        apply(&mut status, &[&request]);
        assert_eq!(status.miners[&1], Sv1MinerStage::Requesting);
        assert_eq!(counts(&status), (2, 2));
        apply(
            &mut status,
            &[
                &server("Processing 3 queued Sv1 messages for downstream 1"),
                &request,
            ],
        );
        assert_eq!(status.miners[&1], Sv1MinerStage::Open);
        assert_eq!(counts(&status), (2, 1));
        apply(
            &mut status,
            &[&server(
                "🔌 Downstream: 1 disconnected and removed from sv1 server downstreams",
            )],
        );
        assert_eq!(counts(&status), (1, 1));
    }

    #[test]
    fn a_flood_of_miners_is_counted_and_takes_bounded_memory() {
        let mut status = status(&SERVES);
        for miner in 0..10_000 {
            apply(
                &mut status,
                &[&format!(
                    " INFO translator_sv2::sv1::sv1_server: Downstream {miner} registered successfully (x)"
                )],
            );
        }
        assert_eq!(
            (status.connected_miners(), status.miners.len()),
            (10_000, MOST_MINERS)
        );
        for miner in 0..10_001 {
            apply(
                &mut status,
                &[&format!(
                    " INFO translator_sv2::sv1::sv1_server: 🔌 Downstream: {miner} disconnected"
                )],
            );
        }
        assert_eq!(status.connected_miners(), 0);
        for reason in 0..100 {
            apply(
                &mut status,
                &[&format!(
                    " WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesError(channel_id=7, error_code=r{reason}) ❌"
                )],
            );
        }
        assert_eq!(
            (status.shares.rejected, status.shares.by_reason.len()),
            (100, MOST_REASONS + 1)
        );
        assert_eq!(status.shares.by_reason[OTHER], 84);
    }

    #[test]
    fn a_refused_channel_ends_in_a_lost_client_with_its_reason() {
        let mut status = status(&SERVES);
        apply(
            &mut status,
            &[
                " WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenMiningChannelError(request_id: 1, error_code: min-extranonce-size-too-large)",
                " WARN translator_sv2::sv2::channel_manager: ChannelManager::handle_upstream_frame requested fallback error_kind=OpenMiningChannelError",
                " INFO translator_sv2::translator_runtime: Preparing fallback",
                "ERROR translator_sv2::translator_runtime: All upstreams failed after 3 retries each",
            ],
        );
        assert_eq!(status.state, TranslatorPhase::ClientLost);
        assert_eq!(status.failure.unwrap().code, "extranonce-too-large");
        assert_eq!(status.refused_channels, 1);
        assert!(status.ended.is_some() && !status.is_connected);
    }

    #[test]
    fn a_translator_that_stops_without_a_word_has_failed() {
        let mut status = status(&SERVES[..1]);
        apply(
            &mut status,
            &[" INFO translator_sv2: TranslatorSv2 dropped"],
        );
        assert_eq!(
            (status.state, status.failure),
            (TranslatorPhase::Failed, None)
        );
        let begun = self::status(&SERVES[..1]);
        assert_eq!(begun.state, TranslatorPhase::Starting);
    }

    #[test]
    fn another_programs_lines_change_nothing_but_the_time() {
        let mut status = status(&SERVES);
        let before = status.clone();
        apply(
            &mut status,
            &[
                "ERROR jd_client_sv2::io_task: Reader error error=SocketClosed",
                " INFO jd_manager::keeper: translator exited",
            ],
        );
        assert_eq!(status, before);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut status = TranslatorLogStatus::default();
            for line in lines {
                status.apply_line(&line);
                status.apply_line(&[&b"2026-11-29T09:01:30.000000Z  WARN translator_sv2::a: "[..], &line].concat());
            }
        }
    }
}
