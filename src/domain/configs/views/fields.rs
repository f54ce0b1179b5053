//! The fields of a configuration's form: names, labels, order, ids; and the way from a complaint's
//! pointer to its field.

use crate::domain::configs::draft::OUTER_FIELDS;
use crate::domain::configs::form_name;

/// What the fields are called on pages, by name, in the order of the form.
pub(super) const LABELS: &[(&str, &str)] = &[
    ("name", "Name"),
    ("description", "Description (optional)"),
    ("mode", "Mode"),
    ("user_identity", "Common account at the pools (optional)"),
    ("upstreams", "Pools"),
    ("coinbase_reward_script", "Payout address or descriptor"),
    ("jdc_signature", "Coinbase signature"),
    ("template_provider", "Kind"),
    (
        "template_provider_type.Sv2Tp.address",
        "Address of the template provider",
    ),
    (
        "template_provider_type.Sv2Tp.public_key",
        "Its public key (optional)",
    ),
    (
        "template_provider_type.Sv2Tp.network",
        "Chain it follows (optional)",
    ),
    (
        "template_provider_type.BitcoinCoreIpc.version",
        "Version of Bitcoin Core",
    ),
    ("template_provider_type.BitcoinCoreIpc.network", "Network"),
    (
        "template_provider_type.BitcoinCoreIpc.data_dir",
        "Data directory (optional)",
    ),
    (
        "template_provider_type.BitcoinCoreIpc.fee_threshold",
        "Fee threshold, satoshis",
    ),
    (
        "template_provider_type.BitcoinCoreIpc.min_interval",
        "Seconds between templates",
    ),
    ("listening_address", "Address miners connect to"),
    ("shares_per_minute", "Shares per minute"),
    ("authority_public_key", "Public key"),
    ("authority_secret_key", "Secret key"),
    ("cert_validity_sec", "Certificate validity, seconds"),
    ("share_batch_size", "Shares per acknowledgement"),
    ("min_supported_version", "Lowest protocol version"),
    ("max_supported_version", "Highest protocol version"),
    ("supported_extensions", "Supported extensions (optional)"),
    ("required_extensions", "Required extensions (optional)"),
    (
        "reserved_downstream_rollable_extranonce_size",
        "Extranonce bytes kept for miners (optional)",
    ),
    ("max_past_jobs", "Past jobs kept per channel (optional)"),
    (
        "monitoring_address",
        "Address of the client's figures (optional)",
    ),
    (
        "monitoring_cache_refresh_secs",
        "Seconds between renewals (optional)",
    ),
    (
        "miner_telemetry.cidrs",
        "Networks searched for miners (optional)",
    ),
];

/// The fields of a pool, in the order of the form.
pub const POOL_LABELS: [(&str, &str); 6] = [
    ("pool_address", "Pool address"),
    ("pool_port", "Pool port"),
    ("user_identity", "Your account at this pool"),
    ("jds_address", "Job declarator server"),
    ("jds_port", "Its port"),
    ("authority_pubkey", "Public key of the pool"),
];

/// The first field in [`LABELS`] of the part of the form that is folded away; all after it are
/// there too.
const FIRST_RARE: &str = "authority_public_key";

/// What the field at a pointer (relative to the configuration) is called on pages: `Pool 1, pool
/// port`.
pub(super) fn label(pointer: &str) -> String {
    label_of(&form_name(pointer))
}

/// What the field of this name is called on pages.
pub(super) fn label_of(name: &str) -> String {
    if let ["upstreams", row, field] = name.split('.').collect::<Vec<_>>()[..]
        && let Ok(row) = row.parse::<usize>()
    {
        let field = POOL_LABELS
            .iter()
            .find(|(known, _)| *known == field)
            .map_or(field, |(_, label)| label);
        return format!("Pool {}: {field}", row.saturating_add(1));
    }
    let known = LABELS.iter().find(|(known, _)| *known == name);
    known.map_or_else(
        || name.to_owned(),
        |(_, label)| label.trim_end_matches(" (optional)").to_owned(),
    )
}

/// Whether a field is in the part of the form that is folded away.
pub(super) fn is_rare(name: &str) -> bool {
    LABELS
        .iter()
        .skip_while(|(known, _)| *known != FIRST_RARE)
        .any(|(known, _)| *known == name)
}

/// Where a field stands in the form: the part, the pool's row, the place in the row. `None`: there
/// is no such field.
pub(super) fn place_of(name: &str) -> Option<(usize, usize, usize)> {
    let find =
        |list: &[(&str, &str)], name: &str| list.iter().position(|(known, _)| *known == name);
    match name
        .strip_prefix("upstreams.")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((row, field)) => Some((
            find(LABELS, "upstreams")?,
            row.parse().ok()?,
            find(&POOL_LABELS, field)?,
        )),
        None => find(LABELS, name).map(|place| (place, 0, 0)),
    }
}

/// The name of the field a complaint about the whole body belongs to.
pub(super) fn field_name(pointer: &str) -> Option<String> {
    match pointer.strip_prefix("/config/") {
        Some(inner) => Some(form_name(&format!("/{inner}"))),
        None => pointer
            .strip_prefix('/')
            .filter(|name| OUTER_FIELDS.contains(name))
            .map(str::to_owned),
    }
}

/// The id on the page of the field of this name.
pub(super) fn id_of(name: &str) -> String {
    name.replace('.', "-")
}
