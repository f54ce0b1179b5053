//! The routes of keys: operation, role, audit text and handler of each.

use super::routes;
use super::views::PairPage;
use crate::web::openapi::{PAGE, RouteTable, RouterState, post};

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
{
    RouteTable::new().add(
        post(
            "/keys/generate",
            "generateKeys",
            "Creates a new authority key pair. jd-manager does not store it.",
        )
        .gives::<PairPage>(PAGE)
        .for_admins()
        .audited("created a key pair"),
        routes::generate,
    )
}
