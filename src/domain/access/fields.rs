//! Fields of requests about users and tokens.

use strum::VariantNames;

use super::model::LONGEST_TOKEN;
use super::password::SHORTEST;
use crate::web::Role;
use crate::web::openapi::{RequestField, one_of, text, whole};

/// The name of a user.
pub(super) fn name() -> RequestField {
    text("name", "The name of the user.")
        .longest(64)
        .like("ada")
}

/// A password.
pub(super) fn password(about: &'static str) -> RequestField {
    text("password", about)
        .with("minLength", SHORTEST)
        .like("a long sentence of your own")
}

/// The present password.
pub(super) fn current() -> RequestField {
    text("current", "The present password.")
        .like("the present one")
        .required()
}

/// A role.
pub(super) fn role(about: &'static str) -> RequestField {
    one_of("role", about, Role::VARIANTS)
}

/// After how many days a token ends.
pub(super) fn days() -> RequestField {
    whole(
        "days",
        "It ends after so many days; without it never.",
        1,
        LONGEST_TOKEN,
    )
}
