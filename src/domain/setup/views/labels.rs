//! Labels and order of the fields of setup.

use crate::domain::setup::step::SetupStep;
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS};

/// Labels of fields that a configuration's form does not have or labels differently; empty for
/// hidden fields.
const OWN_LABELS: [(&str, &str); 14] = [
    ("template_provider", "Template provider"),
    (
        "template_provider_type.BitcoinCoreIpc.network",
        "Node network",
    ),
    (
        "template_provider_type.BitcoinCoreIpc.data_dir",
        "Data directory (optional)",
    ),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", ""),
    ("template_provider_type.BitcoinCoreIpc.min_interval", ""),
    ("network", "Network"),
    ("jdc_signature", "Coinbase tag (optional)"),
    ("name", "Name"),
    ("listening_port", "Stratum V2 port"),
    ("monitoring_port", "Monitoring port"),
    ("miners", "Your miners"),
    ("stratum_v1_port", "Stratum V1 port"),
    ("miner_class", "Miner class"),
    ("reach", "Reachable from"),
];

/// The label of the field with this name; empty if it is hidden.
pub(super) fn label(name: &str) -> &'static str {
    if let Some((_, label)) = OWN_LABELS.iter().find(|(own, _)| *own == name) {
        return label;
    }
    SetupStep::of_field(name)
        .and_then(|_| ConfigField::named(name))
        .map_or("", |(_, field)| field.label)
}

/// The position of a field: step, pool row and place in the row. Fields that a configuration does
/// not have come last.
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
