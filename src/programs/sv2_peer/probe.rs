//! Connects to a server like the client: TCP connection, Noise handshake with a check of the
//! certificate, and connection setup. Then it disconnects. Time and bytes are limited, regardless
//! of the server.
//!
//! Cryptography and messages are from the reference implementation (`noise_sv2`,
//! `common_messages_sv2`); this file transfers the bytes.

use common_messages_sv2::{
    MESSAGE_TYPE_SETUP_CONNECTION, MESSAGE_TYPE_SETUP_CONNECTION_ERROR,
    MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS, Protocol, SetupConnection, SetupConnectionError,
    SetupConnectionSuccess,
};
use key_utils::Secp256k1PublicKey;
use noise_sv2::{
    AEAD_MAC_LEN, Error as NoiseError, INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator,
    NoiseEngine,
};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::outcome::{ProbeOutcome, ProbeStep};
use super::peer::{PeerRole, PeerTarget};
use crate::base::clock::Timestamp;

/// The time limit for each step: name resolution, connection, handshake and setup.
const STEP: Duration = Duration::from_secs(3);
/// The time limit for all steps. The slowest known server, the mock pool of the tests, needs 0.6 s.
pub const WHOLE: Duration = Duration::from_secs(5);
/// The maximum number of addresses to try. A client that reaches none of them will not work either.
const ADDRESSES: usize = 4;
/// A frame begins with extension (2 bytes), message type (1) and length of the payload (3).
const HEADER: usize = 6;
/// The largest answer to a setup is a rejection with 255 characters.
const LONGEST_ANSWER: usize = 512;
/// The maximum length of a server's reason.
const LONGEST_CODE: usize = 64;

/// Limits of a probe.
#[derive(Clone, Copy, Debug)]
struct ProbeLimits {
    step: Duration,
    whole: Duration,
}

/// Why a step failed.
#[derive(Debug)]
enum StepFailure {
    TimedOut,
    Io(io::Error),
}

/// The remaining time.
#[derive(Clone, Copy, Debug)]
struct TimeBudget {
    step: Duration,
    end: Instant,
}

impl TimeBudget {
    /// The deadline of a step that starts now.
    fn step_end(self) -> Instant {
        self.end.min(Instant::now() + self.step)
    }

    async fn run<T>(self, step: impl Future<Output = io::Result<T>>) -> Result<T, StepFailure> {
        run_until(self.step_end(), step).await
    }
}

async fn run_until<T>(
    end: Instant,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, StepFailure> {
    match timeout_at(end, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StepFailure::Io(error)),
        Err(_) => Err(StepFailure::TimedOut),
    }
}

impl StepFailure {
    /// The outcome after the TCP connection is established: a reset also counts as closed by the
    /// server.
    fn at(&self, step: ProbeStep) -> ProbeOutcome {
        match self {
            Self::TimedOut => ProbeOutcome::NoAnswer { step },
            Self::Io(_) => ProbeOutcome::Closed { step },
        }
    }
}

/// Whether a server would accept the client now. Takes at most [`WHOLE`].
pub async fn probe(target: &PeerTarget) -> ProbeOutcome {
    let limits = ProbeLimits {
        step: STEP,
        whole: WHOLE,
    };
    probe_within(target, limits, Timestamp::now()).await
}

/// `now`: the time that the certificate must be valid at.
async fn probe_within(target: &PeerTarget, limits: ProbeLimits, now: Timestamp) -> ProbeOutcome {
    match try_peer(target, limits, now).await {
        Ok(()) => ProbeOutcome::Answers,
        Err(outcome) => outcome,
    }
}

async fn try_peer(
    target: &PeerTarget,
    limits: ProbeLimits,
    now: Timestamp,
) -> Result<(), ProbeOutcome> {
    let key = match target.authority_key() {
        Some(text) => {
            let key: Secp256k1PublicKey = text.parse().map_err(|_| ProbeOutcome::InvalidKey)?;
            Some(key.into_bytes())
        }
        None => None,
    };
    let budget = TimeBudget {
        step: limits.step,
        end: Instant::now() + limits.whole,
    };
    let (mut stream, address) = connect(target, budget).await?;
    let mut engine = shake_hands(&mut stream, key, budget, now).await?;
    set_up(&mut stream, &mut engine, (target, address), budget).await
}

