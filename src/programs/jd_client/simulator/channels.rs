//! The statistics that the client keeps for each channel, in the format of its monitoring API.
//!
//! This module must not know time or log lines. Field names and types are those of `jd_client_sv2`
//! 0.6.0 (`stratum-apps` 0.8.0, `monitoring/{client,server}.rs`); how shares and batches are
//! counted follows `channels_sv2` 8.0.0.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Difficulty 1 as a 256-bit number: 0xffff · 2²⁰⁸.
const DIFFICULTY_ONE: f64 = 65_535.0 * (1_u128 << 104) as f64 * (1_u128 << 104) as f64;

/// The difficulty at which `hashrate` (H/s) yields `per_minute` shares a minute, as the client
/// computes it: the target is 2²⁵⁶ divided by the hashes expected between two shares.
pub(super) fn difficulty(hashrate: f64, per_minute: f64) -> f64 {
    let hashes = (hashrate * 60.0 / per_minute).max(1.0);
    DIFFICULTY_ONE * hashes / f64::powi(2.0, 256)
}

/// The 256-bit number of the given difficulty as 64 hexadecimal digits, most significant first: a
/// channel's target, or the hash of a share that just reaches it. A number keeps the 53 bits of a
/// double; `below` fills the bytes under them.
pub(super) fn target_hex(difficulty: f64, mut below: impl FnMut() -> u8) -> String {
    let value =
        (DIFFICULTY_ONE / difficulty).clamp(1.0, f64::powi(2.0, 256) * (1.0 - f64::EPSILON));
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1075;
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    let (shifted, whole_bytes) = match usize::try_from(exponent) {
        Ok(exponent) => (mantissa << (exponent % 8), exponent / 8),
        Err(_) => (mantissa >> exponent.unsigned_abs(), 0),
    };
    let mut number = [0_u8; 32];
    number[..whole_bytes].fill_with(&mut below);
    for (byte, part) in number[whole_bytes..].iter_mut().zip(shifted.to_le_bytes()) {
        *byte = part;
    }
    number
        .iter()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn whole<S: Serializer>(sum: &f64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(*sum as u64)
}

/// A miner's channel with the client, always an extended one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SimulatedMinerChannel {
    pub(super) channel_id: u32,
    pub(super) user_identity: String,
    /// H/s: what the miner claimed, later what the client estimates.
    pub(super) nominal_hashrate: f32,
    pub(super) stable_hashrate: bool,
    pub(super) target_hex: String,
    pub(super) requested_max_target_hex: String,
    pub(super) extranonce_prefix_hex: String,
    pub(super) full_extranonce_size: usize,
    pub(super) rollable_extranonce_size: u16,
    pub(super) expected_shares_per_minute: f32,
    pub(super) shares_accepted: u32,
    pub(super) shares_rejected: u32,
    pub(super) shares_rejected_by_reason: BTreeMap<&'static str, u32>,
    /// Sum of the difficulties of the accepted shares' targets.
    pub(super) share_work_sum: f64,
    pub(super) last_share_sequence_number: u32,
    pub(super) best_diff: f64,
    pub(super) last_batch_accepted: u32,
    #[serde(serialize_with = "whole")]
    pub(super) last_batch_work_sum: f64,
    pub(super) share_batch_size: usize,
    pub(super) blocks_found: u32,
    /// Difficulty of the channel's target. Not shown by the API.
    #[serde(skip)]
    pub(super) difficulty: f64,
}

