//! The made-up miners of a simulated translator: how they connect, their shares, and their counts.
//!
//! One share of a miner is due every `60 / shares_per_minute` seconds; miners take turns. What a
//! miner writes to the log is what one of the real logs has.

use std::time::Duration;

use super::file::SimulatedTranslatorFile;
use crate::keeper::level::LogLevel;
use crate::programs::jd_client::simulator::log_lines::{SimulatedLine, script};

/// Miners whose share is written to the log and counted at a time at most, so that a second with
/// 10,000 of them stays short.
const AT_ONCE: usize = 100;

/// What every miner does first.
const CONNECTS: &str = "\
INFO translator_sv2::sv1::sv1_server: New SV1 downstream connection from 127.0.0.1:{port}
INFO translator_sv2::sv1::sv1_server: Downstream {miner} registered successfully (channel will be opened after first message)
INFO translator_sv2::sv1::sv1_server: SV1 server: opening extended mining channel for downstream {miner} after first message";

/// What follows once the client opened the channel.
const OPENS: &str = "\
INFO translator_sv2::sv2::channel_manager::mining_message_handler: Received: OpenExtendedMiningChannelSuccessOwned { request_id: {miner}, \
channel_id: {channel}, extranonce_size: 14, group_channel_id: 1 }, user_identity: {identity}, nominal_hashrate: {hashrate}
INFO translator_sv2::sv1::sv1_server: Processing 3 queued Sv1 messages for downstream {miner}
INFO translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.configure from SV1 downstream
INFO translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.subscribe from Sv1 downstream
INFO translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.authorize from Sv1 downstream {miner}";

const SHARE: &str = "\
INFO translator_sv2::sv1::sv1_server::downstream_message_handler: Received mining.submit from SV1 downstream for channel id: {channel}
INFO translator_sv2::sv2::channel_manager: SubmitSharesExtended: valid share, forwarding it to upstream | channel_id: {upstream}, \
sequence_number: {number} ☑️
INFO translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesSuccess(channel_id={upstream}, \
last_sequence_number={number}, new_submits_accepted_count=1, new_shares_sum=0) ✅";

/// A made-up miner.
#[derive(Clone, Debug)]
pub(super) struct SimulatedSv1Miner {
    /// The translator's number for it, from 1.
    pub(super) number: u32,
    /// Its channel; none if it gets none.
    pub(super) channel: Option<u32>,
    /// Shares that the client accepted.
    pub(super) shares: u32,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct SimulatedMiners {
    pub(super) list: Vec<SimulatedSv1Miner>,
    /// One channel at the client for all of them.
    pub(super) aggregate: bool,
    pub(super) identity: String,
    /// H/s of each.
    pub(super) hashrate: f32,
    /// Whether the API tells it.
    pub(super) has_hashrate: bool,
    pub(super) extranonce2_len: u16,
    /// Time between two shares of one miner.
    every: Duration,
    next: usize,
    sequence: u32,
}

/// The number of the channel at the client that all miners share if channels are aggregated.
const SHARED_CHANNEL: u32 = 2;

impl SimulatedMiners {
    /// `without` of the `count` miners get no channel.
    pub(super) fn new(
        file: &SimulatedTranslatorFile,
        identity: &str,
        count: u32,
        without: u32,
    ) -> Self {
        let aggregate = file.aggregate_channels;
        let list = (1..=count).map(|number| SimulatedSv1Miner {
            number,
            // The client has number 1, the group's.
            channel: (number <= count.saturating_sub(without)).then_some(if aggregate {
                number
            } else {
                number + 1
            }),
            shares: 0,
        });
        let difficulty = file.downstream_difficulty_config;
        let every = 60.0 / f64::from(difficulty.shares_per_minute);
        Self {
            list: list.collect(),
            aggregate,
            identity: identity.to_owned(),
            hashrate: difficulty.min_individual_miner_hashrate,
            has_hashrate: difficulty.enable_vardiff,
            extranonce2_len: file.downstream_extranonce2_size,
            every: Duration::from_secs_f64(every.clamp(0.1, 3600.0)),
            next: 0,
            sequence: 0,
        }
    }

