//! The handlers of the overview and the configuration of an instance.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};

use super::service::OverviewService;
use super::views::{InstancePage, OverviewParts};
use super::widget::StatusWidget;
use crate::base::ids::InstanceId;
use crate::web::{PathId, ProblemResponse, Reply, Representation, RequestContext};

/// `GET /instances/{id}`.
pub async fn show(
    State(overview): State<OverviewService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    // Links that only know the id lead to the page on the host.
    if let Some(remote) = overview.remote(id)
        && want.form == Representation::Html
    {
        return Ok(Redirect::to(&remote.path()).into_response());
    }
    let (instance, summary) = overview.instance(id).await?;
    let parts = if want.form == Representation::Html {
        overview.parts(id).await?
    } else {
        OverviewParts::default()
    };
    want.respond_blocking(InstancePage {
        instance,
        summary,
        parts,
    })
    .await
}

/// `GET /instances/{id}/configuration`.
pub async fn configuration(
    State(overview): State<OverviewService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    want.respond_blocking(overview.configuration(id).await?)
        .await
}

/// `GET /widget`.
pub async fn widget(
    State(overview): State<OverviewService>,
) -> Result<Json<StatusWidget>, ProblemResponse> {
    Ok(Json(overview.widget().await?))
}