impl SimulatedMinerChannel {
    /// A new channel of a miner that claims `hashrate` H/s, with a target of `per_minute` shares
    /// per minute.
    pub(super) fn open(
        user_identity: String,
        hashrate: f64,
        per_minute: f32,
        share_batch_size: usize,
        extranonce_prefix_hex: String,
    ) -> Self {
        let mut channel = Self {
            // Each connection counts its channels from 1, and 1 is its group channel: the first
            // real channel is always 2.
            channel_id: 2,
            user_identity,
            nominal_hashrate: 0.0,
            stable_hashrate: false,
            target_hex: String::new(),
            requested_max_target_hex: "ff".repeat(32),
            extranonce_prefix_hex,
            full_extranonce_size: 20,
            rollable_extranonce_size: 8,
            expected_shares_per_minute: per_minute,
            shares_accepted: 0,
            shares_rejected: 0,
            shares_rejected_by_reason: BTreeMap::new(),
            share_work_sum: 0.0,
            last_share_sequence_number: 0,
            best_diff: 0.0,
            last_batch_accepted: 0,
            last_batch_work_sum: 0.0,
            share_batch_size,
            blocks_found: 0,
            difficulty: 0.0,
        };
        channel.set_hashrate(hashrate);
        channel
    }

    /// Sets the miner's `hashrate` (H/s) and the matching target.
    pub(super) fn set_hashrate(&mut self, hashrate: f64) {
        self.nominal_hashrate = hashrate as f32;
        self.difficulty = difficulty(hashrate, f64::from(self.expected_shares_per_minute));
        self.target_hex = target_hex(self.difficulty, || 0);
    }

    /// Counts an accepted share that reached the difficulty `reached`; true when it completed a
    /// batch.
    pub(super) fn accept(&mut self, sequence_number: u32, reached: f64) -> bool {
        self.last_share_sequence_number = sequence_number;
        self.shares_accepted += 1;
        self.share_work_sum += self.difficulty;
        self.best_diff = self.best_diff.max(reached);
        if self.batch_is_full() {
            self.last_batch_accepted = 0;
            self.last_batch_work_sum = 0.0;
        }
        self.last_batch_accepted += 1;
        self.last_batch_work_sum += self.difficulty;
        self.batch_is_full()
    }

    fn batch_is_full(&self) -> bool {
        usize::try_from(self.last_batch_accepted).is_ok_and(|n| n == self.share_batch_size)
            && self.share_batch_size > 0
    }

    /// Counts a rejected share.
    pub(super) fn reject(&mut self, reason: &'static str) {
        self.shares_rejected += 1;
        *self.shares_rejected_by_reason.entry(reason).or_default() += 1;
    }
}

/// The client's only channel with the pool.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SimulatedUpstreamChannel {
    pub(super) channel_id: u32,
    pub(super) user_identity: String,
    /// H/s, the sum reported to the pool.
    pub(super) nominal_hashrate: Option<f32>,
    pub(super) target_hex: String,
    pub(super) extranonce_prefix_hex: String,
    pub(super) full_extranonce_size: usize,
    pub(super) rollable_extranonce_size: u16,
    pub(super) version_rolling: bool,
    pub(super) shares_acknowledged: u32,
    pub(super) shares_submitted: u32,
    pub(super) shares_rejected: u32,
    pub(super) shares_rejected_by_reason: BTreeMap<&'static str, u32>,
    pub(super) acknowledged_work_sum: u64,
    pub(super) validated_work_sum: f64,
    pub(super) best_diff: f64,
    pub(super) blocks_found: u32,
}

impl SimulatedUpstreamChannel {
    /// The channel as the pool has just opened it.
    pub(super) fn open(user_identity: String, hashrate: f64, per_minute: f32) -> Self {
        Self {
            channel_id: 7,
            user_identity,
            nominal_hashrate: Some(hashrate as f32),
            target_hex: target_hex(difficulty(hashrate, f64::from(per_minute)), || 0),
            extranonce_prefix_hex: "00000001".to_owned(),
            full_extranonce_size: 20,
            rollable_extranonce_size: 16,
            version_rolling: true,
            shares_acknowledged: 0,
            shares_submitted: 0,
            shares_rejected: 0,
            shares_rejected_by_reason: BTreeMap::new(),
            acknowledged_work_sum: 0,
            validated_work_sum: 0.0,
            best_diff: 0.0,
            blocks_found: 0,
        }
    }

