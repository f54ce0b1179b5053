//! The client's log lines about single messages from miners, template provider, pool and job
//! declaration server, in the wording of `jd_client_sv2` 0.6.0.
//!
//! This module has no state: [`super::environment`] passes all values.

use super::channels::{SimulatedMinerChannel, SimulatedUpstreamChannel};
use super::log_lines::SimulatedLine;
use crate::keeper::level::LogLevel;
use std::fmt::Display;
use std::net::SocketAddr;

const MANAGER: &str = "jd_client_sv2::channel_manager";
const COMMON: &str = "jd_client_sv2::downstream::common_message_handler";
const DOWNSTREAM: &str = "jd_client_sv2::channel_manager::downstream_message_handler";
const UPSTREAM: &str = "jd_client_sv2::channel_manager::upstream_message_handler";
const DECLARATION: &str = "jd_client_sv2::channel_manager::jd_message_handler";
const TEMPLATES: &str = "jd_client_sv2::channel_manager::template_message_handler";

fn info(target: &'static str, message: impl Into<String>) -> SimulatedLine {
    SimulatedLine::new(LogLevel::Info, target, message)
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A connection to the miner port.
pub(super) fn connection(from: impl Display) -> SimulatedLine {
    info(MANAGER, "New downstream connection").with("socket_address", from)
}

/// Its handshake fails; `error` is the name of the client's error.
pub(super) fn handshake_failed(error: &str) -> SimulatedLine {
    SimulatedLine::new(LogLevel::Error, MANAGER, "Noise handshake failed").with("error", error)
}

/// A miner introduces itself; `device` is its number among the simulated ones.
pub(super) fn setup(listening: SocketAddr, device: usize) -> SimulatedLine {
    info(
        COMMON,
        format!(
            "Received: SetupConnection(protocol: 0, min_version: 2, max_version: 2, flags: 0x00000000, endpoint_host: {}, \
             endpoint_port: {}, vendor: Simulated, hardware_version: S1, firmware: 1.0, device_id: sim{device})",
            listening.ip(),
            listening.port(),
        ),
    )
}

/// A miner opens its channel.
pub(super) fn open_channel(channel: &SimulatedMinerChannel, client_id: usize) -> SimulatedLine {
    info(
        DOWNSTREAM,
        format!(
            "Received: OpenExtendedMiningChannel(request_id: 1, user_identity: {}, nominal_hash_rate: {}, max_target: U256({}), \
             min_extranonce_size: 4)",
            channel.user_identity, channel.nominal_hashrate, channel.requested_max_target_hex
        ),
    )
    .with("downstream_id", client_id)
}

/// The pool has opened the client's channel.
pub(super) fn upstream_channel(channel: &SimulatedUpstreamChannel) -> [SimulatedLine; 2] {
    let opened = format!(
        "Received: OpenExtendedMiningChannelSuccess(request_id: 1, channel_id: {}, target: U256({}), extranonce_size: {}, \
         extranonce_prefix: B032({}), group_channel_id: 1)",
        channel.channel_id,
        channel.target_hex,
        channel.rollable_extranonce_size,
        channel.extranonce_prefix_hex
    );
    [
        info(UPSTREAM, opened),
        info(UPSTREAM, "Extended mining channel successfully initialized"),
    ]
}

/// A share arrives.
pub(super) fn share() -> SimulatedLine {
    info(DOWNSTREAM, "Received SubmitSharesExtended")
}

/// The client itself rejects it.
pub(super) fn share_refused(channel_id: u32, sequence: u32, reason: &str) -> SimulatedLine {
    let text = format!(
        "❌ SubmitSharesError on downstream channel: ch={channel_id}, seq={sequence}, error={reason}"
    );
    SimulatedLine::new(LogLevel::Error, DOWNSTREAM, text)
}

/// It is valid.
pub(super) fn share_valid(channel_id: u32, sequence: u32, hash: &str) -> SimulatedLine {
    info(
        DOWNSTREAM,
        format!(
            "SubmitSharesExtended on downstream channel: valid share | channel_id: {channel_id}, sequence_number: {sequence}, \
             share_hash: {hash} ☑️"
        ),
    )
}

/// It is valid and completes a batch, which the client acknowledges to the miner.
pub(super) fn batch_acknowledged(channel: &SimulatedMinerChannel, sequence: u32) -> SimulatedLine {
    info(
        DOWNSTREAM,
        format!(
            "SubmitSharesExtended on downstream channel: SubmitSharesSuccess(channel_id={}, last_sequence_number={sequence}, \
             new_submits_accepted_count={}, new_shares_sum={}) ✅",
            channel.channel_id, channel.last_batch_accepted, channel.last_batch_work_sum as u64
        ),
    )
}

/// It finds a block.
pub(super) fn block(hash: &str) -> [SimulatedLine; 2] {
    [
        info(
            DOWNSTREAM,
            format!("SubmitSharesExtended on downstream channel: 💰 Block Found!!! 💰{hash}"),
        ),
        info(
            DOWNSTREAM,
            "SubmitSharesExtended: Propagating solution to the Template Provider.",
        ),
    ]
}

/// The client sends a valid share to the pool; `sequence` counts on the client's channel with the
/// pool.
pub(super) fn share_forwarded(channel_id: u32, sequence: u32, hash: &str) -> SimulatedLine {
    info(
        DOWNSTREAM,
        format!(
            "SubmitSharesExtended forwarding it to upstream: valid share | channel_id: {channel_id}, sequence_number: \
             {sequence}, share_hash: {hash}  ✅"
        ),
    )
}

/// The client sends a share that finds a block to the pool.
pub(super) fn block_forwarded(hash: &str) -> SimulatedLine {
    info(
        DOWNSTREAM,
        format!("SubmitSharesExtended forwarding it to upstream: 💰 Block Found!!! 💰{hash}"),
    )
}

/// The pool has accepted a share of the given difficulty.
pub(super) fn pool_accepts(channel_id: u32, sequence: u32, work: u64) -> SimulatedLine {
    info(
        UPSTREAM,
        format!(
            "Received: SubmitSharesSuccess(channel_id={channel_id}, last_sequence_number={sequence}, \
             new_submits_accepted_count=1, new_shares_sum={work}) ✅"
        ),
    )
}

/// The pool has rejected a share.
pub(super) fn pool_refuses(channel_id: u32, sequence: u32, reason: &str) -> SimulatedLine {
    let text = format!(
        "Received: SubmitSharesError(channel_id={channel_id}, sequence_number={sequence}, error_code={reason}) ❌"
    );
    SimulatedLine::new(LogLevel::Warn, UPSTREAM, text)
}

/// The client reports the miners' new hashrate to the pool.
pub(super) fn update_channel() -> SimulatedLine {
    info(MANAGER, "Sending update channel message upstream")
}

/// A template. `future`: for the block after the next block; `value`: what the coinbase may pay
/// out, sat.
pub(super) fn new_template(
    template: u64,
    future: bool,
    height: u32,
    value: usize,
    commitment: [u8; 32],
) -> SimulatedLine {
    info(
        TEMPLATES,
        format!(
            "Received: NewTemplate(template_id: {template}, future_template: {future}, version: 0x20000000, coinbase_tx_version: \
             0x00000002, coinbase_prefix: B0255(03{}), coinbase_tx_input_sequence: 0xfffffffe, coinbase_tx_value_remaining: \
             {value}, coinbase_tx_outputs_count: 1, coinbase_tx_outputs: B064K(0000000000000000266a24aa21a9ed{}), \
             coinbase_tx_locktime: 0, merkle_path: Seq0255<len=0: [])",
            // The height as a script number: its length, then three bytes for the heights of this
            // century.
            hex(&height.to_le_bytes()[..3]),
            hex(&commitment)
        ),
    )
}

/// The chain has a new tip, on which the template builds. `timestamp`: seconds since 1970.
pub(super) fn new_prev_hash(
    template: u64,
    hash: &str,
    timestamp: u64,
    n_bits: u32,
    target: &str,
) -> SimulatedLine {
    info(
        TEMPLATES,
        format!(
            "Received: SetNewPrevHash {{ template_id: {template}, prev_hash: U256({hash}), header_timestamp: {timestamp}, \
             n_bits: {n_bits:#x}, target: U256({target}) }}"
        ),
    )
}

/// The template's transactions, which the client needs to declare a job.
pub(super) fn transactions(template: u64) -> SimulatedLine {
    let text = format!(
        "RequestTransactionDataSuccess(template_id: {template}, excess_data: B064K(), transaction_list: Seq064K<len=0: [])"
    );
    info(TEMPLATES, format!("Received: {text}"))
}

/// The client asks for one token.
pub(super) fn token_requested() -> SimulatedLine {
    info(
        MANAGER,
        "Requested allocation of 1 mining job tokens to JDS",
    )
}

/// And gets it.
pub(super) fn token_allocated(request: u32, token: u64) -> SimulatedLine {
    info(
        DECLARATION,
        format!(
            "Received: AllocateMiningJobTokenSuccess(request_id: {request}, mining_job_token: B0255({}), coinbase_outputs: \
             B064K(010000000000000000160014000102030405060708090a0b0c0d0e0f10111213))",
            hex(&token.to_le_bytes())
        ),
    )
}

/// The pool's share of the coinbase is known with the first token.
pub(super) fn coinbase_outputs() -> [SimulatedLine; 2] {
    [
        info(
            DECLARATION,
            "Coinbase outputs from JDS changed, recalculating constraints",
        ),
        info(
            DECLARATION,
            "Sent updated CoinbaseOutputConstraints to TP channel",
        ),
    ]
}

/// The job declaration server has accepted a job, which the client sends to the pool.
pub(super) fn job_declared(request: u32, token: u64, channel_id: u32) -> [SimulatedLine; 2] {
    let token = hex(&token.to_le_bytes());
    [
        info(
            DECLARATION,
            format!(
                "Received: DeclareMiningJobSuccess(request_id: {request}, new_mining_job_token: B0255({token}))"
            ),
        ),
        info(
            DECLARATION,
            format!(
                "Successfully sent SetCustomMiningJob to the upstream with channel_id: {channel_id}"
            ),
        ),
    ]
}

/// The pool has accepted it.
pub(super) fn job_accepted(channel_id: u32, request: u32, job: u32) -> SimulatedLine {
    let text = format!(
        "SetCustomMiningJobSuccess(channel_id={channel_id}, request_id={request}, job_id={job}) ✅"
    );
    info(UPSTREAM, format!("Received: {text}"))
}
