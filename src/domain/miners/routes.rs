//! The URLs of miners.

use axum::extract::State;

use super::model::MinerFilter;
use super::service::MinerService;
use super::views::MinersPage;
use crate::base::clock::Timestamp;
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
    list(&miners, Some(id), want, params).await
}

/// `GET /miners`.
pub async fn all(
    State(miners): State<MinerService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    list(&miners, None, want, params).await
}

async fn list(
    miners: &MinerService,
    instance: Option<InstanceId>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let is_default = params.text("limit").is_none();
    let limit = params.number("limit");
    let offset = params.number("offset");
    let filter = MinerFilter {
        instance,
        protocol: params.get("protocol", "v1 or v2"),
        state: params.get("state", "mining, no-channel, many-rejected or offline"),
    };
    params.finish()?;
    let is_page = want.form == Representation::Html;
    let limit = if is_default && is_page {
        ON_PAGE
    } else {
        limit
    };
    let (instance, found) = miners.part(filter, limit, offset).await?;
    let page = MinersPage::new(instance, filter, found, (limit, offset), Timestamp::now());
    want.respond_blocking(page).await
}
