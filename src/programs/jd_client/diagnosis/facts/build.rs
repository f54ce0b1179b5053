//! How a message becomes a [`LogFact`] where that takes more than a line. Each takes the message
//! behind the text that its rule begins with. Must not know: targets.

use super::LogFact;
use super::details::{after, certificate, code, error, number, number_after, until, words};

/// The template provider cannot be used.
pub(super) fn provider_refused(rest: &[u8]) -> Option<LogFact> {
    Some(LogFact::ProviderRefused {
        words: error(after(rest, "error=").unwrap_or(rest)),
        certificate: certificate(rest),
    })
}

/// No further tries with it.
pub(super) fn provider_given_up(rest: &[u8]) -> Option<LogFact> {
    Some(LogFact::ProviderGivenUp {
        words: error(after(rest, "error=").unwrap_or(rest)),
    })
}

/// `1 of 2: pool=host:port, jds=host:port`.
pub(super) fn pool_tried(rest: &[u8]) -> Option<LogFact> {
    Some(LogFact::PoolTried {
        number: number(rest)?,
        of: number_after(rest, " of ")?,
        pool: words(until(after(rest, "pool=")?, b",")),
        jds: words(after(rest, ", jds=")?),
    })
}

/// `1/3 failed for pool=host:port, jds=host:port: error`, from behind the first word.
pub(super) fn pool_try_failed(rest: &[u8]) -> Option<LogFact> {
    // Behind the addresses, which are the configuration's and may hold any words.
    let said = after(rest, ", jds=")
        .and_then(|rest| after(rest, ": "))
        .unwrap_or(rest);
    Some(LogFact::PoolTryFailed {
        words: error(said),
        certificate: certificate(said),
    })
}

/// Why the connection with one of them ended.
pub(super) fn lost(who: &str, rest: &[u8]) -> Option<String> {
    let kind = after(rest, "error_kind=")?;
    Some(if kind.starts_with(b"ChannelErrorReceiver") {
        format!("the {who} closed the connection")
    } else {
        error(kind)
    })
}

/// A job that is refused because a new block came in between is nobody's fault; the client declares
/// the next one.
pub(super) fn job_refused(by: &str, rest: &[u8]) -> Option<LogFact> {
    let code = code(rest)?;
    (code != "stale-chain-tip").then(|| LogFact::JobRefused {
        words: Some(format!("the {by} refused a job: {code}")),
    })
}

/// A block, from behind `Block Found` or before it. Versions below 0.6.0 do not say the block's
/// hash.
pub(super) fn block(rest: &[u8]) -> Option<LogFact> {
    let rest = if rest.starts_with(b" (cached") {
        rest
    } else {
        after(rest, "Block Found")?
    };
    Some(LogFact::Block {
        hash: words(after(rest, "💰")?),
    })
}
