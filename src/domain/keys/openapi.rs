//! What the API's documentation says of keys.

use super::views::PairPage;
use crate::web::openapi::{ApiOperation, PAGE, post};

/// The operations.
pub fn operations() -> Vec<ApiOperation> {
    vec![
        post(
            "/keys/generate",
            "generateKeys",
            "Makes a fresh pair of authority keys; it is kept nowhere.",
        )
        .gives::<PairPage>(PAGE),
    ]
}
