//! The status of a running client, read from its log line by line: template provider, pool, jobs,
//! shares, blocks.
//!
//! Pure: takes a line and changes a [`ClientStatus`]. The status can be saved after any line and
//! continued later. The meaning of the texts is in `facts`. This module must not know files,
//! instances or the current time.

mod flow;
mod parts;
mod pools;

use super::certificate::{CertificateOwner, RejectedCertificate, certificate_text};
use super::facts::{self, CertificateValidity, LogFact, place_of_panic, words};
use super::pool_leave::{PoolLeaveCode, PoolLeaveReason};
use crate::base::clock::Timestamp;
use crate::keeper::level::KEEPER_TARGET;
use crate::programs::log_line::LineParts;
pub use flow::{LearnedInterval, SeenBlock, SeenBlocks, UnansweredWork};
use parts::say;
pub use parts::{
    ClientMessage, OTHER, ProviderState, ShareCounts, UpstreamAddress, UpstreamState, WorkState,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The panic message of the monitoring refresh when its interval is 0. The metrics never change
/// after that.
const REFRESH_OF_ZERO: &str = "`period` must be non-zero";

/// Two lines without a hash within this time are about the same block.
const SAME_BLOCK: Duration = Duration::from_secs(1);

/// The status of the client in its current run, read from its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
#[schemars(rename = "LogStanding")]
pub struct ClientStatus {
    /// When the current run began: the time of its first line.
    pub began: Option<Timestamp>,
    /// The time of the last line with a timestamp.
    pub heard: Option<Timestamp>,
    /// The state of the template provider.
    pub provider: ProviderState,
    /// When the last template or the last message about a new block arrived.
    pub template_at: Option<Timestamp>,
    /// How often templates and new blocks arrive.
    pub templates: LearnedInterval,
    /// When the node last reported a new block on its network.
    pub prev_hash_at: Option<Timestamp>,
    /// The newest blocks that the template provider reported.
    pub seen_blocks: SeenBlocks,
    /// The longest time without a log line in this run, in milliseconds.
    pub longest_pause_ms: u64,
    /// How far the node's clock was ahead of this machine's clock at that moment, in whole seconds;
    /// negative if behind. A node with few peers, or a chain with its own time, may be ahead
    /// although its clock is correct.
    pub node_clock_ahead_s: Option<i64>,
    /// Since when the client has been waiting for its first template; none if it is not waiting.
    pub waiting_since: Option<Timestamp>,
    /// Where the client sends work.
    pub work: WorkState,
    /// The pool that receives work or is being tried. While mining solo: the pool that was lost, or
    /// else the last pool that failed.
    pub upstream: Option<UpstreamAddress>,
    /// The last pool that was lost in this run, as it was then.
    pub lost: Option<UpstreamAddress>,
    /// When the last working connection with a pool was lost in this run.
    pub lost_pool_at: Option<Timestamp>,
    /// Why the client last left a pool in this run or could not use it. Kept while the client mines
    /// solo or uses another pool; none when that pool works again.
    pub pool_left: Option<PoolLeaveReason>,
    /// When a job declaration server last accepted a job.
    pub declared_at: Option<Timestamp>,
    /// When a pool last accepted a job.
    pub accepted_at: Option<Timestamp>,
    /// The last rejection of a job; none after a job was accepted. A job that a new block made
    /// obsolete does not count.
    pub refused: Option<ClientMessage>,
    /// The share counts.
    pub shares: ShareCounts,
    /// How often the pool responds: shares or jobs accepted or rejected.
    pub pool_answers: LearnedInterval,
    /// The miners' shares since the pool last responded.
    pub unanswered: UnansweredWork,
    /// The last block found. The text is the hash; empty for versions that do not log it.
    pub block: Option<ClientMessage>,
    /// The number of blocks found in this run.
    pub blocks: u64,
    /// The last rejected certificate; none after a certificate of that peer was accepted.
    pub certificate: Option<RejectedCertificate>,
    /// The client could not answer a miner because the authority's two keys in the configuration do
    /// not match; none after a miner opened a channel.
    pub handshake_refused: Option<ClientMessage>,
    /// The last panic of a task of the client: place and message. The client continues without that
    /// task.
    pub panicked: Option<ClientMessage>,
    /// The monitoring refresh panicked. The metrics have not changed since.
    pub frozen_by_panic: bool,
    /// When the client stopped working.
    pub ended: Option<Timestamp>,
}

impl ClientStatus {
    /// Applies one line without its line break. Returns whether anything except times and counters
    /// changed, so the status should be saved and shown at once.
    pub fn apply_line(&mut self, line: &[u8]) -> bool {
        let Some(line) = LineParts::read(line) else {
            return self.apply_bare_line(line);
        };
        if line.target == KEEPER_TARGET.as_bytes() {
            return false;
        }
        if let Some(before) = self.heard.replace(line.at) {
            let pause = u64::try_from(line.at.since(before).as_millis()).unwrap_or(u64::MAX);
            self.longest_pause_ms = self.longest_pause_ms.max(pause);
        }
        let is_told = self.end_panic();
        let fact = if line.is_loud {
            facts::recognise(line.target, line.message)
        } else {
            None
        };
        fact.is_some_and(|fact| self.take(fact, line.at)) | is_told
    }

    /// The last tried or lost pool rejects this client because of its configuration: a wrong key,
    /// an unknown account, an unsupported protocol. A retry without a change of the configuration
    /// does not help.
    pub fn is_refused_for_good(&self) -> bool {
        let is_key = self.certificate.as_ref().is_some_and(|certificate| {
            matches!(
                certificate.peer,
                CertificateOwner::Pool | CertificateOwner::JobServer
            ) && certificate_text(certificate).code.ends_with("-key")
        });
        let refusals = [
            "unknown-user",
            "unsupported-protocol",
            "unsupported-feature-flags",
            "protocol-version-mismatch",
        ];
        let why = self
            .upstream
            .as_ref()
            .and_then(|upstream| upstream.why.as_deref())
            .unwrap_or_default();
        let is_final = self.pool_left.as_ref().is_some_and(|left| {
            left.code.is_final()
                && self
                    .upstream
                    .as_ref()
                    .is_none_or(|upstream| upstream.number == left.number)
        });
        is_key || is_final || refusals.iter().any(|refusal| why.contains(refusal))
    }

    /// Where work goes, in a few words: `pool 1 of 2`, `trying pool 2 of 3`, `solo`; empty if
    /// unknown.
    pub fn place_text(&self) -> String {
        let pool = self.upstream.as_ref().map_or_else(
            || "pool".to_owned(),
            |u| format!("pool {} of {}", u.number, u.of),
        );
        match self.work {
            WorkState::Unknown => String::new(),
            WorkState::Solo { .. } => "solo".into(),
            WorkState::Trying { .. } => format!("trying {pool}"),
            WorkState::Pool { .. } => pool,
        }
    }

    fn take(&mut self, fact: LogFact, at: Timestamp) -> bool {
        match fact {
            LogFact::ClientStarts => self.begin(at),
            LogFact::NodeTried => self.provider_tried(true, at),
            LogFact::ProviderTried { attempt } => self.provider_tried(attempt == 1, at),
            LogFact::ProviderShookHands => self.accept_certificate(CertificateOwner::Provider),
            LogFact::ProviderConnected => self.provider_connected(at),
            LogFact::ProviderRefused { words, certificate } => {
                let other = certificate.is_some_and(|validity| {
                    self.refuse_certificate(CertificateOwner::Provider, validity, at)
                });
                self.provider_refused(words, at) | other
            }
            LogFact::ProviderGivenUp { words } => {
                !matches!(self.provider, ProviderState::Refused { .. })
                    && self.provider_refused(words, at)
            }
            LogFact::ProviderLost => {
                // If Bitcoin Core sent no first template, the reason is in an earlier line.
                let is_new = !matches!(
                    self.provider,
                    ProviderState::Lost { .. } | ProviderState::Refused { .. }
                );
                if is_new {
                    self.provider = ProviderState::Lost { since: at };
                }
                is_new
            }
            LogFact::Template => self.provider_speaks(at),
            LogFact::PrevHash { header_time, block } => self.new_block(header_time, block, at),
            LogFact::Waiting => self
                .waiting_since
                .replace(self.waiting_since.unwrap_or(at))
                .is_none(),
            LogFact::WaitingEnded => self.waiting_since.take().is_some(),
            LogFact::PoolsTried => self.try_pools(at),
            LogFact::PoolTried {
                number,
                of,
                pool,
                jds,
            } => {
                self.try_pools(at);
                self.upstream = Some(UpstreamAddress {
                    number,
                    of,
                    pool,
                    jds,
                    since: at,
                    ..UpstreamAddress::default()
                });
                true
            }
            LogFact::PoolSkipped => self.pool_skipped(at),
            LogFact::PoolTriedAgain => self.upstream_becomes(UpstreamState::Trying, at),
            LogFact::PoolShookHands => self.pool_shook_hands(at),
            LogFact::PoolTryFailed {
                words,
                certificate,
                code,
            } => self.pool_try_failed(words, certificate, code, at),
            LogFact::PoolGivenUp => self.upstream_becomes(UpstreamState::Failed, at),
            LogFact::PoolRefused { words, code } => self.says_why(words.clone(), (code, words), at),
            LogFact::PoolFailed { words, code } => self.mark_pool_lost(Some(words), code, at),
            LogFact::PoolWorks => self.pool_works(at),
            LogFact::PoolLost { words, code } => self.mark_pool_lost(words, code, at),
            LogFact::Solo => self.solo(at),
            LogFact::JobDeclared => {
                self.declared_at = Some(at);
                self.pool_speaks(at)
            }
            LogFact::JobAccepted => {
                self.accepted_at = Some(at);
                self.refused.take().is_some() | self.pool_answers(at)
            }
            // The pool answers, even if this node is behind it.
            LogFact::JobOutdated => self.pool_answers(at),
            LogFact::JobRefused { words } => self.job_refused(words, at),
            LogFact::SharesAccepted { count } => {
                self.shares.accepted_at = Some(at);
                self.shares.accepted = self.shares.accepted.saturating_add(count);
                self.shares.largest_batch = self.shares.largest_batch.max(count);
                self.pool_answers(at)
            }
            LogFact::ShareRejected { reason } => {
                self.shares.reject(reason, at);
                self.pool_answers(at)
            }
            LogFact::MinerShareAccepted => {
                self.shares.take_of_miner(at);
                if matches!(self.work, WorkState::Pool { .. }) {
                    self.unanswered.add(at);
                }
                false
            }
            LogFact::ShareSent => {
                self.unanswered.sent = self.unanswered.sent.saturating_add(1);
                false
            }
            LogFact::MinerShareRejected => {
                self.shares.miners_rejected_at = Some(at);
                false
            }
            LogFact::Block { hash } => self.block_found(hash, at),
            LogFact::MinerServed => {
                self.handshake_refused.take().is_some()
                    | self.accept_certificate(CertificateOwner::Miner)
            }
            LogFact::MinerRefused { words } => say(&mut self.handshake_refused, at, words),
            LogFact::MinerCertificate { certificate } => {
                self.refuse_certificate(CertificateOwner::Miner, certificate, at)
            }
            LogFact::Panicked { place } => {
                say(&mut self.panicked, at, format!("panicked at {place}"))
            }
            LogFact::Ended => {
                let is_new = self.ended.is_none();
                self.ended.get_or_insert(at);
                is_new
            }
        }
    }

    /// A new run begins. Everything from the previous run is discarded.
    fn begin(&mut self, at: Timestamp) -> bool {
        *self = Self {
            began: Some(at),
            heard: Some(at),
            ..Self::default()
        };
        true
    }

    /// The first connection attempt to the template provider begins a run, except for versions that
    /// log the start before.
    fn provider_tried(&mut self, is_first: bool, at: Timestamp) -> bool {
        let has_just_begun = self.began.is_some()
            && self.ended.is_none()
            && self.provider == ProviderState::Unknown
            && self.work == WorkState::Unknown;
        if is_first && !has_just_begun {
            self.begin(at);
        }
        let is_new = self.provider == ProviderState::Unknown;
        if is_new {
            self.provider = ProviderState::Connecting { since: at };
        }
        is_new
    }

    fn provider_connected(&mut self, at: Timestamp) -> bool {
        let is_new = !matches!(self.provider, ProviderState::Connected { .. });
        if is_new {
            self.provider = ProviderState::Connected { since: at };
        }
        is_new
    }

    fn provider_refused(&mut self, words: String, at: Timestamp) -> bool {
        let since = if let ProviderState::Refused {
            since,
            words: before,
        } = &self.provider
        {
            if *before == words {
                return false;
            }
            *since
        } else {
            at
        };
        self.provider = ProviderState::Refused { since, words };
        true
    }

    /// A template proves that the template provider is connected; for Bitcoin Core there is no
    /// other proof. A template that was in transit when the connection was lost proves nothing.
    fn provider_speaks(&mut self, at: Timestamp) -> bool {
        self.template_at = Some(at);
        self.templates.note(at);
        self.shares.stale_since_template = 0;
        !matches!(self.provider, ProviderState::Lost { .. }) && self.provider_connected(at)
    }

    fn new_block(
        &mut self,
        header_time: Option<i64>,
        block: Option<String>,
        at: Timestamp,
    ) -> bool {
        self.prev_hash_at = Some(at);
        if let Some(hash) = block {
            self.seen_blocks.note(hash, at);
        }
        let ahead = header_time.map(|seconds| seconds - at.0.div_euclid(1000));
        let is_new = self.node_clock_ahead_s != ahead;
        self.node_clock_ahead_s = ahead;
        self.provider_speaks(at) | is_new
    }

    fn block_found(&mut self, hash: String, at: Timestamp) -> bool {
        // With a pool, the client logs each block twice: for the miner's channel and for the
        // pool's.
        let is_same = |said: &ClientMessage| {
            said.words == hash && (!hash.is_empty() || at.since(said.at) < SAME_BLOCK)
        };
        if self.block.as_ref().is_some_and(is_same) {
            return false;
        }
        self.blocks = self.blocks.saturating_add(1);
        self.block = Some(ClientMessage { at, words: hash });
        true
    }

    fn refuse_certificate(
        &mut self,
        peer: CertificateOwner,
        validity: CertificateValidity,
        at: Timestamp,
    ) -> bool {
        let is_new = self
            .certificate
            .is_none_or(|certificate| certificate.peer != peer);
        self.certificate = Some(RejectedCertificate {
            at,
            peer,
            valid_from: validity.from,
            not_valid_after: validity.until,
        });
        is_new
    }

    fn accept_certificate(&mut self, peer: CertificateOwner) -> bool {
        self.certificate
            .take_if(|certificate| certificate.peer == peer)
            .is_some()
    }

    /// A line outside the client's format. Only panic messages of tasks are useful: they follow the
    /// line with the place. Rust prints both again, and only Rust prints them if the client's log
    /// is not open yet.
    fn apply_bare_line(&mut self, line: &[u8]) -> bool {
        if let Some(said) = self
            .panicked
            .as_mut()
            .filter(|said| said.words.ends_with(':'))
        {
            if line.first().is_none_or(u8::is_ascii_whitespace) {
                return false;
            }
            let told = words(line);
            self.frozen_by_panic |= told.contains(REFRESH_OF_ZERO);
            said.words = words(format!("{} {told}", said.words).as_bytes());
            self.end_panic();
            return true;
        }
        let Some(at) = self.heard.filter(|_| line.starts_with(b"thread '")) else {
            return false;
        };
        let Some(place) = place_of_panic(line) else {
            return false;
        };
        let place = format!("panicked at {place}");
        let is_told = self
            .panicked
            .as_ref()
            .is_some_and(|said| said.words.starts_with(&place));
        !is_told && say(&mut self.panicked, at, place)
    }

    /// A panic message ends at the next line. While the message is expected, the text ends with a
    /// colon.
    fn end_panic(&mut self) -> bool {
        let Some(said) = self
            .panicked
            .as_mut()
            .filter(|said| said.words.ends_with(':'))
        else {
            return false;
        };
        said.words.truncate(said.words.trim_end_matches(':').len());
        true
    }
}

#[cfg(test)]
mod tests;
