//! The environment of a simulated client: its miners, the chain, the template provider and the
//! pool, and the log lines about them.
//!
//! Pure: the time since the start is a parameter and random numbers come from a seed, so the same
//! plan and seed always give the same result. The same step changes log and statistics, so log and
//! monitoring API agree. This module must not know sockets or files; the texts are in
//! [`super::messages`].

use super::channels::{
    ChannelAccounts, SimulatedMinerChannel, SimulatedMinerConnection, SimulatedUpstreamChannel,
    target_hex,
};
use super::config::SimulatedMode;
use super::log_lines::{SimulatedLine, script};
use super::{messages, scripts};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

/// How often the client looks at its miners' hashrates.
const VARDIFF: Duration = Duration::from_secs(60);
/// Average time between two blocks of the chain.
const BLOCK_INTERVAL: Duration = Duration::from_secs(600);
/// The period of the variation of the miners' hashrates.
const SWING: Duration = Duration::from_secs(15 * 60);
/// The compact target of the simulated chain and the difficulty it stands for.
const N_BITS: u32 = 0x1702_2e19;
const NETWORK_DIFFICULTY: f64 = 65_535.0 * (1_u64 << 48) as f64 / 0x0002_2e19 as f64;

/// Why shares are rejected: mostly because they are late.
const REFUSALS: [&str; 4] = [
    "stale-share",
    "stale-share",
    "stale-share",
    "difficulty-too-low",
];

/// The settings of the environment.
#[derive(Clone, Debug)]
pub(super) struct SimulationPlan {
    pub(super) miners: u32,
    /// Total hashrate of all miners, H/s.
    pub(super) hashrate: f64,
    pub(super) shares_per_minute: f32,
    pub(super) share_batch_size: usize,
    pub(super) reject_percent: f64,
    /// The first share from this time on finds a block.
    pub(super) block_after: Option<Duration>,
    pub(super) template_interval: Duration,
    /// The client's address, as used by a miner.
    pub(super) listening: SocketAddr,
    /// Seconds since 1970 at the start of the simulation.
    pub(super) began: u64,
}

/// The pool the client mines for.
#[derive(Clone, Debug)]
pub(super) struct SimulatedPool {
    pub(super) user_identity: String,
    pub(super) mode: SimulatedMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SimulationEvent {
    Connect(usize),
    Share(usize),
    Template,
    Block,
    Vardiff,
}

struct SimulatedMiner {
    /// Average hashrate in H/s; the true rate varies around it.
    hashrate: f64,
    /// The initial phase of the variation, 0 to 1.
    phase: f64,
    /// Shares sent over the current connection.
    sent: u32,
}

/// The simulated environment. Empty at first; [`SimulatedNetwork::open`] connects the miners.
pub(super) struct SimulatedNetwork {
    plan: SimulationPlan,
    chance: RandomSource,
    queue: BinaryHeap<Reverse<(Duration, u64, SimulationEvent)>>,
    queued: u64,
    pool: Option<SimulatedPool>,
    miners: Vec<SimulatedMiner>,
    accounts: ChannelAccounts,
    block_found: bool,
    template: u64,
    height: u32,
    requests: u32,
    tokens: u64,
    jobs: u32,
}

impl SimulatedNetwork {
    /// An environment without any events yet.
    pub(super) fn new(plan: SimulationPlan, seed: u64) -> Self {
        let mut chance = RandomSource(seed);
        let weights: Vec<f64> = (0..plan.miners)
            .map(|_| 0.7 + 0.6 * chance.unit())
            .collect();
        let all: f64 = weights.iter().sum();
        let miners = weights
            .iter()
            .map(|weight| SimulatedMiner {
                hashrate: plan.hashrate * weight / all,
                phase: chance.unit(),
                sent: 0,
            })
            .collect();
        Self {
            plan,
            chance,
            queue: BinaryHeap::new(),
            queued: 0,
            pool: None,
            miners,
            accounts: ChannelAccounts::default(),
            block_found: false,
            template: 0,
            height: 923_000,
            requests: 0,
            tokens: 0,
            jobs: 100,
        }
    }

