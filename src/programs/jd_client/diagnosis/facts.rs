//! The status information in a single line of the client's log: a [`LogFact`], found with one table
//! of rules.
//!
//! All lines pass through here, and nearly all have no status information. To be fast, only rules
//! that begin with the first byte of the message are tried, and nothing is allocated before a rule
//! matches. This module must not know earlier lines.

mod build;
pub(in crate::programs) mod details;
mod table;

use super::pool_leave::PoolLeaveCode;
use table::FACTS;

pub(super) use details::{place_of_panic, words};

/// The number of bytes of a message that are examined. All values are within the first few hundred
/// bytes; a line may have a megabyte.
const LOOKED_AT: usize = 4096;

/// The crates whose lines count. Other libraries in the client may use the same words.
const CRATES: &[&[u8]] = &[b"jd_client", b"stratum_apps", b"bitcoin_core_sv2"];

/// The validity of a certificate, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::programs) struct CertificateValidity {
    /// The start.
    pub from: i64,
    /// The end.
    pub until: i64,
}

/// The information in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::IntoStaticStr, strum::VariantNames))]
#[cfg_attr(test, strum(serialize_all = "kebab-case"))]
pub(in crate::programs) enum LogFact {
    /// The client starts.
    ClientStarts,
    /// The client connects to a template provider that speaks Stratum V2; with the number of the
    /// attempt.
    ProviderTried { attempt: u64 },
    /// The client uses Bitcoin Core's socket. It connects in the background.
    NodeTried,
    /// The handshake with the template provider succeeded.
    ProviderShookHands,
    /// The template provider is connected.
    ProviderConnected,
    /// The template provider cannot be used.
    ProviderRefused {
        words: String,
        certificate: Option<CertificateValidity>,
    },
    /// The client has given up on the template provider.
    ProviderGivenUp { words: String },
    /// The connection to the template provider was lost.
    ProviderLost,
    /// A template arrived.
    Template,
    /// A new block is on the chain: its hash, and its successor's time by the node's clock, in
    /// seconds since 1970.
    PrevHash {
        header_time: Option<i64>,
        block: Option<String>,
    },
    /// There is no template yet.
    Waiting,
    /// The wait for a template has ended, with or without one.
    WaitingEnded,
    /// The client tries its list of pools.
    PoolsTried,
    /// The client tries the next pool.
    PoolTried {
        number: u64,
        of: u64,
        pool: String,
        jds: String,
    },
    /// The pool was already tried in this run and is skipped.
    PoolSkipped,
    /// The client connects to the pool again.
    PoolTriedAgain,
    /// The handshake with the pool succeeded. The job declaration server is next.
    PoolShookHands,
    /// The client could not connect to the pool or job declaration server.
    PoolTryFailed {
        words: String,
        certificate: Option<CertificateValidity>,
        code: PoolLeaveCode,
    },
    /// The client gives up on this pool and tries the next.
    PoolGivenUp,
    /// The reason why the client cannot use the pool; it closes the connection.
    PoolRefused { words: String, code: PoolLeaveCode },
    /// The pool is connected but cannot be used.
    PoolFailed { words: String, code: PoolLeaveCode },
    /// The pool and the job declaration server have accepted the client: the pool receives work.
    PoolWorks,
    /// The connection to the pool or job declaration server was lost.
    PoolLost {
        words: Option<String>,
        code: PoolLeaveCode,
    },
    /// Work goes only to the client's own node.
    Solo,
    /// The job declaration server accepted the job.
    JobDeclared,
    /// The pool accepted the job.
    JobAccepted,
    /// The job was rejected because of a new block; the client declares the next job.
    JobOutdated,
    /// The job was rejected; with the reason if the line has it.
    JobRefused { words: Option<String> },
    /// The pool accepted shares.
    SharesAccepted { count: u64 },
    /// The pool rejected a share.
    ShareRejected { reason: String },
    /// The client accepted a miner's share.
    MinerShareAccepted,
    /// The client sent a miner's share to the pool.
    ShareSent,
    /// The client rejected a miner's share.
    MinerShareRejected,
    /// A share solved a block; its hash, if the line has it.
    Block { hash: String },
    /// A miner opened a channel.
    MinerServed,
    /// The client could not answer a miner because the keys in the configuration do not match.
    MinerRefused { words: String },
    /// The connection to a miner failed because of a certificate.
    MinerCertificate { certificate: CertificateValidity },
    /// A task of the client panicked at this place. The message follows on a separate line.
    Panicked { place: String },
    /// The client has stopped working.
    Ended,
}

/// A text of the client, and its meaning.
pub(in crate::programs) struct FactRule<F = LogFact> {
    /// The last modules of the target; empty for any.
    pub target: &'static str,
    /// The beginning of the message.
    pub begins: &'static str,
    /// Further texts that the message must contain.
    pub has: &'static [&'static str],
    /// Creates the fact from the message after `begins`. None if the line turns out not to match.
    pub means: fn(&[u8]) -> Option<F>,
    /// An example line for the test of this rule.
    #[cfg_attr(not(test), expect(dead_code))]
    pub example: &'static str,
}

/// The rules that begin with a byte: from (inclusive) and to (exclusive).
const BY_FIRST_BYTE: [(u8, u8); 256] = by_first_byte();

const fn by_first_byte() -> [(u8, u8); 256] {
    let mut table = [(0, 0); 256];
    let mut rule = 0;
    while rule < FACTS.len() {
        let bucket = &mut table[FACTS[rule].begins.as_bytes()[0] as usize];
        if bucket.1 == 0 {
            bucket.0 = rule as u8;
        } else {
            assert!(
                bucket.1 as usize == rule,
                "rules that begin with the same byte must be adjacent"
            );
        }
        rule += 1;
        assert!(rule < 256, "a rule's number must fit into a byte");
        bucket.1 = rule as u8;
    }
    table
}

/// The fact in a message of a client module; none in most messages.
pub(super) fn recognise(target: &[u8], message: &[u8]) -> Option<LogFact> {
    let (from, to) = BY_FIRST_BYTE[usize::from(*message.first()?)];
    if from == to || !CRATES.iter().any(|name| target.starts_with(name)) {
        return None;
    }
    let message = &message[..message.len().min(LOOKED_AT)];
    FACTS[usize::from(from)..usize::from(to)]
        .iter()
        .find_map(|rule| rule.apply(target, message))
}

impl<F> FactRule<F> {
    /// The fact of a line, if this rule is for it.
    pub(in crate::programs) fn apply(&self, target: &[u8], message: &[u8]) -> Option<F> {
        let rest = message.strip_prefix(self.begins.as_bytes())?;
        let is_for = ends_with_modules(target, self.target.as_bytes())
            && self
                .has
                .iter()
                .all(|mark| details::position(rest, mark.as_bytes()).is_some());
        if is_for { (self.means)(rest) } else { None }
    }
}

/// Whether a target's last modules are these.
fn ends_with_modules(target: &[u8], modules: &[u8]) -> bool {
    modules.is_empty()
        || target
            .strip_suffix(modules)
            .is_some_and(|before| before.is_empty() || before.ends_with(b"::"))
}

#[cfg(test)]
mod tests;
