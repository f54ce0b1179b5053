//! The URLs of miners.

use axum::extract::State;

use super::service::MinerService;
use super::views::MinersPage;
use crate::base::clock::Timestamp;
use crate::base::error::Error;
use crate::base::ids::InstanceId;
use crate::web::{PathId, QueryParams, Reply, Representation, RequestContext};

/// Miners on a page without being asked for more.
const ON_PAGE: u64 = 100;

/// `GET /instances/{id}/miners`.
pub async fn of_instance(
    State(miners): State<MinerService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let (limit, offset) = part(params, want.form)?;
    let (instance, found) = miners.of_instance(id, limit, offset).await?;
    let page = MinersPage::new(Some(instance), found, (limit, offset), Timestamp::now());
    want.respond_blocking(page).await
}

/// `GET /miners`.
pub async fn all(
    State(miners): State<MinerService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let (limit, offset) = part(params, want.form)?;
    let found = miners.all(limit, offset).await?;
    let page = MinersPage::new(None, found, (limit, offset), Timestamp::now());
    want.respond_blocking(page).await
}

/// `limit` and `offset`.
fn part(mut params: QueryParams, form: Representation) -> Result<(u64, u64), Error> {
    let is_default = params.text("limit").is_none();
    let limit = params.number("limit");
    let offset = params.number("offset");
    params.finish()?;
    let is_page = form == Representation::Html;
    let limit = if is_default && is_page {
        ON_PAGE
    } else {
        limit
    };
    Ok((limit, offset))
}