    /// The first template of a mining session arrives at `now`, for `pool` or solo, and the miners
    /// start to connect. Returns the log lines about the template.
    pub(super) fn open(
        &mut self,
        now: Duration,
        pool: Option<SimulatedPool>,
    ) -> Vec<SimulatedLine> {
        self.close();
        self.pool = pool;
        let mut out = Vec::new();
        if self.pool.is_some() {
            out.push(self.token_allocated());
            out.extend(messages::coinbase_outputs());
        }
        out.push(self.new_template(true));
        if self.pool.is_some() {
            out.push(self.token_allocated());
        }
        out.push(self.new_prev_hash(now));

        let apart = Duration::from_secs(5)
            .checked_div(self.plan.miners)
            .unwrap_or_default()
            .min(Duration::from_millis(250));
        for i in 0..self.miners.len() {
            let steps = u32::try_from(i).unwrap_or(u32::MAX).saturating_add(1);
            self.queue(now + apart * steps, SimulationEvent::Connect(i));
        }
        self.queue(now + self.plan.template_interval, SimulationEvent::Template);
        self.queue(now + VARDIFF, SimulationEvent::Vardiff);
        self.queue_block(now);
        out
    }

    /// Closes all connections to miners and pool. No more events follow. Returns the number of
    /// miners.
    pub(super) fn close(&mut self) -> usize {
        self.queue.clear();
        self.pool = None;
        self.requests = 0;
        self.miners.iter_mut().for_each(|miner| miner.sent = 0);
        std::mem::take(&mut self.accounts).clients.len()
    }

