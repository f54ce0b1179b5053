//! The check of block templates: the template provider, and the age of the newest template.

use super::super::snapshot::Snapshot;
use super::{BLIND, CheckOutcome, LONG_WAIT, SILENT, bad, unknown, warning, well};
use crate::base::clock::human_duration;
use crate::programs::bitcoin_core::{NodeCheckResult, NodeStatus};
use crate::programs::jd_client::diagnosis::ProviderState;
use std::time::Duration;

/// Templates arrive with every block (one in ten minutes) and, from most providers, with better
/// fees in between. Three blocks without one happen twice a year; an hour and a half happens once
/// in eight thousand blocks.
const OLD_TEMPLATE: Duration = Duration::from_secs(90 * 60);
/// A template provider that has sent templates far more often is suspicious earlier: after this
/// many of its usual intervals, but no earlier than this. If templates arrive at random, one in
/// 160,000 waits is this long.
const USUAL_TEMPLATES: u32 = 12;
const MISSED_TEMPLATES: Duration = Duration::from_secs(180);
/// This many shares that the pool rejects as stale since the last template, if it is older than
/// this, indicate a node that is behind.
const STALE_SHARES: u64 = 3;
const STALE_AFTER: Duration = Duration::from_secs(60);
/// A first template that takes this long indicates a problem.
const VERY_LONG_WAIT: Duration = Duration::from_secs(600);

pub(super) fn template(look: &Snapshot<'_>) -> CheckOutcome {
    let standing = look.standing;
    if let Some(node) = look.node {
        let is_unusable = node.status != NodeStatus::Connected;
        if is_unusable || !look.instance.status.has_client() {
            return of_node(node);
        }
    }
    match &standing.provider {
        ProviderState::Lost { .. } => {
            return bad(
                "The connection to the template provider was lost. Check that the template provider and its Bitcoin node are running.",
            );
        }
        ProviderState::Refused { words, .. } => {
            return bad(format!(
                "The template provider cannot be used: {words}. Check that it is running and that its address and key in the configuration are correct."
            ));
        }
        ProviderState::Unknown
        | ProviderState::Connecting { .. }
        | ProviderState::Connected { .. } => {}
    }
    if let Some(since) = standing.waiting_since {
        let waited = look.now.since(since);
        let words = "The template provider is connected but is not sending templates. Usually, its node is still syncing; the node's log shows the \
                     progress. Miners get no work until it is synced.";
        return match waited {
            waited if waited > VERY_LONG_WAIT => bad(words),
            waited if waited > LONG_WAIT => warning(words),
            _ => unknown("Waiting for the first template."),
        };
    }
    if let Some(block) = look.missing_block {
        return bad(format!(
            "Another instance received block {} at {}, but this one did not. Its miners are working on an old block. {}",
            block.hash,
            block.at.local_minute(),
            restart_provider(look)
        ));
    }
    let usual = standing.templates.mean();
    let is_late = |at| {
        usual.is_some_and(|usual| {
            let patience = (usual * USUAL_TEMPLATES).clamp(MISSED_TEMPLATES, OLD_TEMPLATE);
            look.now.since(at) > patience
        })
    };
    match standing.template_at {
        Some(at)
            if standing.shares.stale_since_template >= STALE_SHARES
                && look.now.since(at) > STALE_AFTER =>
        {
            bad(format!(
                "The pool is rejecting shares as stale, and no new template has arrived since {}. Miners are working on an old block. {}",
                at.local_minute(),
                restart_provider(look)
            ))
        }
        Some(at) if is_late(at) => warning(format!(
            "No new template since {}, although one usually arrives every {}. Miners may be working on an old block. {}",
            at.local_minute(),
            human_duration(whole_seconds(usual.unwrap_or_default())),
            restart_provider(look)
        )),
        Some(at) if look.now.since(at) > OLD_TEMPLATE => warning(format!(
            "No new template for more than {}. The template provider's node may have lost its peers. Check that it is in sync with the network.",
            human_duration(OLD_TEMPLATE)
        )),
        Some(_) => well("Receiving templates from the template provider."),
        None if look.age() > SILENT => warning(BLIND),
        None => unknown("No template received yet."),
    }
}

/// The result of the node check. With instructions for several systems, the first is for this one.
fn of_node(node: &NodeCheckResult) -> CheckOutcome {
    let paragraphs = node.paragraphs();
    match (node.status, paragraphs.first()) {
        (NodeStatus::Connected, _) => well(node.detail.clone()),
        (_, None) => bad(node.detail.clone()),
        (_, Some(first)) if paragraphs.len() > 1 => bad(format!(
            "{} {first} “Check node” shows instructions for other systems.",
            node.detail
        )),
        (_, Some(first)) => bad(format!("{} {first}", node.detail)),
    }
}

/// The fix for a template provider that may have stopped sending. sv2-tp 1.1.1 stays connected but
/// never sends a template again after a restart of its node.
fn restart_provider(look: &Snapshot<'_>) -> &'static str {
    match look.running.uses_node_socket {
        true => "Check that the node is running and has peers, then restart this instance.",
        false => {
            "Restart the template provider: after a restart of its node, sv2-tp stays connected but sends no more templates. Then check that the node has peers."
        }
    }
}

/// Rounded to seconds, at least one.
fn whole_seconds(length: Duration) -> Duration {
    Duration::from_secs((length + Duration::from_millis(500)).as_secs().max(1))
}
