//! The handler of `/keys/generate`.

use axum::Extension;

use super::KeyPair;
use super::views::PairPage;
use crate::base::error::Error;
use crate::web::{PageFrame, Reply, RequestContext};

/// `POST /keys/generate`: a fresh pair, shown this once and kept nowhere.
pub async fn generate(Extension(frame): Extension<PageFrame>, want: RequestContext) -> Reply {
    want.respond(&PairPage::new(
        frame,
        KeyPair::generate().map_err(Error::internal)?,
    ))
}
