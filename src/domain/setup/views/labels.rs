//! What the fields of setup are called, and in which order they stand.

use crate::domain::setup::step::SetupStep;
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS};

/// What fields are called here that the form of a configuration has not or calls otherwise; empty:
/// the field is sent along unseen.
const OWN_LABELS: [(&str, &str); 11] = [
    ("template_provider", "Source of templates"),
    (
        "template_provider_type.BitcoinCoreIpc.network",
        "Chain of the node",
    ),
    (
        "template_provider_type.BitcoinCoreIpc.data_dir",
        "Data directory of the node (optional)",
    ),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", ""),
    ("template_provider_type.BitcoinCoreIpc.min_interval", ""),
    ("network", "Chain you mine on"),
    ("jdc_signature", "Text in blocks you find (optional)"),
    ("name", "Name"),
    ("listening_port", "Port for miners"),
    ("monitoring_port", "Port for figures"),
    ("reach", "Who connects"),
];

/// What the field of this name is called; empty: it is not shown.
pub(super) fn label(name: &str) -> &'static str {
    if let Some((_, label)) = OWN_LABELS.iter().find(|(own, _)| *own == name) {
        return label;
    }
    SetupStep::of_field(name)
        .and_then(|_| ConfigField::named(name))
        .map_or("", |(_, field)| field.label)
}

/// Where a field stands: its step, its row among the pools, its place in the row, where those that
/// are no configuration's come last.
pub(super) fn place_of(name: &str) -> (Option<SetupStep>, usize, [usize; 2]) {
    let known = ConfigField::named(name);
    let place = |place: Option<usize>| place.unwrap_or(usize::MAX);
    let among_own = OWN_LABELS.iter().position(|(own, _)| *own == name);
    let among_all = known.and_then(|(_, of)| FIELDS.iter().position(|field| field.key == of.key));
    (
        SetupStep::of_field(name),
        known.and_then(|(row, _)| row).unwrap_or_default(),
        [place(among_all), place(among_own)],
    )
}
