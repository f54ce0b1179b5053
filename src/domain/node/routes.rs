//! The handler of `/node/check`.

use axum::extract::State;

use super::query_params::NodeQuery;
use super::service::NodeService;
use super::views::NodeCheckPage;
use crate::web::{QueryParams, Reply, RequestContext};

/// `GET /node/check`.
pub async fn check(
    State(node): State<NodeService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let query = NodeQuery::read(params)?;
    let result = node.check(query.clone()).await?;
    want.respond(&NodeCheckPage::new(query, result))
}
