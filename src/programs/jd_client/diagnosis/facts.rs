//! What a single line of the client's log says about how things stand: a [`LogFact`], found by one
//! table of rules.
//!
//! Nearly every line says nothing of the kind, and all of them come through here: a rule is looked
//! for only among those whose text begins with the message's first byte, and nothing is allocated
//! before one is found. Must not know: what was said before.

mod build;
pub(in crate::programs) mod details;
mod table;

use super::pool_leave::PoolLeaveCode;
use table::FACTS;

pub(super) use details::{place_of_panic, words};

/// Only so much of a message is looked at. What is taken out stands within its first hundreds of
/// bytes; a line may be a megabyte.
const LOOKED_AT: usize = 4096;

/// Whose lines count. The libraries under the client may use the same words.
const CRATES: &[&[u8]] = &[b"jd_client", b"stratum_apps", b"bitcoin_core_sv2"];

/// When a certificate holds, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::programs) struct CertificateValidity {
    /// From when on.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::IntoStaticStr, strum::VariantNames))]
#[cfg_attr(test, strum(serialize_all = "kebab-case"))]
pub(in crate::programs) enum LogFact {
    /// The client begins its work.
    ClientStarts,
    /// It connects with a template provider that speaks Stratum V2, for the so-manieth time.
    ProviderTried { attempt: u64 },
    /// It uses Bitcoin Core's socket; the connection is made while the rest goes on.
    NodeTried,
    /// The template provider has shown who it is.
    ProviderShookHands,
    /// The template provider is connected.
    ProviderConnected,
    /// The template provider cannot be used.
    ProviderRefused {
        words: String,
        certificate: Option<CertificateValidity>,
    },
    /// No further tries with the template provider.
    ProviderGivenUp { words: String },
    /// The connection with the template provider ended.
    ProviderLost,
    /// A template came.
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
    /// The list of pools is gone through.
    PoolsTried,
    /// The next of them is tried.
    PoolTried {
        number: u64,
        of: u64,
        pool: String,
        jds: String,
    },
    /// It was tried before in this run and is passed over.
    PoolSkipped,
    /// It is connected with once more.
    PoolTriedAgain,
    /// It has shown who it is; its job declaration server comes next.
    PoolShookHands,
    /// Pool or job declaration server could not be connected with.
    PoolTryFailed {
        words: String,
        certificate: Option<CertificateValidity>,
        code: PoolLeaveCode,
    },
    /// The next pool's turn.
    PoolGivenUp,
    /// Why the client cannot work with the pool; that ends the connection.
    PoolRefused { words: String, code: PoolLeaveCode },
    /// The pool is connected but cannot be worked with.
    PoolFailed { words: String, code: PoolLeaveCode },
    /// The job declaration server has agreed, as had the pool: work goes to the pool.
    PoolWorks,
    /// The connection with pool or job declaration server ended.
    PoolLost {
        words: Option<String>,
        code: PoolLeaveCode,
    },
    /// Work goes nowhere but to the own node.
    Solo,
    /// The job declaration server knows the job.
    JobDeclared,
    /// The pool works on the job.
    JobAccepted,
    /// The job was refused because a new block came in between; the client declares the next one.
    JobOutdated,
    /// The job was refused; none if the line does not say with which words.
    JobRefused { words: Option<String> },
    /// The pool took shares.
    SharesAccepted { count: u64 },
    /// The pool refused a share.
    ShareRejected { reason: String },
    /// The client took a miner's share.
    MinerShareAccepted,
    /// The client sent a miner's share to the pool.
    ShareSent,
    /// The client refused a miner's share.
    MinerShareRejected,
    /// A share solved a block; its hash, if the line has it.
    Block { hash: String },
    /// A miner opened a channel.
    MinerServed,
    /// A miner could not be answered to, for the keys in the configuration do not belong together.
    MinerRefused { words: String },
    /// A miner's end of the connection was refused for its certificate.
    MinerCertificate { certificate: CertificateValidity },
    /// A task of the client panicked. Its place; what it said follows in a line of its own.
    Panicked { place: String },
    /// The client has ended its work.
    Ended,
}

/// One thing the client says, and what it means.
pub(in crate::programs) struct FactRule<F = LogFact> {
    /// The last modules of the target; empty for any.
    pub target: &'static str,
    /// What the message begins with.
    pub begins: &'static str,
    /// Further texts that are all in the message.
    pub has: &'static [&'static str],
    /// Makes the fact of the message behind `begins`. None if the line says something else after
    /// all.
    pub means: fn(&[u8]) -> Option<F>,
    /// A line that this rule is for; its test.
    #[cfg_attr(not(test), expect(dead_code))]
    pub example: &'static str,
}

/// Which rules begin with a byte: from, and up to but not with.
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
                "rules that begin with the same byte stand together"
            );
        }
        rule += 1;
        assert!(rule < 256, "a rule's number is a byte");
        bucket.1 = rule as u8;
    }
    table
}

/// The fact in a message said by a module of the client; none in most of them.
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