async fn connect(
    target: &PeerTarget,
    budget: TimeBudget,
) -> Result<(TcpStream, SocketAddr), ProbeOutcome> {
    let found = budget.run(lookup_host(target.host_and_port())).await;
    let addresses: Vec<SocketAddr> = found
        .map_err(|_| ProbeOutcome::UnknownHost)?
        .take(ADDRESSES)
        .collect();
    let mut last = ProbeOutcome::UnknownHost;
    for address in addresses {
        last = match budget.run(TcpStream::connect(address)).await {
            Ok(stream) => return Ok((stream, address)),
            Err(StepFailure::TimedOut) => ProbeOutcome::Unreachable {
                reason: format!("no response within {} s", budget.step.as_secs()),
            },
            Err(StepFailure::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ProbeOutcome::ConnectionRefused
            }
            Err(StepFailure::Io(error)) => ProbeOutcome::Unreachable {
                reason: error.kind().to_string(),
            },
        };
    }
    Err(last)
}

/// The handshake, as initiator. `key`: the authority key that must have signed the certificate.
async fn shake_hands(
    stream: &mut TcpStream,
    key: Option<[u8; 32]>,
    budget: TimeBudget,
    now: Timestamp,
) -> Result<NoiseEngine, ProbeOutcome> {
    const FAULT: ProbeOutcome = ProbeOutcome::NotSv2 { is_v1: false };
    let mut initiator = match key {
        Some(key) => Initiator::from_raw_k(key).map_err(|_| ProbeOutcome::InvalidKey)?,
        None => Initiator::without_pk().map_err(|_| FAULT)?,
    };
    let hello = initiator.step_0().map_err(|_| FAULT)?;
    let end = budget.step_end();
    run_until(end, stream.write_all(&hello))
        .await
        .map_err(|failure| failure.at(ProbeStep::Handshake))?;
    let mut answer = [0; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE];
    let mut filled = 0;
    while filled < answer.len() {
        let failure = match run_until(end, stream.read(&mut answer[filled..])).await {
            Ok(0) => StepFailure::Io(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                filled += count;
                continue;
            }
            Err(failure) => failure,
        };
        return Err(match filled {
            0 => failure.at(ProbeStep::Handshake),
            _ => ProbeOutcome::NotSv2 {
                is_v1: is_v1(&answer[..filled]),
            },
        });
    }
    let seconds = u32::try_from(now.0.div_euclid(1000)).unwrap_or(u32::MAX);
    match initiator.step_2_with_now(answer, seconds) {
        Ok(engine) => Ok(engine),
        Err(NoiseError::InvalidCertificate(certificate)) => {
            let outcome = ProbeOutcome::CertificateTime {
                at: now,
                valid_from: certificate.valid_from,
                not_valid_after: certificate.not_valid_after,
            };
            Err(match outcome.is_clock() {
                true => outcome,
                false => ProbeOutcome::WrongKey,
            })
        }
        Err(_) => Err(ProbeOutcome::NotSv2 {
            is_v1: is_v1(&answer),
        }),
    }
}

/// A Stratum V1 server sends lines of JSON objects.
fn is_v1(answer: &[u8]) -> bool {
    answer
        .trim_ascii_start()
        .strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
}

