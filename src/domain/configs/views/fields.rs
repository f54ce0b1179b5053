//! The fields of a configuration's form: labels, order, ids; and the way from a complaint's pointer
//! to its field.

use crate::domain::configs::draft::OUTER_FIELDS;
use crate::domain::configs::form_name;
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS, FieldGroup};

/// What the field at a pointer (relative to the configuration) is called on pages: `Pool 1, pool
/// port`.
pub(super) fn label(pointer: &str) -> String {
    label_of(&form_name(pointer))
}

/// What the field of this name is called in the form; empty: the form has no such field.
pub(super) fn form_label(name: &str) -> &'static str {
    match name {
        "name" => "Name",
        "description" => "Description (optional)",
        _ => ConfigField::named(name).map_or("", |(_, field)| field.label),
    }
}

/// What the field of this name is called on pages.
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

/// Whether a field is in the part of the form that is folded away.
pub(super) fn is_rare(name: &str) -> bool {
    ConfigField::named(name)
        .is_some_and(|(_, field)| matches!(field.group, FieldGroup::Keys | FieldGroup::Rare))
}

/// Where a field stands in the form: the part, the pool's row, the place in the row. `None`: there
/// is no such field.
pub(super) fn place_of(name: &str) -> Option<(usize, usize, usize)> {
    // These come before all others.
    if let Some(place) = ["name", "description"].iter().position(|own| *own == name) {
        return Some((0, 0, place));
    }
    let (row, field) = ConfigField::named(name)?;
    let place = |key: &str| FIELDS.iter().position(|field| field.key == key);
    let part = row.map_or(field.key, |_| "upstreams");
    Some((1 + place(part)?, row.unwrap_or_default(), place(field.key)?))
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
