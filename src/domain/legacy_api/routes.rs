//! The first generation's URLs: `/jdc/…` and `/config`. Each finds the instance or configuration that is meant and hands over to
//! today's handler or service.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::{Extension, Json};

use super::service::{FirstGeneration, Sent};
use super::views::{Kept, NoLog, Standing, ValidPage};
use crate::base::error::Error;
use crate::domain::configs::form_to_value;
use crate::domain::configs::routes::author;
use crate::domain::instances::routes as instance;
use crate::domain::logs::routes as logs;
use crate::domain::logs::routes::Pages;
use crate::web::extract::Fields;
use crate::web::negotiation::Form;
use crate::web::{Caller, Done, Frame, Id, Input, LogForms, Params, Problem, Reply, Want};

/// `POST /jdc/start`.
pub async fn start(State(first): State<FirstGeneration>, want: Want, fields: Fields) -> Reply {
    let id = first.to_start(false).await?;
    instance::start(State(first.instances().clone()), Id(id), want, fields).await
}

/// `POST /jdc/stop`.
pub async fn stop(State(first): State<FirstGeneration>, want: Want, fields: Fields) -> Reply {
    let id = first.to_stop().await?;
    instance::stop(State(first.instances().clone()), Id(id), want, fields).await
}

/// `POST /jdc/restart`.
pub async fn restart(State(first): State<FirstGeneration>, want: Want, fields: Fields) -> Reply {
    let id = first.to_start(true).await?;
    instance::restart(State(first.instances().clone()), Id(id), want, fields).await
}

/// `GET /jdc/status`.
pub async fn status(State(first): State<FirstGeneration>) -> Reply {
    Ok(Json(Standing::of(first.instance().await?)).into_response())
}

/// `GET /jdc/logs?count=`, in the forms of an instance's log. Before the first start it is empty.
pub async fn log(
    State(first): State<FirstGeneration>,
    State(pages): State<Pages>,
    frame: Extension<Frame>,
    want: Want<LogForms>,
    headers: HeaderMap,
    params: Params,
) -> Reply {
    match first.made().await {
        Ok(id) => logs::log(State(pages), frame, Id(id), want, headers, params).await,
        Err(Error::NotFound { .. }) if want.form == Form::Json => Ok(Json(NoLog::default()).into_response()),
        Err(other) => Err(other.into()),
    }
}

/// `GET /config`.
pub async fn config(State(first): State<FirstGeneration>) -> Reply {
    Ok(Json(Kept::new(first.config().await?)).into_response())
}

/// `POST /config`.
pub async fn save(State(first): State<FirstGeneration>, want: Want, caller: Caller, input: Input) -> Reply {
    let outcome = first.save(sent(input), &author(&want, &caller)).await?;
    Done { next: format!("/saved-configs/{}", outcome.config_id), created: None, json: outcome }.respond(&want)
}

/// `POST /config/validate`: nothing is saved.
pub async fn validate(State(first): State<FirstGeneration>, frame: Extension<Frame>, want: Want, input: Input) -> Reply {
    match first.validate(sent(input)).await {
        Ok(valid) => want.respond(&ValidPage::new(frame.0, valid)),
        Err(error @ Error::Invalid(_)) => Err(Problem::from(error).with_member("valid", false)),
        Err(other) => Err(other.into()),
    }
}

fn sent(input: Input) -> Sent {
    Sent::of(match input.form {
        Some(pairs) => form_to_value(pairs),
        None => input.value,
    })
}
