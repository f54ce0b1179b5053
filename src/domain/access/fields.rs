//! Fields of requests about users and tokens.

use strum::VariantNames;

use super::model::LONGEST_TOKEN;
use super::password::SHORTEST;
use crate::web::Role;
use crate::web::openapi::{RequestField, one_of, text, whole};

/// The name of a user.
pub(super) fn name() -> RequestField {
    text("name", "Username.").longest(64).like("ada")
}

/// A password.
pub(super) fn password(about: &'static str) -> RequestField {
    text("password", about)
        .with("minLength", SHORTEST)
        .like("a phrase of several words")
}

/// Current password.
pub(super) fn current() -> RequestField {
    text("current", "Current password.")
        .like("current password")
        .required()
}

/// A role.
pub(super) fn role(about: &'static str) -> RequestField {
    one_of("role", about, Role::VARIANTS)
}

/// Days until a token expires.
pub(super) fn days() -> RequestField {
    whole(
        "days",
        "Days until the token expires. Default: never.",
        1,
        LONGEST_TOKEN,
    )
}
