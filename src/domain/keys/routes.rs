//! The handler of `/keys/generate`.

use super::KeyPair;
use super::views::PairPage;
use crate::base::error::Error;
use crate::web::{Reply, RequestContext};

/// `POST /keys/generate`: a new key pair, shown only once and not stored.
pub async fn generate(want: RequestContext) -> Reply {
    want.respond(&PairPage::new(
        KeyPair::generate().map_err(Error::internal)?,
    ))
}