    /// Counts a share sent to the pool, worth `work` and having reached `reached`; its sequence
    /// number on this channel.
    pub(super) fn submit(&mut self, work: f64, reached: f64) -> u32 {
        self.shares_submitted += 1;
        self.validated_work_sum += work;
        self.best_diff = self.best_diff.max(reached);
        self.shares_submitted
    }

    /// Counts a share worth `work` that the pool accepted.
    pub(super) fn acknowledge(&mut self, work: u64) {
        self.shares_acknowledged += 1;
        self.acknowledged_work_sum += work;
    }

    /// Counts a share that the pool rejected.
    pub(super) fn reject(&mut self, reason: &'static str) {
        self.shares_rejected += 1;
        *self.shares_rejected_by_reason.entry(reason).or_default() += 1;
    }
}

/// A connected miner.
#[derive(Clone, Debug)]
pub(super) struct SimulatedMinerConnection {
    pub(super) client_id: usize,
    pub(super) channels: Vec<SimulatedMinerChannel>,
}

impl SimulatedMinerConnection {
    /// Sum of its channels, H/s. An empty sum is `-0.0`, as in the real client.
    pub(super) fn total_hashrate(&self) -> f32 {
        self.channels
            .iter()
            .map(|channel| channel.nominal_hashrate)
            .sum()
    }
}

/// All statistics at one moment: what the monitoring API shows until the next refresh.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelAccounts {
    pub(super) server: Vec<SimulatedUpstreamChannel>,
    pub(super) clients: Vec<SimulatedMinerConnection>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difficulty_is_written_as_the_target_it_stands_for() {
        assert_eq!(
            target_hex(1.0, || 0),
            format!("00000000ffff{}", "0".repeat(52))
        );
        // 100 TH/s at 6 shares a minute: one share is worth about 232,830 hashes of difficulty 1.
        let d = difficulty(1e14, 6.0);
        assert!((d / 232_827.0 - 1.0).abs() < 1e-4, "{d}");
        assert_eq!(
            target_hex(65_535.0 / 65_536.0, || 0),
            format!("00000001{}", "0".repeat(56))
        );
        assert_eq!(
            target_hex(1.0, || 0xab),
            format!("00000000ffff{}{}", "0".repeat(10), "ab".repeat(21))
        );
        assert_eq!(target_hex(f64::MIN_POSITIVE, || 0).len(), 64);
        assert_eq!(target_hex(f64::MAX, || 0), format!("{}1", "0".repeat(63)));
    }

    #[test]
    fn a_batch_is_complete_after_its_size_and_then_begins_anew() {
        let mut channel = SimulatedMinerChannel::open("rig1.w1".into(), 1e14, 6.0, 3, "00".into());
        let full: Vec<bool> = (1..=7).map(|n| channel.accept(n, 1.0)).collect();
        assert_eq!(full, [false, false, true, false, false, true, false]);
        assert_eq!(
            (channel.shares_accepted, channel.last_batch_accepted),
            (7, 1)
        );
        assert!((channel.share_work_sum - 7.0 * channel.difficulty).abs() < 1e-6);

        let mut never = SimulatedMinerChannel::open("rig1.w1".into(), 1e14, 6.0, 0, "00".into());
        assert!((1..=20).all(|n| !never.accept(n, 1.0)));
    }

    #[test]
    fn a_batchs_work_is_a_whole_number_in_json_and_the_difficulty_stays_inside() {
        let mut channel = SimulatedMinerChannel::open("rig1.w1".into(), 1e14, 6.0, 3, "00".into());
        channel.accept(1, 500_000.0);
        channel.reject("stale-share");
        let json = serde_json::to_value(&channel).unwrap();
        assert!(json["last_batch_work_sum"].is_u64());
        assert_eq!(json["shares_rejected_by_reason"]["stale-share"], 1);
        assert!(json.get("difficulty").is_none());
    }
}