    /// The time of the next event.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// Runs all events that are due by `now` and returns their log lines.
    pub(super) fn advance(&mut self, now: Duration) -> Vec<SimulatedLine> {
        let mut out = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((at, _, happening))) = self.queue.pop() else {
                break;
            };
            match happening {
                SimulationEvent::Connect(i) => self.connect(at, i, &mut out),
                SimulationEvent::Share(i) => self.share(at, i, &mut out),
                SimulationEvent::Template => {
                    out.push(self.new_template(false));
                    self.declare(&mut out);
                    self.queue(at + self.plan.template_interval, SimulationEvent::Template);
                }
                SimulationEvent::Block => {
                    self.height += 1;
                    out.push(self.new_template(true));
                    out.push(self.new_prev_hash(at));
                    self.declare(&mut out);
                    self.queue_block(at);
                }
                SimulationEvent::Vardiff => self.vardiff(at, &mut out),
            }
        }
        out
    }

    /// The current statistics.
    pub(super) fn accounts(&self) -> &ChannelAccounts {
        &self.accounts
    }

    fn queue(&mut self, at: Duration, happening: SimulationEvent) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, happening)));
    }

    fn queue_block(&mut self, now: Duration) {
        let wait = self.chance.wait(BLOCK_INTERVAL);
        self.queue(now + wait, SimulationEvent::Block);
    }

    fn queue_share(&mut self, now: Duration, i: usize) {
        let rate = self.plan.shares_per_minute;
        // With a rate of zero or less, the real client does not open a channel.
        if rate.is_finite() && rate > 0.0 {
            let wait = self
                .chance
                .wait(Duration::from_secs_f32((60.0 / rate).clamp(1e-4, 1e6)));
            self.queue(now + wait, SimulationEvent::Share(i));
        }
    }

    /// The true hashrate of a miner at `now`, H/s.
    fn true_hashrate(&mut self, i: usize, now: Duration) -> f64 {
        let miner = &self.miners[i];
        let turn = now.as_secs_f64() / SWING.as_secs_f64() + miner.phase;
        let noise = self.chance.unit() - 0.5;
        miner.hashrate * (1.0 + 0.04 * (turn * std::f64::consts::TAU).sin() + 0.02 * noise)
    }

    fn connect(&mut self, now: Duration, i: usize, out: &mut Vec<SimulatedLine>) {
        // 192.0.2.0/24 is reserved for examples (RFC 5737).
        out.push(messages::connection(format_args!(
            "192.0.2.{}:{}",
            1 + i % 254,
            40_000 + i % 20_000
        )));
        out.push(messages::setup(self.plan.listening, i + 1));
        let (hashrate, per_minute) = (self.miners[i].hashrate, self.plan.shares_per_minute);
        let name = format!("rig{}.w1", i + 1);
        let channel = SimulatedMinerChannel::open(
            name,
            hashrate,
            per_minute,
            self.plan.share_batch_size,
            format!("{:024x}", i + 1),
        );
        let first_of_pool = self
            .pool
            .as_ref()
            .filter(|_| self.accounts.server.is_empty());
        let opens_upstream = first_of_pool.is_some();
        if let Some(pool) = first_of_pool {
            let upstream =
                SimulatedUpstreamChannel::open(pool.user_identity.clone(), hashrate, per_minute);
            out.extend(messages::upstream_channel(&upstream));
            self.accounts.server.push(upstream);
        }
        out.push(messages::open_channel(&channel, i));
        self.accounts.clients.push(SimulatedMinerConnection {
            client_id: i,
            channels: vec![channel],
        });
        if opens_upstream {
            self.declare(out);
        }
        self.queue_share(now, i);
    }

    fn share(&mut self, now: Duration, i: usize, out: &mut Vec<SimulatedLine>) {
        self.queue_share(now, i);
        let solves = !self.block_found && self.plan.block_after.is_some_and(|after| now >= after);
        let refused = !solves && self.chance.unit() * 100.0 < self.plan.reject_percent;
        let reason = REFUSALS[self.chance.below(REFUSALS.len())];
        let luck = self.chance.unit();
        let miner = &mut self.miners[i];
        let channel = &mut self.accounts.clients[i].channels[0];
        miner.sent += 1;
        let (id, sequence, work) = (channel.channel_id, miner.sent, channel.difficulty);

        out.push(messages::share());
        if refused && self.pool.is_none() {
            channel.reject(reason);
            out.push(messages::share_refused(id, sequence, reason));
            return;
        }
        let reached = if solves {
            NETWORK_DIFFICULTY * (1.0 + luck)
        } else {
            (work / (1.0 - luck)).min(NETWORK_DIFFICULTY * 0.9)
        };
        let hash = target_hex(reached, || self.chance.byte());
        let batch = channel.accept(sequence, reached);
        if solves {
            self.block_found = true;
            channel.blocks_found += 1;
            out.extend(messages::block(&hash));
        } else if batch {
            out.push(messages::batch_acknowledged(channel, sequence));
        } else {
            out.push(messages::share_valid(id, sequence, &hash));
        }

        let Some(upstream) = self.accounts.server.first_mut() else {
            return;
        };
        let sequence = upstream.submit(work, reached);
        if solves {
            upstream.blocks_found += 1;
            out.push(messages::block_forwarded(&hash));
        } else {
            out.push(messages::share_forwarded(id, sequence, &hash));
        }
        if refused {
            upstream.reject(reason);
            out.push(messages::pool_refuses(
                upstream.channel_id,
                sequence,
                reason,
            ));
        } else {
            let work = work.round() as u64;
            upstream.acknowledge(work);
            out.push(messages::pool_accepts(upstream.channel_id, sequence, work));
        }
    }

    fn vardiff(&mut self, now: Duration, out: &mut Vec<SimulatedLine>) {
        let mut changed = false;
        for i in 0..self.accounts.clients.len() {
            let found = self.true_hashrate(i, now);
            let channel = &mut self.accounts.clients[i].channels[0];
            // A small change that may be luck does not change the target.
            channel.stable_hashrate =
                (found / f64::from(channel.nominal_hashrate) - 1.0).abs() < 0.005;
            if !channel.stable_hashrate {
                channel.set_hashrate(found);
                changed = true;
            }
        }
        let mut lines = script(scripts::VARDIFF, &[]);
        if changed && let Some(upstream) = self.accounts.server.first_mut() {
            upstream.nominal_hashrate = Some(
                self.accounts
                    .clients
                    .iter()
                    .map(SimulatedMinerConnection::total_hashrate)
                    .sum(),
            );
            lines.insert(1, messages::update_channel());
        }
        out.append(&mut lines);
        self.queue(now + VARDIFF, SimulationEvent::Vardiff);
    }

    fn new_template(&mut self, future: bool) -> SimulatedLine {
        self.template += 1;
        // The reward of the current halving and up to 0.09 BTC of fees.
        let value = 312_500_000 + self.chance.below(9_000_000);
        let commitment = std::array::from_fn(|_| self.chance.byte());
        messages::new_template(self.template, future, self.height, value, commitment)
    }

    fn new_prev_hash(&mut self, now: Duration) -> SimulatedLine {
        let hash = target_hex(NETWORK_DIFFICULTY * (1.0 + self.chance.unit()), || {
            self.chance.byte()
        });
        let timestamp = self.plan.began + now.as_secs();
        messages::new_prev_hash(
            self.template,
            &hash,
            timestamp,
            N_BITS,
            &target_hex(NETWORK_DIFFICULTY, || 0),
        )
    }

    fn token_allocated(&mut self) -> SimulatedLine {
        let request = self.requests;
        self.requests += 1;
        self.tokens += 1;
        messages::token_allocated(request, self.tokens)
    }

    /// The newest template becomes a job at the pool, if there is one with an open channel.
    fn declare(&mut self, out: &mut Vec<SimulatedLine>) {
        let (Some(pool), Some(upstream)) = (&self.pool, self.accounts.server.first()) else {
            return;
        };
        let (full, channel_id) = (
            pool.mode == SimulatedMode::FullTemplate,
            upstream.channel_id,
        );
        if full {
            out.push(messages::transactions(self.template));
        }
        let request = self.requests;
        self.requests += 1;
        out.push(messages::token_requested());
        out.push(self.token_allocated());
        if full {
            self.tokens += 1;
            out.extend(messages::job_declared(request, self.tokens, channel_id));
        }
        self.jobs += 1;
        out.push(messages::job_accepted(channel_id, request, self.jobs));
    }
}

