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
            "Makes a fresh pair of authority keys; it is kept nowhere.",
        )
        .gives::<PairPage>(PAGE)
        .for_admins()
        .audited("made a pair of keys"),
        routes::generate,
    )
}
