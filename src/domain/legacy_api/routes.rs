//! The URLs of the original API: `/jdc/…` and `/config`. Each handler finds the instance or
//! configuration and calls the current handler or service.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;

use super::service::{FirstGeneration, LegacyConfigBody};
use super::views::{LegacyConfig, LegacyStatus, NoLog, ValidPage};
use crate::base::actor::Actor;
use crate::base::error::Error;
use crate::domain::configs::form_to_value;
use crate::domain::instances::routes as instance;
use crate::domain::logs::LogService;
use crate::domain::logs::routes as logs;
use crate::web::extract::EmptyForm;
use crate::web::negotiation::Representation;
use crate::web::{
    ChangeResponse, LogForms, PathId, ProblemResponse, QueryParams, Reply, RequestContext,
    RequestInput,
};

/// `POST /jdc/start`.
pub async fn start(
    State(first): State<FirstGeneration>,
    actor: Actor,
    want: RequestContext,
    fields: EmptyForm,
) -> Reply {
    let id = first.to_start(false).await?;
    instance::start(
        State(first.instances().clone()),
        actor,
        PathId(id),
        want,
        fields,
    )
    .await
}

/// `POST /jdc/stop`.
pub async fn stop(
    State(first): State<FirstGeneration>,
    actor: Actor,
    want: RequestContext,
    fields: EmptyForm,
) -> Reply {
    let id = first.to_stop().await?;
    instance::stop(
        State(first.instances().clone()),
        actor,
        PathId(id),
        want,
        fields,
    )
    .await
}

/// `POST /jdc/restart`.
pub async fn restart(
    State(first): State<FirstGeneration>,
    actor: Actor,
    want: RequestContext,
    params: QueryParams,
    fields: EmptyForm,
) -> Reply {
    let id = first.to_start(true).await?;
    instance::restart(
        State(first.instances().clone()),
        actor,
        PathId(id),
        want,
        params,
        fields,
    )
    .await
}

/// `GET /jdc/status`.
pub async fn status(State(first): State<FirstGeneration>) -> Reply {
    Ok(Json(LegacyStatus::of(first.instance().await?)).into_response())
}

/// `GET /jdc/logs?count=`, in the forms of an instance's log. Before the first start it is empty.
pub async fn log(
    State(first): State<FirstGeneration>,
    State(logs): State<LogService>,
    want: RequestContext<LogForms>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    match first.made().await {
        Ok(id) => logs::log(State(logs), PathId(id), want, headers, params).await,
        Err(Error::NotFound { .. }) if want.form == Representation::Json => {
            Ok(Json(NoLog::default()).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

/// `GET /config`.
pub async fn config(State(first): State<FirstGeneration>) -> Reply {
    Ok(Json(LegacyConfig::new(first.config().await?)).into_response())
}

/// `POST /config`.
pub async fn save(
    State(first): State<FirstGeneration>,
    want: RequestContext,
    actor: Actor,
    input: RequestInput,
) -> Reply {
    let outcome = first.save(sent(input), &actor).await?;
    let next = format!("/saved-configs/{}", outcome.config_id);
    ChangeResponse::new(outcome, next).respond(&want)
}

/// `POST /config/validate`: nothing is saved.
pub async fn validate(
    State(first): State<FirstGeneration>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    match first.validate(sent(input)).await {
        Ok(valid) => want.respond(&ValidPage::new(valid)),
        Err(error @ Error::Invalid(_)) => {
            Err(ProblemResponse::from(error).with_member("valid", false))
        }
        Err(other) => Err(other.into()),
    }
}

fn sent(input: RequestInput) -> LegacyConfigBody {
    LegacyConfigBody::of(match input.form {
        Some(pairs) => form_to_value(pairs),
        None => input.value,
    })
}
