//! The HTTP handlers of health. Each one only selects a use case and a page.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use strum::IntoEnumIterator;
use tokio_util::sync::CancellationToken;

use super::remediation_policy::Remediation;
use super::responses::{
    CheckHistory, CheckResponse, HealthScore, HealthStatuses, RemediationSettingsResponse,
};
use super::service::HealthService;
use super::views::{HealthPage, STRIP_CELLS, STRIP_HOURS};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::domain::instances::streams::{changes_of, status_part};
use crate::web::extract::MemberReader;
use crate::web::negotiation::Representation;
use crate::web::sse::SseEvent;
use crate::web::{
    ChangeResponse, PageOrStream, PathId, QueryParams, Reply, RequestContext, RequestInput,
    html_with, sse,
};

/// Refresh interval of an open page without changes.
const RENEWED: Duration = Duration::from_secs(20);

/// State of the handlers.
#[derive(Clone, Debug)]
pub struct HealthRoutesState {
    /// The health of instances.
    pub health: HealthService,
    /// Canceled when jd-manager stops.
    pub stop: CancellationToken,
}

/// `GET /health/{id}`.
pub async fn show(
    State(ward): State<HealthRoutesState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<PageOrStream>,
) -> Reply {
    if want.form == Representation::EventStream {
        return Ok(follow(ward, id, want.page_role()).await?);
    }
    want.respond(&page(&ward.health, id).await?)
}

async fn page(health: &HealthService, id: InstanceId) -> Result<HealthPage> {
    let (instance, report) = health.report(id).await?;
    let now = Timestamp::now();
    let strip = health
        .strip(
            id,
            Timestamp(now.0 - STRIP_HOURS * 3_600_000),
            now,
            STRIP_CELLS,
        )
        .await?;
    Ok(HealthPage {
        instance,
        report,
        strip,
        now,
    })
}

/// `POST /health/{id}/check`: checks now.
pub async fn check(
    State(ward): State<HealthRoutesState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    let results = ward.health.check(id).await?;
    if want.is_fragment() {
        return want.respond(&page(&ward.health, id).await?);
    }
    if want.form == Representation::Html {
        return want.redirect(&format!("/health/{id}"));
    }
    Ok(Json(CheckResponse { results }).into_response())
}

/// `GET /health/{id}/history`.
pub async fn history(
    State(ward): State<HealthRoutesState>,
    PathId(id): PathId<InstanceId>,
    mut params: QueryParams,
) -> Reply {
    let limit = params.number("limit");
    let before = params.get::<i64>("before", "the id of a result");
    params.finish()?;
    let history = ward.health.history(id, before, limit).await?;
    Ok(Json(CheckHistory { history }).into_response())
}

/// `GET /health/{id}/status`.
pub async fn status(
    State(ward): State<HealthRoutesState>,
    PathId(id): PathId<InstanceId>,
) -> Reply {
    let (_, report) = ward.health.report(id).await?;
    Ok(Json(HealthStatuses::of(report.results)).into_response())
}

/// `GET /health/{id}/score`.
pub async fn score(State(ward): State<HealthRoutesState>, PathId(id): PathId<InstanceId>) -> Reply {
    let (_, report) = ward.health.report(id).await?;
    Ok(Json(HealthScore {
        score: report.score,
        status: report.status,
    })
    .into_response())
}

/// `PATCH /health/{id}/cures`, and `POST` for forms: turns automatic fixes on or off.
pub async fn cures(
    State(ward): State<HealthRoutesState>,
    method: Method,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    // Browsers do not send unchecked boxes.
    let is_page = input.form.is_some() && method == Method::POST;
    let mut members = MemberReader::of(input.value, [])?;
    let told: Vec<(Remediation, Option<bool>)> = Remediation::iter()
        .map(|cure| (cure, members.flag(cure.as_str())))
        .collect();
    let told = members.finish(Some(told))?;
    let wanted: Vec<(Remediation, bool)> = told
        .into_iter()
        .filter_map(|(cure, is_on)| Some((cure, is_on.or(is_page.then_some(false))?)))
        .collect();
    ward.health.set_cures(id, &wanted).await?;
    let (_, report) = ward.health.report(id).await?;
    let json = RemediationSettingsResponse {
        cures: report.cures,
    };
    ChangeResponse::new(json, format!("/health/{id}")).respond(&want)
}

/// The health of an instance now and after each change: for programs the JSON of its page, for a
/// page the part with the checks.
async fn follow(
    ward: HealthRoutesState,
    id: InstanceId,
    page_role: Option<Role>,
) -> Result<Response> {
    let changes = changes_of(ward.health.instances(), id);
    // Includes changes since the page was loaded.
    let first = event(&ward.health, id, page_role).await?;
    let health = ward.health.clone();
    // Times of the last template and share change without other changes.
    let rest = futures_util::stream::unfold(Box::pin(changes), move |mut changes| {
        let health = health.clone();
        async move {
            if let Ok(None) = tokio::time::timeout(RENEWED, changes.next()).await {
                return None;
            }
            // It was deleted.
            let event = event(&health, id, page_role).await.ok()?;
            Some((event, changes))
        }
    });
    Ok(sse::respond(
        futures_util::stream::iter([first]).chain(rest),
        ward.stop,
        page_role.is_some(),
    ))
}

async fn event(health: &HealthService, id: InstanceId, page_role: Option<Role>) -> Result<Bytes> {
    let page = page(health, id).await?;
    let Some(role) = page_role else {
        return SseEvent::default()
            .event("health")
            .json_data(&page)
            .map_err(Error::internal);
    };
    let html = html_with(&page.as_checks(), &role).map_err(Error::internal)?;
    let status = status_part(page.instance.clone(), role).unwrap_or_default();
    Ok(SseEvent::default().data(format!(
        "<hx-partial hx-target=\"#checks\" hx-swap=\"outerMorph\">{html}</hx-partial>{status}"
    )))
}
