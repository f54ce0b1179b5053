//! The fields of a configuration's form: labels, order and ids, and the field for the pointer of an
//! error.

use crate::domain::configs::draft::OUTER_FIELDS;
use crate::domain::configs::form_name;
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS, FieldGroup};
use crate::web::glossary::GlossaryTerm;

/// Fields and the entries of the glossary that explain them.
const TERMS_OF_FIELDS: [(&str, &str); 15] = [
    ("template_provider", "template-provider"),
    (
        "template_provider_type.BitcoinCoreIpc.data_dir",
        "ipc-socket",
    ),
    ("template_provider_type.Sv2Tp.public_key", "authority-key"),
    ("upstreams[].pool_address", "pool"),
    ("upstreams[].jds_address", "jds"),
    ("upstreams[].authority_pubkey", "authority-key"),
    ("upstreams[].user_identity", "worker"),
    ("authority_public_key", "authority-key"),
    ("coinbase_reward_script", "payout-address"),
    ("jdc_signature", "coinbase-tag"),
    ("shares_per_minute", "share"),
    ("share_batch_size", "share"),
    ("reserved_downstream_rollable_extranonce_size", "extranonce"),
    ("translator.enabled", "translator"),
    ("translator.aggregate_channels", "channel"),
];

/// The label on pages of the field at a pointer (relative to the configuration): `Pool 1: Pool
/// port`.
pub(super) fn label(pointer: &str) -> String {
    label_of(&form_name(pointer))
}

/// The label of the form field with this name; empty if the form has no such field.
pub(super) fn form_label(name: &str) -> &'static str {
    match name {
        "name" => "Name",
        "description" => "Description (optional)",
        _ => ConfigField::named(name).map_or("", |(_, field)| field.label),
    }
}

/// The label on pages of the field with this name.
pub(super) fn label_of(name: &str) -> String {
    let label = form_label(name).trim_end_matches(" (optional)");
    let or_own = |own| if label.is_empty() { own } else { label };
    if let ["upstreams", row, field] = name.split('.').collect::<Vec<_>>()[..]
        && let Ok(row) = row.parse::<usize>()
    {
        return format!("Pool {}: {}", row.saturating_add(1), or_own(field));
    }
    or_own(name).to_owned()
}

/// Whether a field is in the advanced part of the form, which is closed by default.
pub(super) fn is_rare(name: &str) -> bool {
    ConfigField::named(name)
        .is_some_and(|(_, field)| matches!(field.group, FieldGroup::Keys | FieldGroup::Rare))
}

/// The position of a field in the form: part, pool row and place in the row. `None` if there is no
/// such field.
pub(super) fn place_of(name: &str) -> Option<(usize, usize, usize)> {
    // These two come first.
    if let Some(place) = ["name", "description"].iter().position(|own| *own == name) {
        return Some((0, 0, place));
    }
    let (row, field) = ConfigField::named(name)?;
    let place = |key: &str| FIELDS.iter().position(|field| field.key == key);
    let part = row.map_or(field.key, |_| "upstreams");
    Some((1 + place(part)?, row.unwrap_or_default(), place(field.key)?))
}

/// The name of the field for an error with a pointer into the request body.
pub(super) fn field_name(pointer: &str) -> Option<String> {
    match pointer.strip_prefix("/config/") {
        Some(inner) => Some(form_name(&format!("/{inner}"))),
        None => pointer
            .strip_prefix('/')
            .filter(|name| OUTER_FIELDS.contains(name))
            .map(str::to_owned),
    }
}

/// The HTML id of the field with this name.
pub(super) fn id_of(name: &str) -> String {
    name.replace('.', "-")
}

/// The entry of the glossary that explains the field of this name, if there is one.
pub(super) fn term_of(name: &str) -> Option<&'static GlossaryTerm> {
    let (_, field) = ConfigField::named(name)?;
    let (_, id) = TERMS_OF_FIELDS.iter().find(|(key, _)| *key == field.key)?;
    GlossaryTerm::with_id(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_with_a_term_leads_to_the_glossary() {
        for (key, id) in TERMS_OF_FIELDS {
            let term = GlossaryTerm::with_id(id);
            assert!(term.is_some(), "the glossary has no {id}");
            let name = ConfigField::of_key(key).unwrap().form_name(0);
            assert_eq!(term_of(&name).map(|term| term.id), Some(id), "{key}");
        }
        assert!(term_of("name").is_none());
    }
}
