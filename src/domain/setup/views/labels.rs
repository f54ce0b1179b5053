//! What the fields of setup are called, and in which order they stand.

use crate::domain::configs::views::POOL_LABELS;
use crate::domain::setup::step::SetupStep;

/// What the fields are called, by the ends of their names.
const LABELS: [(&str, &str); 13] = [
    ("mode", "Mode"),
    ("template_provider", "Source of templates"),
    ("Sv2Tp.address", "Address of the template provider"),
    ("Sv2Tp.public_key", "Its public key (optional)"),
    ("BitcoinCoreIpc.version", "Version of Bitcoin Core"),
    ("BitcoinCoreIpc.network", "Chain of the node"),
    (
        "BitcoinCoreIpc.data_dir",
        "Data directory of the node (optional)",
    ),
    ("upstreams", "Pools"),
    ("coinbase_reward_script", "Payout address or descriptor"),
    ("network", "Chain you mine on"),
    ("jdc_signature", "Text in blocks you find (optional)"),
    ("name", "Name"),
    ("listening_port", "Port for miners"),
];
const MORE_LABELS: [(&str, &str); 2] = [
    ("monitoring_port", "Port for figures"),
    ("reach", "Who connects"),
];

/// All of them, those of a pool as the form of a configuration has them.
fn labels() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    LABELS.iter().chain(&POOL_LABELS).chain(&MORE_LABELS)
}

/// What the field of this name is called; empty: it is not shown.
pub(super) fn label(name: &str) -> &'static str {
    let is_it = |known: &str| {
        name == known
            || name
                .strip_suffix(known)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    labels()
        .find(|(known, _)| is_it(known))
        .map_or("", |(_, label)| label)
}

/// Where a field stands: its step, its row among the pools, its place in the row.
pub(super) fn place_of(name: &str) -> (Option<SetupStep>, usize, usize) {
    let row = name
        .strip_prefix("upstreams.")
        .and_then(|rest| rest.split('.').next()?.parse().ok());
    let mine = label(name);
    let place = labels().position(|(_, label)| *label == mine);
    (
        SetupStep::of_field(name),
        row.unwrap_or_default(),
        place.unwrap_or(usize::MAX),
    )
}