/// Random numbers from a seed: SplitMix64 (Steele, Lea and Flood 2014), natural enough and
/// reproducible.
struct RandomSource(u64);

impl RandomSource {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not including, 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[0]
    }

    /// The random time until the next event; `mean` is the average interval.
    fn wait(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SimulationPlan {
        SimulationPlan {
            miners: 3,
            hashrate: 5e14,
            shares_per_minute: 6.0,
            share_batch_size: 10,
            reject_percent: 5.0,
            block_after: None,
            template_interval: Duration::from_secs(30),
            listening: "127.0.0.1:34265".parse().unwrap(),
            began: 1_795_382_999,
        }
    }

    fn pool(mode: SimulatedMode) -> Option<SimulatedPool> {
        Some(SimulatedPool {
            user_identity: "acct.worker".into(),
            mode,
        })
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn count(lines: &[SimulatedLine], parts: &[&str]) -> u32 {
        u32::try_from(
            lines
                .iter()
                .filter(|line| parts.iter().all(|part| line.message.contains(part)))
                .count(),
        )
        .unwrap()
    }

    #[test]
    fn log_and_accounts_tell_the_same_of_an_hour_with_a_pool() {
        let mut world = SimulatedNetwork::new(plan(), 7);
        let mut lines = world.open(Duration::ZERO, pool(SimulatedMode::FullTemplate));
        for second in 1..=HOUR.as_secs() {
            lines.extend(world.advance(Duration::from_secs(second)));
        }
        let accounts = world.accounts();
        assert_eq!(accounts.clients.len(), 3);
        let accepted: u32 = accounts
            .clients
            .iter()
            .map(|client| client.channels[0].shares_accepted)
            .sum();
        let submitted = count(&lines, &["Received SubmitSharesExtended"]);
        assert_eq!(
            accepted, submitted,
            "with a pool it is the pool that refuses"
        );
        assert_eq!(
            count(&lines, &["☑️"]) + count(&lines, &["on downstream channel: SubmitSharesSuccess"]),
            accepted
        );
        assert!(
            (900..1260).contains(&accepted),
            "three miners at six shares a minute sent {accepted} in an hour"
        );

        let server = &accounts.server[0];
        assert_eq!(server.shares_submitted, accepted);
        assert_eq!(
            server.shares_acknowledged,
            count(&lines, &["Received: SubmitSharesSuccess"])
        );
        assert_eq!(
            server.shares_rejected,
            count(&lines, &["Received: SubmitSharesError"])
        );
        assert_eq!(
            server.shares_acknowledged + server.shares_rejected,
            accepted
        );
        assert!(
            server.shares_rejected > 20,
            "one in twenty is refused: {}",
            server.shares_rejected
        );
        assert_eq!(
            server.shares_rejected_by_reason.values().sum::<u32>(),
            server.shares_rejected
        );
        for (reason, n) in &server.shares_rejected_by_reason {
            assert_eq!(count(&lines, &["Received: SubmitSharesError", reason]), *n);
        }

        let jobs = count(&lines, &["SetCustomMiningJobSuccess"]);
        assert_eq!(jobs, count(&lines, &["DeclareMiningJobSuccess"]));
        assert_eq!(jobs, count(&lines, &["Received: NewTemplate"]));
        assert!(
            count(&lines, &["Received: SetNewPrevHash"]) > 1,
            "the chain goes on"
        );
        assert_eq!(count(&lines, &["Vardiff update cycle complete"]), 60);
    }

    #[test]
    fn the_fleet_has_the_hashrate_asked_for_and_it_swings_slowly() {
        let mut world = SimulatedNetwork::new(plan(), 1);
        world.open(Duration::ZERO, pool(SimulatedMode::FullTemplate));
        world.advance(Duration::from_secs(2));
        let total = |world: &SimulatedNetwork| {
            f64::from(
                world
                    .accounts()
                    .clients
                    .iter()
                    .map(SimulatedMinerConnection::total_hashrate)
                    .sum::<f32>(),
            )
        };
        assert!((total(&world) / 5e14 - 1.0).abs() < 1e-6);
        let mut seen = Vec::new();
        for minute in 1..=30 {
            world.advance(Duration::from_secs(60 * minute));
            seen.push(total(&world));
        }
        assert!(
            seen.iter().all(|rate| (rate / 5e14 - 1.0).abs() < 0.06),
            "{seen:?}"
        );
        assert!(
            seen.windows(2).filter(|pair| pair[0] != pair[1]).count() > 20,
            "{seen:?}"
        );
        let told = f64::from(world.accounts().server[0].nominal_hashrate.unwrap());
        assert!(
            (told / seen[29] - 1.0).abs() < 0.03,
            "the pool is told of it: {told}"
        );
    }

    #[test]
    fn without_a_pool_the_client_itself_refuses_and_nothing_goes_upstream() {
        let mut world = SimulatedNetwork::new(plan(), 3);
        let mut lines = world.open(Duration::ZERO, None);
        lines.extend(world.advance(HOUR));
        assert!(world.accounts().server.is_empty());
        let channels = || {
            world
                .accounts()
                .clients
                .iter()
                .map(|client| &client.channels[0])
        };
        let refused: u32 = channels().map(|channel| channel.shares_rejected).sum();
        assert!(refused > 20);
        assert_eq!(
            refused,
            count(&lines, &["❌ SubmitSharesError on downstream channel"])
        );
        let accepted: u32 = channels().map(|channel| channel.shares_accepted).sum();
        assert_eq!(
            accepted + refused,
            count(&lines, &["Received SubmitSharesExtended"])
        );
        for absent in ["upstream", "MiningJob", "Received: SubmitShares"] {
            assert_eq!(count(&lines, &[absent]), 0, "{absent}");
        }
    }

    #[test]
    fn only_templates_of_ones_own_are_declared() {
        let mut world = SimulatedNetwork::new(plan(), 3);
        let mut lines = world.open(Duration::ZERO, pool(SimulatedMode::CoinbaseOnly));
        lines.extend(world.advance(Duration::from_secs(300)));
        assert_eq!(count(&lines, &["DeclareMiningJob"]), 0);
        assert!(count(&lines, &["SetCustomMiningJobSuccess"]) >= 10);
    }

    #[test]
    fn a_block_is_found_once_when_it_is_due() {
        let mut world = SimulatedNetwork::new(
            SimulationPlan {
                block_after: Some(Duration::from_secs(60)),
                ..plan()
            },
            3,
        );
        let mut lines = world.open(Duration::ZERO, pool(SimulatedMode::FullTemplate));
        lines.extend(world.advance(Duration::from_secs(60)));
        assert_eq!(count(&lines, &["Block Found"]), 0);
        lines.extend(world.advance(Duration::from_secs(600)));
        let found: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.message.split_once("!!! 💰"))
            .map(|(_, hash)| hash)
            .collect();
        assert_eq!(found.len(), 2, "on the miner's channel and on the pool's");
        assert_eq!(found[0], found[1]);
        assert!(found[0] <= target_hex(NETWORK_DIFFICULTY, || 0).as_str());
        assert_eq!(
            count(&lines, &["Propagating solution to the Template Provider."]),
            1
        );
        assert_eq!(
            world
                .accounts()
                .clients
                .iter()
                .map(|client| client.channels[0].blocks_found)
                .sum::<u32>(),
            1
        );
        assert_eq!(world.accounts().server[0].blocks_found, 1);
    }

    #[test]
    fn when_it_closes_all_accounts_are_gone_and_the_next_session_counts_from_nothing() {
        let mut world = SimulatedNetwork::new(plan(), 3);
        world.open(Duration::ZERO, pool(SimulatedMode::FullTemplate));
        world.advance(HOUR);
        assert_eq!(world.close(), 3);
        assert_eq!(world.next(), None);
        assert!(world.accounts().clients.is_empty() && world.accounts().server.is_empty());
        let mut lines = world.open(HOUR, None);
        lines.extend(world.advance(HOUR + Duration::from_secs(60)));
        assert_eq!(count(&lines, &["New downstream connection"]), 3);
        assert!(count(&lines, &["sequence_number: 1,"]) > 0);
        assert_eq!(count(&lines, &["upstream"]), 0);
    }

    #[test]
    fn the_same_seed_tells_the_same_story_however_often_one_looks() {
        let story = |seed: u64, step: u64| {
            let mut world = SimulatedNetwork::new(plan(), seed);
            let mut lines = world.open(Duration::ZERO, None);
            for second in (step..=600).step_by(usize::try_from(step).unwrap()) {
                lines.extend(world.advance(Duration::from_secs(second)));
            }
            lines
        };
        assert_eq!(story(5, 1), story(5, 600));
        assert_ne!(story(5, 600), story(6, 600));
    }

    /// Lines of the real client's log. The simulated lines must match them except for numbers.
    #[test]
    fn what_is_said_has_the_clients_own_form() {
        const REAL: [&str; 13] = [
            "New downstream connection",
            "Received: SetNewPrevHash { template_id: 1, prev_hash: U256(000000000000d0d281cde336585ab5ecb8e21933644d2f73758337f7f71be0cc), header_timestamp: 1795383156, n_bits: 0x1d00ffff, target: U256(00000000ffff0000000000000000000000000000000000000000000000000000) }",
            "Received: NewTemplate(template_id: 1, future_template: true, version: 0x20000000, coinbase_tx_version: 0x00000002, coinbase_prefix: B0255(03400d03), coinbase_tx_input_sequence: 0xfffffffe, coinbase_tx_value_remaining: 312500000, coinbase_tx_outputs_count: 1, coinbase_tx_outputs: B064K(0000000000000000266a24aa21a9ed0000000000000000000000000000000000000000000000000000000000000000), coinbase_tx_locktime: 0, merkle_path: Seq0255<len=0: [])",
            "Received: AllocateMiningJobTokenSuccess(request_id: 0, mining_job_token: B0255(0100000000000000), coinbase_outputs: B064K(010000000000000000160014000102030405060708090a0b0c0d0e0f10111213))",
            "Received: OpenExtendedMiningChannelSuccess(request_id: 1, channel_id: 7, target: U256(0200000000000000000000000000000000000000000000000000000000000000), extranonce_size: 16, extranonce_prefix: B032(00000001), group_channel_id: 1)",
            "Received: OpenExtendedMiningChannel(request_id: 1, user_identity: rig1.w1, nominal_hash_rate: 200, max_target: U256(ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff), min_extranonce_size: 4)",
            "Received: DeclareMiningJobSuccess(request_id: 2, new_mining_job_token: B0255(0400000000000000))",
            "Received: SetCustomMiningJobSuccess(channel_id=7, request_id=2, job_id=101) ✅",
            "SubmitSharesExtended on downstream channel: valid share | channel_id: 2, sequence_number: 1, share_hash: 000ffa9a631304ce61899656b6eb62dbf53e19b1302135ab99bf53186f292510 ☑️",
            "SubmitSharesExtended on downstream channel: SubmitSharesSuccess(channel_id=2, last_sequence_number=3, new_submits_accepted_count=3, new_shares_sum=0) ✅",
            "SubmitSharesExtended forwarding it to upstream: valid share | channel_id: 2, sequence_number: 3, share_hash: 0016649deffba1088ddee08e415738dad126c83d9dd0853f8d429ec60476ec37  ✅",
            "Received: SubmitSharesSuccess(channel_id=7, last_sequence_number=3, new_submits_accepted_count=1, new_shares_sum=1) ✅",
            "Received: SubmitSharesError(channel_id=7, sequence_number=5, error_code=stale-share) ❌",
        ];
        /// Replaces numbers of any length and 256-bit numbers with `#`, and true with false.
        fn masked(text: &str) -> String {
            let mut out = String::new();
            for word in text
                .replace("true", "false")
                .split_inclusive(|c: char| !c.is_ascii_alphanumeric())
            {
                let (word, end) = word.split_at(
                    word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
                        .len(),
                );
                let number =
                    word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit() || c == 'x');
                if number || !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
                    out.push('#');
                } else {
                    out.push_str(word);
                }
                out.push_str(end);
            }
            out
        }
        let mut world = SimulatedNetwork::new(plan(), 7);
        let mut lines = world.open(Duration::ZERO, pool(SimulatedMode::FullTemplate));
        lines.extend(world.advance(HOUR));
        let said: std::collections::BTreeSet<String> =
            lines.iter().map(|line| masked(&line.message)).collect();
        for real in REAL {
            assert!(
                said.contains(&masked(real)),
                "nothing like {}\nin {said:#?}",
                masked(real)
            );
        }
    }
}