    /// The name of a miner's channel at the client.
    pub(super) fn channel_name(&self, number: u32) -> String {
        if self.aggregate {
            let account = self.identity.split('.').next().unwrap_or_default();
            format!("{account}.translator-proxy")
        } else {
            format!("{}.miner{number}", self.identity)
        }
    }

    /// The numbers of the channels at the client, each with the miner that it is for and its
    /// accepted shares.
    pub(super) fn channels(&self) -> Vec<(u32, u32, u32)> {
        let open = self.list.iter().filter(|miner| miner.channel.is_some());
        if self.aggregate {
            let shares = open
                .clone()
                .fold(0_u32, |sum, miner| sum.saturating_add(miner.shares));
            open.take(1)
                .map(|miner| (SHARED_CHANNEL, miner.number, shares))
                .collect()
        } else {
            open.filter_map(|miner| Some((miner.channel?, miner.number, miner.shares)))
                .collect()
        }
    }

    /// What the log says when they connect.
    pub(super) fn connect(&self) -> Vec<SimulatedLine> {
        let mut lines = Vec::new();
        for miner in &self.list {
            let port = 40_000 + miner.number % 20_000;
            lines.extend(script(
                CONNECTS,
                &[("port", &port), ("miner", &miner.number)],
            ));
            if miner.channel.is_some() {
                let channel = if self.aggregate {
                    SHARED_CHANNEL
                } else {
                    miner.number + 1
                };
                lines.extend(script(
                    OPENS,
                    &[
                        ("miner", &miner.number),
                        ("channel", &channel),
                        ("identity", &self.channel_name(miner.number)),
                        ("hashrate", &self.hashrate),
                    ],
                ));
            }
        }
        lines
    }

    /// How long until the next share of any miner; the longest time if no miner can mine.
    pub(super) fn pause(&self) -> Duration {
        let mining = self.list.iter().filter(|miner| miner.channel.is_some());
        let count = u32::try_from(mining.count()).unwrap_or(u32::MAX);
        if count == 0 {
            return Duration::from_secs(3600);
        }
        (self.every / count).max(Duration::from_millis(50))
    }

    /// The shares that are due after [`Self::pause`].
    pub(super) fn mine(&mut self) -> Vec<SimulatedLine> {
        let mut lines = Vec::new();
        let due = (self.pause().as_secs_f64() * self.list.len() as f64 / self.every.as_secs_f64())
            .round();
        for _ in 0..(due as usize).clamp(1, AT_ONCE) {
            let count = self.list.len().max(1);
            let place = (self.next..self.next + count)
                .map(|place| place % count)
                .find(|place| {
                    self.list
                        .get(*place)
                        .is_some_and(|miner| miner.channel.is_some())
                });
            let Some(miner) = place.and_then(|place| self.list.get_mut(place)) else {
                break;
            };
            miner.shares = miner.shares.saturating_add(1);
            self.next = place.unwrap_or_default() + 1;
            self.sequence = self.sequence.wrapping_add(1);
            let channel = miner.channel.unwrap_or_default();
            let upstream = if self.aggregate {
                SHARED_CHANNEL
            } else {
                channel
            };
            lines.extend(script(
                SHARE,
                &[
                    ("channel", &channel),
                    ("upstream", &upstream),
                    ("number", &self.sequence),
                ],
            ));
        }
        lines
    }

    /// What the log says when they are disconnected.
    pub(super) fn disconnect(&self) -> Vec<SimulatedLine> {
        let gone = |miner: &SimulatedSv1Miner| {
            SimulatedLine::new(
                LogLevel::Info,
                "translator_sv2::sv1::sv1_server",
                format!(
                    "🔌 Downstream: {} disconnected and removed from sv1 server downstreams",
                    miner.number
                ),
            )
        };
        self.list.iter().map(gone).collect()
    }
}