/// Requests a connection and reads the answer.
async fn set_up(
    stream: &mut TcpStream,
    engine: &mut NoiseEngine,
    (target, address): (&PeerTarget, SocketAddr),
    budget: TimeBudget,
) -> Result<(), ProbeOutcome> {
    const FAULT: ProbeOutcome = ProbeOutcome::NotSv2 { is_v1: false };
    let request = setup_frame(engine, target, address).ok_or(FAULT)?;
    let end = budget.step_end();
    let failed = |failure: StepFailure| failure.at(ProbeStep::Setup);
    run_until(end, stream.write_all(&request))
        .await
        .map_err(failed)?;
    let header = read_part(stream, engine, HEADER, end).await?;
    let [_, _, kind, low, middle, high] = header[..] else {
        return Err(FAULT);
    };
    let length = u32::from_le_bytes([low, middle, high, 0]);
    let length = usize::try_from(length)
        .ok()
        .filter(|length| (1..=LONGEST_ANSWER).contains(length))
        .ok_or(FAULT)?;
    let mut payload = read_part(stream, engine, length, end).await?;
    judge_answer(kind, &mut payload, target.versions())
}

/// Reads `length` decrypted bytes.
async fn read_part(
    stream: &mut TcpStream,
    engine: &mut NoiseEngine,
    length: usize,
    end: Instant,
) -> Result<Vec<u8>, ProbeOutcome> {
    let mut part = vec![0; length + AEAD_MAC_LEN];
    run_until(end, stream.read_exact(&mut part))
        .await
        .map_err(|failure| failure.at(ProbeStep::Setup))?;
    engine
        .decrypt(&mut part)
        .map_err(|_| ProbeOutcome::NotSv2 { is_v1: false })?;
    Ok(part)
}

/// The frame with `SetupConnection`, encrypted; none if a text in it is too long, which no address
/// is.
fn setup_frame(
    engine: &mut NoiseEngine,
    target: &PeerTarget,
    address: SocketAddr,
) -> Option<Vec<u8>> {
    let protocol = match target.role() {
        PeerRole::Pool => Protocol::MiningProtocol,
        PeerRole::JobDeclarationServer => Protocol::JobDeclarationProtocol,
        PeerRole::TemplateProvider => Protocol::TemplateDistributionProtocol,
    };
    let (min_version, max_version) = target.versions();
    let host = address.ip().to_string();
    let message = SetupConnection {
        protocol,
        min_version,
        max_version,
        flags: target.flags(),
        endpoint_host: host.as_str().try_into().ok()?,
        endpoint_port: address.port(),
        // Shows the server's operator in the log who connected.
        vendor: "jd-manager".try_into().ok()?,
        hardware_version: "".try_into().ok()?,
        firmware: env!("CARGO_PKG_VERSION").try_into().ok()?,
        device_id: "".try_into().ok()?,
    };
    let mut payload = binary_sv2::to_bytes(message).ok()?;
    let [low, middle, high, 0] = u32::try_from(payload.len()).ok()?.to_le_bytes() else {
        return None;
    };
    let mut frame = vec![0, 0, MESSAGE_TYPE_SETUP_CONNECTION, low, middle, high];
    engine.encrypt(&mut frame).ok()?;
    engine.encrypt(&mut payload).ok()?;
    frame.append(&mut payload);
    Some(frame)
}

fn judge_answer(kind: u8, payload: &mut [u8], versions: (u16, u16)) -> Result<(), ProbeOutcome> {
    const FAULT: ProbeOutcome = ProbeOutcome::NotSv2 { is_v1: false };
    match kind {
        MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
            let answer: SetupConnectionSuccess =
                binary_sv2::from_bytes(payload).map_err(|_| FAULT)?;
            match (versions.0..=versions.1).contains(&answer.used_version) {
                true => Ok(()),
                false => Err(ProbeOutcome::UnsupportedVersion),
            }
        }
        MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
            let answer: SetupConnectionError<'_> =
                binary_sv2::from_bytes(payload).map_err(|_| FAULT)?;
            let code: String = answer
                .error_code
                .as_utf8_or_hex()
                .chars()
                .filter(char::is_ascii_graphic)
                .take(LONGEST_CODE)
                .collect();
            Err(match code.as_str() {
                "protocol-version-mismatch" => ProbeOutcome::UnsupportedVersion,
                "" => ProbeOutcome::SetupRefused {
                    code: "no reason given".into(),
                },
                _ => ProbeOutcome::SetupRefused { code },
            })
        }
        _ => Err(FAULT),
    }
}

#[cfg(test)]
mod tests;
