//! Functions that create a [`LogFact`] from a message, if this needs more than one line of code.
//! Each function gets the message after the text that its rule begins with. They must not know
//! targets.

use super::details::{
    after, certificate, code, error, leave_reason, number, number_after, until, words,
};
use super::{LogFact, PoolLeaveCode};

/// The template provider cannot be used.
pub(super) fn provider_refused(rest: &[u8]) -> Option<LogFact> {
    Some(LogFact::ProviderRefused {
        words: error(after(rest, "error=").unwrap_or(rest)),
        certificate: certificate(rest),
    })
}

/// The client has given up on the template provider.
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

/// `1/3 failed for pool=host:port, jds=host:port: error`, after the first word.
pub(super) fn pool_try_failed(rest: &[u8]) -> Option<LogFact> {
    // After the addresses, which come from the configuration and may contain any text.
    let said = after(rest, ", jds=")
        .and_then(|rest| after(rest, ": "))
        .unwrap_or(rest);
    let (code, words) = leave_reason(said);
    Some(LogFact::PoolTryFailed {
        words,
        certificate: certificate(said),
        code,
    })
}

/// Why the connection to a pool or its job declaration server was lost.
pub(super) fn pool_lost(who: &str, rest: &[u8]) -> Option<LogFact> {
    let Some(kind) = after(rest, "error_kind=") else {
        return Some(LogFact::PoolLost {
            words: None,
            code: PoolLeaveCode::ConnectionLost,
        });
    };
    let (code, words) = leave_reason(kind);
    let words = if kind.starts_with(b"ChannelErrorReceiver") && !who.is_empty() {
        format!("the {who} closed the connection")
    } else {
        words
    };
    Some(LogFact::PoolLost {
        words: Some(words),
        code,
    })
}

/// The pool is connected but cannot be used.
pub(super) fn pool_failed(rest: &[u8]) -> Option<LogFact> {
    let (code, words) = leave_reason(after(rest, "error=").unwrap_or(rest));
    Some(LogFact::PoolFailed { words, code })
}

/// A pool that does not open a channel, with its own error code.
pub(super) fn channel_refused(rest: &[u8]) -> Option<LogFact> {
    let said = code(rest)?;
    let code = match said.as_str() {
        "unknown-user" | "invalid-user-identity" => PoolLeaveCode::UnknownAccount,
        "min-extranonce-size-too-large" | "unsupported-min-extranonce-size" => {
            PoolLeaveCode::ExtranonceTooSmall
        }
        _ => PoolLeaveCode::ChannelRefused,
    };
    Some(LogFact::PoolRefused {
        words: format!("the pool opened no channel: {said}"),
        code,
    })
}

/// A peer that rejects the protocol or its features, with its own error code.
pub(super) fn setup_refused(who: &str, rest: &[u8]) -> Option<LogFact> {
    Some(LogFact::PoolRefused {
        words: format!("the {who} rejected the connection: {}", code(rest)?),
        code: PoolLeaveCode::SetupRefused,
    })
}

/// `8 but JDC requires at least 12 (…), preparing fallback.`
pub(super) fn extranonce_too_small(rest: &[u8]) -> Option<LogFact> {
    let (granted, needed) = (number(rest)?, number_after(rest, "requires at least ")?);
    Some(LogFact::PoolRefused {
        words: format!("the pool grants {granted} bytes of extranonce, the client needs {needed}"),
        code: PoolLeaveCode::ExtranonceTooSmall,
    })
}

/// A list of extension numbers: `[2, 3]`.
pub(super) fn extensions(rest: &[u8]) -> String {
    words(until(after(rest, "[").unwrap_or_default(), b"]"))
}

/// A rejected job. A rejection because of a new block is not an error.
pub(super) fn job_refused(by: &str, rest: &[u8]) -> Option<LogFact> {
    let code = code(rest)?;
    Some(match code.as_str() {
        "stale-chain-tip" => LogFact::JobOutdated,
        _ => LogFact::JobRefused {
            words: Some(format!("the {by} rejected a job: {code}")),
        },
    })
}

/// A block, from the text after or before `Block Found`. Versions before 0.6.0 do not log the
/// block's hash.
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
